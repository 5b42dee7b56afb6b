"""Reading a transcript, whole or a page at a time."""

from __future__ import annotations

import math

from pydantic import Field, model_validator

from memories_mcp.api.endpoints import PUBLIC_TRANSCRIPTS, TRANSCRIPTS
from memories_mcp.context import Context
from memories_mcp.models.base import Input
from memories_mcp.models.evidence import Evidence, Track
from memories_mcp.models.ids import is_public
from memories_mcp.models.transcripts import WireTranscript, Segments, Transcript
from memories_mcp.rendering.budget import BUDGET, ENVELOPE, weight
from memories_mcp.rendering.text import clock


class Window(Input):
    """A window of time in a transcript."""

    start_seconds: float = Field(default=0, ge=0)
    """From here on."""
    end_seconds: float | None = Field(default=None, ge=0)
    """Up to here; leave out for the end."""
    skip: int = Field(default=0, ge=0)
    """Leave out this many segments, where an earlier call says so."""

    @model_validator(mode="after")
    def _in_order(self) -> Window:
        if self.end_seconds is not None and self.end_seconds < self.start_seconds:
            raise ValueError("end_seconds lies before start_seconds")
        return self


async def fetch_transcript(context: Context, video_no: str, track: Track, unique_id: str | None) -> Segments:
    """One track of a private or public video; no segments where nothing is said, seen or ready."""
    public = is_public(video_no)
    endpoint = (PUBLIC_TRANSCRIPTS if public else TRANSCRIPTS)[track]
    query = {"video_no": video_no, "unique_id": None if public else unique_id}
    raw = await context.api.call(endpoint, query=query, into=WireTranscript)
    return Segments(video_no, track, raw.segments)


async def read_transcript(
    context: Context, video_no: str, track: Track, window: Window, unique_id: str | None
) -> Transcript:
    """A page of one track; its note says where to go on, or why nothing came."""
    found = await fetch_transcript(context, video_no, track, unique_id)
    numbers = found.between(window.start_seconds, window.end_seconds)[window.skip :]
    page: list[Evidence] = []
    left = BUDGET - ENVELOPE
    following: int | None = None
    for number, segment in found.told(numbers):
        left -= weight(segment)
        if left < 0 and page:
            following = number
            break
        page.append(segment)
    transcript = Transcript(video_no=video_no, track=track, segments=page)
    if following is not None:
        _continue_at(transcript, found, following, window)
        left_out = len(numbers) - numbers.index(following)
        transcript.note = f"{left_out} later segments were left out; {transcript.note}"
    elif not page and len(found):
        transcript.note = f"Nothing in this window; the video has {len(found)} segments in all."
    elif not page:
        what = "Nothing is said in it" if track == "audio" else "There is no scene description of it"
        transcript.note = f"{what}, or it is not ready yet: wait_until_ready tells which."
    return transcript


def _continue_at(transcript: Transcript, found: Segments, number: int, window: Window) -> None:
    """Where the next page starts: at the first segment left out, less those of its window that were shown."""
    start = found.start_of(number)
    # Never after the segment: what is passed back has milliseconds at most.
    start = window.start_seconds if start is None else math.floor(start * 1000) / 1000
    skip = found.between(start, window.end_seconds).index(number)
    transcript.next_start_seconds = start
    transcript.next_skip = skip
    more = f" and skip={skip}" if skip else ""
    transcript.note = f"read on from {clock(start)} with start_seconds={start:.10g}{more}."
