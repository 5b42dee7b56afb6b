"""Access to files, restricted to one folder: the files root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from memories_mcp.errors import ConfigurationError, FileRefused


class _Local:
    """Type of the annotation that marks an argument as the path of a local file."""


LOCAL = _Local()
LocalPath = Annotated[str, Field(min_length=1, max_length=500), LOCAL]
"""A path below the files root; an operation with such an argument is not offered where file access is off."""

Signature = Callable[[bytes], bool]
"""Tests whether the first 16 bytes of a file fit a media type."""
_MEDIA: dict[str, dict[str, tuple[tuple[str, ...], Signature]]] = {
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
"""File name extensions and signature of each media type, by kind of media (API 2.11)."""
IMAGE_EXTENSIONS = frozenset(extension for extensions, _ in _MEDIA["image"].values() for extension in extensions)


@dataclass(frozen=True)
class Files:
    """Resolves a caller's paths; symbolic links are followed first, and a path outside `root` is refused.

    Attributes:
        root: The files root, or `None` if file access is off.
    """

    root: Path | None

    def __post_init__(self) -> None:
        if self.root is not None:
            object.__setattr__(self, "root", self.root.resolve())

    def readable(self, path: str) -> Path:
        """Return the absolute path of an existing file below the root.

        Raises:
            FileRefused: The file is outside the root, missing or not a regular file.
            ConfigurationError: There is no files root.
        """
        file = self._resolve(path)
        try:
            is_file = file.is_file()
        except OSError as error:
            raise FileRefused(f"{path} cannot be read: {error.strerror}.") from None
        if not is_file:
            raise FileRefused(f"{path} is not a file in {self.root}.", next_step="Check the name.")
        return file

    def media(self, path: str, kind: Literal["video", "image"], *, largest: int) -> tuple[Path, str]:
        """Return the absolute path and the media type of a file to upload, after checking content and extension.

        Args:
            path: A path below the root.
            kind: The kind of media that the service expects.
            largest: Maximum size in bytes.

        Raises:
            FileRefused: The file is outside the root, missing, empty, too large or of another kind.
            ConfigurationError: There is no files root.
        """
        file = self.readable(path)
        try:
            with file.open("rb") as stream:
                start = stream.read(16)
        except OSError as error:
            raise FileRefused(f"{path} cannot be read: {error.strerror}.") from None
        media_type = next((name for name, (_, matches) in _MEDIA[kind].items() if matches(start)), None)
        accepted = sorted(extension for extensions, _ in _MEDIA[kind].values() for extension in extensions)
        # The extension need not belong to the media type: the service accepts a QuickTime file named .mp4.
        if media_type is None or file.suffix.lower() not in accepted:
            raise FileRefused(
                f"{path} is not {'a video' if kind == 'video' else 'an image'} that the service accepts: "
                "its extension or its content does not fit.",
                next_step=f"Use a file of type {', '.join(accepted)}.",
            )
        size = file.stat().st_size
        if size > largest:
            raise FileRefused(
                f"{path} is too large: {size} bytes, and the maximum is {largest}.", next_step="Use a smaller file."
            )
        return file, media_type

    def writable(self, path: str, *, overwrite: bool) -> Path:
        """Return the absolute path of a file to write below the root, without creating anything.

        Raises:
            FileRefused: The path is outside the root, a folder, or an existing file that `overwrite` does not permit.
            ConfigurationError: There is no files root.
        """
        target = self._resolve(path)
        try:
            if target.is_dir():
                raise FileRefused(f"{path} is a folder.", next_step="Name a file in it.")
            if target.exists() and not overwrite:
                raise FileRefused(f"{path} already exists.", next_step="Choose another name, or set overwrite to true.")
        except OSError as error:
            raise FileRefused(
                f"{path} cannot be written: {error.strerror}.", next_step="Choose another name."
            ) from None
        folder = next(parent for parent in target.parents if parent.exists())
        if not folder.is_dir():
            raise FileRefused(f"{path} is below a file.", next_step="Choose another name.")
        return target

    def shown(self, path: Path) -> str:
        """Return a path relative to the root, as the caller may pass it again."""
        return path.relative_to(self.root or path.parent).as_posix()

    def _resolve(self, path: str) -> Path:
        if self.root is None:
            raise ConfigurationError(
                "File tools are off: there is no files root.",
                next_step="Set MEMORIES_FILES_ROOT to the folder that they may use.",
            )
        root = self.root
        try:
            resolved = (root / Path(path).expanduser()).resolve()
        except (OSError, ValueError, RuntimeError):
            raise FileRefused(f"{path!r} is not a path.", next_step=f"Name a file below {root}.") from None
        if not resolved.is_relative_to(root) or resolved == root:
            raise FileRefused(f"{path} is outside the files root.", next_step=f"Name a file below {root}.")
        return resolved
