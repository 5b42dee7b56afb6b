"""Videos and their processing states."""

from __future__ import annotations

from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field, model_validator

from memories_mcp.models.base import Row
from memories_mcp.models.coercions import (
    Count,
    DateFromMillis,
    Id,
    Line,
    OptionalLine,
    Seconds,
    Status,
    is_missing,
    parse_status,
    wire_names,
)

_STATUS_NAMES = ("status", "videoStatus", "video_status")


class StatusFields(Row):
    """A processing state, in our word and in the API's."""

    status: Annotated[Status, BeforeValidator(lambda word: parse_status(str(word)))]
    """ready, processing or failed."""
    raw_status: Line = Field(default="", validation_alias=wire_names("status", "video_status"))
    """The API's own word; PARSE means ready."""
    cause: OptionalLine = None
    """Why it failed."""

    @model_validator(mode="before")
    @classmethod
    def _unify_status(cls, row: Any) -> Any:
        """Move the state to `status`, under whichever name it was sent; without one the video is unprocessed."""
        if not isinstance(row, dict):
            return row
        fields = cast(dict[str, Any], row)
        words = (fields.get(name) for name in _STATUS_NAMES)
        return {**fields, "status": next((word for word in words if not is_missing(word)), "UNPARSE")}


Duration = Annotated[Seconds, BeforeValidator(lambda value: None if str(value) in {"0", "0.0"} else value)]
"""Seconds; the API writes 0 for "not known yet"."""

Size = Annotated[Count, BeforeValidator(lambda value: None if str(value) == "0" else value)]
"""Bytes; the API writes 0 for "not known"."""


class Video(StatusFields):
    """A video and its state."""

    video_no: Id
    video_name: OptionalLine = None
    duration_seconds: Duration = Field(default=None, validation_alias=wire_names("duration"))
    size_bytes: Size = Field(default=None, validation_alias=wire_names("size"))
    created_at: DateFromMillis = Field(default=None, validation_alias=wire_names("create_time", "upload_time"))
    video_url: OptionalLine = None
