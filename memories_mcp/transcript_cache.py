"""Transcripts kept in memory for a while, so that the pages of one transcript cost one request."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import BaseModel

from memories_mcp.errors import SpendLimitReached
from memories_mcp.models.base import iter_parts
from memories_mcp.models.evidence import Track
from memories_mcp.models.media import StatusFields
from memories_mcp.models.tolerance import Omissions, collect_omissions, count_again
from memories_mcp.models.transcripts import Segments
from memories_mcp.models.uris import video_of

MAX_BYTES = 64 * 1024**2
"""Memory for the transcripts of all callers of a process: about six of ten hours each, or hundreds of short ones."""
KEEP_SECONDS = 300.0
"""How long a transcript is kept after it was fetched, as other programs may change the video."""
UNSETTLED_SECONDS = 600.0
"""How long nothing is kept of a video that changed, as the service may still send the old transcript, or a part."""
_MAX_UNSETTLED = 10_000

Fetch = Callable[[], Awaitable[Segments]]


class _Key(NamedTuple):
    account: str
    unique_id: str | None
    video_no: str
    track: Track


class _Kept(NamedTuple):
    """A transcript with what was left out of it."""

    segments: Segments
    omissions: Sequence[Omissions]
    valid_until: float


@dataclass
class _Load:
    """A request under way, and the number of readers that wait for it."""

    task: asyncio.Task[_Kept]
    readers: int = 0


class TranscriptCache:
    """The kept transcripts of all callers of a process; the least recently read ones make room.

    Args:
        max_bytes: The memory for them.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._size = 0
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()  # least recently read first
        self._loads: dict[_Key, _Load] = {}
        # By account and video: until when nothing is kept, and whether the video was seen in processing.
        self._unsettled: OrderedDict[tuple[str, str], tuple[float, bool]] = OrderedDict()

    def of(self, api_key: str) -> KeptTranscripts:
        """Return the part of one API key."""
        return KeptTranscripts(self, hashlib.sha256(api_key.encode()).hexdigest())

    async def get(self, key: _Key, fetch: Fetch, *, keep: bool) -> Segments:
        """Return a transcript, kept or fetched; readers at the same time share one request.

        A reader that is cancelled leaves the request to the others; with the last one the request ends.

        Args:
            key: The transcript.
            fetch: Requests the transcript.
            keep: Whether to keep it; a transcript that is kept already is used in any case.
        """
        kept = self._kept.get(key)
        if kept and kept.valid_until > time.monotonic():
            self._kept.move_to_end(key)
        else:
            kept = await self._join(key, fetch, keep)
        count_again(kept.omissions, f"{key.video_no} {key.track}")
        return kept.segments

    async def _join(self, key: _Key, fetch: Fetch, keep: bool) -> _Kept:
        load = self._loads.get(key)
        joined = load is not None
        if load is None:
            load = self._loads[key] = _Load(asyncio.create_task(self._fetch(key, fetch, keep)))
            load.task.add_done_callback(_mark_as_retrieved)
        load.readers += 1
        try:
            await asyncio.wait({load.task})  # does not cancel the task, unlike a bare await
            if not (joined and isinstance(_error(load.task), SpendLimitReached)):
                return load.task.result()
        finally:
            load.readers -= 1
            if not load.readers:
                load.task.cancel()
            if (load.task.done() or not load.readers) and self._loads.get(key) is load:
                del self._loads[key]
        return await self._join(key, fetch, keep)  # the limit of the reader that began the request is not this one's

    async def _fetch(self, key: _Key, fetch: Fetch, keep: bool) -> _Kept:
        with collect_omissions() as omissions:
            segments = await fetch()
        now = time.monotonic()
        kept = _Kept(segments, tuple(omissions.values()), now + KEEP_SECONDS)
        load = self._loads.get(key)
        is_current = load is not None and load.task is asyncio.current_task()  # else the video changed meanwhile
        until, _ = self._unsettled.get((key.account, key.video_no), (0.0, False))
        if keep and len(segments) and is_current and until < now:
            self._keep(key, kept)
        return kept

    def _keep(self, key: _Key, kept: _Kept) -> None:
        now = time.monotonic()
        for other in [other for other, transcript in self._kept.items() if transcript.valid_until <= now]:
            self._remove(other)
        self._remove(key)
        if kept.segments.size > self._max_bytes:
            return
        self._kept[key] = kept
        self._size += kept.segments.size
        while self._size > self._max_bytes:
            self._remove(next(iter(self._kept)))

    def _remove(self, key: _Key) -> None:
        if kept := self._kept.pop(key, None):
            self._size -= kept.segments.size

    def drop(self, account: str, video_nos: Collection[str], *, processing: bool = False) -> None:
        """Forget the transcripts of videos that changed, and keep none of them until they have settled.

        Args:
            account: The account of the videos.
            video_nos: The videos.
            processing: Whether the videos were seen in processing, so that they have settled once they are seen ready.
        """
        if not video_nos:
            return
        for key in [*self._kept, *self._loads]:
            if key.account == account and key.video_no in video_nos:
                self._remove(key)
                self._loads.pop(key, None)
        for video_no in video_nos:
            self._unsettled[account, video_no] = (time.monotonic() + UNSETTLED_SECONDS, processing)
            self._unsettled.move_to_end((account, video_no))
        while len(self._unsettled) > _MAX_UNSETTLED:
            self._unsettled.popitem(last=False)

    def settle(self, account: str, video_no: str, *, seen_ready: bool = False) -> None:
        """Keep the transcripts of a video again.

        Args:
            account: The account of the video.
            video_no: The video.
            seen_ready: Whether the only reason is that the video was seen ready: after a change that counts only if it
                was seen in processing before, as the service may not have begun yet.
        """
        _, processing = self._unsettled.get((account, video_no), (0.0, False))
        if processing or not seen_ready:
            self._unsettled.pop((account, video_no), None)


@dataclass(frozen=True)
class KeptTranscripts:
    """The kept transcripts of one API key.

    Attributes:
        cache: The transcripts of all keys.
        account: The hash of the key.
    """

    cache: TranscriptCache
    account: str

    async def get(
        self, video_no: str, track: Track, unique_id: str | None, fetch: Fetch, *, keep: bool = True
    ) -> Segments:
        """Return a transcript, kept or fetched.

        Args:
            video_no: The video.
            track: The track.
            unique_id: The namespace.
            fetch: Requests the transcript.
            keep: Whether to keep it.
        """
        return await self.cache.get(_Key(self.account, unique_id, video_no, track), fetch, keep=keep)

    def drop(self, uris: Iterable[str]) -> None:
        """Forget the transcripts of the videos among changed resources."""
        self.cache.drop(self.account, {video_no for uri in uris if (video_no := video_of(uri))})

    def settle(self, video_no: str) -> None:
        """Keep the transcripts of a video again, whose change has reached them."""
        self.cache.settle(self.account, video_no)

    def record(self, result: BaseModel) -> None:
        """Take note of the states of the videos in a result: nothing is kept of a video in processing."""
        states = {getattr(video, "video_no", ""): video.status for video in iter_parts(result, StatusFields)}
        processing = {video_no for video_no, status in states.items() if status == "processing"}
        self.cache.drop(self.account, processing, processing=True)
        for video_no in states.keys() - processing:
            self.cache.settle(self.account, video_no, seen_ready=True)


def _mark_as_retrieved(task: asyncio.Task[_Kept]) -> None:
    """Keep asyncio from logging an error for which no reader is left."""
    _error(task)


def _error(task: asyncio.Task[_Kept]) -> BaseException | None:
    return None if task.cancelled() else task.exception()
