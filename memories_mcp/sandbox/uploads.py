"""Uploaded files of a running sandbox."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from typing import BinaryIO

_CHUNK_BYTES = 1024 * 1024


class Uploads:
    """Uploaded files, stored one after the other in an unnamed temporary file.

    The operating system removes an unnamed file with the last process that has it open, so a sandbox leaves nothing
    behind even if the process is killed. The first upload creates the file.
    """

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._extents: dict[str, tuple[int, int]] = {}

    def add(self, name: str, source: BinaryIO) -> int:
        """Store a file under a new name and return its size in bytes."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="memories-sandbox-")  # noqa: SIM115 (`close` closes it)
        start = self._file.seek(0, os.SEEK_END)
        shutil.copyfileobj(source, self._file, _CHUNK_BYTES)
        # A forked child shares the file: buffered bytes would be written a second time when the child exits.
        self._file.flush()
        size = self._file.tell() - start
        self._extents[name] = (start, size)
        return size

    def size(self, name: str) -> int | None:
        """Return the size of a stored file in bytes, `None` if there is no such file."""
        return self._extents[name][1] if name in self._extents else None

    async def read(self, name: str) -> AsyncIterator[bytes]:
        """Yield a stored file in chunks."""
        assert self._file
        position, left = self._extents[name]
        while left:
            self._file.seek(position)  # other requests move the position between two chunks
            chunk = self._file.read(min(left, _CHUNK_BYTES))
            position += len(chunk)
            left -= len(chunk)
            yield chunk

    def close(self) -> None:
        """Remove every file."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._extents.clear()
