"""Moments with what is seen and said around them."""

from __future__ import annotations

from typing import get_args

from memories_mcp.api.endpoints import (
    LIST_VIDEOS,
    METADATA,
    PRIVATE_DETAILS,
    PUBLIC_DETAIL,
    PUBLIC_TRANSCRIPTS,
    TRANSCRIPTS,
    VIDEO_CAPTION,
)
from memories_mcp.context import Context
from memories_mcp.errors import NotReady, RateLimited, UnexpectedResponse
from memories_mcp.models.base import Row
from memories_mcp.models.coercions import Count, OptionalLine, Score, Seconds
from memories_mcp.models.evidence import Evidence, Reference, Track
from memories_mcp.models.platforms import timed_link
from memories_mcp.models.transcripts import Segments
from memories_mcp.operations.common.lookups import VideoFacts, fetch_facts
from memories_mcp.operations.common.transcripts import fetch_transcript, read_lines, transcript_tool
from memories_mcp.rendering.text import format_span, format_video, render_row

_OPENING_SEGMENTS = 12
"""The segments of each track that a ref without times gives."""


READING = (
    *TRANSCRIPTS.values(),
    VIDEO_CAPTION,
    *PUBLIC_TRANSCRIPTS.values(),
    PRIVATE_DETAILS,
    METADATA,
    LIST_VIDEOS,
    PUBLIC_DETAIL,
)
"""The endpoints that reading a video and its transcripts may call."""


class Moment(Row):
    """A stretch of video around one or more references."""

    video_no: str
    video_name: OptionalLine = None
    creator: OptionalLine = None
    view_count: Count = None
    video_url: OptionalLine = None
    """Link to the video, at the first reference where its site allows it."""
    start_seconds: Seconds = None
    end_seconds: Seconds = None
    score: Score = None
    """The best score of its references in the search."""
    refs: list[str]
    """The references inside this stretch."""
    segments: list[Evidence] = []
    """What is seen (visual) and said (audio), in order of time."""


@render_row.register
def _(moment: Moment) -> str:
    head = (
        format_span(moment.start_seconds, moment.end_seconds),
        "" if moment.score is None else f"score {moment.score:.2f}",
        moment.video_no,
        format_video(moment.video_name, moment.creator, moment.view_count),
        moment.video_url,
    )
    return " ".join(part for part in head if part) + f"; refs: {', '.join(moment.refs)}"


async def read_moments(
    context: Context, refs: list[Reference], margin: float, *, unique_id: str | None, video_name: str | None
) -> list[Moment]:
    """Return the moments of one video, with one request per transcript however many refs there are.

    Args:
        context: The context of the call.
        refs: References to the video, at least one.
        margin: Seconds to read before and after each reference.
        unique_id: The namespace; ignored for public videos.
        video_name: The name, for a video whose details have none.
    """
    video_no = refs[0].video_no
    facts = await read_facts(context, video_no, unique_id)
    video = Moment(
        video_no=video_no,
        video_name=facts.video_name or video_name,
        creator=facts.creator,
        view_count=facts.view_count,
        video_url=facts.video_url,
        refs=[],
    )
    timed = sorted((ref for ref in refs if ref.start is not None), key=lambda ref: ref.start or 0)
    moments: list[Moment] = []
    if described := [str(ref) for ref in refs if ref.start is None and ref.kind == "metadata"]:
        moments.append(video.model_copy(update={"refs": described}))
    untimed = [str(ref) for ref in refs if ref.start is None and ref.kind != "metadata"]
    if not timed and not untimed:
        return moments
    tracks: list[Segments] = [await fetch_transcript(context, video_no, track, unique_id) for track in get_args(Track)]
    if untimed:
        opening = _opening(tracks)
        update = {
            "start_seconds": min((segment.start_seconds or 0 for segment in opening), default=None),
            "end_seconds": max((segment.end_seconds or 0 for segment in opening), default=None),
            "refs": untimed,
            "segments": opening,
        }
        moments.append(video.model_copy(update=update))
    for start, end, merged in merge(timed, margin):
        update = {
            "start_seconds": start,
            "end_seconds": end,
            "video_url": facts.video_url and timed_link(facts.video_url, merged[0].start),
            "refs": [str(ref) for ref in merged],
            "segments": await read_lines(tracks, start, end),
        }
        moments.append(video.model_copy(update=update))
    return moments


def _opening(tracks: list[Segments]) -> list[Evidence]:
    """Return the first segments of every track, in order of time."""
    segments = [segment for track in tracks for _, segment in track.evidence(range(min(len(track), _OPENING_SEGMENTS)))]
    return sorted(segments, key=lambda segment: segment.start_seconds or 0)


def untimed_note(moment: Moment) -> str | None:
    """Return the note on refs without times: where their transcript continues, or why there is none."""
    if all("#t=" in ref or ref.endswith("kind=metadata") for ref in moment.refs):
        return None
    if not moment.segments:
        return (
            f"{moment.video_no} has no transcript, or it is not ready yet: wait_until_ready with "
            f"video_nos={moment.video_no} shows its state."
        )
    visual, audio = transcript_tool(moment.video_no, "visual"), transcript_tool(moment.video_no, "audio")
    return (
        f"A ref without times gives the start of the video: {visual} and {audio} with video_no={moment.video_no} "
        "read on."
    )


async def read_facts(context: Context, video_no: str, unique_id: str | None) -> VideoFacts:
    """Return a video's name and link, as far as they can be read: moments without them are better than an error.

    Args:
        context: The context of the call.
        video_no: The video.
        unique_id: The namespace; ignored for public videos.
    """
    try:
        return await fetch_facts(context, video_no, unique_id)
    except (NotReady, RateLimited, UnexpectedResponse):
        return VideoFacts()


def merge(refs: list[Reference], margin: float) -> list[tuple[float, float, list[Reference]]]:
    """Return windows of time around references; overlapping windows become one.

    Args:
        refs: References with a start, in order of time.
        margin: Seconds to add on both sides.

    Returns:
        Start, end and references of each window, in order of time.
    """
    windows: list[tuple[float, float, list[Reference]]] = []
    for ref in refs:
        ref_start = ref.start or 0.0
        ref_end = ref_start if ref.end is None else ref.end
        start, end = max(0.0, ref_start - margin), ref_end + margin
        if windows and start <= windows[-1][1]:
            first, last, merged = windows[-1]
            merged.append(ref)
            windows[-1] = (first, max(last, end), merged)
        else:
            windows.append((start, end, [ref]))
    return windows
