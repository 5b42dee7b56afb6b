"""Transcripts: the page that a result shows, and the track it is cut from."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Annotated, Any

from pydantic import Field, ValidationError

from memories_mcp.errors import UnexpectedResponse
from memories_mcp.models.base import Output, Wire
from memories_mcp.models.coercions import (
    OptionalText,
    Seconds,
    names,
    rows,
)
from memories_mcp.models.evidence import Evidence, Track


class Transcript(Output):
    """One track of a video, a page of time at once."""

    video_no: str
    track: Track
    """audio is what is said, visual what is seen."""
    segments: list[Evidence]
    """In the order of time."""
    next_start_seconds: Seconds = None
    """Pass as start_seconds to read on; absent at the end."""
    next_skip: int = 0
    """Pass as skip then."""


class RawTranscript(Wire):
    """A transcript as sent; its rows are read one by one, when they are needed."""

    segments: Annotated[list[Any], rows()] = Field(
        default=[], validation_alias=names("transcriptions", "transcription", "segments")
    )


class _Segment(Wire):
    start: Seconds = Field(default=None, validation_alias=names("start_time", "start"))
    end: Seconds = Field(default=None, validation_alias=names("end_time", "end"))
    text: OptionalText = Field(default=None, validation_alias=names("content", "text"))


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
