"""Videos that were downloaded for pictures and clips, kept on disk while there is room."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar

from memories_mcp.api import Target
from memories_mcp.errors import MediaUnavailable, SpendLimitReached
from memories_mcp.media.private_folder import PrivateFolder
from memories_mcp.media.threads import Stop, in_thread
from memories_mcp.models.uris import video_of

T = TypeVar("T")
P = ParamSpec("P")

MIB = 1024 * 1024
DEFAULT_MIB = 1024
"""Room for the videos of all callers of a process."""
_WAIT_SECONDS = 60.0
"""How long a download waits for the videos that others use."""
_PROGRESS_SECONDS = 0.5

OnBytes = Callable[[int, int | None], Awaitable[None]]
Download = Callable[[Target, OnBytes], Awaitable[int]]
"""Writes the video to a file, reports the bytes received so far and the total, and returns the size."""


class VideoSource(NamedTuple):
    """Where a video comes from, if it is not kept.

    Attributes:
        size: Its bytes, if they are known.
        download: Writes it to a file.
        on_bytes: Receives the progress of the download, also of one that another reader began.
    """

    size: int | None
    download: Download
    on_bytes: OnBytes | None


class _Key(NamedTuple):
    account: str
    unique_id: str | None
    video_no: str


@dataclass(eq=False)
class _File:
    """A downloaded video, or one under way.

    Attributes:
        path: The file.
        download: Ends when the file is complete.
        size: Its bytes; the expected ones as long as the download runs.
        received: The bytes received so far.
        readers: How many use it or wait for it.
        kept: Whether it stays when its last reader is done.
    """

    path: Path
    download: asyncio.Task[None] = field(init=False)
    size: int = 0
    received: int = 0
    readers: int = 0
    kept: bool = True


class VideoCache:
    """The downloaded videos of all callers of a process; those unused for longest make room. Bound to one event loop.

    Args:
        max_mib: Room for them; with 0 a video goes with its last reader.
    """

    def __init__(self, max_mib: int = DEFAULT_MIB) -> None:
        self.keeps = max_mib > 0
        self._limit = (max_mib or DEFAULT_MIB) * MIB
        self._files: OrderedDict[_Key, _File] = OrderedDict()  # least recently used first
        self._present: set[_File] = set()  # what is on disk, or will be
        self._folder: PrivateFolder | None = None
        self._jobs: set[asyncio.Task[object]] = set()
        self._room = asyncio.Event()

    def of(self, api_key: str) -> KeptVideos:
        """Return the part of one API key."""
        return KeptVideos(self, hashlib.sha256(api_key.encode()).hexdigest())

    @property
    def busy(self) -> bool:
        """Whether work on a video is under way, also for a caller that has left."""
        return bool(self._jobs) or any(not file.download.done() for file in self._present)

    def holds(self, key: _Key) -> bool:
        """Return whether a video can be used without a new download; one that is under way counts."""
        file = self._files.get(key)
        return file is not None and (not file.download.done() or file.path.exists())

    def check_size(self, size: int | None) -> None:
        """Return if a video may be downloaded.

        Raises:
            MediaUnavailable: It is larger than the room for all videos.
        """
        if size is not None and size > self._limit:
            raise MediaUnavailable(
                f"The video is too large for pictures and clips: {_show_mib(size)}, and {_show_mib(self._limit)} are "
                "the most.",
                next_step=f"The operator can set MEMORIES_MEDIA_CACHE_MIB to {-(-size // MIB)} or more.",
            )

    @asynccontextmanager
    async def lease(self, key: _Key, size: int | None, download: Download) -> AsyncGenerator[Path, None]:
        """Yield the file of a video, which stays while the body runs; readers at the same time share one download.

        A reader that is cancelled leaves the download to the others; with the last one the download ends.

        Args:
            key: The video.
            size: Its bytes, if they are known.
            download: Writes it to a file.

        Raises:
            MediaUnavailable: The video is too large.
            MemoriesError: The download failed.
        """
        file = self._files.get(key)
        joined = file is not None and self.holds(key)
        if file is None or not joined:
            self.check_size(size)
            file = self._start(key, size, download)
        self._files.move_to_end(key)
        file.readers += 1
        try:
            await asyncio.wait({file.download})  # does not cancel the task, unlike a bare await
            if not (joined and _is_over_limit(file.download)):
                file.download.result()
                yield file.path
                return
        finally:
            file.readers -= 1
            if not file.readers:
                file.download.cancel()
                if not file.kept or not file.download.done() or _failed(file.download):
                    self._remove(key, file)
            self._room.set()
        # The limit of the reader that began the download is not this one's.
        async with self.lease(key, size, download) as path:
            yield path

    def _start(self, key: _Key, size: int | None, download: Download) -> _File:
        if self._folder is None:
            self._folder = PrivateFolder()
        file = _File(self._folder.path / secrets.token_hex(16), size=size or 0, kept=self.keeps)
        self._files[key] = file
        file.download = asyncio.create_task(self._download(file, download))
        file.download.add_done_callback(lambda task: self._discard(file) if _failed(task) else None)
        return file

    async def _download(self, file: _File, download: Download) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_WAIT_SECONDS):
                while not self._evict(file):
                    self._room.clear()
                    await self._room.wait()
        self._present.add(file)

        async def check(done: int, total: int | None) -> None:
            file.received, file.size = done, max(file.size, done, total or 0)
            self.check_size(file.size)
            if not self._evict(file):
                raise MediaUnavailable(
                    "There is no room for the video beside those in use.", next_step="Try again in a minute."
                )

        await check(0, None)
        file.size = await download(Target(file.path.parent, (file.path.name,), overwrite=False), check)

    def _evict(self, file: _File) -> bool:
        """Remove unused files until another one has room; return whether it has."""
        for key, other in list(self._files.items()):
            if self._used_beside(file) + file.size <= self._limit:
                break
            if other is not file and not other.readers and other.download.done():
                self._remove(key, other)
        return self._used_beside(file) + file.size <= self._limit

    def _used_beside(self, file: _File) -> int:
        return sum(other.size for other in self._present if other is not file)

    def _remove(self, key: _Key, file: _File) -> None:
        """Forget a file; one in use stays on disk for its readers."""
        file.kept = False
        if self._files.get(key) is file:
            del self._files[key]
        if not file.readers and file.download.done():
            self._discard(file)

    def _discard(self, file: _File) -> None:
        self._present.discard(file)
        with suppress(OSError):
            file.path.unlink(missing_ok=True)
        self._room.set()

    async def use(
        self, key: _Key, source: VideoSource, function: Callable[Concatenate[Stop, Path, Path, P], T],
        *args: P.args, **options: P.kwargs,
    ) -> T:  # fmt: skip
        """Run a function on the file of a video, in a thread.

        Args:
            key: The video.
            source: Where the video comes from.
            function: Takes when to give up, the video's file and a path for a file of its own, which is removed.
            args: Its further arguments.
            options: Its arguments by name.
        """

        async def work() -> T:
            async with self.lease(key, source.size, source.download) as path:
                scratch = path.with_name(f"{secrets.token_hex(16)}.mp4")
                try:
                    return await in_thread(function, path, scratch, *args, **options)
                finally:
                    scratch.unlink(missing_ok=True)

        # A task of its own, which ends in its own time: until the thread has ended, the file must stay.
        job = asyncio.create_task(work())
        self._jobs.add(job)
        job.add_done_callback(self._end_job)
        try:
            while not (await asyncio.wait({job}, timeout=_PROGRESS_SECONDS if source.on_bytes else None))[0]:
                file = self._files.get(key)
                if source.on_bytes and file and not file.download.done():
                    await source.on_bytes(file.received, file.size or None)
            return job.result()
        finally:
            job.cancel()

    def _end_job(self, job: asyncio.Task[object]) -> None:
        self._jobs.discard(job)
        if not job.cancelled():
            job.exception()  # so that asyncio does not log an error for which no caller is left

    def forget(self, key: _Key) -> None:
        """Forget a video."""
        if file := self._files.get(key):
            self._remove(key, file)

    def drop(self, account: str, video_nos: Collection[str]) -> None:
        """Forget videos that changed or are gone.

        Args:
            account: The account of the videos.
            video_nos: The videos.
        """
        for key in list(self._files):
            if key.account == account and key.video_no in video_nos:
                self.forget(key)

    async def aclose(self) -> None:
        """End all downloads and remove all files. A later use begins again."""
        tasks = {*self._jobs, *(file.download for file in self._present)}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._files.clear()
        self._present.clear()
        if self._folder is not None:
            self._folder.remove()
            self._folder = None


@dataclass(frozen=True)
class KeptVideos:
    """The downloaded videos of one API key.

    Attributes:
        cache: The videos of all keys.
        account: The hash of the key.
    """

    cache: VideoCache
    account: str

    @property
    def stay(self) -> bool:
        """Whether videos are kept after their use."""
        return self.cache.keeps

    def holds(self, video_no: str, unique_id: str | None) -> bool:
        """Return whether a video can be used without a new download."""
        return self.cache.holds(_Key(self.account, unique_id, video_no))

    async def use(
        self, video_no: str, unique_id: str | None, source: VideoSource,
        function: Callable[Concatenate[Stop, Path, Path, P], T], *args: P.args, **options: P.kwargs,
    ) -> T:  # fmt: skip
        """Run a function on the file of a video, in a thread. The caller's right to the video was checked just before.

        Args:
            video_no: The video.
            unique_id: The namespace.
            source: Where the video comes from.
            function: Takes when to give up, the video's file and a path for a file of its own, which is removed.
            args: Its further arguments.
            options: Its arguments by name.

        Raises:
            MediaUnavailable: The video is too large, or the function found no picture.
            MemoriesError: The download failed.
        """
        key = _Key(self.account, unique_id, video_no)
        return await self.cache.use(key, source, function, *args, **options)

    def forget(self, video_no: str, unique_id: str | None) -> None:
        """Forget a video that is not in a namespace; what others keep of it stays.

        Args:
            video_no: The video.
            unique_id: The namespace.
        """
        self.cache.forget(_Key(self.account, unique_id, video_no))

    def drop(self, uris: Iterable[str]) -> None:
        """Forget the videos among changed resources."""
        self.cache.drop(self.account, {video_no for uri in uris if (video_no := video_of(uri))})


def _failed(task: asyncio.Task[None]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _is_over_limit(task: asyncio.Task[None]) -> bool:
    return not task.cancelled() and isinstance(task.exception(), SpendLimitReached)


def _show_mib(size: int) -> str:
    return f"{-(-size // MIB):,} MiB"
