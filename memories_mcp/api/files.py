"""Streamed download: to a file beside the target that is renamed when whole, with flat memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from memories_mcp.errors import FileRefused

CHUNK = 256 * 1024


@contextmanager
def beside(target: Path, *, overwrite: bool) -> Generator[IO[bytes], None, None]:
    """A file to write that becomes `target` on success and disappears on any failure.

    Raises:
        FileRefused: The target appeared meanwhile and may not be overwritten, or the disk refused.
    """
    try:
        handle = tempfile.NamedTemporaryFile(  # noqa: SIM115 (closed below, before the rename: Windows needs that)
            dir=target.parent, prefix=f".{target.name[:40]}.", suffix=".part", delete=False
        )
    except OSError as error:
        raise FileRefused(f"{target.name} cannot be written: {error.strerror}.") from None
    partial = Path(handle.name)
    try:
        with handle:
            yield handle
        if target.exists() and not overwrite:
            raise FileRefused(f"{target.name} was made by somebody else meanwhile; it was left alone.")
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


async def pieces(chunks: AsyncIterator[bytes], first: bytes) -> AsyncIterator[bytes]:
    """The chunks again, with the one that was looked at put back in front."""
    yield first
    async for chunk in chunks:
        yield chunk
