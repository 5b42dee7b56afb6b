"""The commands that show and change the library: list, status, upload, download and delete."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from memories_mcp.cli.calls import (
    allowed_operation,
    call_tool,
    find_number,
    print_note,
    resolve_path,
    with_files_root,
)
from memories_mcp.cli.progress import ConfirmingProgress, ProgressBar
from memories_mcp.context import Preview
from memories_mcp.errors import ConfigurationError, MemoriesError
from memories_mcp.media_types import IMAGE_EXTENSIONS
from memories_mcp.models.media import StatusFields, Video
from memories_mcp.models.platforms import is_profile, platform_of
from memories_mcp.operations.common.polling import LONGEST_SECONDS
from memories_mcp.operations.evidence import Readiness
from memories_mcp.operations.library_changes import Deleted
from memories_mcp.rendering.text import format_clock
from memories_mcp.runner import Runner, RunResult, open_runner
from memories_mcp.settings import Settings

_MOST_SECONDS = 3600
"""The longest wait, enough to process six hours of video."""


async def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run `list`, `status`, `upload`, `download` or `delete` and return the exit code."""
    match options.command:
        case "list":
            return await _list(settings, options)
        case "status":
            return await _status(settings, options.videos, wait=options.wait)
        case "upload":
            return await _upload(settings, options.sources, wait=options.wait)
        case "download":
            return await _download(settings, options.video, options.target, overwrite=options.overwrite)
        case _:
            return await _delete(settings, options.videos, yes=options.yes)


async def _list(settings: Settings, options: argparse.Namespace) -> int:
    async with open_runner(settings) as runner:
        answer = await call_tool(
            runner, "list_videos", video_name=options.name, status=options.status, page=options.page, size=options.size
        )
    videos: list[Video] = answer.output.videos
    _print_videos(videos)
    print_note(answer)
    return 0 if videos else 1


async def _status(settings: Settings, video_nos: list[str], *, wait: bool) -> int:
    """Print the state of each video; the exit code is 1 unless all of them are ready."""
    async with open_runner(settings) as runner:
        with ProgressBar("Waiting", shows_bytes=False) as bar:
            answer = await _wait(runner, bar, video_nos=video_nos, seconds=_MOST_SECONDS if wait else 0)
    _print_videos(answer.output.videos)
    print_note(answer)
    return 0 if answer.output.ready else 1


async def _wait(runner: Runner, bar: ProgressBar, *, seconds: int, **target: Any) -> RunResult[Readiness]:
    """Wait until all videos of the target are ready or have failed.

    Args:
        runner: The runner.
        bar: The bar that shows the progress.
        seconds: How long to wait at most; 0 returns the present state.
        target: `video_nos` or `task_id`.
    """
    while True:
        turn = min(seconds, LONGEST_SECONDS)
        answer = await call_tool(runner, "wait_until_ready", bar, max_seconds=turn, **target)
        state: Readiness = answer.output
        seconds -= turn
        pending = not state.videos or any(video.status == "processing" for video in state.videos)
        if state.ready or seconds <= 0 or not pending:
            return answer


def _print_videos(videos: list[Video]) -> None:
    for video in videos:
        length = "" if video.duration_seconds is None else format_clock(video.duration_seconds)
        date = "" if video.created_at is None else f"{video.created_at:%Y-%m-%d}"
        cause = f" ({video.cause})" if video.cause else ""
        columns = f"{video.video_no}  {video.status or '':10}  {length:>7}  {date:10}  {video.video_name or ''}"
        print(f"{columns}{cause}".rstrip())


async def _upload(settings: Settings, sources: list[str], *, wait: bool) -> int:
    """Upload each file or URL on its own, so that a refused one does not stop the others."""
    failures = 0
    async with open_runner(settings) as runner:
        for source in sources:
            with ProgressBar(source.rsplit("/", 1)[-1] or source) as bar:
                try:
                    upload = _upload_url if urlsplit(source).scheme in {"http", "https"} else _upload_file
                    succeeded, outcome = await upload(runner, source, bar, wait=wait)
                except ConfigurationError:  # the other files would fail the same way
                    raise
                except MemoriesError as error:
                    succeeded, outcome = False, str(error)
            if not succeeded:
                failures += 1
            print(f"{source}: {outcome}", file=sys.stdout if succeeded else sys.stderr, flush=True)
    return 1 if failures else 0


async def _upload_file(runner: Runner, source: str, bar: ProgressBar, *, wait: bool) -> tuple[bool, str]:
    """Upload one file and return whether that succeeded, with its ids and state."""
    file = resolve_path(Path(source))  # the user named this file, so a symlink may lead anywhere
    local = with_files_root(runner, file.parent)
    name = local.files.find(file.name)
    other_name = f" (from {name})" if name != file.name else ""
    if file.suffix.lower() in IMAGE_EXTENSIONS:
        answer = await call_tool(local, "upload_images", bar, paths=[name])
        return True, ", ".join(answer.output.image_ids) + other_name
    video = (await call_tool(local, "upload_video_file", bar, path=name)).output
    succeeded, outcome = await _outcome(local, video.video_no, video, bar, wait=wait)
    return succeeded, outcome + other_name


async def _upload_url(runner: Runner, source: str, bar: ProgressBar, *, wait: bool) -> tuple[bool, str]:
    """Upload a media file by its link, or import a post or the latest videos of a creator."""
    if platform_of(source) is None:
        video = (await call_tool(runner, "upload_video_url", bar, url=source)).output
        return await _outcome(runner, video.video_no, video, bar, wait=wait)
    name, arguments = ("upload_platform_urls", {"video_urls": [source]})
    if is_profile(source):
        name, arguments = ("upload_creator", {"profile_url": source})
    task_id = (await call_tool(runner, name, bar, **arguments)).output.task_id
    if not wait:
        return True, f"task {task_id} started"
    state = (await _wait(runner, bar, task_id=task_id, seconds=_MOST_SECONDS)).output
    videos = ", ".join(f"{video.video_no} {video.status}" for video in state.videos)
    return state.ready, videos or f"task {task_id} is not finished"


async def _outcome(
    runner: Runner, video_no: str, video: StatusFields, bar: ProgressBar, *, wait: bool
) -> tuple[bool, str]:
    """Return whether an upload succeeded so far, with the video's number and state."""
    if wait and video.status == "processing":
        state = (await _wait(runner, bar, video_nos=[video_no], seconds=_MOST_SECONDS)).output
        video = next(iter(state.videos), video)
    cause = f" ({video.cause})" if video.cause else ""
    succeeded = video.status == "ready" if wait else video.status != "failed"
    return succeeded, f"{video_no} {video.status}{cause}"


async def _download(settings: Settings, video: str, target: Path | None, *, overwrite: bool) -> int:
    async with open_runner(settings) as runner:
        video_no = await find_number(runner, video)
        target = target or Path(f"{video_no}.mp4")
        if target.is_dir():
            target /= f"{video_no}.mp4"
        with ProgressBar(target.name) as bar:
            local = with_files_root(runner, target.parent)
            arguments = {"video_no": video_no, "path": target.name, "overwrite": overwrite}
            answer = await call_tool(local, "download_video", bar, **arguments)
    print(target.with_name(answer.output.path))
    return 0


async def _delete(settings: Settings, video_nos: list[str], *, yes: bool) -> int:
    """Delete videos after the user agreed on the terminal; `--yes` stands for this."""
    operation = allowed_operation(settings, "delete_videos")
    if not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigurationError(
            "Nothing was deleted: without a terminal there is no way to ask for confirmation.",
            next_step="Add --yes to delete without being asked.",
        )
    async with open_runner(settings) as runner:
        with ConfirmingProgress() as progress:
            answer = await runner.run(
                operation,
                {"video_nos": video_nos},
                on_progress=progress.follow,
                on_confirm=_agree if yes else progress.confirm,
            )
    outcome: Deleted = answer.output
    for video_no in outcome.deleted:
        print(f"{video_no} deleted")
    for video_no in (*outcome.not_found, *outcome.still_there):
        print(f"{video_no} {'not found' if video_no in outcome.not_found else 'not deleted'}", file=sys.stderr)
    print_note(answer)
    return 1 if outcome.not_found or outcome.still_there else 0


async def _agree(preview: Preview) -> bool:
    return True
