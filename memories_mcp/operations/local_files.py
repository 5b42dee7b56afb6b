"""The files below the files root, which uploads and searches by image take."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import PurePath

from pydantic import Field

from memories_mcp.context import Context
from memories_mcp.file_access import LocalFolder
from memories_mcp.file_listing import MOST_ENTRIES, list_files
from memories_mcp.media_types import FileKind, file_kind
from memories_mcp.models.base import Input, Output, Row
from memories_mcp.models.coercions import Date
from memories_mcp.operation import Effect
from memories_mcp.operations.toolsets import upload
from memories_mcp.rendering.budget import count_fitting
from memories_mcp.rendering.text import format_size, render_row

_MOST_FILES = 50
_MOST_UNSEEN = 20
_SMALL = 10_000
"""Bytes below which a size in megabytes shows nothing."""
_LATEST = 32_503_680_000
"""The year 3000 in seconds since the epoch; a later date on a disk is an error."""


class ListLocalFiles(Input):
    """Arguments of `list_local_files`."""

    folder: LocalFolder | None = None
    """Only in this folder."""
    name: str | None = Field(default=None, max_length=300)
    """Only with this in the name."""
    offset: int = Field(default=0, ge=0)
    """Files to skip."""


class LocalFile(Row):
    """A file below the files root."""

    path: str
    size_bytes: int
    kind: FileKind
    """By the extension of its name."""
    modified_at: Date


@render_row.register
def _(file: LocalFile) -> str:
    size = f"{file.size_bytes} bytes" if file.size_bytes < _SMALL else format_size(file.size_bytes)
    return f"{file.path}, {file.kind}, {size}, {file.modified_at:%Y-%m-%d %H:%M}"


class LocalFiles(Output):
    """Files below the files root."""

    total: int
    """How many there are in all."""
    files: list[LocalFile]
    """Newest first; times are UTC."""
    unseen_folders: list[str] = []
    """Folders that were not looked at, or not to their end, because there are too many files."""


@upload.operation(title="List local files", effect=Effect.READ, endpoints=[])
async def list_local_files(context: Context, args: ListLocalFiles) -> LocalFiles:
    """List the files below the files root, newest first, to find the path of a file to upload."""
    listing = await asyncio.to_thread(list_files, context.files, args.folder or "", args.name or "")
    total = len(listing.files)
    rows = [
        _row(context.files.show(file.names), file.state)
        for file in listing.files[args.offset : args.offset + _MOST_FILES]
    ]
    rows = rows[: count_fitting(rows)]
    result = LocalFiles(
        total=total, files=rows, unseen_folders=list(map(context.files.show, listing.unseen[:_MOST_UNSEEN]))
    )
    following = args.offset + len(rows)
    if not total:
        result.add_note("No file fits. Check folder and name, or save the file below the files root.")
    elif not rows:
        result.add_note(f"There are {total} files in all; call again with offset=0.")
    elif following < total:
        result.add_note(f"{total - following} more files follow; go on with offset={following}.")
    if listing.omissions:
        counts = ", ".join(f"{reason} ({count})" for reason, count in listing.omissions.items())
        result.add_note(f"Left out: {counts}.")
    if listing.unseen:
        result.add_note(
            f"Only {MOST_ENTRIES:,} entries were looked at, so newer files may be missing: unseen_folders, "
            f"{len(listing.unseen)} in all, were not read to their end. Pass one of them as folder."
        )
    return result


def _row(path: str, state: os.stat_result) -> LocalFile:
    modified = datetime.fromtimestamp(min(max(state.st_mtime, 0), _LATEST), UTC).replace(microsecond=0)
    kind = file_kind(PurePath(path).suffix)
    return LocalFile(path=path, size_bytes=state.st_size, kind=kind, modified_at=modified)
