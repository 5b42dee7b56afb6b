"""Requests that operations of several toolsets make."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from memories_mcp.api.endpoint import Endpoint, read
from memories_mcp.errors import NotFound, UnexpectedResponse
from memories_mcp.ids import is_public
from memories_mcp.models import Evidence, Track, Transcript, Video, WireMessage
from memories_mcp.operation import Context, Input
from memories_mcp.render import BUDGET, ENVELOPE, clock, fitting, weight
from memories_mcp.wire import Id, Line, OptionalText, Seconds, Wire, names, rows

LIST_VIDEOS = read("list_videos", "list", method="POST")
TASK_STATUS = read("get_video_ids_by_task_id", "task")
PRIVATE_DETAILS = read("get_private_video_details", "list")
LIST_SESSIONS = read("list_sessions", "list")
SESSION_DETAIL = read("get_session_detail", "list")
PUBLIC_DETAIL = read("get_public_video_detail", "detail")
TRANSCRIPTS: dict[Track, Endpoint] = {
    "visual": read("get_video_transcription", "read"),
    "audio": read("get_audio_transcription", "read"),
}
PUBLIC_TRANSCRIPTS: dict[Track, Endpoint] = {
    "visual": read("get_public_video_transcription", "read"),
    "audio": read("get_public_audio_transcription", "read"),
}

R = TypeVar("R", bound=BaseModel)

_LARGEST_PAGE = 200
_PAGES_SEARCHED = 5


class VideoRows(Wire):
    """A page of videos as sent."""

    videos: Annotated[list[Video], rows()] = []


async def find_videos(context: Context, video_nos: Sequence[str], unique_id: str | None) -> list[Video]:
    """Those of the videos that are in the namespace, in the order asked for.

    `video_nos` is a newer filter that an older service ignores, so what comes back is filtered here too.
    """
    wanted = set(video_nos)
    found: dict[str, Video] = {}
    for page in range(1, _PAGES_SEARCHED + 1):
        body: dict[str, Any] = {"page": page, "size": _LARGEST_PAGE, "unique_id": unique_id}
        body |= {"video_no": video_nos[0]} if len(wanted) == 1 else {"video_nos": list(video_nos)}
        listed = await context.api.call(LIST_VIDEOS, json=body, into=VideoRows)
        found |= {each.video_no: each for each in listed.videos if each.video_no in wanted}
        if len(found) == len(wanted) or len(listed.videos) < _LARGEST_PAGE:
            break
    if len(wanted) > 1:
        for video_no in wanted - found.keys():  # an older service ignores the filter, or caps the size
            body = {"page": 1, "size": _LARGEST_PAGE, "video_no": video_no, "unique_id": unique_id}
            listed = await context.api.call(LIST_VIDEOS, json=body, into=VideoRows)
            found |= {each.video_no: each for each in listed.videos if each.video_no == video_no}
    return [found[each] for each in video_nos if each in found]


async def public_videos(context: Context, video_nos: Sequence[str]) -> list[Video]:
    """The states of public videos; one request each, under a tight limit."""
    return [await context.api.call(PUBLIC_DETAIL, query={"video_no": each}, into=Video) for each in video_nos]


class _Task(Wire):
    videos: Annotated[list[Video | Id], rows()] = Field(
        default=[], validation_alias=names("videos", "video_ids", "video_nos")
    )


async def task_videos(context: Context, task_id: str, unique_id: str | None) -> list[Video]:
    """The videos of a task: rows, as the wire has them, or bare numbers, as the documents say (API 9, 30)."""
    task = await context.api.call(TASK_STATUS, query={"task_id": task_id, "unique_id": unique_id}, into=_Task)
    videos = [each for each in task.videos if isinstance(each, Video)]
    bare = [each for each in task.videos if isinstance(each, str)]
    private = [each for each in bare if not is_public(each)]
    videos += await find_videos(context, private, unique_id) if private else []
    videos += await public_videos(context, [each for each in bare if is_public(each)])
    unknown = set(bare) - {each.video_no for each in videos}
    return videos + [Video(video_no=each, status="processing") for each in bare if each in unknown]


class WireSession(Wire):
    """A conversation as sent."""

    title: Line = ""
    messages: Annotated[list[WireMessage], rows()] = []


class _RawTranscript(Wire):
    segments: Annotated[list[Any], rows()] = Field(
        default=[], validation_alias=names("transcriptions", "transcription", "segments")
    )


class _Segment(Wire):
    start: Seconds = Field(default=None, validation_alias=names("start_time", "start"))
    end: Seconds = Field(default=None, validation_alias=names("end_time", "end"))
    text: OptionalText = Field(default=None, validation_alias=names("content", "text"))


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


class Segments:
    """One track of a video; of a long one only the segments that are asked for are read closely."""

    def __init__(self, video_no: str, track: Track, raw: list[Any]) -> None:
        self.video_no = video_no
        self.track: Track = track
        self._raw: list[dict[str, Any]] = [each for each in raw if isinstance(each, dict)]
        try:  # as the wire sends them
            times = [(float(each["startTime"]), float(each["endTime"])) for each in self._raw]
            if not math.isfinite(sum(map(sum, times))):
                raise ValueError("a time is no number")
        except (KeyError, TypeError, ValueError):
            times = [_times(each) for each in self._raw]
        if any(first[0] > second[0] for first, second in pairwise(times)):
            order = sorted(range(len(times)), key=lambda number: times[number][0])
            self._raw, times = [self._raw[number] for number in order], [times[number] for number in order]
        self._starts, self._ends = [start for start, _ in times], [end for _, end in times]
        # How far the segments up to each one reach: with it a window is found by bisection.
        self._reach = list(accumulate(self._ends, max))

    def __len__(self) -> int:
        return len(self._raw)

    def between(self, start: float, end: float | None) -> list[int]:
        """The numbers of the segments that overlap a window, in the order of time; no `end` is the video's end."""
        last = float("inf") if end is None else end
        # One that ends just where the window starts is over; one without a length, at that moment, is in it.
        return [
            number
            for number in range(bisect_left(self._reach, start), bisect_right(self._starts, last))
            if self._ends[number] > start or self._starts[number] >= start
        ]

    def told(self, numbers: Sequence[int]) -> Iterator[tuple[int, Evidence]]:
        """The segments of those numbers that say anything, as evidence of a video that is known."""
        for number in numbers:
            segment = _segment(self._raw[number])
            if segment.text:
                moment = Evidence.at(self.video_no, self.track, segment.start, segment.end, text=segment.text)
                yield number, moment.of_known_video()

    def start_of(self, number: int) -> float | None:
        """Where a segment starts, unrounded; `None` where it does not say."""
        return None if _segment(self._raw[number]).start is None else self._starts[number]


def _segment(raw: dict[str, Any]) -> _Segment:
    try:
        return _Segment.model_validate(raw)
    except ValidationError:
        raise UnexpectedResponse(
            "A segment of the transcript is not as documented.",
            next_step="Try again; if it stays, read a window of time beside it.",
        ) from None


def _times(raw: dict[str, Any]) -> tuple[float, float]:
    """Start and end in any spelling; a segment without times is in every window."""
    segment = _segment(raw)
    if segment.start is None:
        return 0.0, float("inf")
    return segment.start, segment.start if segment.end is None else max(segment.start, segment.end)


async def fetch_transcript(context: Context, video_no: str, track: Track, unique_id: str | None) -> Segments:
    """One track of a private or public video; no segments where nothing is said, seen or ready."""
    public = is_public(video_no)
    endpoint = (PUBLIC_TRANSCRIPTS if public else TRANSCRIPTS)[track]
    query = {"video_no": video_no, "unique_id": None if public else unique_id}
    raw = await context.api.call(endpoint, query=query, into=_RawTranscript)
    return Segments(video_no, track, raw.segments)


class _Detail(Wire):
    video_name: Line = ""
    video_url: Line = ""


async def name_and_link(context: Context, video_no: str, unique_id: str | None) -> tuple[str | None, str | None]:
    """A video's name and URL, as far as the API has them."""
    public = is_public(video_no)
    query = {"video_no": video_no, "unique_id": None if public else unique_id}
    detail = await context.api.call(PUBLIC_DETAIL if public else PRIVATE_DETAILS, query=query, into=_Detail)
    return detail.video_name or None, detail.video_url or None


def not_in_namespace(video_nos: Sequence[str]) -> NotFound:
    """The error for videos that a list does not have."""
    return NotFound(
        f"Not in this namespace: {', '.join(video_nos)}.",
        next_step="Check the numbers with list_videos, and unique_id if they were uploaded under one.",
    )


def shown_video(video: Video) -> str:
    """A video as a preview shows it: number, name, length, date."""
    length = "" if video.duration_seconds is None else clock(video.duration_seconds)
    date = "" if video.created_at is None else f"added {video.created_at:%Y-%m-%d}"
    return ", ".join(part for part in (video.video_no, video.video_name, length, date) if part)


NOT_YET = (
    "Nothing was done yet. Show the user this; if they agree, call again with the same arguments and "
    "confirmation_token."
)


def why_empty(unique_id: str | None) -> str:
    """Why a list or a search can be empty, and what to do (API 2.5)."""
    namespace = f"namespace {unique_id!r}" if unique_id else "the default namespace"
    return (
        f"Nothing came back from {namespace}. Either nothing matches (try other or fewer words), the videos were "
        "uploaded under another unique_id, or they are still being processed (list_videos shows their status)."
    )


def page_of(
    found: list[R], page: int, size: int, *, empty: str, total: int | None = None, size_argument: str | None = "size"
) -> tuple[list[R], str | None]:
    """The rows of a page that fit one result, and what to say: how to go on, or why there are none.

    Where not all fit, their number divides what came before, so that the rest is on whole pages of that size; where the
    size cannot be chosen, no row is left out here.
    """
    if not found:
        return [], empty if page == 1 else f"Page {page} is past the end."
    count = fitting(found)
    if count < len(found) and size_argument:
        before = (page - 1) * size
        shown = next(number for number in range(count, 0, -1) if before % number == 0)
        following = before // shown + 2
        onward = f"page={following} and {size_argument}={shown}"
        return found[:shown], f"The first {shown} of this page fit here; go on with {onward}."
    if total is not None and page * size < total:
        return found, f"There are {total} in all; go on with page={page + 1}."
    return found, None


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
