"""Conversion of moments to LangChain documents."""

from __future__ import annotations

from collections.abc import Iterable

from langchain_core.documents import Document

from memories_mcp.models.evidence import Evidence, Track
from memories_mcp.models.transcripts import Segments
from memories_mcp.models.uris import video_uri

_LABELS: dict[str, str] = {"audio": "Said", "visual": "Seen"}


def to_document(moment: Evidence, text: str) -> Document:
    """Return a moment as a document.

    The document's `id` is the moment's `ref`, so that a vector store replaces a moment that it already holds. The
    metadata are flat: `source`, and the evidence fields that have a value; times are in seconds.
    """
    source = video_uri(moment.video_no) if moment.video_no else moment.ref
    fields = moment.model_dump(mode="json", exclude={"text"}, exclude_none=True)
    return Document(id=moment.ref, page_content=text, metadata={"source": source, **fields})


def join_text(segments: Iterable[Evidence]) -> str:
    """Join transcript lines in the order of time; lines of both tracks get the labels `Said` and `Seen`."""
    ordered = sorted(segments, key=lambda segment: segment.start_seconds or 0)
    if len({segment.kind for segment in ordered}) < 2:
        return "\n".join(segment.text or "" for segment in ordered)
    return "\n".join(f"{_LABELS[segment.kind]}: {segment.text}" for segment in ordered)


def segments_between(tracks: Iterable[Segments], start: float, end: float | None) -> list[Evidence]:
    """Return the segments that overlap a window of time.

    Args:
        tracks: The transcripts to read.
        start: Start of the window in seconds.
        end: End of the window in seconds; `None` for the end of the video.
    """
    return [segment for track in tracks for _, segment in track.evidence(track.between(start, end))]


def tracks_for(kind: str) -> tuple[Track, ...]:
    """Return the tracks that hold the text of a moment of this kind: speech, scene descriptions, or both."""
    if kind == "audio":
        return ("audio",)
    if kind in {"visual", "keyframe"}:
        return ("visual",)
    return ("audio", "visual")
