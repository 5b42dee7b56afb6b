"""Waiting until videos are processed: briefly, with progress, and leaving off at once when cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from memories_mcp.context import Context
from memories_mcp.errors import RateLimited
from memories_mcp.models.base import Input
from memories_mcp.models.ids import is_public
from memories_mcp.models.media import Video
from memories_mcp.operations.common.lookups import find_videos, not_in_namespace, public_videos, task_videos

LONGEST_SECONDS = 45
"""Hosts give up on a call after a minute or so."""

_POLLS = (1.0, 2.0, 3.0, 5.0, 8.0)
"""Seconds between looks: well under the service's limit of five a second (API 2.10)."""
_UNKNOWN_POLLS = 2
_LOOK_SECONDS = 10


class Waits(Input):
    """An upload that can wait for what it began."""

    wait_seconds: int = Field(default=0, ge=0, le=LONGEST_SECONDS, exclude=True)
    """How long to wait for the processing, which goes on when the time is up."""


@dataclass(frozen=True)
class Awaited:
    """What to wait for: videos, or the task that brings them.

    Attributes:
        video_nos: The videos.
        task_id: Or the task.
        unique_id: The namespace.
        seconds: How long; 0 only looks.
        after: Where the progress of the call stands already.
    """

    video_nos: Sequence[str] = ()
    task_id: str | None = None
    unique_id: str | None = None
    seconds: float = 0
    after: float = 0

    @property
    def again(self) -> str:
        """How to go on waiting."""
        which = f"task_id={self.task_id}" if self.task_id else f"video_nos={', '.join(self.video_nos)}"
        return f"call wait_until_ready with {which}"


@dataclass(frozen=True)
class Waited:
    """How far the processing is.

    Attributes:
        videos: Each with its state.
        ready: Whether every one can be used.
        note: What to do next, where something is left to do.
    """

    videos: list[Video]
    ready: bool
    note: str | None


async def wait(context: Context, awaited: Awaited) -> Waited:
    """Look until nothing is processed any more or the time is up; what is known then is the result.

    Raises:
        MemoriesError: A video is not there, or the service did not answer a look.
    """
    now = asyncio.get_running_loop().time
    begun = now()
    deadline = begun + awaited.seconds
    # A look at the states is bounded too: the service may hang, and public videos come one in two seconds.
    latest = min(deadline + _LOOK_SECONDS, begun + LONGEST_SECONDS)
    total = awaited.seconds if awaited.seconds and not awaited.after else None

    async def tell(message: str) -> None:
        spent = min(now() - begun, awaited.seconds)
        await context.progress(round(awaited.after + spent, 2), total, message)

    poll, videos, waiting, looked = 0, list[Video](), True, False
    await tell(_beginning(awaited))
    while True:
        pause = _POLLS[min(poll, len(_POLLS) - 1)]
        try:
            async with asyncio.timeout_at(latest):
                # A video may be unknown at the first polls after its upload (API 2.9).
                strict = poll >= _UNKNOWN_POLLS or not awaited.seconds
                videos = await _states(context, awaited, deadline, strict=strict)
        except TimeoutError:
            break
        except RateLimited as error:
            pause = max(pause, error.retry_after)
            if not looked and now() + pause > deadline:
                raise
            await tell(f"The service asks to slow down; looking again in {pause:.0f} s")
        else:
            looked = True
            waiting = len(videos) < len(awaited.video_nos or [1]) or any(each.status == "processing" for each in videos)
            await tell(_state(videos, awaited))
        if not waiting or now() + pause > deadline:
            break
        await asyncio.sleep(pause)
        poll += 1
    ready = not waiting and all(each.status == "ready" for each in videos)
    return Waited(videos, ready, _onward(videos, awaited))


def _beginning(awaited: Awaited) -> str:
    if awaited.task_id:
        return "Waiting for the downloads of the import"
    count = len(awaited.video_nos)
    return f"Waiting until {count} video{'s are' if count > 1 else ' is'} processed"


def _state(videos: Sequence[Video], awaited: Awaited) -> str:
    if not videos:
        return f"{'Downloading; no video has arrived' if awaited.task_id else 'The service does not list it'} yet"
    ready = sum(each.status == "ready" for each in videos)
    failed = sum(each.status == "failed" for each in videos)
    names = [each.video_name or each.video_no for each in videos if each.status == "processing"]
    told = [f"{ready} of {max(len(videos), len(awaited.video_nos))} ready"]
    told += [f"{failed} failed"] if failed else []
    told += [f"{len(names)} processing ({', '.join(names[:3])})"] if names else []
    return ", ".join(told)


def _onward(videos: Sequence[Video], awaited: Awaited) -> str | None:
    notes: list[str] = []
    if not videos and awaited.task_id:
        within = f"within {awaited.seconds:g} s" if awaited.seconds else "yet"
        notes.append(
            f"The import has brought no video {within}; whether a download failed, the service does not tell. Posts "
            f"take a minute or two, creators five and more. To look again, {awaited.again}; after ten minutes without "
            "a video it has probably failed: check the links and import them again."
        )
    if any(each.status == "failed" for each in videos):
        notes.append("Some failed; their cause is beside them.")
    unseen = [each for each in awaited.video_nos if each not in {video.video_no for video in videos}]
    if unseen:
        notes.append(
            f"Not seen yet, too new or for lack of time: call again with only {', '.join(unseen)}. One that is not new "
            "may be misspelled, or be under another unique_id."
        )
    if any(each.status == "processing" for each in videos):
        notes.append(f"Still processing; {awaited.again} again.")
    return " ".join(notes) or None


async def _states(context: Context, awaited: Awaited, deadline: float, *, strict: bool) -> list[Video]:
    """What is known of the videos; public ones are looked up one by one, while there is time."""
    if awaited.task_id:
        return await task_videos(context, awaited.task_id, awaited.unique_id)
    private = [each for each in awaited.video_nos if not is_public(each)]
    found = await find_videos(context, private, awaited.unique_id) if private else []
    missing = sorted(set(private) - {each.video_no for each in found})
    if missing and strict:
        raise not_in_namespace(missing)
    for number, video_no in enumerate(each for each in awaited.video_nos if is_public(each)):
        if number and asyncio.get_running_loop().time() >= deadline:
            break
        found += await public_videos(context, [video_no])
    return found
