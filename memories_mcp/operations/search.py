"""Searching the caller's own library."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, RootModel

from memories_mcp.api.endpoint import read
from memories_mcp.ids import private_only
from memories_mcp.models import Evidence, Kind
from memories_mcp.operation import Context, Effect, Output, Private, Toolset
from memories_mcp.operations.shared import why_empty
from memories_mcp.render import fitting
from memories_mcp.wire import Id, OptionalId, OptionalLine, OptionalText, Score, Seconds, Wire, names, rows

search = Toolset("search", "Find moments in your own video library by meaning, by words said or by image.")

SEARCH = read("search", "search", method="POST")

PrivateVideoNo = Annotated[str, Field(min_length=1, max_length=64), private_only("get_public_video_detail")]
FilteringLevel = Literal["low", "medium", "high"]


class Moments(Output):
    """What a search found."""

    moments: list[Evidence]
    """Best first."""


class Hit(Wire):
    """A row of any search's answer; fields differ by search and by month."""

    video_no: Id = ""
    video_name: OptionalLine = None
    start_time: Seconds = Field(default=None, validation_alias=names("start_time", "start"))
    end_time: Seconds = Field(default=None, validation_alias=names("end_time", "end"))
    score: Score = Field(default=None, validation_alias=names("score", "similarity_score"))
    text: OptionalText = Field(default=None, validation_alias=names("text", "audio_ts", "snippet"))
    image_id: OptionalId = Field(default=None, validation_alias=names("id", "image_no"))
    name: OptionalLine = None
    img_url: OptionalLine = None

    def evidence(self, kind: Kind) -> Evidence:
        """The hit as a moment; a hit of an image search is the image."""
        if kind == "image" or not self.video_no:
            text = self.text or self.img_url
            return Evidence.at(self.image_id or "", "image", video_name=self.name, text=text, score=self.score)
        return Evidence.at(
            self.video_no,
            kind,
            self.start_time,
            self.end_time,
            video_name=self.video_name,
            text=self.text,
            score=self.score,
        )


class Hits(RootModel[Annotated[list[Hit], rows("videos", "items", "item", "results")]]):
    """A search's answer, whichever of its shapes it has (API 3.2, 10)."""


def moments(found: list[Hit], kind: Kind, offset: int, empty: str) -> Moments:
    """A page of hits; what does not fit is left out with the argument that continues."""
    shown = [hit.evidence(kind) for hit in found[offset:]]
    count = fitting(shown)
    note = None
    if not shown:
        note = empty
    elif count < len(shown):
        note = f"{len(shown) - count} more were left out; go on with offset={offset + count}."
    return Moments(moments=shown[:count], note=note)


class SearchVideos(Private):
    """Arguments of `search_videos`."""

    query: str = Field(
        min_length=1, max_length=2000, serialization_alias="search_param", examples=["where pricing is decided"]
    )
    """What to look for, in plain English."""
    search_type: Literal["BY_CLIP", "BY_VIDEO", "BY_AUDIO", "BY_CAPTION", "BY_IMAGE"] = "BY_CLIP"
    """BY_CLIP: moments by what is seen or said; BY_VIDEO: videos; BY_AUDIO: by speech; BY_CAPTION: by scene
    descriptions; BY_IMAGE: uploaded images."""
    top_k: int = Field(default=10, ge=1, le=1000)
    """The most hits to return."""
    filtering_level: FilteringLevel | None = None
    """How good a hit must be: low keeps nearly all."""
    video_nos: list[PrivateVideoNo] | None = Field(default=None, max_length=100)
    """Search only these videos."""
    tag: str | None = Field(default=None, max_length=100)
    """Search only videos with this tag."""
    offset: int = Field(default=0, ge=0, exclude=True)
    """Skip this many hits, where an earlier call left some out."""


_KINDS: dict[str, Kind] = {"BY_AUDIO": "audio", "BY_CAPTION": "visual", "BY_IMAGE": "image"}


@search.operation(title="Search videos", effect=Effect.READ, endpoints=[SEARCH])
async def search_videos(context: Context, args: SearchVideos) -> Moments:
    """Find moments in your own video library that match a description.

    Returns moments, best first, with video, times, score and a ref. Read what is seen and said around them with
    get_evidence, or ask about the videos with chat_with_videos.
    """
    found = await context.api.call(SEARCH, json=args.wire(), into=Hits)
    return moments(found.root, _KINDS.get(args.search_type, "clip"), args.offset, why_empty(args.unique_id))
