"""`search` and `fetch` as ChatGPT's connectors and deep research require them: one argument each, JSON as text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, get_args

from pydantic import AfterValidator, Field

from memories_mcp.api import without_blocking
from memories_mcp.api.endpoints import SEARCH
from memories_mcp.context import Context
from memories_mcp.errors import InvalidArguments
from memories_mcp.models.base import Input, JsonOutput, Row
from memories_mcp.models.coercions import one_line, shorten
from memories_mcp.models.evidence import Evidence, Reference, Track, parse_ref
from memories_mcp.models.ids import describe_kind, is_public
from memories_mcp.models.platforms import timed_link
from memories_mcp.models.transcripts import Segments
from memories_mcp.models.uris import video_uri
from memories_mcp.operation import Effect
from memories_mcp.operations.common.moments import READING, read_facts
from memories_mcp.operations.common.search import Hits
from memories_mcp.operations.common.transcripts import fetch_transcript
from memories_mcp.operations.toolsets import chatgpt
from memories_mcp.rendering.budget import BUDGET
from memories_mcp.rendering.text import format_span

_MOST_RESULTS = 20
_CONTEXT_SECONDS = 15
_PART_SIZE = BUDGET - 2000
"""Characters of a document's text, as JSON; the rest is for the fields around it."""
_PART = re.compile(r"[#&]part=(\d{1,5})$")
_NUMBER = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""A video's number that a ref can carry."""


class Search(Input):
    """Arguments of `search`."""

    query: str = Field(min_length=1, max_length=2000, examples=["where pricing is decided"])
    """What to look for, in plain English."""


class SearchResult(Row):
    """A moment."""

    id: str
    """For fetch."""
    title: str
    """The video's name and the time."""
    url: str


class SearchResults(JsonOutput):
    """The hits of a search."""

    results: list[SearchResult]
    """Best first."""


@chatgpt.operation(title="Search", effect=Effect.READ, endpoints=[SEARCH])
async def search(context: Context, args: Search) -> SearchResults:
    """Find moments in the user's own videos, by what is seen or said. Public videos are not searched.

    Next: fetch reads a result by its id.
    """
    body = {
        "search_param": args.query,
        "search_type": "BY_CLIP",
        "top_k": _MOST_RESULTS,
        "unique_id": context.unique_id,
    }
    moments = (await context.api.call(SEARCH, json=body, into=Hits)).evidence("clip")[:_MOST_RESULTS]
    context.key_frames.record(moments, context.unique_id)
    return SearchResults(
        results=[
            SearchResult(
                id=moment.ref,
                title=_title(moment.video_name or moment.video_no, moment.start_seconds, moment.end_seconds),
                url=moment.uri or video_uri(moment.video_no),
            )
            for moment in moments
            if moment.video_no and _NUMBER.fullmatch(moment.video_no)
        ]
    )


def _title(name: str, start: float | None, end: float | None) -> str:
    return f"{shorten(name)} {format_span(start, end)}".rstrip()


def _parse_id(text: str) -> tuple[Reference, int]:
    """Return the moment or, without times, the video of an id, and the part of its text, from 1.

    Raises:
        ValueError: The text is no id of a document.
    """
    text = text.strip()
    part = _PART.search(text)
    base = text[: part.start()] if part else text
    kind = describe_kind(base)
    if _NUMBER.fullmatch(base) and (kind is None or "video_no" in kind[0]):
        reference = Reference(base, "clip")
    else:
        reference = parse_ref(base)
    if reference.kind == "image":
        raise ValueError("an image has no text; pass a ref of a moment or a video_no")
    return reference, max(1, int(part[1])) if part else 1


def _check_id(text: str) -> str:
    _parse_id(text)
    return text.strip()


class Fetch(Input):
    """Arguments of `fetch`."""

    id: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_check_id)] = Field(
        examples=["VI612515093881740229#t=266,275&kind=clip"]
    )
    """Of a search result, or a video_no."""


class FetchedDocument(JsonOutput):
    """What is seen and said in a video, or around a moment of it."""

    prose: ClassVar[str] = "text"

    id: str
    title: str
    text: str
    url: str
    metadata: dict[str, str] = {}


@chatgpt.operation(
    title="Fetch",
    effect=Effect.READ,
    endpoints=READING,
)
async def fetch(context: Context, args: Fetch) -> FetchedDocument:
    """Read what is seen and said around a moment that search found, or in a whole video.

    The text of a long video comes in parts; its end names the id of the next one.
    """
    reference, part = _parse_id(args.id)
    facts = await read_facts(context, reference.video_no, context.unique_id)
    tracks = [
        await fetch_transcript(context, reference.video_no, track, context.unique_id) for track in get_args(Track)
    ]
    is_large = any(track.is_large for track in tracks)
    parts = await without_blocking(lambda: list(_parts(_lines(tracks, reference))), large=is_large)
    if part > max(1, len(parts)):
        count = "1 part" if len(parts) <= 1 else f"{len(parts)} parts"
        raise InvalidArguments([f"id: the text has {count}; leave out part={part} for the first"])
    metadata = {"video_no": reference.video_no}
    note = None
    if not parts:
        note = "Nothing is said or seen here, or the video is not ready yet."
    elif len(parts) > 1:
        metadata |= {"part": str(part), "parts": str(len(parts))}
        note = f"Part {part} of {len(parts)}"
        if part < len(parts):
            base = reference.video_no if reference.start is None else str(reference)
            metadata["next_id"] = f"{base}{'&' if '#' in base else '#'}part={part + 1}"
            note += f"; fetch reads on with id={metadata['next_id']}"
        note += "."
    return FetchedDocument(
        id=args.id,
        title=_title(facts.video_name or reference.video_no, reference.start, reference.end),
        text=parts[part - 1] if parts else "",
        url=_url(reference, facts.video_url),
        metadata=metadata,
        note=note,
    )


def _url(reference: Reference, link: str | None) -> str:
    """Return the link of a public video's post; for a private video its resource, as its file has no lasting link."""
    if is_public(reference.video_no) and link and re.fullmatch(r"https?://\S+", link):
        return timed_link(link, reference.start)
    return video_uri(reference.video_no) if reference.start is None else reference.uri or video_uri(reference.video_no)


def _lines(tracks: list[Segments], reference: Reference) -> list[str]:
    """Return what is seen and said in a video, or around a moment of it, in order of time."""
    first, last = 0.0, None
    if reference.start is not None:
        end = reference.start if reference.end is None else reference.end
        first, last = max(0.0, reference.start - _CONTEXT_SECONDS), end + _CONTEXT_SECONDS
    segments = [segment for track in tracks for _, segment in track.evidence(track.between(first, last))]
    return [_line(segment) for segment in sorted(segments, key=lambda segment: segment.start_seconds or 0)]


def _line(segment: Evidence) -> str:
    medium = "Said" if segment.kind == "audio" else "Seen"
    time = format_span(segment.start_seconds, segment.end_seconds)
    return f"{f'{time} {medium}'.strip()}: {one_line(segment.text or '')}"


def _parts(lines: list[str]) -> Iterator[str]:
    """Yield lines in as few texts as fit a result each; a line that fits none is divided."""
    part: list[str] = []
    size = 0
    for line in lines:
        # JSON writes a character of a clean line with two at most.
        for start in range(0, len(line), _PART_SIZE // 2):
            piece = line[start : start + _PART_SIZE // 2]
            length = len(json.dumps(piece, ensure_ascii=False))
            if part and size + length > _PART_SIZE:
                yield "\n".join(part)
                part, size = [], 0
            part.append(piece)
            size += length
    if part:
        yield "\n".join(part)
