"""The files below the files root, for a caller that does not know their names."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from memories_mcp.errors import FileRefused
from memories_mcp.file_access import Files
from memories_mcp.file_names import appearance
from memories_mcp.folders import Names

MOST_ENTRIES = 100_000
"""Entries of folders that one listing looks at, which takes about a second."""
_UNFINISHED = ".part"
"""The extension of an unfinished download, of this package and of others."""


class ListedFile(NamedTuple):
    """A file below the files root.

    Attributes:
        names: The names that lead to it from the root.
        state: Its size and the time of its last change, among others.
    """

    names: Names
    state: os.stat_result


@dataclass(frozen=True)
class Listing:
    """The files of a folder and of the folders in it.

    Attributes:
        files: The files, newest first.
        omissions: The number of entries that were left out, by reason.
        unseen: The folders that were not looked at, or not to their end, because there are too many entries.
    """

    files: list[ListedFile]
    omissions: dict[str, int]
    unseen: list[Names]


def list_files(files: Files, folder: str, name: str) -> Listing:
    """List the files of a folder and of the folders in it, but no hidden ones, unfinished downloads and links out.

    Args:
        files: The files that the caller may access.
        folder: The folder; empty for the files root.
        name: A part of the names of the files, in any case; empty for all files.

    Raises:
        FileRefused: The folder is outside the root, missing, unreadable or no folder.
        ConfigurationError: There is no files root.
    """
    wanted = appearance(name).casefold()
    try:
        walk = files.walk(
            files.find_folder(folder),
            is_wanted=lambda entry: not wanted or wanted in appearance(entry).casefold(),
            most_entries=MOST_ENTRIES,
        )
    except OSError as error:
        raise FileRefused(
            f"{folder or 'The files root'} cannot be listed: {error.strerror}.",
            next_step="Name a folder that can be read.",
        ) from None
    states = dict(walk.files)
    targets = {link: files.follow(link) for link in walk.links}
    states |= {link: target for link, target in targets.items() if not isinstance(target, str)}
    reasons = sorted(f"links {target}" for target in targets.values() if isinstance(target, str))
    omissions = Counter(
        {"hidden": walk.hidden, "no regular files": walk.special, "unreadable folders": len(walk.unreadable)}
    )
    omissions.update(reasons)
    listed = [ListedFile(*file) for file in states.items() if not _is_unfinished(file[0][-1])]
    listed.sort(key=lambda file: (-file.state.st_mtime, file.names))
    omissions["unfinished downloads (.part)"] = len(states) - len(listed)
    return Listing(listed, {reason: count for reason, count in omissions.items() if count}, walk.unseen)


def _is_unfinished(name: str) -> bool:
    return name.lower().endswith(_UNFINISHED)
