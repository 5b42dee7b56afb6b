"""Reading a transcript, whole or one page of time."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from memories_mcp.api import Target, without_blocking
from memories_mcp.api.endpoints import PUBLIC_TRANSCRIPTS, TRANSCRIPTS, VIDEO_CAPTION
from memories_mcp.context import Context
from memories_mcp.errors import FileRefused
from memories_mcp.file_access import OPTION, SavePath
from memories_mcp.models.base import Input
from memories_mcp.models.evidence import Evidence, Track
from memories_mcp.models.ids import is_public
from memories_mcp.models.spellings import TimeInSeconds
from memories_mcp.models.tolerance import MOST_ROWS
from memories_mcp.models.transcripts import SavedTranscript, Segments, Transcript, WireTranscript
from memories_mcp.operations.common.lookups import call_either
from memories_mcp.rendering.budget import BUDGET, ENVELOPE, json_size
from memories_mcp.rendering.subtitles import SUBTITLE_FORMATS
from memories_mcp.rendering.text import format_clock

_SHOWN_OF_FILE = 5
"""Segments that a result shows of a file that was written."""


class Window(Input):
    """A window of time in a transcript."""

    start_seconds: TimeInSeconds = Field(default=0, ge=0)
    """From here on."""
    end_seconds: TimeInSeconds | None = Field(default=None, ge=0)
    """Up to here."""
    skip: int = Field(default=0, ge=0)
    """next_skip of an earlier result."""
    save_as: SavePath | None = Field(default=None, exclude=True)
    """New .vtt or .srt file for the whole window."""
    overwrite: Annotated[bool, OPTION] = Field(default=False, exclude=True)
    """Replace an existing file."""

    @model_validator(mode="after")
    def _check_order(self) -> Window:
        if self.end_seconds is not None and self.end_seconds < self.start_seconds:
            raise ValueError("end_seconds lies before start_seconds")
        if self.save_as and self.skip:
            raise ValueError("save_as writes the whole window; leave skip out, and start at start_seconds")
        return self


async def fetch_transcript(
    context: Context, video_no: str, track: Track, unique_id: str | None, *, keep: bool = True
) -> Segments:
    """Return one track of a private or public video; it is empty if nothing is said or seen, or if it is not ready.

    A transcript that was fetched lately costs no request.

    Args:
        context: The context of the call.
        video_no: The video.
        track: The track.
        unique_id: The namespace; ignored for public videos.
        keep: Whether to keep it for later reads; a loader that reads each transcript once does not.
    """
    public = is_public(video_no)
    endpoint = (PUBLIC_TRANSCRIPTS if public else TRANSCRIPTS)[track]
    namespace = None if public else unique_id

    async def fetch() -> Segments:
        query = {"video_no": video_no, "unique_id": namespace}
        if track == "visual" and not public:
            transcript = await call_either(context, endpoint, VIDEO_CAPTION, query=query, into=WireTranscript)
        else:
            transcript = await context.api.call(endpoint, query=query, into=WireTranscript)
        rows = transcript.segments
        return await without_blocking(lambda: Segments(video_no, track, rows), large=len(rows) > MOST_ROWS)

    return await context.transcripts.get(video_no, track, namespace, fetch, keep=keep)


async def read_transcript(
    context: Context, video_no: str, track: Track, window: Window, unique_id: str | None
) -> Transcript:
    """Return a page of one track, or write a window of it to a file and return its beginning.

    The note reports where to continue, or why the page is empty.

    Args:
        context: The context of the call.
        video_no: The video.
        track: The track.
        window: The window of time to read.
        unique_id: The namespace; ignored for public videos.

    Raises:
        FileRefused: The file cannot be written; before the transcript is requested, as far as that can be seen then.
    """
    target = _subtitle_file(context, window)
    segments = await fetch_transcript(context, video_no, track, unique_id)
    saved = note = None
    if target and (indices := segments.between(window.start_seconds, window.end_seconds)):
        saved, note = await _save(context, segments, indices, target)
    transcript = await without_blocking(lambda: _page(segments, window, saved), large=segments.is_large)
    transcript.note = " ".join(filter(None, [note, transcript.note])) or None
    if target and not saved:
        transcript.add_note("No file was written.")
    return transcript


def _page(segments: Segments, window: Window, saved: SavedTranscript | None) -> Transcript:
    """Return the page of a track that begins with a window, or the beginning of a file.

    Args:
        segments: The transcript.
        window: The window.
        saved: The file with the whole window, if it was written.
    """
    video_no, track = segments.video_no, segments.track
    indices = segments.between(window.start_seconds, window.end_seconds)[window.skip :]
    page: list[Evidence] = []
    room = BUDGET - ENVELOPE
    next_index: int | None = None
    for index, segment in segments.evidence(indices[:_SHOWN_OF_FILE] if saved else indices):
        room -= json_size(segment)
        if room < 0 and page:
            next_index = index
            break
        page.append(segment)
    transcript = Transcript(video_no=video_no, track=track, segments=page, saved=saved)
    if saved:
        if saved.cues > len(page):
            transcript.add_note(f"The file has all {saved.cues} cues; the first {len(page)} are shown.")
    elif next_index is not None:
        left_out = len(indices) - indices.index(next_index)
        transcript.next_start_seconds, transcript.next_skip = _next_page(segments, next_index, window)
        transcript.add_note(f"{left_out} later segments were left out; {_continuation(transcript)}.")
    elif not page and len(segments):
        transcript.add_note(f"Nothing in this window; the video has {len(segments)} segments in all.")
    elif not page:
        reason = "Nothing is said in it" if track == "audio" else "There is no scene description of it"
        transcript.add_note(
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


def _subtitle_file(context: Context, window: Window) -> Target | None:
    """Return the file that a window is to be written to, if any.

    Raises:
        FileRefused: The file cannot be written, or its extension belongs to no format.
    """
    if not window.save_as:
        return None
    target = context.files.writable(window.save_as, overwrite=window.overwrite)
    if Path(target.names[-1]).suffix.lower() not in SUBTITLE_FORMATS:
        raise FileRefused(
            f"{window.save_as} was not written: its extension names no format of subtitles.",
            next_step="Use .vtt for WebVTT or .srt for SubRip.",
        )
    return target


async def _save(
    context: Context, segments: Segments, indices: Sequence[int], target: Target
) -> tuple[SavedTranscript | None, str | None]:
    """Write segments to a file, and return the file and a note; without a cue no file is written.

    Args:
        context: The context of the call.
        segments: The transcript.
        indices: The segments to write.
        target: The file.
    """
    name, write = SUBTITLE_FORMATS[Path(target.names[-1]).suffix.lower()]

    def make() -> tuple[bytes, int, int]:
        window = [segment for _, segment in segments.evidence(indices)]
        cues = sum(segment.start_seconds is not None for segment in window)
        return write(segments.video_no, segments.track, window).encode(), cues, len(window) - cues

    # In a thread, because tens of thousands of segments take a second.
    content, cues, untimed = await asyncio.to_thread(make)
    if not cues:
        return None, "No segment of this window has a time."
    context.files.write(target, content)
    note = None
    if untimed:
        note = f"{untimed} segments without a time are not in the file."
        note = "1 segment without a time is not in the file." if untimed == 1 else note
    return SavedTranscript(path="/".join(target.names), format=name, cues=cues), note


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
