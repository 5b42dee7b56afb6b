"""File transfers with constant memory.

A download is written to a temporary file next to its target, which is renamed when complete. An upload is read from
disk while it is sent.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from memories_mcp.errors import FileRefused
from memories_mcp.folders import Folder, open_folder

CHUNK = 256 * 1024
"""Bytes of a download that are written in one piece."""

OnBytes = Callable[[int, int | None], Awaitable[None]]
"""Receives the number of bytes transferred so far and the total, or `None` if the total is unknown."""
_PROGRESS_SECONDS = 0.25

_PART = re.compile(r"\.memories-[0-9a-f]{16}\.part")
"""The name of an incomplete file."""
_ABANDONED_SECONDS = 24 * 60 * 60
"""Age of an incomplete download at which no process can still write to it."""


@dataclass(frozen=True)
class Target:
    """A file to write.

    Attributes:
        root: The folder that contains it, with symbolic links resolved; it exists.
        names: The names that lead to the file from `root`; missing folders are created.
        overwrite: Whether an existing file is replaced.
    """

    root: Path
    names: tuple[str, ...]
    overwrite: bool


@contextmanager
def atomic_write(target: Target) -> Generator[Callable[[bytes], object], None, None]:
    """Yield a function that writes to a temporary file, which becomes the target on success and is removed on failure.

    A new file has the permissions of the process's umask, a replaced one keeps its own.

    Raises:
        FileRefused: A folder on the way is a link, the target was created in the meantime and may not be replaced, or
            the disk refused.
    """
    *folder_names, name = target.names
    part = f".memories-{os.urandom(8).hex()}.part"
    with ExitStack() as stack:
        with _refused(name):
            folder = stack.enter_context(Folder(target.root))
            for folder_name in folder_names:
                if folder.create_folder(folder_name):
                    stack.callback(_remove_if_empty, folder, folder_name)
                folder = stack.enter_context(Folder(folder.path / folder_name, folder))
            _remove_abandoned_parts(folder)
            replaced = folder.stat(name)
            file = folder.create_file(part, replaced and stat.S_IMODE(replaced.st_mode) & 0o777)
            stack.callback(_discard, folder, part, file)

        def write(chunk: bytes) -> None:
            with _refused(name):
                file.write(chunk)

        yield write
        with _refused(name):
            file.close()
            folder.rename(part, name, overwrite=target.overwrite)
        try:
            with open_folder(target.root, folder_names) as current:
                in_place = current.is_same(folder)
        except OSError:
            in_place = False
        if not in_place:
            raise FileRefused(
                f"{name} is not where it was asked for: its folder was moved or replaced meanwhile.",
                next_step="Look for the complete file in the moved folder.",
            )


@contextmanager
def _refused(name: str) -> Generator[None, None, None]:
    """Raise an error of the file system as `FileRefused`."""
    try:
        yield
    except FileExistsError:
        raise FileRefused(
            f"{name} was not replaced: another process created the file meanwhile.",
            next_step="Choose another name, or set overwrite to true.",
        ) from None
    except OSError as error:
        raise FileRefused(
            f"{name} cannot be written: {error.strerror}.", next_step="Check the name, the disk and its permissions."
        ) from None


def _remove_if_empty(folder: Folder, name: str) -> None:
    with suppress(OSError):  # a folder that holds the download, or that another process uses by now, stays
        folder.remove_folder(name)


def _discard(folder: Folder, part: str, file: IO[bytes]) -> None:
    with suppress(OSError):  # the buffered rest does not fit the disk
        file.close()
    with suppress(OSError):
        folder.remove(part)


def _remove_abandoned_parts(folder: Folder) -> None:
    """Remove the incomplete downloads of processes that were killed."""
    latest = time.time() - _ABANDONED_SECONDS
    with suppress(OSError):
        for name in filter(_PART.fullmatch, folder.names()):
            state = folder.stat(name)
            if state and stat.S_ISREG(state.st_mode) and state.st_mtime < latest:
                folder.remove(name)


async def prepend(first: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield `first`, then the chunks."""
    yield first
    async for chunk in chunks:
        yield chunk


class SourceFile:
    """A file that is open for an upload; each attempt sends the bytes that it had when it was opened.

    Args:
        stream: The open file, unbuffered.
        name: The file name that the service stores.
        media_type: The media type, which the service checks (API 10, 9).

    Attributes:
        name: The file name.
        media_type: The media type.
        size: The size in bytes when the file was opened.
    """

    def __init__(self, stream: IO[bytes], name: str, media_type: str) -> None:
        self.name = name
        self.media_type = media_type
        self._stream = stream
        self._state = self._read_state()
        self.size = self._state[0]

    def part(self, field: str) -> Part:
        """Return the file as the part of a multipart body under the name of a form field."""
        return Part(field, self.name, self.media_type, self)

    def tell(self) -> int:
        """Return the number of bytes read."""
        return self._stream.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position, relative to the start or to the end that the file had when it was opened."""
        return self._stream.seek(self.size + offset if whence == os.SEEK_END else offset)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes.

        Raises:
            FileRefused: The file cannot be read, or it changed; the last bytes of a changed file are not returned, so
                that the service does not receive a complete request.
        """
        remaining = self.size - self.tell()
        wanted = remaining if size < 0 else min(size, remaining)
        if not wanted:
            return b""
        try:
            chunk = self._stream.read(wanted)
        except OSError as error:
            raise FileRefused(f"{self.name} cannot be read: {error.strerror}.") from None
        if not chunk or (len(chunk) == remaining and self._read_state() != self._state):
            raise FileRefused(
                f"{self.name} changed while it was sent; the upload was aborted.",
                next_step="Wait until the file is complete, then try again.",
            )
        return chunk

    def _read_state(self) -> tuple[int, int]:
        state = os.fstat(self._stream.fileno())
        return state.st_size, state.st_mtime_ns


@dataclass(frozen=True)
class Part:
    """One part of a multipart body: an open file or a small document.

    Attributes:
        name: The name of the form field; several parts may share it.
        filename: The file name that the service stores.
        media_type: The part's Content-Type, which the service checks (API 10, 9).
        source: The open file, or the content itself.
    """

    name: str
    filename: str
    media_type: str
    source: SourceFile | bytes


@asynccontextmanager
async def reported_parts(parts: Sequence[Part], on_bytes: OnBytes | None) -> AsyncGenerator[list[Any], None]:
    """Yield the parts in the form that the HTTP client takes, their files at the start; report progress meanwhile.

    Args:
        parts: The parts; may be empty.
        on_bytes: Receives the bytes read from files every 0.25 s, and once more when the body ends without an error.
    """
    files = [part.source for part in parts if isinstance(part.source, SourceFile)]
    for file in files:
        file.seek(0)
    total = sum(file.size for file in files)

    async def report_progress(on_bytes: OnBytes) -> None:
        while True:
            await on_bytes(sum(file.tell() for file in files), total)
            await asyncio.sleep(_PROGRESS_SECONDS)

    reporting = asyncio.create_task(report_progress(on_bytes)) if on_bytes and files else None
    try:
        yield [(part.name, (part.filename, part.source, part.media_type)) for part in parts]
    finally:
        if reporting:
            reporting.cancel()
    if on_bytes and files:
        await on_bytes(total, total)
