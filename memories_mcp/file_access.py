"""Access to files, restricted to one folder: the files root."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from memories_mcp.api import SourceFile, Target, atomic_write
from memories_mcp.errors import ConfigurationError, FileRefused
from memories_mcp.file_names import (
    appearance,
    look_alikes,
    printable,
    readings,
    similar_names,
    unescaped,
    unwrapped,
)
from memories_mcp.folders import Names, Walk, open_folder, walk
from memories_mcp.media_types import MediaKind, extensions_of, media_type_of
from memories_mcp.models.coercions import remove_invisible


class _Local:
    """Type of the annotation that marks an argument as the path of a local file, or as an option of such a path."""


LOCAL = _Local()
LocalPath = Annotated[str, Field(min_length=1, max_length=1000), LOCAL]
"""A path below the files root; an operation with such an argument is not offered where file access is off."""
LocalFolder = Annotated[str, Field(max_length=1000), LOCAL]
"""The path of a folder below the files root, or of the root."""
OPTION = _Local()
"""Marks an optional argument with which an operation writes a file; it is not offered where no file can be written."""
SavePath = Annotated[str, Field(min_length=1, max_length=1000), OPTION]
"""The path below the files root of a file that an operation can write besides its result."""


@dataclass(frozen=True)
class Files:
    """Opens a caller's files; symbolic links are followed first, and a path outside `root` is refused.

    Attributes:
        root: The files root, or `None` if file access is off.
        notes: Receives a sentence for each file that was taken although its name is not exactly the given one.
    """

    root: Path | None
    notes: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        if self.root is not None:
            object.__setattr__(self, "root", self.root.resolve())

    @contextmanager
    def open_media(
        self, kind: MediaKind, paths: Iterable[str], *, largest: int
    ) -> Generator[list[SourceFile], None, None]:
        """Open the files to upload, after checking each one's content, extension and size, and close them at the end.

        Args:
            kind: The kind of media that the service expects.
            paths: Paths below the root.
            largest: Maximum size in bytes.

        Raises:
            FileRefused: A file is outside the root, missing, no regular file, empty, too large or of another kind.
            ConfigurationError: There is no files root.
        """
        with ExitStack() as stack:
            yield [self._open_media(stack, kind, path, largest) for path in paths]

    def _open_media(self, stack: ExitStack, kind: MediaKind, path: str, largest: int) -> SourceFile:
        *folder_names, name = self._find(path)
        try:
            with open_folder(self._root, folder_names) as folder:
                stream = stack.enter_context(folder.open_file(name))
            start = stream.read(16)
            stream.seek(0)
        except OSError as error:
            raise _unreadable(path, error) from None
        media_type = media_type_of(start, kind)
        # The extension need not belong to the media type: the service accepts a QuickTime file named .mp4.
        if media_type is None or Path(name).suffix.lower() not in extensions_of(kind):
            raise FileRefused(
                f"{path} is not {'a video' if kind == 'video' else 'an image'} that the service accepts: "
                "its extension or its content does not fit.",
                next_step=f"Use a file of type {', '.join(extensions_of(kind))}.",
            )
        file = SourceFile(stream, printable(name), media_type)
        if file.size > largest:
            raise FileRefused(
                f"{path} is too large: {file.size} bytes, and the maximum is {largest}.",
                next_step="Use a smaller file.",
            )
        return file

    def find(self, path: str) -> str:
        """Return the path, below the root and exact, of the existing file that a path means.

        Raises:
            FileRefused: No file, or more than one, fits the path, or the path is outside the root.
            ConfigurationError: There is no files root.
        """
        return "/".join(self._find(path))

    def find_folder(self, path: str) -> Names:
        """Return the names that lead from the root to the existing folder that a path means, no links among them.

        Raises:
            FileRefused: No folder, or more than one, fits the path, or the path is outside the root.
            ConfigurationError: There is no files root.
        """
        for text in readings(path):
            with suppress(OSError, ValueError, RuntimeError):
                if (self._root / Path(text).expanduser()).resolve() == self._root:
                    return ()
        return self._find(path, folder=True)

    def walk(self, names: Names, *, is_wanted: Callable[[str], bool], most_entries: int) -> Walk:
        """Look for files in a folder and in the folders in it, as `folders.walk` does.

        Args:
            names: The names that lead from the root to the folder, as `find_folder` returns them.
            is_wanted: Tells by its name whether a file is of interest.
            most_entries: The number of entries after which the walk ends.
        """
        return walk(self._root, names, is_wanted=is_wanted, most_entries=most_entries)

    def show(self, names: Names) -> str:
        """Return the path of an entry below the root on one line, as a message or a result shows it."""
        return self._shown(self._root.joinpath(*names))

    def follow(self, link: Names) -> os.stat_result | str:
        """Return the state of the file that a symbolic link leads to, or the reason for which it is no file to use."""
        try:
            target = self._root.joinpath(*link).resolve()
            if not target.is_relative_to(self._root):
                return "out of the files root"
            with open_folder(self._root, target.parent.relative_to(self._root).parts) as folder:
                state = folder.stat(target.name)
        except (OSError, ValueError, RuntimeError):
            state = None
        return state if state and stat.S_ISREG(state.st_mode) else "to no file"

    def writable(self, path: str, *, overwrite: bool) -> Target:
        """Return the file to write below the root, without creating anything.

        Folders, and a file to replace, that look the same as the given names are taken for them.

        Raises:
            FileRefused: The path is outside the root, a folder, or an existing file that `overwrite` does not permit.
            ConfigurationError: There is no files root.
        """
        asked = self._inside(unescaped(unwrapped(path)), path)
        if asked is None:
            raise self._outside(path)
        try:
            existing, missing = self._look_alike(asked, path, ignore_case=False)
            target = existing.joinpath(*missing)
            if target.is_dir():
                raise FileRefused(f"{path} is a folder.", next_step="Name a file in it.")
            if target.exists() and not overwrite:
                raise FileRefused(f"{path} already exists.", next_step="Choose another name, or set overwrite to true.")
            if missing and not existing.is_dir():
                raise FileRefused(f"{path} is below a file.", next_step="Choose another name.")
        except OSError as error:
            raise FileRefused(
                f"{path} cannot be written: {error.strerror}.", next_step="Choose another name."
            ) from None
        return Target(self._root, target.relative_to(self._root).parts, overwrite)

    def write(self, target: Target, content: bytes) -> None:
        """Write a file that `writable` returned, whole or not at all.

        Raises:
            FileRefused: The file cannot be written, or was created meanwhile and may not be replaced.
        """
        with atomic_write(target) as write:
            write(content)

    @property
    def _root(self) -> Path:
        if self.root is None:
            raise ConfigurationError(
                "File tools are off: there is no files root.",
                next_step="Set MEMORIES_FILES_ROOT to the folder that they may use.",
            )
        return self.root

    def _find(self, path: str, *, folder: bool = False) -> Names:
        """Return the names that lead from the root to the file that a path means.

        A reading of the path that names an existing file wins; otherwise the one file that looks the same is taken.

        Args:
            path: The path as the caller wrote it.
            folder: Whether a folder is meant, not a file.

        Raises:
            FileRefused: No file, or more than one, fits the path, or the path is outside the root.
        """
        inside = [file for text in readings(path) if (file := self._inside(text, path))]
        asked = self._inside(unwrapped(path), path)
        try:
            file = next((file for file in inside if _exists(file)), None) if asked else None
            for candidate in inside if asked and not file else ():
                existing, missing = self._look_alike(candidate, path, ignore_case=True, folder=folder)
                if not missing:
                    file = existing
                    break
            if asked is None:
                raise self._outside(path)
            if file is None:
                existing, missing = self._look_alike(asked, path, ignore_case=True, folder=folder)
                raise self._missing(path, existing, missing, folder=folder)
        except OSError as error:
            raise _unreadable(path, error) from None
        if file not in {self._inside(text, path) for text in (path, unwrapped(path), unescaped(unwrapped(path)))}:
            kind = "folder" if folder else "file"
            self.notes.append(
                f"{kind.capitalize()} used: {self._shown(file)}, because no {kind} has exactly the given name."
            )
        return file.relative_to(self._root).parts

    def _inside(self, text: str, path: str) -> Path | None:
        """Return one reading of a path with symbolic links resolved, or `None` if it leads outside the root.

        Args:
            text: The reading.
            path: The path as the caller wrote it, for the error.

        Raises:
            FileRefused: The text is not a path.
        """
        root = self._root
        try:
            given = Path(text).expanduser()
            resolved = (root / given).resolve()
            depth = len(root.parts)
            if not resolved.is_relative_to(root) and _look_same(given.parts[:depth], root.parts):
                resolved = root.joinpath(*given.parts[depth:]).resolve()
        except (OSError, ValueError, RuntimeError):
            raise FileRefused(f"{path!r} is not a path.", next_step=f"Name a file below {root}.") from None
        return resolved if resolved.is_relative_to(root) and resolved != root else None

    def _look_alike(
        self, file: Path, path: str, *, ignore_case: bool, folder: bool = False
    ) -> tuple[Path, tuple[str, ...]]:
        """Follow a path below the root, taking for each missing name the one entry that looks the same.

        Args:
            file: The path to follow.
            path: The path as the caller wrote it, for errors.
            ignore_case: Whether an entry that differs in case is taken.
            folder: Whether the path is that of a folder.

        Returns:
            The part of the path that exists, and the names that remain.

        Raises:
            FileRefused: Several entries look the same, or an entry is a link that leads outside.
        """
        names = file.relative_to(self._root).parts
        existing = self._root
        for position, name in enumerate(names):
            is_last = position == len(names) - 1
            if not _exists(existing / name):
                alike = look_alikes(name, self._names(existing), ignore_case=ignore_case)
                alike = [entry for entry in alike if (existing / entry).is_dir() == (folder or not is_last)]
                if not alike:
                    return existing, names[position:]
                if len(alike) > 1:
                    raise FileRefused(
                        f"{path} fits several names below the files root:",
                        words=self._listed(existing, alike),
                        next_step="Use the exact name of one of them, or rename the others.",
                    )
                name = alike[0]
            existing = (existing / name).resolve()
            if not existing.is_relative_to(self._root):
                raise self._outside(path)
        return existing, ()

    def _missing(self, path: str, parent: Path, names: Sequence[str], *, folder: bool) -> FileRefused:
        """Return the error for a file that does not exist, with the names in `parent` similar to the first missing.

        Args:
            path: The path as the caller wrote it.
            parent: The part of the path that exists.
            names: The rest of the path.
            folder: Whether the path is that of a folder.
        """
        entries = (entry for entry in self._names(parent) if not entry.startswith(".") or names[0].startswith("."))
        wants_folder = folder or len(names) > 1
        similar = [entry for entry in similar_names(names[0], entries) if (parent / entry).is_dir() == wants_folder]
        kind = "folder" if folder else "file"
        if not similar:
            next_step = "Check the name; list_local_files lists the files."
            return FileRefused(f"{path} is not a {kind} in {self.root}.", next_step=next_step)
        return FileRefused(
            f"{path} is not a {kind} in {self.root}. Similar names there:",
            words=self._listed(parent, similar),
            next_step="Use one of them if it is meant.",
        )

    def _names(self, folder: Path) -> list[str]:
        try:
            with open_folder(self._root, folder.relative_to(self._root).parts) as opened:
                return opened.names()
        except OSError:
            return []

    def _listed(self, folder: Path, names: Iterable[str]) -> str:
        return ", ".join(self._shown(folder / name) for name in names)

    def _shown(self, file: Path) -> str:
        """Return a path below the root on one line; blanks stay as they are, so that the name can be copied."""
        return remove_invisible(printable(file.relative_to(self._root).as_posix())).replace("\n", " ")

    def _outside(self, path: str) -> FileRefused:
        return FileRefused(f"{path} is outside the files root.", next_step=f"Name a file below {self.root}.")


def _look_same(names: Sequence[str], others: Sequence[str]) -> bool:
    return list(map(appearance, names)) == list(map(appearance, others))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        raise
    except OSError:  # such as a name that is too long
        return False


def _unreadable(path: str, error: OSError) -> FileRefused:
    return FileRefused(f"{path} cannot be read: {error.strerror}.", next_step="Check the file and its permissions.")
