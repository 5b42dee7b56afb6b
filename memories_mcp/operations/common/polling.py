"""Waiting until videos are processed: bounded in time, with progress, cancellable at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from memories_mcp.context import Context
from memories_mcp.errors import RateLimited
from memories_mcp.models.base import Input
from memories_mcp.models.coercions import shorten
from memories_mcp.models.ids import is_public, show_ids
from memories_mcp.models.media import Video
from memories_mcp.models.spellings import WaitSeconds
from memories_mcp.operations.common.lookups import fetch_public_videos, fetch_task_videos, find_videos, not_in_namespace

LONGEST_SECONDS = 45
"""The longest wait; hosts abort a call after about a minute."""

_PAUSES = (1.0, 2.0, 3.0, 5.0, 8.0)
"""Seconds between polls, the last one repeated: well under the service's limit of five a second (API 2.10)."""
_UNKNOWN_POLLS = 2
"""First polls at which a video may be unknown, as the service lists an upload with a delay (API 2.9)."""
_POLL_SECONDS = 10
"""How long a poll may continue after the end of the wait."""


class WaitArguments(Input):
    """Arguments of an upload that can wait for the processing."""

    wait_seconds: WaitSeconds = Field(default=0, ge=0, le=LONGEST_SECONDS, exclude=True)
    """Seconds to wait for the processing."""


@dataclass(frozen=True)
class WaitTarget:
    """What to wait for: videos, or the videos of a task.

    Attributes:
        video_nos: The videos.
        task_id: The task, instead of videos.
        unique_id: The namespace.
        seconds: How long to wait; 0 polls once.
        after: The progress that the call has already reported; the wait continues from there.
    """

    video_nos: Sequence[str] = ()
    task_id: str | None = None
    unique_id: str | None = None
    seconds: float = 0
    after: float = 0

    @property
    def next_call(self) -> str:
        """The call that continues the wait."""
        if self.task_id:
            task_id = show_ids([self.task_id], "")
            return f"call wait_until_ready with {f'task_id={task_id}' if task_id else 'the task_id'}"
        video_nos = show_ids(self.video_nos, "")
        return f"call wait_until_ready with {f'video_nos={video_nos}' if video_nos else 'the video_no'}"


@dataclass(frozen=True)
class WaitResult:
    """The state of the processing at the end of a wait.

    Attributes:
        videos: The known videos with their states.
        ready: Whether all videos are ready.
        note: What to do next, if anything.
    """

    videos: list[Video]
    ready: bool
    note: str | None


async def wait_until_processed(context: Context, awaited: WaitTarget) -> WaitResult:
    """Poll until no video is being processed or the time is up, and return the last known state.

    Raises:
        MemoriesError: A video does not exist, or a poll failed.
    """
    now = asyncio.get_running_loop().time
    start = now()
    deadline = start + awaited.seconds
    # A poll has a time limit of its own: the service may hang, and public videos allow one request in two seconds.
    poll_deadline = min(deadline + _POLL_SECONDS, start + LONGEST_SECONDS)
    total = awaited.seconds if awaited.seconds and not awaited.after else None

    async def report(message: str) -> None:
        elapsed = min(now() - start, awaited.seconds)
        await context.progress(round(awaited.after + elapsed, 2), total, message)

    polls = 0
    videos: list[Video] = []
    is_waiting = True
    has_state = False
    await report(_start_message(awaited))
    while True:
        pause = _PAUSES[min(polls, len(_PAUSES) - 1)]
        try:
            async with asyncio.timeout_at(poll_deadline):
                strict = polls >= _UNKNOWN_POLLS or not awaited.seconds
                videos = await _poll(context, awaited, deadline, strict=strict)
        except TimeoutError:
            break
        except RateLimited as error:
            pause = max(pause, error.retry_after)
            if not has_state and now() + pause > deadline:
                raise
            await report(f"Rate limit reached; next poll in {pause:.0f} s")
        else:
            has_state = True
            expected = len(awaited.video_nos or [1])  # a task brings at least one video
            is_waiting = len(videos) < expected or any(video.status == "processing" for video in videos)
            await report(_state_message(videos, awaited))
        if not is_waiting or now() + pause > deadline:
            break
        await asyncio.sleep(pause)
        polls += 1
    ready = not is_waiting and all(video.status == "ready" for video in videos)
    return WaitResult(videos, ready, _note(videos, awaited))


async def _poll(context: Context, awaited: WaitTarget, deadline: float, *, strict: bool) -> list[Video]:
    """Request the states of the videos.

    Args:
        context: The context of the call.
        awaited: The videos, or their task.
        deadline: When to stop requesting public videos, which take one slow request each.
        strict: Whether an unknown private video is an error.

    Raises:
        NotFound: A private video is unknown.
    """
    if awaited.task_id:
        return await fetch_task_videos(context, awaited.task_id, awaited.unique_id)
    private = [video_no for video_no in awaited.video_nos if not is_public(video_no)]
    public = [video_no for video_no in awaited.video_nos if is_public(video_no)]
    videos = await find_videos(context, private, awaited.unique_id) if private else []
    unknown = sorted(set(private) - {video.video_no for video in videos})
    if unknown and strict:
        raise not_in_namespace(unknown)
    for index, video_no in enumerate(public):
        if index > 0 and asyncio.get_running_loop().time() >= deadline:
            break
        videos += await fetch_public_videos(context, [video_no])
    return videos


def _start_message(awaited: WaitTarget) -> str:
    if awaited.task_id:
        return "Waiting for the downloads of the import"
    count = len(awaited.video_nos)
    return f"Waiting until {count} videos are processed" if count > 1 else "Waiting until 1 video is processed"


def _state_message(videos: Sequence[Video], awaited: WaitTarget) -> str:
    if not videos and awaited.task_id:
        return "Downloading; no video has arrived yet"
    if not videos:
        noun = "videos" if len(awaited.video_nos) > 1 else "video"
        return f"The service does not list the {noun} yet"
    ready = sum(video.status == "ready" for video in videos)
    failed = sum(video.status == "failed" for video in videos)
    processing = [
        shorten(video.video_name or show_ids([video.video_no], "a video"))
        for video in videos
        if video.status == "processing"
    ]
    parts = [f"{ready} of {max(len(videos), len(awaited.video_nos))} ready"]
    if failed:
        parts.append(f"{failed} failed")
    if processing:
        parts.append(f"{len(processing)} processing ({', '.join(processing[:3])})")
    return ", ".join(parts)


def _note(videos: Sequence[Video], awaited: WaitTarget) -> str | None:
    notes: list[str] = []
    if not videos and awaited.task_id:
        period = f"within {awaited.seconds:g} s" if awaited.seconds else "yet"
        notes.append(
            f"The import has brought no video {period}; the service does not report whether a download failed. Posts "
            f"take a minute or two, creators five and more. To check again, {awaited.next_call}; after ten minutes "
            "without a video it has probably failed: check the links and import them again."
        )
    if any(video.status == "failed" for video in videos):
        notes.append("Some videos failed; each shows its cause.")
    listed = {video.video_no for video in videos}
    unlisted = [video_no for video_no in awaited.video_nos if video_no not in listed]
    if unlisted:
        notes.append(
            f"Not listed yet, or not polled in time: call again with only {show_ids(unlisted, 'the video_no')}. "
            "A video that is not new may be misspelled, or be under another unique_id."
        )
    if any(video.status == "processing" for video in videos):
        notes.append(f"Still processing; {awaited.next_call} again.")
    return " ".join(notes) or None
