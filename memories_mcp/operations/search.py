"""Searches of the caller's own library."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from memories_mcp.api.endpoints import SEARCH, SEARCH_CLIPS, SEARCH_IMAGES, SEARCH_TRANSCRIPTS
from memories_mcp.context import Context
from memories_mcp.models.base import PrivateInput
from memories_mcp.models.evidence import Evidence, Kind
from memories_mcp.models.ids import PrivateVideoNo
from memories_mcp.models.recordings import DateFilter
from memories_mcp.models.spellings import OtherWords
from memories_mcp.operation import Effect
from memories_mcp.operations.common.filters import (
    RecordingFilters,
    RowCheck,
    camera_check,
    date_check,
    search_library,
    video_check,
)
from memories_mcp.operations.common.paging import why_empty
from memories_mcp.operations.common.search import (
    ImageQuery,
    MomentPage,
    Moments,
    WordQuery,
    filter_note,
    fit_moments,
    search_by_image,
    search_words,
)
from memories_mcp.operations.toolsets import search

MOST_CAPTIONS = 200
"""The largest `top_k` that the API accepts with BY_CAPTION."""

MOST_HITS = 1000
"""The largest `top_k` of the other searches; left out of the schema, which is long enough."""


def _check_most_hits(top_k: int) -> int:
    if top_k > MOST_HITS:
        raise ValueError(f"must be at most {MOST_HITS}")
    return top_k


SearchType = Annotated[
    Literal["BY_CLIP", "BY_VIDEO", "BY_AUDIO", "BY_CAPTION", "BY_IMAGE"],
    OtherWords({word: f"BY_{word}" for word in ("CLIP", "VIDEO", "AUDIO", "CAPTION", "IMAGE")}),
]


class _Search(PrivateInput):
    """What to search for, and how; a base class, so that its arguments come before those of the filters."""

    query: str = Field(
        min_length=1, max_length=2000, serialization_alias="search_param", examples=["where pricing is decided"]
    )
    """What to find, in English."""
    search_type: SearchType = "BY_CLIP"
    """BY_CLIP: seen or said; BY_CAPTION: scene descriptions; BY_IMAGE: uploaded images."""
    top_k: Annotated[int, AfterValidator(_check_most_hits)] = Field(default=10, ge=1)
    """Maximum hits."""
    filtering_level: Literal["low", "medium", "high"] | None = None
    """Required score."""


class SearchVideos(RecordingFilters, _Search):
    """Arguments of `search_videos`."""

    video_nos: list[PrivateVideoNo] | None = Field(default=None, max_length=100)
    """Search only these: video numbers or names."""
    camera_tag: str | None = Field(default=None, max_length=200)
    """Camera model."""
    datetime_taken: DateFilter | None = None
    """Recorded since this date, UTC."""
    offset: int = Field(default=0, ge=0, exclude=True)
    """Hits to skip."""

    @model_validator(mode="after")
    def _check_top_k(self) -> SearchVideos:
        if self.search_type == "BY_CAPTION" and self.top_k > MOST_CAPTIONS:
            raise ValueError(f"top_k is at most {MOST_CAPTIONS} with BY_CAPTION")
        return self

    def row_checks(self) -> dict[str, RowCheck]:
        """Return the check of each filter that is set, by the name of its argument."""
        checks = super().row_checks()
        if self.video_nos:
            checks["video_nos"] = video_check(self.video_nos)
        if self.camera_tag:
            checks["camera_tag"] = camera_check(self.camera_tag)
        if self.datetime_taken:
            checks["datetime_taken"] = date_check(self.datetime_taken)
        return checks


_KINDS: dict[str, Kind] = {"BY_AUDIO": "audio", "BY_CAPTION": "visual", "BY_IMAGE": "image"}


@search.operation(title="Search videos", effect=Effect.READ, endpoints=[SEARCH])
async def search_videos(context: Context, args: SearchVideos) -> Moments:
    """Find moments in your own video library that match a description.

    Returns moments, best first, as ref (with video and times) and score. get_evidence with query finds and reads in one
    call, with refs it reads these; chat_with_videos answers questions.
    """
    kind = _KINDS.get(args.search_type, "clip")
    hits, note = await search_library(context, args.wire(), args.row_checks(), kind)
    other = "other or fewer words, or fewer filters" if args.row_checks() else "other or fewer words"
    filtered = filter_note(args.filtering_level, len(hits), args.top_k)
    moments = fit_moments(hits, args.offset, why_empty(args.unique_id, other), filtered=filtered)
    moments.add_note(note)
    return moments


async def search_hits(context: Context, args: SearchVideos) -> list[Evidence]:
    """Return all hits of a search, best first; `args.offset` is not applied."""
    hits, _ = await search_library(context, args.wire(), args.row_checks(), _KINDS.get(args.search_type, "clip"))
    return hits


class SearchAudioTranscripts(WordQuery, PrivateInput):
    """Arguments of `search_audio_transcripts`."""


@search.operation(title="Search spoken words", effect=Effect.READ, endpoints=[SEARCH_TRANSCRIPTS])
async def search_audio_transcripts(context: Context, args: SearchAudioTranscripts) -> MomentPage:
    """Find where exact words are said in your own videos.

    Returns moments with the surrounding words. To search by meaning, use search_videos.
    """
    return await search_words(context, SEARCH_TRANSCRIPTS, args, why_empty(args.unique_id))


class SearchSimilarImages(ImageQuery, PrivateInput):
    """Arguments of `search_similar_images`."""

    similarity: float | None = Field(default=None, ge=0, le=1)
    """Required likeness, 0 to 1."""


@search.operation(title="Search by image", effect=Effect.READ, endpoints=[SEARCH_IMAGES])
async def search_similar_images(context: Context, args: SearchSimilarImages) -> Moments:
    """Find frames of your own videos that look like an image file. To search one video, use search_clips_by_image."""
    other = "another image" if args.similarity is None else "another image or a lower similarity"
    return await search_by_image(context, SEARCH_IMAGES, args, why_empty(args.unique_id, other))


class SearchClipsByImage(ImageQuery, PrivateInput):
    """Arguments of `search_clips_by_image`."""

    video_no: PrivateVideoNo = Field(examples=["VI611702946038315594"])
    """Video number or name."""
    # Always sent: newer API documents require the text that older ones call optional (API 3.2, 16).
    prompt: str = Field(default="Find what the image shows.", min_length=1, max_length=2000)
    """What to look for in the image."""


@search.operation(title="Find an image in a video", effect=Effect.READ, endpoints=[SEARCH_CLIPS])
async def search_clips_by_image(context: Context, args: SearchClipsByImage) -> Moments:
    """Find the clips of one of your own videos that show what an image file shows."""
    empty = "No clip of this video matches the image. Try another image or another prompt."
    return await search_by_image(context, SEARCH_CLIPS, args, empty, kind="clip", video_no=args.video_no)
