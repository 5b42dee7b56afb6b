"""The commands that search and read: search, ask and transcript, with progress and plain output."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from memories_mcp.cli.calls import allowed_operation, call_tool, find_number, print_moment, print_note, with_files_root
from memories_mcp.cli.progress import ProgressBar
from memories_mcp.errors import MemoriesError
from memories_mcp.models.chat import ChatAnswer
from memories_mcp.models.evidence import Evidence
from memories_mcp.operations.common.moments import Moment
from memories_mcp.operations.common.transcripts import Window, fetch_transcript, transcript_tool
from memories_mcp.operations.evidence import MOST_REFS
from memories_mcp.rendering.subtitles import plain_text, subrip, webvtt
from memories_mcp.runner import Runner, open_runner
from memories_mcp.settings import Settings
from memories_mcp.validation import validate

_MOST_CHARACTERS = 300
"""The longest line of words below a moment."""


async def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run `search`, `ask` or `transcript` and return the exit code."""
    match options.command:
        case "search":
            return await _search(settings, options)
        case "ask":
            return await _ask(settings, options.question, options.video)
        case _:
            return await _transcript(settings, options)


async def _search(settings: Settings, options: argparse.Namespace) -> int:
    async with open_runner(settings) as runner:
        with ProgressBar("Searching", shows_bytes=False) as bar:
            answer = await call_tool(
                runner, "search_videos", bar, query=options.query, top_k=options.k, video_nos=options.video
            )
            moments: list[Evidence] = answer.output.moments
            words = await _read_words(runner, moments, bar) if options.text else {}
        for moment in moments:
            print_moment(moment, words.get(moment.ref) or _own_words(moment))
        print_note(answer)
        if options.show and moments:
            from memories_mcp.cli.show import page_of, write_page

            for moment in moments:
                moment.text = moment.text or "\n".join(words.get(moment.ref, [])) or None
            await write_page(runner, "search_videos", answer.output, page_of(options))
    return 0 if moments else 1


async def _read_words(runner: Runner, moments: Sequence[Evidence], bar: ProgressBar) -> dict[str, list[str]]:
    """Return what is said and seen at each moment that has no words of its own, by its ref."""
    timed = [moment for moment in moments if not moment.text and moment.start_seconds is not None][:MOST_REFS]
    if not timed:
        return {}
    try:
        report = await call_tool(runner, "get_evidence", bar, refs=[moment.ref for moment in timed], context_seconds=0)
    except MemoriesError as error:  # the times were found and stay useful without the words
        print(f"The words could not be read: {error}", file=sys.stderr)
        return {}
    stretches: list[Moment] = report.output.moments
    by_ref = {ref: stretch for stretch in stretches for ref in stretch.refs}
    return {moment.ref: _words(moment, by_ref[moment.ref]) for moment in timed if moment.ref in by_ref}


def _words(moment: Evidence, stretch: Moment) -> list[str]:
    start, end = moment.start_seconds or 0, moment.end_seconds
    lines: list[str] = []
    for kind, title in (("audio", "said"), ("visual", "seen")):
        texts = [
            segment.text
            for segment in stretch.segments
            if segment.kind == kind
            and segment.text
            and (end is None or (segment.start_seconds or 0) < end)
            and (segment.end_seconds is None or segment.end_seconds > start)
        ]
        if texts:
            lines.append(f"{title}: {_shorten(' '.join(texts))}")
    return lines


def _own_words(moment: Evidence) -> list[str]:
    return [_shorten(moment.text)] if moment.text else []


def _shorten(text: str) -> str:
    """Return a text as one line, cut between two words."""
    return textwrap.shorten(text, _MOST_CHARACTERS, placeholder=" …")


async def _ask(settings: Settings, question: str, video_nos: list[str] | None) -> int:
    name = "chat_with_videos" if video_nos else "chat_with_library"
    async with open_runner(settings) as runner:
        with ProgressBar("Asking", shows_bytes=False) as bar:
            answer = await call_tool(runner, name, bar, prompt=question, video_nos=video_nos)
    output: ChatAnswer = answer.output
    print(output.answer)
    if output.evidence:
        print("\nEvidence:")
        for moment in output.evidence:
            print_moment(moment, _own_words(moment))
    print_note(answer)
    return 0


_WRITERS: dict[str, Callable[[str, Any, list[Evidence]], str]] = {
    "vtt": webvtt,
    "srt": lambda _, __, segments: subrip(segments),
    "text": lambda _, __, segments: plain_text(segments),
}


async def _save_transcript(runner: Runner, video_no: str, options: argparse.Namespace, limits: dict[str, Any]) -> int:
    file: Path = options.save_as
    local = with_files_root(runner, file.parent)
    limits = {**limits, "save_as": file.name, "overwrite": options.overwrite}
    answer = await call_tool(local, transcript_tool(video_no, options.track), None, video_no=video_no, **limits)
    saved = answer.output.saved
    if not saved:
        print_note(answer)
        return 1
    print(f"{file.with_name(saved.path)}: {saved.cues} cues")
    return 0


async def _transcript(settings: Settings, options: argparse.Namespace) -> int:
    track = options.track
    limits = {"start_seconds": options.start, "end_seconds": options.end}
    window = validate(Window, {name: text for name, text in limits.items() if text is not None}, {})
    async with open_runner(settings) as runner:
        video_no = await find_number(runner, options.video)
        if options.save_as:
            return await _save_transcript(runner, video_no, options, limits)
        allowed_operation(settings, transcript_tool(video_no, track))
        # Fetched directly, because the tool returns one page at a time.
        transcript = await fetch_transcript(runner.context(), video_no, track, runner.settings.unique_id or None)
    indices = transcript.between(window.start_seconds, window.end_seconds)
    segments = [segment for _, segment in transcript.evidence(indices)]
    sys.stdout.write(_WRITERS[options.format](video_no, track, segments))
    if not len(transcript):
        print(
            f"{video_no} has no {track} transcript. If the video was added recently, wait until it is ready.",
            file=sys.stderr,
        )
    elif not segments:
        print(f"The {track} transcript of {video_no} has nothing between these times.", file=sys.stderr)
    return 0 if segments else 1
