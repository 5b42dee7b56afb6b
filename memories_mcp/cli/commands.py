"""The commands for people: search, ask, transcript, upload and download, with progress and plain output."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memories_mcp.cli.progress import ProgressBar
from memories_mcp.errors import ConfigurationError, FileRefused, MemoriesError
from memories_mcp.media_types import IMAGE_EXTENSIONS
from memories_mcp.models.chat import ChatAnswer
from memories_mcp.models.evidence import Evidence
from memories_mcp.operations import select
from memories_mcp.operations.common.transcripts import fetch_transcript, transcript_tool
from memories_mcp.rendering.subtitles import plain_text, subrip, webvtt
from memories_mcp.rendering.text import format_span
from memories_mcp.runner import AnyOperation, Runner, RunResult, open_runner
from memories_mcp.settings import Settings


async def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run `search`, `ask`, `transcript`, `upload` or `download` and return the exit code."""
    match options.command:
        case "search":
            return await _search(settings, options.query, options.k)
        case "ask":
            return await _ask(settings, options.question, options.video)
        case "transcript":
            if options.save_as:
                file, overwrite = options.save_as, options.overwrite
                return await _save_transcript(settings, options.video_no, options.track, file, overwrite=overwrite)
            return await _transcript(settings, options.video_no, options.track, options.format)
        case "upload":
            return await _upload(settings, options.files, wait=options.wait)
        case _:
            return await _download(settings, options.video_no, options.target, overwrite=options.overwrite)


async def _search(settings: Settings, query: str, k: int) -> int:
    async with open_runner(settings) as runner:
        answer = await _call(runner, "search_videos", query=query, top_k=k)
    _print_moments(answer.output.moments)
    _print_note(answer)
    return 0 if answer.output.moments else 1


async def _ask(settings: Settings, question: str, video_nos: list[str] | None) -> int:
    name = "chat_with_videos" if video_nos else "chat_with_library"
    async with open_runner(settings) as runner:
        with ProgressBar("Asking", shows_bytes=False) as bar:
            answer = await _call(runner, name, bar, prompt=question, video_nos=video_nos)
    output: ChatAnswer = answer.output
    print(output.answer)
    if output.evidence:
        print("\nEvidence:")
        _print_moments(output.evidence)
    _print_note(answer)
    return 0


_WRITERS: dict[str, Callable[[str, Any, list[Evidence]], str]] = {
    "vtt": webvtt,
    "srt": lambda _, __, segments: subrip(segments),
    "text": lambda _, __, segments: plain_text(segments),
}


async def _transcript(settings: Settings, video_no: str, track: Any, form: str) -> int:
    _allowed_operation(settings, transcript_tool(video_no, track))
    async with open_runner(settings) as runner:
        # Fetched directly, because the tool returns one page at a time.
        transcript = await fetch_transcript(runner.context(), video_no, track, runner.settings.unique_id or None)
    segments = [segment for _, segment in transcript.evidence(range(len(transcript)))]
    sys.stdout.write(_WRITERS[form](video_no, track, segments))
    if not segments:
        print(
            f"{video_no} has no {track} transcript. If the video was added recently, wait until it is ready.",
            file=sys.stderr,
        )
    return 0 if segments else 1


async def _save_transcript(settings: Settings, video_no: str, track: Any, file: Path, *, overwrite: bool) -> int:
    async with open_runner(settings) as runner:
        local = _with_files_root(runner, file.parent)
        arguments = {"video_no": video_no, "save_as": file.name, "overwrite": overwrite}
        answer = await _call(local, transcript_tool(video_no, track), None, **arguments)
    saved = answer.output.saved
    if not saved:
        _print_note(answer)
        return 1
    print(f"{file.with_name(saved.path)}: {saved.cues} cues")
    return 0


async def _upload(settings: Settings, files: list[Path], *, wait: bool) -> int:
    """Upload each file on its own, so that a refused file does not stop the others."""
    failures = 0
    async with open_runner(settings) as runner:
        for file in files:
            with ProgressBar(file.name) as bar:
                try:
                    succeeded, outcome = await _upload_file(runner, file, bar, wait=wait)
                except ConfigurationError:  # the other files would fail the same way
                    raise
                except MemoriesError as error:
                    succeeded, outcome = False, str(error)
            if not succeeded:
                failures += 1
            print(f"{file}: {outcome}", file=sys.stdout if succeeded else sys.stderr, flush=True)
    return 1 if failures else 0


async def _upload_file(runner: Runner, file: Path, bar: ProgressBar, *, wait: bool) -> tuple[bool, str]:
    """Upload one file and return whether that succeeded, with its ids and state."""
    file = _resolve(file)  # the user named this file, so a symlink may lead anywhere
    local = _with_files_root(runner, file.parent)
    name = local.files.find(file.name)
    other_name = f" (from {name})" if name != file.name else ""
    if file.suffix.lower() in IMAGE_EXTENSIONS:
        answer = await _call(local, "upload_images", bar, paths=[name])
        return True, ", ".join(answer.output.image_ids) + other_name
    video = (await _call(local, "upload_video_file", bar, path=name)).output
    for _ in range(_MOST_WAITS):
        if not wait or video.status != "processing":
            break
        state = await _call(local, "wait_until_ready", bar, video_nos=[video.video_no], max_seconds=_WAIT_SECONDS)
        video = next(iter(state.output.videos), video)
    cause = f" ({video.cause})" if video.cause else ""
    succeeded = video.status == "ready" if wait else video.status != "failed"
    return succeeded, f"{video.video_no} {video.status}{cause}{other_name}"


_WAIT_SECONDS = 45
_MOST_WAITS = 80
"""One hour in all, enough to process six hours of video."""


async def _download(settings: Settings, video_no: str, target: Path | None, *, overwrite: bool) -> int:
    target = target or Path(f"{video_no}.mp4")
    if target.is_dir():
        target /= f"{video_no}.mp4"
    async with open_runner(settings) as runner:
        with ProgressBar(target.name) as bar:
            local = _with_files_root(runner, target.parent)
            arguments = {"video_no": video_no, "path": target.name, "overwrite": overwrite}
            answer = await _call(local, "download_video", bar, **arguments)
    print(target.with_name(answer.output.path))
    return 0


def _with_files_root(runner: Runner, folder: Path) -> Runner:
    """Return a runner with the same connections that reads and writes files in `folder`."""
    if not folder.is_dir():
        raise FileRefused(f"{folder} is not a folder.", next_step="Check the path.")
    return Runner(runner.settings.change(files_root=_resolve(folder)), api=runner.api)


def _resolve(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # the current folder was deleted, or links form a circle
        raise FileRefused(f"{path} leads nowhere.", next_step="Check the path and the current folder.") from None


async def _call(runner: Runner, name: str, /, bar: ProgressBar | None = None, **arguments: Any) -> RunResult[Any]:
    """Call a tool; arguments that are `None` are left out."""
    follow = bar.follow if bar and bar.visible else None
    values = {argument: value for argument, value in arguments.items() if value is not None}
    return await runner.run(_allowed_operation(runner.settings, name), values, on_progress=follow)


def _allowed_operation(settings: Settings, name: str) -> AnyOperation:
    """Return an operation of any toolset: `--toolsets` limits what models see, not these commands.

    Raises:
        ConfigurationError: The operator excluded the tool, or allows only tools that change nothing.
    """
    for operation in select(("all",), settings.read_only, settings.exclude_tools):
        if operation.name == name:
            return operation
    raise ConfigurationError(
        f"This command needs the tool {name}, which is not offered with these settings.",
        next_step="Change --exclude-tools or --read-only.",
    )


def _print_moments(moments: list[Evidence]) -> None:
    for moment in moments:
        time = format_span(moment.start_seconds, moment.end_seconds) or moment.ref
        video = moment.video_no or ""
        if moment.video_name and moment.video_no:
            video = f"{moment.video_name} ({moment.video_no})"
        text = " ".join((moment.text or "").split())
        print(f"  {time}  {video}")
        if text:
            print(f"      {text}")


def _print_note(answer: RunResult[Any]) -> None:
    if answer.output.note:
        print(answer.output.note, file=sys.stderr)
