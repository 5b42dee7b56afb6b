"""Open folders: a file in one is opened, created and renamed relative to the folder's descriptor.

A path is resolved once, for the check. Afterwards its names are opened one by one and no symbolic link is followed, so
that a file or a folder that is exchanged for a link between check and use leads nowhere else.

Windows has no descriptors of folders. There each name is opened by its path, and a link is detected after opening.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

HAS_DESCRIPTORS = {os.open, os.stat, os.mkdir, os.rmdir, os.unlink, os.rename, os.link} <= os.supports_dir_fd
"""Whether this platform opens files relative to the descriptor of a folder."""


def _flag(name: str) -> int:
    return getattr(os, name, 0)


_COMMON = _flag("O_NOFOLLOW") | _flag("O_CLOEXEC") | _flag("O_BINARY") | _flag("O_NOINHERIT")
# O_PATH: a folder without the permission to list it may still be passed through.
_ENTER = _COMMON | _flag("O_DIRECTORY") | (_flag("O_PATH") or os.O_RDONLY)
# O_NONBLOCK: opening a pipe to which nothing writes would wait without end.
_READ = _COMMON | os.O_RDONLY | _flag("O_NONBLOCK") | _flag("O_NOCTTY")
_CREATE = _COMMON | os.O_WRONLY | os.O_CREAT | os.O_EXCL


class Folder:
    """One open folder; every method takes the name of an entry and follows no symbolic link.

    The methods raise `OSError`, as the functions of `os` do.

    Args:
        path: The path of the folder, with symbolic links resolved.
        parent: The open folder that contains it; without one the folder is opened by its path.
    """

    def __init__(self, path: Path, parent: Folder | None = None) -> None:
        self.path = path
        self._descriptor: int | None = None
        if HAS_DESCRIPTORS:
            at = parent._descriptor if parent else None
            self._descriptor = os.open(path.name if parent else path, _ENTER, dir_fd=at)
        elif path.resolve() != path or not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "a folder on the way is a link or no folder")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _at(self, name: str) -> str | Path:
        return self.path / name if self._descriptor is None else name

    def names(self) -> list[str]:
        """Return the names of all entries."""
        with self.entries() as entries:
            return [entry.name for entry in entries]

    @contextmanager
    def entries(self) -> Generator[Iterator[os.DirEntry[str]]]:
        """Yield the entries while the body runs; call their methods with `follow_symlinks=False`."""
        with ExitStack() as stack:
            readable: Path | int = self.path
            if self._descriptor is not None:
                flags = os.O_RDONLY | _flag("O_DIRECTORY") | _flag("O_CLOEXEC")
                readable = os.open(".", flags, dir_fd=self._descriptor)
                stack.callback(os.close, readable)
            yield stack.enter_context(os.scandir(readable))

    def stat(self, name: str) -> os.stat_result | None:
        """Return the state of an entry, or `None` if there is none."""
        try:
            return os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def open_file(self, name: str) -> IO[bytes]:
        """Open a regular file for reading, unbuffered.

        Raises:
            OSError: There is no such file, or it is a link, a pipe or a device.
        """
        descriptor = os.open(self._at(name), _READ, dir_fd=self._descriptor)
        try:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                raise OSError(errno.EINVAL, "it is no regular file")
            if self._descriptor is None:
                self._check_opened(name, state)
            return os.fdopen(descriptor, "rb", buffering=0)
        except BaseException:
            os.close(descriptor)
            raise

    def create_file(self, name: str, mode: int | None = None) -> IO[bytes]:
        """Create a file and open it for writing.

        Args:
            name: A name that no entry has.
            mode: The permissions of the file; without them those of the process's umask.

        Raises:
            OSError: There is such an entry, or the file cannot be created.
        """
        descriptor = os.open(self._at(name), _CREATE, 0o666 if mode is None else mode, dir_fd=self._descriptor)
        try:
            if self._descriptor is None:
                self._check_opened(name, os.fstat(descriptor))
            elif mode is not None:
                with suppress(OSError):  # a file system without permissions
                    os.fchmod(descriptor, mode)  # the umask does not limit a mode that the caller names
            return os.fdopen(descriptor, "wb")
        except BaseException:
            os.close(descriptor)
            self.remove(name)
            raise

    def _check_opened(self, name: str, state: os.stat_result) -> None:
        """Refuse an open file to which the path leads only by a link."""
        entry = self.stat(name)
        if entry is None or not os.path.samestat(entry, state) or self.path.resolve() != self.path:
            raise OSError(errno.ELOOP, "a link leads to it")

    def create_folder(self, name: str) -> bool:
        """Create a folder unless there is one, with the permissions of the umask; return whether it was created."""
        try:
            os.mkdir(self._at(name), dir_fd=self._descriptor)
        except FileExistsError:
            return False
        return True

    def rename(self, name: str, new_name: str, *, overwrite: bool) -> None:
        """Rename a file.

        Args:
            name: The file.
            new_name: Its new name.
            overwrite: Whether another file of that name is replaced.

        Raises:
            FileExistsError: There is such an entry, and `overwrite` is false.
            OSError: The file cannot be renamed.
        """
        at, old, new = self._descriptor, self._at(name), self._at(new_name)
        if overwrite:
            os.replace(old, new, src_dir_fd=at, dst_dir_fd=at)
            return
        try:
            os.link(old, new, src_dir_fd=at, dst_dir_fd=at)  # fails where a rename would replace
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if self.stat(new_name) is not None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
            os.rename(old, new, src_dir_fd=at, dst_dir_fd=at)
        else:
            os.unlink(old, dir_fd=at)

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""
        with suppress(FileNotFoundError):
            os.unlink(self._at(name), dir_fd=self._descriptor)

    def remove_folder(self, name: str) -> None:
        """Remove an empty folder."""
        os.rmdir(self._at(name), dir_fd=self._descriptor)

    def is_same(self, other: Folder) -> bool:
        """Return whether both are the same folder."""
        if self._descriptor is None or other._descriptor is None:
            return os.path.samefile(self.path, other.path)
        return os.path.samestat(os.fstat(self._descriptor), os.fstat(other._descriptor))


@contextmanager
def open_folder(root: Path, names: Sequence[str]) -> Generator[Folder, None, None]:
    """Open the folder that the names lead to from `root`, one after the other.

    Args:
        root: A folder, with symbolic links resolved.
        names: The names of folders, each in the one before.

    Raises:
        OSError: A folder is missing, or a name is that of a file or a link.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(Folder(root))
        for name in names:
            inner = Folder(folder.path / name, folder)
            stack.close()  # the outer folder is needed no longer: a deep path must not use up the descriptors
            folder = stack.enter_context(inner)
        yield folder


Names = tuple[str, ...]
"""The names that lead to an entry, each in the one before."""


@dataclass
class Walk:
    """The outcome of a walk through a folder and the folders in it.

    Attributes:
        files: The regular files with their states.
        links: The symbolic links, which were not followed.
        hidden: Number of files and folders whose names begin with a dot.
        special: Number of pipes, devices and the like.
        unreadable: Folders that could not be read.
        unseen: Folders that were not looked at, or not to their end, because there are too many entries.
    """

    files: list[tuple[Names, os.stat_result]] = field(default_factory=list[tuple[Names, os.stat_result]])
    links: list[Names] = field(default_factory=list[Names])
    hidden: int = 0
    special: int = 0
    unreadable: list[Names] = field(default_factory=list[Names])
    unseen: list[Names] = field(default_factory=list[Names])


def walk(root: Path, names: Names, *, is_wanted: Callable[[str], bool], most_entries: int) -> Walk:
    """Look for files in a folder and in the folders in it, those of the upper levels first.

    Args:
        root: A folder, with symbolic links resolved.
        names: The names that lead from `root` to the folder where the walk begins.
        is_wanted: Tells by its name whether a file is of interest.
        most_entries: The number of entries after which the walk ends.

    Raises:
        OSError: The first folder cannot be read.
    """
    result = Walk()
    folders = deque([names])
    left = most_entries
    while folders:
        if left <= 0:
            result.unseen += folders
            break
        folder_names = folders.popleft()
        try:
            with open_folder(root, folder_names) as folder, folder.entries() as entries:
                for entry in entries:
                    if left <= 0:
                        result.unseen.append(folder_names)
                        break
                    left -= 1
                    _sort_entry(result, folders, folder_names, entry, is_wanted)
        except OSError:
            if folder_names == names:
                raise
            result.unreadable.append(folder_names)
    return result


def _sort_entry(
    found: Walk, folders: deque[Names], parent: Names, entry: os.DirEntry[str], is_wanted: Callable[[str], bool]
) -> None:
    """Add an entry to what was found, or a folder to those still to look at."""
    if entry.name.startswith("."):
        found.hidden += 1
    elif entry.is_dir(follow_symlinks=False):
        folders.append((*parent, entry.name))
    elif is_wanted(entry.name):
        names = (*parent, entry.name)
        if entry.is_symlink():
            found.links.append(names)
            return
        try:
            state = entry.stat(follow_symlinks=False)
        except OSError:  # it is gone
            return
        if stat.S_ISREG(state.st_mode):
            found.files.append((names, state))
        else:
            found.special += 1
