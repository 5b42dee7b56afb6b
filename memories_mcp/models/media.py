"""Videos and their processing states."""

from __future__ import annotations

from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field, model_validator

from memories_mcp.errors import NotFound
from memories_mcp.models.base import NotInText, Row
from memories_mcp.models.coercions import (
    DateFromMillis,
    Degrees,
    Id,
    Line,
    Number,
    OptionalLine,
    Status,
    is_missing,
    parse_status,
    read_amount,
    wire_list,
    wire_names,
)
from memories_mcp.models.tolerance import MOST_ROWS, count_unreadable

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
        status = next((word for word in words if not is_missing(word)), "UNPARSE")
        if not isinstance(status, str | int):
            count_unreadable()
            status = "UNPARSE"
        return {**fields, "status": status}


Duration = Annotated[Number | None, BeforeValidator(read_amount)]
"""Seconds; the API writes 0 for "not known yet"."""

Size = Annotated[int | None, BeforeValidator(read_amount)]
"""Bytes; the API writes 0 for "not known"."""


StoragePlace = Annotated[OptionalLine, NotInText()]
"""A part of the place where the service stores a file, from which the file can be fetched."""


class Video(StatusFields):
    """A video and its state."""

    video_no: Id
    video_name: OptionalLine = None
    duration_seconds: Duration = Field(default=None, validation_alias=wire_names("duration"))
    size_bytes: Size = Field(default=None, validation_alias=wire_names("size"))
    created_at: DateFromMillis = Field(default=None, validation_alias=wire_names("create_time", "upload_time"))
    video_url: OptionalLine = None
    taken_at: DateFromMillis = Field(default=None, validation_alias=wire_names("datetime_taken"))
    camera: OptionalLine = Field(default=None, validation_alias=wire_names("camera_model"))
    latitude: Degrees = None
    longitude: Degrees = None
    tags: Annotated[list[Line], wire_list(most=10 * MOST_ROWS)] = []
    bucket: StoragePlace = None
    blob: StoragePlace = None


class RequestedVideo(Video):
    """A video that was requested by its number, which the answer need not repeat."""

    video_no: Id = ""

    @model_validator(mode="before")
    @classmethod
    def _refuse_nothing(cls, row: Any) -> Any:
        # Not a ValueError, which would say that the answer has a wrong shape: some paths answer so for unknown videos.
        if is_missing(row) or row == {}:
            raise NotFound(
                "The API has no details of this video.",
                next_step="Check the video_no, and unique_id if the video was uploaded under one.",
            )
        return row
