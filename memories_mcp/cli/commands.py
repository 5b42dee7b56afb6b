"""The command line for people: the same operations, with progress and plain answers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memories_mcp.cli.progress import ProgressBar
from memories_mcp.errors import ConfigurationError, FileRefused, MemoriesError
from memories_mcp.file_access import IMAGE_ENDINGS
from memories_mcp.models.chat import ChatAnswer
from memories_mcp.models.evidence import Evidence
from memories_mcp.models.ids import is_public
from memories_mcp.operation import Operation
from memories_mcp.operations import select
from memories_mcp.operations.common.transcripts import fetch_transcript
from memories_mcp.rendering.subtitles import plain_text, subrip, webvtt
from memories_mcp.rendering.text import span
from memories_mcp.runner import Answer, Runner, connected
from memories_mcp.settings import Settings


async def run(options: argparse.Namespace, settings: Settings) -> int:
    """Carry out one of the commands."""
    match options.command:
        case "search":
            return await _search(settings, options.query, options.k)
        case "ask":
            return await _ask(settings, options.question, options.video)
        case "transcript":
            return await _transcript(settings, options.video_no, options.track, options.form)
        case "upload":
            return await _upload(settings, options.files, wait=options.wait)
        case _:
            return await _download(settings, options.video_no, options.target, overwrite=options.overwrite)


async def _search(settings: Settings, query: str, k: int) -> int:
    async with connected(settings) as runner:
        answer = await _called(runner, "search_videos", query=query, top_k=k)
    _show(answer.output.moments)
    _note(answer)
    return 0 if answer.output.moments else 1


async def _ask(settings: Settings, question: str, video_nos: list[str] | None) -> int:
    name = "chat_with_videos" if video_nos else "chat_with_library"
    async with connected(settings) as runner:
        with ProgressBar("Asking", counts=False) as bar:
            answer = await _called(runner, name, bar, prompt=question, video_nos=video_nos)
    output: ChatAnswer = answer.output
    print(output.answer)
    if output.evidence:
        print("\nIt rests on:")
        _show(output.evidence)
    _note(answer)
    return 0


_WRITERS: dict[str, Callable[[str, Any, list[Evidence]], str]] = {
    "vtt": webvtt,
    "srt": lambda _, __, segments: subrip(segments),
    "text": lambda _, __, segments: plain_text(segments),
}


async def _transcript(settings: Settings, video_no: str, track: Any, form: str) -> int:
    what = "audio" if track == "audio" else "video"
    _allowed(settings, f"get_{'public_' * is_public(video_no)}{what}_transcription")
    async with connected(settings) as runner:
        context = runner.context()  # read whole, where the tool gives a page at a time
        found = await fetch_transcript(context, video_no, track, runner.settings.unique_id or None)
    segments = [segment for _, segment in found.told(range(len(found)))]
    sys.stdout.write(_WRITERS[form](video_no, track, segments))
    if not segments:
        print(f"There is no {track} transcript of {video_no}; is it ready?", file=sys.stderr)
    return 0 if segments else 1


async def _upload(settings: Settings, files: list[Path], *, wait: bool) -> int:
    """Each file on its own, so that one that is refused does not take the others along."""
    failed = 0
    async with connected(settings) as runner:
        for file in files:
            with ProgressBar(file.name) as bar:
                try:
                    good, told = await _sent(runner, file, bar, wait=wait)
                except ConfigurationError:  # it is the same for all of them
                    raise
                except MemoriesError as error:
                    good, told = False, str(error)
            failed += not good
            print(f"{file}: {told}", file=sys.stdout if good else sys.stderr, flush=True)
    return 1 if failed else 0


async def _sent(runner: Runner, file: Path, bar: ProgressBar, *, wait: bool) -> tuple[bool, str]:
    """Send one file; whether that went well, and what became of it."""
    file = file.resolve()  # whoever names a file on their own command line opens it, also by a link
    here = _at(runner, file.parent)
    if file.suffix.lower() in IMAGE_ENDINGS:
        answer = await _called(here, "upload_images", bar, paths=[file.name])
        return True, ", ".join(answer.output.image_ids)
    video = (await _called(here, "upload_video_file", bar, path=file.name)).output
    for _ in range(_MOST_WAITS):
        if not wait or video.status != "processing":
            break
        waited = await _called(here, "wait_until_ready", bar, video_nos=[video.video_no], max_seconds=45)
        video = next((each for each in waited.output.videos), video)
    cause = f" ({video.cause})" if video.cause else ""
    good = video.status == "ready" if wait else video.status != "failed"
    return good, f"{video.video_no} {video.status}{cause}"


_MOST_WAITS = 80
"""Of 45 seconds each: an hour, enough for six hours of video."""


async def _download(settings: Settings, video_no: str, target: Path | None, *, overwrite: bool) -> int:
    target = target or Path(f"{video_no}.mp4")
    if target.is_dir():
        target /= f"{video_no}.mp4"
    async with connected(settings) as runner:
        with ProgressBar(target.name) as bar:
            here = _at(runner, target.parent)
            await _called(here, "download_video", bar, video_no=video_no, path=target.name, overwrite=overwrite)
    print(target)
    return 0


def _at(runner: Runner, folder: Path) -> Runner:
    if not folder.is_dir():
        raise FileRefused(f"{folder} is not a folder.", next_step="Check the path.")
    return Runner(runner.settings.change(files_root=folder.resolve()), api=runner.api)


async def _called(runner: Runner, name: str, /, bar: ProgressBar | None = None, **arguments: Any) -> Answer[Any]:
    given = {each: value for each, value in arguments.items() if value is not None}
    return await runner.run(_allowed(runner.settings, name), given, follow=bar.follow if bar and bar.shown else None)


def _allowed(settings: Settings, name: str) -> Operation[Any, Any]:
    """An operation, whichever toolsets are offered to models; what the operator closed is closed here too."""
    allowed = {each.name: each for each in select(("all",), settings.read_only, settings.exclude_tools)}
    if name not in allowed:
        raise ConfigurationError(f"{name} is not offered with these settings.")
    return allowed[name]


def _show(moments: list[Evidence]) -> None:
    for each in moments:
        where = span(each.start_seconds, each.end_seconds) or each.ref
        name = f"{each.video_name} ({each.video_no})" if each.video_name and each.video_no else each.video_no or ""
        text = " ".join((each.text or "").split())
        print(f"  {where}  {name}" + (f"\n      {text}" if text else ""))


def _note(answer: Answer[Any]) -> None:
    if answer.output.note:
        print(answer.output.note, file=sys.stderr)
