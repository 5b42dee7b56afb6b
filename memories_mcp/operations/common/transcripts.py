"""Reading a transcript, whole or one page of time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

from pydantic import Field, model_validator

from memories_mcp.api import without_blocking
from memories_mcp.api.endpoints import PUBLIC_TRANSCRIPTS, TRANSCRIPTS
from memories_mcp.context import Context
from memories_mcp.models.base import Input
from memories_mcp.models.evidence import Evidence, Track
from memories_mcp.models.ids import is_public
from memories_mcp.models.spellings import TimeInSeconds
from memories_mcp.models.tolerance import MOST_ROWS
from memories_mcp.models.transcripts import Segments, Transcript, WireTranscript
from memories_mcp.rendering.budget import BUDGET, ENVELOPE, json_size
from memories_mcp.rendering.text import format_clock


class Window(Input):
    """A window of time in a transcript."""

    start_seconds: TimeInSeconds = Field(default=0, ge=0)
    """From here on."""
    end_seconds: TimeInSeconds | None = Field(default=None, ge=0)
    """Up to here; leave out for the end."""
    skip: int = Field(default=0, ge=0)
    """Segments to leave out: next_skip of an earlier result."""

    @model_validator(mode="after")
    def _check_order(self) -> Window:
        if self.end_seconds is not None and self.end_seconds < self.start_seconds:
            raise ValueError("end_seconds lies before start_seconds")
        return self


async def fetch_transcript(context: Context, video_no: str, track: Track, unique_id: str | None) -> Segments:
    """Fetch one track of a private or public video; it is empty if nothing is said or seen, or if it is not ready.

    Args:
        context: The context of the call.
        video_no: The video.
        track: The track.
        unique_id: The namespace; ignored for public videos.
    """
    public = is_public(video_no)
    endpoint = (PUBLIC_TRANSCRIPTS if public else TRANSCRIPTS)[track]
    query = {"video_no": video_no, "unique_id": None if public else unique_id}
    rows = (await context.api.call(endpoint, query=query, into=WireTranscript)).segments
    return await without_blocking(lambda: Segments(video_no, track, rows), large=len(rows) > MOST_ROWS)


async def read_transcript(
    context: Context, video_no: str, track: Track, window: Window, unique_id: str | None
) -> Transcript:
    """Return a page of one track; its note reports where to continue, or why the page is empty.

    Args:
        context: The context of the call.
        video_no: The video.
        track: The track.
        window: The window of time to read.
        unique_id: The namespace; ignored for public videos.
    """
    segments = await fetch_transcript(context, video_no, track, unique_id)
    return await without_blocking(lambda: _page(segments, window), large=segments.is_large)


def _page(segments: Segments, window: Window) -> Transcript:
    """Return the page of a track that begins with a window."""
    video_no, track = segments.video_no, segments.track
    indices = segments.between(window.start_seconds, window.end_seconds)[window.skip :]
    page: list[Evidence] = []
    room = BUDGET - ENVELOPE
    next_index: int | None = None
    for index, segment in segments.evidence(indices):
        room -= json_size(segment)
        if room < 0 and page:
            next_index = index
            break
        page.append(segment)
    transcript = Transcript(video_no=video_no, track=track, segments=page)
    if next_index is not None:
        left_out = len(indices) - indices.index(next_index)
        transcript.next_start_seconds, transcript.next_skip = _next_page(segments, next_index, window)
        transcript.note = f"{left_out} later segments were left out; {_continuation(transcript)}."
    elif not page and len(segments):
        transcript.note = f"Nothing in this window; the video has {len(segments)} segments in all."
    elif not page:
        reason = "Nothing is said in it" if track == "audio" else "There is no scene description of it"
        transcript.note = (
            f"{reason}, or it is not ready yet: wait_until_ready with video_nos={video_no} shows its state."
        )
    return transcript


async def read_lines(tracks: Sequence[Segments], start: float, end: float) -> list[Evidence]:
    """Return the segments of all tracks in a window, in order of time, up to one more than a result can hold.

    Args:
        tracks: The tracks.
        start: The start of the window in seconds.
        end: Its end in seconds.
    """

    def read() -> list[Evidence]:
        by_track = [(segment for _, segment in track.evidence(track.between(start, end))) for track in tracks]
        lines: list[Evidence] = []
        room = BUDGET
        for segment in heapq.merge(*by_track, key=lambda segment: segment.start_seconds or 0):
            lines.append(segment)
            room -= json_size(segment)
            if room < 0:
                break
        return lines

    return await without_blocking(read, large=any(track.is_large for track in tracks))


def _next_page(segments: Segments, index: int, window: Window) -> tuple[float, int]:
    """Return start in seconds and skip of the page that begins with a segment.

    A window that starts at the segment also contains earlier segments that overlap it: the skip leaves them out.
    """
    start = segments.start_of(index)
    # Rounded down to the milliseconds that a caller passes back: rounded up, the window would miss the segment.
    start = window.start_seconds if start is None else math.floor(start * 1000) / 1000
    return start, segments.between(start, window.end_seconds).index(index)


def _continuation(transcript: Transcript) -> str:
    start = transcript.next_start_seconds or 0.0
    text = f"read on from {format_clock(start)} with start_seconds={start:.10g}"
    return f"{text} and skip={transcript.next_skip}" if transcript.next_skip else text


def transcript_tool(video_no: str, track: Track) -> str:
    """Return the name of the tool that reads a track of a video."""
    library = "public_" if is_public(video_no) else ""
    medium = "audio" if track == "audio" else "video"
    return f"get_{library}{medium}_transcription"
