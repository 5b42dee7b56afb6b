"""Files to and from the wire, with flat memory.

A download goes to a file beside its target that is renamed when whole; an upload is read from disk as it is sent.
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


@contextmanager
def beside(target: Path, *, overwrite: bool) -> Generator[IO[bytes], None, None]:
    """A file to write that becomes `target` on success and disappears on any failure.

    Raises:
        FileRefused: The target appeared meanwhile and may not be overwritten, or the disk refused.
    """
    made = [folder for folder in target.parents if not folder.exists()]
    partial: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=target.parent, prefix=f".{target.name[:40]}.", suffix=".part", delete=False
        ) as handle:
            partial = Path(handle.name)
            yield handle
        if target.exists() and not overwrite:
            raise FileRefused(f"{target.name} was made by somebody else meanwhile; it was left alone.")
        os.replace(partial, target)
        made = []
    except OSError as error:
        raise FileRefused(
            f"{target.name} cannot be written: {error.strerror}.", next_step="Check the name, the disk and its rights."
        ) from None
    finally:
        if partial:
            partial.unlink(missing_ok=True)
        for folder in made:  # innermost first; one that somebody else used meanwhile stays
            with suppress(OSError):
                folder.rmdir()


async def pieces(chunks: AsyncIterator[bytes], first: bytes) -> AsyncIterator[bytes]:
    """The chunks again, with the one that was looked at put back in front."""
    yield first
    async for chunk in chunks:
        yield chunk


OnBytes = Callable[[int, int | None], Awaitable[None]]
"""Hears the bytes done and, where known, the bytes in all."""
_TELL_EVERY = 0.25


@dataclass(frozen=True)
class Part:
    """A part of a multipart body: a file on disk, or a small document.

    Attributes:
        name: The field's name, which may repeat.
        filename: What the service stores.
        media_type: The part's Content-Type; the service checks it (API 10, 9).
        source: The path to stream from, or the bytes themselves.
    """

    name: str
    filename: str
    media_type: str
    source: Path | bytes


class _Counted(io.FileIO):
    """A file that knows how much of it was read."""

    done = 0

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(-1 if size is None else size) or b""
        self.done += len(chunk)
        return chunk


@asynccontextmanager
async def opened(parts: Sequence[Part], on_bytes: OnBytes | None) -> AsyncGenerator[list[Any], None]:
    """The parts as the HTTP client wants them, open while the body runs, with progress told meanwhile.

    Raises:
        FileRefused: A file cannot be opened.
    """
    with ExitStack() as stack:
        files: list[_Counted] = []
        bodies: list[Any] = []
        for part in parts:
            body: bytes | _Counted
            if isinstance(part.source, Path):
                try:
                    body = stack.enter_context(_Counted(part.source))
                except OSError as error:
                    raise FileRefused(f"{part.filename} cannot be read: {error.strerror}.") from None
                files.append(body)
            else:
                body = part.source
            bodies.append((part.name, (part.filename, body, part.media_type)))
        total = sum(os.fstat(file.fileno()).st_size for file in files)

        async def tell() -> None:
            while on_bytes:
                await on_bytes(sum(file.done for file in files), total)
                await asyncio.sleep(_TELL_EVERY)

        telling = asyncio.create_task(tell()) if on_bytes and files else None
        try:
            yield bodies
        finally:
            if telling:
                telling.cancel()
        if on_bytes and files:
            await on_bytes(total, total)
