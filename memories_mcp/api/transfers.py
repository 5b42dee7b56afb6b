"""File transfers with constant memory.

A download is written to a temporary file next to its target, which is renamed when complete. An upload is read from
disk while it is sent.
"""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from memories_mcp.errors import FileRefused

CHUNK = 256 * 1024
"""Bytes of a download that are written in one piece."""

OnBytes = Callable[[int, int | None], Awaitable[None]]
"""Receives the number of bytes transferred so far and the total, or `None` if the total is unknown."""
_PROGRESS_SECONDS = 0.25


@contextmanager
def atomic_write(target: Path, *, overwrite: bool) -> Generator[IO[bytes], None, None]:
    """Yield a temporary file that becomes `target` on success and is removed on any failure.

    Raises:
        FileRefused: The target was created in the meantime and `overwrite` is false, or the disk refused.
    """
    new_folders = [folder for folder in target.parents if not folder.exists()]
    partial: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=target.parent, prefix=f".{target.name[:40]}.", suffix=".part", delete=False
        ) as handle:
            partial = Path(handle.name)
            yield handle
        if target.exists() and not overwrite:
            raise FileRefused(
                f"{target.name} was not replaced: another process created the file during the download.",
                next_step="Choose another name, or set overwrite to true.",
            )
        os.replace(partial, target)
        new_folders = []
    except OSError as error:
        raise FileRefused(
            f"{target.name} cannot be written: {error.strerror}.",
            next_step="Check the name, the disk and its permissions.",
        ) from None
    finally:
        if partial:
            partial.unlink(missing_ok=True)
        for folder in new_folders:  # innermost first; a folder that another process uses by now is not empty and stays
            with suppress(OSError):
                folder.rmdir()


async def prepend(first: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield `first`, then the chunks."""
    yield first
    async for chunk in chunks:
        yield chunk


@dataclass(frozen=True)
class Part:
    """One part of a multipart body: a file on disk or a small document.

    Attributes:
        name: The name of the form field; several parts may share it.
        filename: The file name that the service stores.
        media_type: The part's Content-Type, which the service checks (API 10, 9).
        source: The path of the file to stream, or the content itself.
    """

    name: str
    filename: str
    media_type: str
    source: Path | bytes


class _CountingFile(io.FileIO):
    """A file that counts the bytes read from it."""

    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(-1 if size is None else size) or b""
        self.bytes_read += len(chunk)
        return chunk


@asynccontextmanager
async def open_parts(parts: Sequence[Part], on_bytes: OnBytes | None) -> AsyncGenerator[list[Any], None]:
    """Open the parts and yield them in the form that the HTTP client takes, reporting progress while the body runs.

    Args:
        parts: The parts; may be empty.
        on_bytes: Receives the bytes read from files every 0.25 s, and once more when the body ends without an error.

    Raises:
        FileRefused: A file cannot be opened.
    """
    with ExitStack() as stack:
        files: list[_CountingFile] = []
        client_parts: list[Any] = []
        for part in parts:
            content: bytes | _CountingFile
            if isinstance(part.source, Path):
                try:
                    content = stack.enter_context(_CountingFile(part.source))
                except OSError as error:
                    raise FileRefused(f"{part.filename} cannot be read: {error.strerror}.") from None
                files.append(content)
            else:
                content = part.source
            client_parts.append((part.name, (part.filename, content, part.media_type)))
        total = sum(os.fstat(file.fileno()).st_size for file in files)

        async def report_progress(on_bytes: OnBytes) -> None:
            while True:
                await on_bytes(sum(file.bytes_read for file in files), total)
                await asyncio.sleep(_PROGRESS_SECONDS)

        reporting = asyncio.create_task(report_progress(on_bytes)) if on_bytes and files else None
        try:
            yield client_parts
        finally:
            if reporting:
                reporting.cancel()
        if on_bytes and files:
            await on_bytes(total, total)
