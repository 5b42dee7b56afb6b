"""The one folder that file tools may touch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from memories_mcp.errors import ConfigurationError, FileRefused


@dataclass(frozen=True)
class Files:
    """Resolves the paths a caller names, never outside `root`, symbolic links followed first.

    Attributes:
        root: The files root, or `None` where no files may be touched.
    """

    root: Path | None

    def readable(self, path: str) -> Path:
        """An existing file below the root.

        Raises:
            FileRefused: Outside the root, missing or not a regular file.
            ConfigurationError: There is no files root.
        """
        found = self._inside(path)
        if not found.is_file():
            raise FileRefused(f"{path} is not a file in {self.root}.", next_step="Check the name.")
        return found

    def writable(self, path: str, *, overwrite: bool) -> Path:
        """Where a new file may be written below the root; its folder exists afterwards.

        Raises:
            FileRefused: Outside the root, a folder, or there already and not to be overwritten.
            ConfigurationError: There is no files root.
        """
        target = self._inside(path)
        if target.is_dir():
            raise FileRefused(f"{path} is a folder.", next_step="Name a file in it.")
        if target.exists() and not overwrite:
            raise FileRefused(f"{path} exists already.", next_step="Choose another name, or set overwrite to true.")
        target.parent.mkdir(parents=True, exist_ok=True)
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
        root = self.root.resolve()
        try:
            found = (root / Path(path).expanduser()).resolve()
        except (OSError, ValueError, RuntimeError):
            raise FileRefused(f"{path!r} is not a path.", next_step=f"Name a file below {root}.") from None
        if not found.is_relative_to(root) or found == root:
            raise FileRefused(f"{path} is outside the files root.", next_step=f"Name a file below {root}.")
        return found
