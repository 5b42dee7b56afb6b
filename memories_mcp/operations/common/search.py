"""What searches of the own and of the public library share: hits of every shape, as evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, RootModel

from memories_mcp.api import Endpoint, Part
from memories_mcp.context import Context
from memories_mcp.file_access import LocalPath
from memories_mcp.models.base import Input, Output, Page, Wire
from memories_mcp.models.coercions import (
    Count,
    Degrees,
    FromMillis,
    Id,
    OptionalId,
    OptionalLine,
    OptionalText,
    Score,
    Seconds,
    names,
    rows,
)
from memories_mcp.models.evidence import Evidence, Kind
from memories_mcp.operations.common.paging import page_of
from memories_mcp.rendering.budget import fitting

IMAGE_BYTES = 20 * 1024**2
"""The largest image the service takes (API 2.11)."""


class Moments(Output):
    """What a search found."""

    moments: list[Evidence]
    """Best first."""


class MomentPage(Page):
    """A page of what a search found."""

    moments: list[Evidence]
    """In the order the service gives."""


class ImageQuery(Input):
    """An image file to search with."""

    path: LocalPath = Field(exclude=True, examples=["bicycle.jpg"])
    """The image, below the files root; at most 20 MB."""
    offset: int = Field(default=0, ge=0, exclude=True)
    """Skip this many hits, where an earlier call left some out."""


class Hit(Wire):
    """A row of any search's answer; fields differ by search and by month."""

    video_no: Id = ""
    video_name: OptionalLine = None
    start_time: Seconds = Field(default=None, validation_alias=names("start_time", "start", "timestamp"))
    end_time: Seconds = Field(default=None, validation_alias=names("end_time", "end"))
    score: Score = Field(default=None, validation_alias=names("score", "similarity_score"))
    text: OptionalText = Field(default=None, validation_alias=names("text", "audio_ts", "snippet"))
    id: OptionalId = Field(default=None, validation_alias=names("audio_id", "image_no", "id"))
    name: OptionalLine = None
    url: OptionalLine = Field(default=None, validation_alias=names("img_url", "image_url"))
    datetime_taken: FromMillis = None
    camera_model: OptionalLine = None
    latitude: Degrees = None
    longitude: Degrees = None

    def told(self) -> str | None:
        """What is said or seen; of an image, where and when it was taken, with what, and its link."""
        if self.text:
            return self.text
        taken = f"taken {self.datetime_taken:%Y-%m-%d %H:%M} UTC" if self.datetime_taken else None
        place = None if self.latitude is None else f"at {self.latitude:g}, {self.longitude or 0:g}"
        return ", ".join(part for part in (taken, place, self.camera_model, self.url) if part) or None

    def evidence(self, kind: Kind) -> Evidence:
        """The hit as a moment; a hit of an image search is the image."""
        return Evidence.at(
            self.video_no or self.id or "",
            kind,
            self.start_time,
            self.end_time,
            video_name=self.video_name or self.name,
            text=self.told(),
            score=self.score,
        )


class Hits(RootModel[Annotated[list[Hit], rows("videos", "items", "item", "results")]]):
    """A search's answer, whichever of its shapes it has (API 3.2, 10)."""

    def evidence(self, kind: Kind) -> list[Evidence]:
        """All of them as moments, best first."""
        return [hit.evidence(kind) for hit in self.root]


class _HitPage(Wire):
    hits: Annotated[list[Hit], rows()] = Field(default=[], validation_alias=names("videos", "results", "items"))
    total: Count = Field(default=None, validation_alias=names("total_count", "total"))


def moments(found: list[Evidence], offset: int, empty: str) -> Moments:
    """A part of the hits; what does not fit is left out with the argument that continues."""
    shown = found[offset:]
    count = fitting(shown)
    note = None
    if not shown:
        note = f"There are {len(found)} hits in all." if found else empty
    elif count < len(shown):
        note = f"{len(shown) - count} more were left out; go on with offset={offset + count}."
    return Moments(moments=shown[:count], note=note)


class WordQuery(Input):
    """Words to find where they are said."""

    query: str = Field(min_length=1, max_length=500, examples=["minutes"])
    """Words as they were spoken; matched literally, not by meaning."""
    page: int = Field(default=1, ge=1)
    """Which page."""
    page_size: int = Field(default=50, ge=1, le=100)
    """Hits a page."""


async def search_words(context: Context, endpoint: Endpoint, args: WordQuery, empty: str) -> MomentPage:
    """A page of a literal search over what is said. `total` is not trusted: a full page may have a next one."""
    found = await context.api.call(endpoint, query=args.wire(), into=_HitPage)
    hits = [hit.evidence("audio") for hit in found.hits]
    shown, note = page_of(hits, args.page, args.page_size, empty=empty, size_argument="page_size")
    if note is None and len(hits) >= args.page_size:
        note = f"There may be more; go on with page={args.page + 1}."
    return MomentPage(moments=shown, page=args.page, total=found.total, note=note)


async def search_by_image(
    context: Context, endpoint: Endpoint, form: Mapping[str, Any], args: ImageQuery, empty: str
) -> Moments:
    """Frames that look like an image file."""
    found, media_type = context.files.media(args.path, "image", largest=IMAGE_BYTES)
    part = Part("file", found.name, media_type, found)
    hits = await context.api.call(endpoint, form=form, files=[part], into=Hits)
    return moments(hits.evidence("keyframe"), args.offset, empty)
