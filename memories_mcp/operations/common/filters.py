"""Filters of lists and searches, checked on the rows that come back: older versions of the service ignore some."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import Field

from memories_mcp.api.endpoints import SEARCH
from memories_mcp.context import Context
from memories_mcp.models.evidence import Evidence, Kind
from memories_mcp.models.ids import FolderId
from memories_mcp.models.media import Video
from memories_mcp.models.recordings import Place, distance_km
from memories_mcp.operations.common.search import Hit, Hits

_CLEARLY_OUTSIDE_KM = 50
"""The service takes recordings within about 20 km, by a distance of its own."""

Recorded = Video | Hit
"""A row of a list or a search, which may show when, where and with what it was recorded."""
RowCheck = Callable[[Recorded], bool | None]
"""Returns whether a row passes a filter; `None` if the row does not show it."""
RowT = TypeVar("RowT", Video, Hit)


class RecordingFilters(Place):
    """Filters that lists and searches share."""

    tag: str | None = Field(default=None, max_length=100)
    """With this tag."""
    folder_id: FolderId | None = None
    """In this folder."""

    def row_checks(self) -> dict[str, RowCheck]:
        """Return the check of each filter that is set, by the name of its argument."""
        checks: dict[str, RowCheck] = {}
        if self.tag is not None:
            tag = self.tag.strip().casefold()
            checks["tag"] = lambda row: tag in map(str.casefold, row.tags) if row.tags else None
        if self.latitude is not None and self.longitude is not None:
            checks["latitude"] = _place_check((self.latitude, self.longitude))
        if self.folder_id is not None:
            checks["folder_id"] = lambda _: None
        return checks


def video_check(video_nos: Sequence[str]) -> RowCheck:
    """Return the check that a row is of one of some videos."""
    return lambda row: row.video_no in video_nos if row.video_no else None


def camera_check(camera: str) -> RowCheck:
    """Return the check that a row is of a camera, by a part of its name: searches may compare so."""
    return lambda row: None if row.camera is None else camera.strip().casefold() in row.camera.casefold()


def date_check(earliest: datetime) -> RowCheck:
    """Return the check that a row was recorded at a date or later."""
    return lambda row: None if row.taken_at is None else row.taken_at >= earliest


def _place_check(place: tuple[float, float]) -> RowCheck:
    def check(row: Recorded) -> bool | None:
        if row.latitude is None or row.longitude is None:
            return None
        return distance_km(place, (row.latitude, row.longitude)) <= _CLEARLY_OUTSIDE_KM

    return check


class FilteredRows(NamedTuple, Generic[RowT]):
    """Rows that pass the filters.

    Attributes:
        rows: The rows.
        left_out: How many rows were left out.
        note: What the service did not apply, or may not have applied; `None` if the rows pass every filter.
    """

    rows: list[RowT]
    left_out: int
    note: str | None


def filter_rows(rows: Sequence[RowT], checks: Mapping[str, RowCheck]) -> FilteredRows[RowT]:
    """Return the rows that no check refuses, with a note on the filters that the service did not clearly apply."""
    kept: list[RowT] = []
    ignored: dict[str, None] = {}
    shown: set[str] = set()
    for row in rows:
        results = {name: check(row) for name, check in checks.items()}
        shown |= {name for name, result in results.items() if result is not None}
        if refused := [name for name, result in results.items() if result is False]:
            ignored |= dict.fromkeys(refused)
        else:
            kept.append(row)
    left_out = len(rows) - len(kept)
    notes: list[str] = []
    if left_out:
        notes.append(f"The service did not apply {', '.join(ignored)}; rows left out here: {left_out}.")
    if kept and (unclear := [name for name in checks if name not in shown]):
        notes.append(f"The rows do not show {', '.join(unclear)}: older versions of the service ignore such filters.")
    return FilteredRows(kept, left_out, " ".join(notes) or None)


async def search_library(
    context: Context, body: Mapping[str, Any], checks: Mapping[str, RowCheck], kind: Kind = "clip"
) -> tuple[list[Evidence], str | None]:
    """Return all hits of a search of the caller's library, best first, and a note on filters that may not have worked.

    Args:
        context: The context of the call.
        body: The request's body.
        checks: The check of each filter in the body, by the name of its argument.
        kind: The kind of the moments.
    """
    response = await context.api.call(SEARCH, json=body, into=Hits)
    response.root, _, note = filter_rows(response.root, checks)
    return response.evidence(kind), note
