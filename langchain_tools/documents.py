"""Moments as LangChain documents."""

from __future__ import annotations

from collections.abc import Iterable

from langchain_core.documents import Document

from memories_mcp.models.evidence import Evidence, Track
from memories_mcp.models.transcripts import Segments
from memories_mcp.models.uris import video_uri

_WORDS: dict[str, str] = {"audio": "Said", "visual": "Seen"}


def document(moment: Evidence, text: str) -> Document:
    """A moment with its text; `id` is the evidence `ref`, so that storing it twice replaces it.

    The metadata are flat: `source`, and the fields of the evidence that there are, times in seconds.
    """
    source = video_uri(moment.video_no) if moment.video_no else moment.ref
    fields = moment.model_dump(mode="json", exclude={"text"}, exclude_none=True)
    return Document(id=moment.ref, page_content=text, metadata={"source": source, **fields})


def text_of(segments: Iterable[Evidence]) -> str:
    """Lines of transcripts in the order of time; where some are said and some are seen, each says which."""
    told = sorted(segments, key=lambda each: each.start_seconds or 0)
    if len({each.kind for each in told}) < 2:
        return "\n".join(each.text or "" for each in told)
    return "\n".join(f"{_WORDS[each.kind]}: {each.text}" for each in told)


def within(tracks: Iterable[Segments], start: float, end: float | None) -> list[Evidence]:
    """What the tracks tell between two times, in seconds."""
    return [each for track in tracks for _, each in track.evidence(track.between(start, end))]


def tracks_of(kind: str) -> tuple[Track, ...]:
    """Where the text of a moment stands: what is said, what is seen, or both."""
    if kind == "audio":
        return ("audio",)
    return ("visual",) if kind in {"visual", "keyframe"} else ("audio", "visual")
