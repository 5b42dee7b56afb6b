"""Searches of the caller's own and of the public library: shared arguments, and hits of every shape as evidence."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, RootModel

from memories_mcp.api import Endpoint
from memories_mcp.context import Context
from memories_mcp.file_access import LocalPath
from memories_mcp.models.base import Input, Output, Page, Wire
from memories_mcp.models.coercions import (
    Count,
    DateFromMillis,
    Degrees,
    Line,
    OptionalId,
    OptionalLine,
    OptionalText,
    Score,
    Seconds,
    wire_list,
    wire_names,
)
from memories_mcp.models.evidence import Evidence, Kind
from memories_mcp.models.tolerance import MOST_ROWS, count_skipped
from memories_mcp.operations.common.paging import fit_page
from memories_mcp.rendering.budget import count_fitting

MAX_IMAGE_BYTES = 20 * 1024**2
"""The largest image that the service takes (API 2.11)."""


class ImageQuery(Input):
    """Arguments of a search by an image file."""

    path: LocalPath = Field(exclude=True, examples=["bicycle.jpg"])
    """Below the files root; at most 20 MB."""
    offset: int = Field(default=0, ge=0, exclude=True)
    """Hits to skip."""


class WordQuery(Input):
    """Arguments of a search for words that are said."""

    query: str = Field(min_length=1, max_length=500, examples=["minutes"])
    """Words as they were spoken; matched literally, not by meaning."""
    page: int = Field(default=1, ge=1)
    """Which page."""
    page_size: int = Field(default=50, ge=1, le=100)
    """Hits a page."""


class Moments(Output):
    """The hits of a search."""

    moments: list[Evidence]
    """Best first."""


class MomentPage(Page):
    """A page of the hits of a search."""

    moments: list[Evidence]
    """In the order the service gives; each text begins with the sentence that has the words."""


class Hit(Wire):
    """A row of any search's response; its fields differ by endpoint and by version of the service."""

    video_no: OptionalId = None
    video_name: OptionalLine = None
    start_time: Seconds = Field(default=None, validation_alias=wire_names("start_time", "start", "timestamp"))
    end_time: Seconds = Field(default=None, validation_alias=wire_names("end_time", "end"))
    score: Score = Field(default=None, validation_alias=wire_names("score", "similarity_score"))
    text: OptionalText = Field(default=None, validation_alias=wire_names("text", "audio_ts", "snippet"))
    id: OptionalId = Field(default=None, validation_alias=wire_names("audio_id", "image_no", "id"))
    name: OptionalLine = None
    url: OptionalLine = Field(default=None, validation_alias=wire_names("img_url", "image_url"))
    creator: OptionalLine = Field(default=None, validation_alias=wire_names("blogger_id", "creator"))
    view_count: Count = None
    video_url: OptionalLine = None
    taken_at: DateFromMillis = Field(default=None, validation_alias=wire_names("datetime_taken"))
    camera: OptionalLine = Field(default=None, validation_alias=wire_names("camera_model"))
    latitude: Degrees = None
    longitude: Degrees = None
    tags: Annotated[list[Line], wire_list(most=10 * MOST_ROWS)] = []
    video_bucket: OptionalLine = None
    video_blob: OptionalLine = None
    bucket: OptionalLine = Field(default=None, validation_alias=wire_names("keyframe_bucket", "bucket"))
    blob: OptionalLine = Field(default=None, validation_alias=wire_names("keyframe_blob", "blob"))

    def description(self) -> str | None:
        """Return the words said or the scene; for an image its date, place, camera and link."""
        if self.text:
            return self.text
        date = f"taken {self.taken_at:%Y-%m-%d %H:%M} UTC" if self.taken_at else None
        place = None if self.latitude is None else f"at {self.latitude:g}, {self.longitude or 0:g}"
        return ", ".join(part for part in (date, place, self.camera, self.url) if part) or None

    def evidence(self, kind: Kind) -> Evidence | None:
        """Return the hit as a moment or, from an image search, as an image; `None` for a hit without an id."""
        number = self.video_no or self.id
        if number is None:
            count_skipped()
            return None
        moment = Evidence.at(
            number,
            kind,
            self.start_time,
            self.end_time,
            video_name=self.video_name or self.name,
            text=self.description(),
            score=self.score,
            creator=self.creator,
            view_count=self.view_count,
            video_url=self.video_url,
        )
        moment.bucket, moment.blob = self.bucket, self.blob
        return moment


class Hits(RootModel[Annotated[list[Hit], wire_list("videos", "items", "item", "results")]]):
    """A search's response in any of its shapes (API 3.2, 10)."""

    def evidence(self, kind: Kind) -> list[Evidence]:
        """Return all hits as moments, best first."""
        return [moment for hit in self.root if (moment := hit.evidence(kind))]


class _HitPage(Wire):
    hits: Annotated[list[Hit], wire_list()] = Field(
        default=[], validation_alias=wire_names("videos", "results", "items")
    )
    total: Count = Field(default=None, validation_alias=wire_names("total_count", "total"))


def drop_repeated(hits: list[Evidence]) -> tuple[list[Evidence], str | None]:
    """Return the hits without those that repeat an earlier one, and a note that counts them."""
    # Segments of one second have one ref, but each its own text.
    by_content: dict[tuple[str, str | None], Evidence] = {}
    for hit in hits:
        by_content.setdefault((hit.ref, hit.text), hit)
    unique = list(by_content.values())
    repeated = len(hits) - len(unique)
    if not repeated:
        return unique, None
    return unique, "1 repeated hit was left out." if repeated == 1 else f"{repeated} repeated hits were left out."


def filter_note(filtering_level: str | None, hits: int, top_k: int) -> str | None:
    """Return the note of a search that a filter of the service left fewer hits than were asked for.

    Args:
        filtering_level: The filter.
        hits: How many hits came back.
        top_k: How many were asked for.
    """
    if filtering_level is None or hits >= top_k:
        return None
    wider = " or try a lower one" if filtering_level != "low" else ""
    return (
        f"filtering_level={filtering_level} leaves out weaker hits, which the service does not count; "
        f"leave the argument out for all{wider}."
    )


def fit_moments(hits: list[Evidence], offset: int, empty: str, *, filtered: str | None = None) -> Moments:
    """Return the hits from `offset` on that fit one result; the note names the argument that continues.

    Args:
        hits: All hits of the search.
        offset: How many hits to skip.
        empty: The note of a search without hits.
        filtered: The note of a filter of the service.
    """
    unique, repeated = drop_repeated(hits)
    remaining = unique[offset:]
    count = count_fitting(remaining)
    note = None
    if not hits:
        note = empty
    elif not remaining:
        note = f"There are {len(unique)} hits in all."
    elif count < len(remaining):
        note = f"{len(remaining) - count} more were left out; go on with offset={offset + count}."
    moments = Moments(moments=remaining[:count], note=note)
    moments.add_note(repeated)
    moments.add_note(filtered)
    return moments


async def search_words(context: Context, endpoint: Endpoint, args: WordQuery, empty: str) -> MomentPage:
    """Return a page of a literal search in audio transcripts.

    Args:
        context: The context of the call.
        endpoint: The endpoint of the search.
        args: The arguments of the operation.
        empty: The note of a search without hits.
    """
    response = await context.api.call(endpoint, query=args.wire(), into=_HitPage)
    hits = [moment for hit in response.hits if (moment := hit.evidence("audio"))]
    for hit in hits:
        hit.text = hit.text and _begin_with_sentence(hit.text, args.query)
    page_hits, note = fit_page(hits, args.page, args.page_size, empty=empty, size_argument="page_size")
    page_hits, repeated = drop_repeated(page_hits)
    # The API's total is often wrong: a full page may have a next one.
    if note is None and len(response.hits) >= args.page_size:
        note = f"There may be more; go on with page={args.page + 1}."
    page = MomentPage(moments=page_hits, page=args.page, total=response.total, note=note)
    page.add_note(repeated)
    return page


_SENTENCE_END = re.compile(r"""(?<!\b[A-Z])(?<!\b(?:Dr|Mr|Ms|St))(?<!\bMrs)[.!?…]["'”’)]*\s+|[。！？]""")


def _begin_with_sentence(text: str, words: str) -> str:
    """Return a text from the sentence on that has the words; `…` stands for the earlier ones."""
    literal = re.escape(words)
    patterns = (rf"(?<!\w){literal}(?!\w)", literal)  # the service matches parts of words too
    match = next((match for pattern in patterns if (match := re.search(pattern, text, re.IGNORECASE))), None)
    if match is None:
        return text
    start = max((end.end() for end in _SENTENCE_END.finditer(text, 0, match.start())), default=0)
    return f"… {text[start:]}" if start else text


async def search_by_image(
    context: Context,
    endpoint: Endpoint,
    args: ImageQuery,
    empty: str,
    *,
    kind: Kind = "keyframe",
    video_no: str | None = None,
) -> Moments:
    """Return the moments that resemble an image file, best first.

    Args:
        context: The context of the call.
        endpoint: The image search to call.
        args: The image and the arguments that the endpoint takes.
        empty: The note of a result without moments.
        kind: The kind of the moments.
        video_no: The searched video, for hits that name none.
    """
    with context.files.open_media("image", [args.path], largest=MAX_IMAGE_BYTES) as [image]:
        response = await context.api.call(endpoint, form=args.wire(), files=[image.part("file")], into=Hits)
    if video_no:
        response.root = [
            hit if hit.video_no else hit.model_copy(update={"video_no": video_no}) for hit in response.root
        ]
    return fit_moments(response.evidence(kind), args.offset, empty)
