"""The one folder that file tools may touch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from memories_mcp.errors import ConfigurationError, FileRefused


class _Local:
    """Marks an argument that names a file of the caller's."""


LOCAL = _Local()
LocalPath = Annotated[str, Field(min_length=1, max_length=500), LOCAL]
"""A path below the files root; an operation that takes one is off where files are."""

Looks = Callable[[bytes], bool]
_MEDIA: dict[str, dict[str, tuple[tuple[str, ...], Looks]]] = {
    "video": {
        "video/mp4": ((".mp4",), lambda start: start[4:8] == b"ftyp" and start[8:10] != b"qt"),
        "video/quicktime": ((".mov",), lambda start: start[4:8] in {b"ftyp", b"moov", b"wide", b"mdat", b"free"}),
        "video/x-msvideo": ((".avi",), lambda start: start[:4] == b"RIFF" and start[8:12] == b"AVI "),
        "video/x-matroska": ((".mkv",), lambda start: start[:4] == b"\x1a\x45\xdf\xa3"),
    },
    "image": {
        "image/jpeg": ((".jpg", ".jpeg"), lambda start: start[:3] == b"\xff\xd8\xff"),
        "image/png": ((".png",), lambda start: start[:8] == b"\x89PNG\r\n\x1a\n"),
        "image/gif": ((".gif",), lambda start: start[:4] == b"GIF8"),
        "image/bmp": ((".bmp",), lambda start: start[:2] == b"BM"),
        "image/webp": ((".webp",), lambda start: start[:4] == b"RIFF" and start[8:12] == b"WEBP"),
    },
}
"""Media type to its file endings and how its first bytes look (API 2.11)."""
IMAGE_ENDINGS = frozenset(ending for endings, _ in _MEDIA["image"].values() for ending in endings)


@dataclass(frozen=True)
class Files:
    """Resolves the paths a caller names, never outside `root`, symbolic links followed first.

    Attributes:
        root: The files root, or `None` where no files may be touched.
    """

    root: Path | None

    def __post_init__(self) -> None:
        if self.root is not None:
            object.__setattr__(self, "root", self.root.resolve())

    def readable(self, path: str) -> Path:
        """An existing file below the root.

        Raises:
            FileRefused: Outside the root, missing or not a regular file.
            ConfigurationError: There is no files root.
        """
        found = self._inside(path)
        try:
            there = found.is_file()
        except OSError as error:
            raise FileRefused(f"{path} cannot be read: {error.strerror}.") from None
        if not there:
            raise FileRefused(f"{path} is not a file in {self.root}.", next_step="Check the name.")
        return found

    def media(self, path: str, kind: Literal["video", "image"], *, largest: int) -> tuple[Path, str]:
        """A file of the right kind to send, and its media type, by content and by extension.

        Args:
            path: Below the root.
            kind: What it must be.
            largest: The most bytes the service takes.

        Raises:
            FileRefused: Missing, of another kind, empty or too large.
        """
        found = self.readable(path)
        try:
            with found.open("rb") as file:
                start = file.read(16)
        except OSError as error:
            raise FileRefused(f"{path} cannot be read: {error.strerror}.") from None
        media_type = next((name for name, (_, looks) in _MEDIA[kind].items() if looks(start)), None)
        endings = sorted(ending for each, _ in _MEDIA[kind].values() for ending in each)
        if media_type is None or found.suffix.lower() not in endings:
            raise FileRefused(
                f"{path} is no {kind} the service takes, by its name or by what it holds.",
                next_step=f"It takes {', '.join(endings)}.",
            )
        size = found.stat().st_size
        if size > largest:
            raise FileRefused(f"{path} has {size} bytes; at most {largest} are taken.", next_step="Send a smaller one.")
        return found, media_type

    def writable(self, path: str, *, overwrite: bool) -> Path:
        """Where a new file may be written below the root; nothing is made yet.

        Raises:
            FileRefused: Outside the root, a folder, or there already and not to be overwritten.
            ConfigurationError: There is no files root.
        """
        target = self._inside(path)
        try:
            if target.is_dir():
                raise FileRefused(f"{path} is a folder.", next_step="Name a file in it.")
            if target.exists() and not overwrite:
                raise FileRefused(f"{path} exists already.", next_step="Choose another name, or set overwrite to true.")
        except OSError as error:
            raise FileRefused(
                f"{path} cannot be written: {error.strerror}.", next_step="Choose another name."
            ) from None
        folder = next(each for each in target.parents if each.exists())
        if not folder.is_dir():
            raise FileRefused(f"{path} lies below a file.", next_step="Choose another name.")
        return target

    def shown(self, path: Path) -> str:
        """The path as the caller may name it again: relative to the root."""
        return path.relative_to(self.root or path.parent).as_posix()

    def _inside(self, path: str) -> Path:
        if self.root is None:
            raise ConfigurationError(
                "File tools are closed.",
                next_step="The operator opens them by setting MEMORIES_FILES_ROOT to the folder they may use.",
            )
        root = self.root
        try:
            found = (root / Path(path).expanduser()).resolve()
        except (OSError, ValueError, RuntimeError):
            raise FileRefused(f"{path!r} is not a path.", next_step=f"Name a file below {root}.") from None
        if not found.is_relative_to(root) or found == root:
            raise FileRefused(f"{path} is outside the files root.", next_step=f"Name a file below {root}.")
        return found
