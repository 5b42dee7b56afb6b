"""Waiting until videos are processed, and what is there then: bounded in time, with progress, cancellable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pydantic import Field

from memories_mcp.context import Context
from memories_mcp.errors import NotReady, RateLimited
from memories_mcp.models.base import Input, Row
from memories_mcp.models.coercions import shorten
from memories_mcp.models.evidence import Track
from memories_mcp.models.ids import is_public, show_ids
from memories_mcp.models.media import Video
from memories_mcp.models.spellings import WaitSeconds
from memories_mcp.operations.common.lookups import fetch_public_videos, fetch_task_videos, find_videos, not_in_namespace
from memories_mcp.operations.common.transcripts import fetch_transcript

LONGEST_SECONDS = 45
"""The longest wait; hosts abort a call after about a minute."""

_PAUSES = (1.0, 2.0, 3.0, 5.0, 8.0)
"""Seconds between polls, the last one repeated: well under the service's limit of five a second (API 2.10)."""
_UNKNOWN_POLLS = 2
"""First polls at which a video may be unknown, as the service lists an upload with a delay (API 2.9)."""
_STEP_SECONDS = 0.1
"""The least growth of the progress, in seconds, between two messages."""
_CHECK_SECONDS = 15
"""How long a check of transcripts may take: 40 reads at the service's limit of five a second take eight (API 2.10)."""
_POLL_SECONDS = 10
"""How long a poll may continue after the end of the wait."""


class WaitArguments(Input):
    """Arguments of an upload that can wait for the processing."""

    wait_seconds: WaitSeconds = Field(default=0, ge=0, le=LONGEST_SECONDS, exclude=True)
    """For the processing."""


@dataclass(frozen=True)
class WaitTarget:
    """What to wait for: videos, or the videos of a task.

    Attributes:
        video_nos: The videos.
        task_id: The task, instead of videos.
        unique_id: The namespace.
        seconds: How long to wait; 0 polls once.
        after: The progress that the call has already reported; the wait continues from there.
        is_reached: Returns whether the processing has had its effect, where the state alone may not show that: the wait
            ends if it does, or if the videos were seen first in processing and then ready.
    """

    video_nos: Sequence[str] = ()
    task_id: str | None = None
    unique_id: str | None = None
    seconds: float = 0
    after: float = 0
    is_reached: Callable[[], Awaitable[bool]] | None = None

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
        ready: Whether all videos are ready, and the effect of the processing is reached.
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
    reported = awaited.after - _STEP_SECONDS

    async def report(message: str) -> None:
        nonlocal reported
        elapsed = min(now() - start, awaited.seconds)
        reported = round(max(awaited.after + elapsed, reported + _STEP_SECONDS), 1)
        await context.progress(min(reported, total or reported), total, message)

    polls = 0
    videos: list[Video] = []
    is_waiting = True
    has_state = was_processing = is_ready = False
    await report(_start_message(awaited))
    while True:
        pause = _PAUSES[min(polls, len(_PAUSES) - 1)]
        try:
            async with asyncio.timeout_at(poll_deadline):
                strict = polls >= _UNKNOWN_POLLS or not awaited.seconds
                videos = await _poll(context, awaited, deadline, strict=strict)
                has_state = True
                expected = len(awaited.video_nos or [1])  # a task brings at least one video
                is_processing = any(video.status == "processing" for video in videos)
                was_processing = was_processing or is_processing
                is_waiting = len(videos) < expected or is_processing
                is_ready = not is_waiting and all(video.status == "ready" for video in videos)
                if awaited.is_reached and is_ready and not was_processing:
                    is_waiting = True
                    is_waiting = not await awaited.is_reached()
        except TimeoutError:
            break
        except RateLimited as error:
            pause = max(pause, error.retry_after)
            if not has_state and now() + pause > deadline:
                raise
            await report(f"Rate limit reached; next poll in {pause:.0f} s")
        else:
            unseen = is_waiting and is_ready
            await report("The change is not visible yet" if unseen else _state_message(videos, awaited))
        if not is_waiting or now() + pause > deadline:
            break
        await asyncio.sleep(pause)
        polls += 1
    return WaitResult(videos, is_ready and not is_waiting, _note(videos, awaited))


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


class TranscriptState(Row):
    """The transcripts of a video that have segments."""

    video_no: str
    visual: bool
    """Whether there are scene descriptions."""
    audio: bool
    """Whether there are spoken words."""


async def check_transcripts(
    context: Context, videos: Sequence[Video], unique_id: str | None, end: float
) -> tuple[list[TranscriptState], str | None]:
    """Return which transcripts videos have, and a note: only reading a transcript shows that (API 3.4, 24).

    Args:
        context: The context of the call.
        videos: The videos; failed ones are not checked.
        unique_id: The namespace.
        end: When the check must end, on the event loop's clock; what was not read until then stays unchecked.
    """

    async def has_segments(video_no: str, track: Track) -> bool:
        with suppress(NotReady):
            return len(await fetch_transcript(context, video_no, track, unique_id)) > 0
        return False

    async def check(video_no: str) -> TranscriptState:
        visual, audio = await has_segments(video_no, "visual"), await has_segments(video_no, "audio")
        return TranscriptState(video_no=video_no, visual=visual, audio=audio)

    video_nos = [video.video_no for video in videos if video.status != "failed"]
    if not video_nos:
        return [], None
    tasks = [asyncio.create_task(check(video_no)) for video_no in video_nos]
    try:
        await asyncio.wait(tasks, timeout=min(_CHECK_SECONDS, end - asyncio.get_running_loop().time()))
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    states = [outcome for outcome in outcomes if isinstance(outcome, TranscriptState)]
    notes: list[str] = []
    checked = {state.video_no for state in states}
    if unread := [video_no for video_no in video_nos if video_no not in checked]:
        notes.append(f"Transcripts not read: {show_ids(unread, 'some')}. Call again with max_seconds=0.")
    ready = {video.video_no for video in videos if video.status == "ready"}
    if any(state.video_no in ready and not (state.visual and state.audio) for state in states):
        notes.append("A ready video lacks a transcript if nothing is seen or said, or if it is not made yet.")
    return states, " ".join(notes) or None
