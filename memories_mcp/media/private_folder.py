"""A temporary folder of one process, which later processes recognise and remove if this one is killed."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO

if sys.platform != "win32":
    import fcntl

_PREFIX = "memories-mcp-videos-"
_LOCK = "lock"


class PrivateFolder:
    """A temporary folder that only this process's user can read; a lock in it shows that the process lives.

    The folders of killed processes are removed when the next one is made.
    """

    def __init__(self) -> None:
        parent = Path(tempfile.gettempdir())
        _remove_abandoned(parent)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
        self._lock = _locked_file(self.path / _LOCK)
        # The interpreter's end removes the folder too, if no one closes the cache.
        self._finalizer = weakref.finalize(self, _remove_folder, self.path, self._lock, os.getpid())

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        self._finalizer()


def _remove_folder(path: Path, lock: IO[bytes], process: int) -> None:
    lock.close()
    if os.getpid() == process:  # a forked process must not take the files of its parent
        shutil.rmtree(path, ignore_errors=True)


def _locked_file(path: Path) -> IO[bytes]:
    """Create a file that this process holds as long as it is open."""
    if sys.platform == "win32":
        return path.open("wb")
    file = path.with_suffix(".new").open("wb")
    _lock(file)
    Path(file.name).rename(path)  # under its name only now, or another process could take it first
    return file


def _lock(file: IO[bytes]) -> bool:
    """Return whether no living process holds the file."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of processes that were killed; on Windows a lock that is open cannot be removed."""
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    _remove_if_abandoned(Path(entry.path))


def _remove_if_abandoned(folder: Path) -> None:
    if sys.platform == "win32":
        (folder / _LOCK).unlink()
    else:
        if folder.lstat().st_uid != os.getuid():
            return
        with (folder / _LOCK).open("rb") as file:
            if not _lock(file):
                return
    shutil.rmtree(folder, ignore_errors=True)
