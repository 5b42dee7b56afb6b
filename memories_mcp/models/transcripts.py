"""Transcripts: the page that a result shows, and the whole track from which pages are cut."""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Annotated, Any, Literal, cast

from pydantic import Field, model_validator

from memories_mcp.models.base import Output, Row, Wire
from memories_mcp.models.coercions import (
    LARGEST_NUMBER,
    OptionalText,
    Seconds,
    raw_list,
    wire_names,
)
from memories_mcp.models.evidence import Evidence, Track
from memories_mcp.models.tolerance import (
    MOST_ROWS,
    collect_omissions,
    count_skipped,
    read_part,
)

_SIZE_SAMPLE = 200


class SavedTranscript(Row):
    """A file with the whole window of a transcript."""

    path: str
    """Below the files root."""
    format: Literal["WebVTT", "SubRip"]
    cues: int
    """Segments in the file."""


class Transcript(Output):
    """A page of one track of a video."""

    video_no: str
    track: Track
    """audio is what is said, visual what is seen."""
    segments: list[Evidence]
    """In the order of time."""
    next_start_seconds: Seconds = None
    """Pass as start_seconds to read on; absent at the end."""
    next_skip: int = 0
    """Pass as skip then."""
    saved: SavedTranscript | None = None
    """The file that was written; segments is only its beginning then."""


class WireTranscript(Wire):
    """A transcript, as sent; `Segments` validates its rows one by one when they are needed."""

    segments: Annotated[list[Any], raw_list()] = Field(
        default=[],
        validation_alias=wire_names("transcriptions", "transcription", "segments", "captions", "video_captions"),
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_rows(cls, answer: Any) -> Any:
        """Read bare rows: no answer of the newer path for scene descriptions is recorded (API 6)."""
        return {"segments": cast(list[Any], answer)} if isinstance(answer, list) else answer


class _WireSegment(Wire):
    start: Seconds = Field(default=None, validation_alias=wire_names("start_time", "start"))
    end: Seconds = Field(default=None, validation_alias=wire_names("end_time", "end"))
    text: OptionalText = Field(default=None, validation_alias=wire_names("content", "text", "caption"))


class Segments:
    """The segments of one track of a video, in the order of time and addressed by their index.

    Only the times are read for every segment; a segment's text is validated when that segment is needed, because a
    long video has tens of thousands of segments and a result shows a few hundred.
    """

    def __init__(self, video_no: str, track: Track, raw: list[Any]) -> None:
        """Index the segments.

        Args:
            video_no: The video.
            track: The track.
            raw: The segments as sent; rows that are no objects are skipped.
        """
        self.video_no = video_no
        self.track: Track = track
        self._raw: list[dict[str, Any]] = [row for row in raw if isinstance(row, dict)]
        count_skipped(len(raw) - len(self._raw))
        times = _all_times(self._raw)
        if any(first[0] > second[0] for first, second in pairwise(times)):
            order = sorted(range(len(times)), key=lambda index: times[index][0])
            self._raw, times = [self._raw[index] for index in order], [times[index] for index in order]
        self._starts, self._ends = [start for start, _ in times], [end for _, end in times]
        # The latest end among the segments up to each index: it never falls, so `between` can use bisection.
        self._latest_ends = list(accumulate(self._ends, max))

    def __len__(self) -> int:
        return len(self._raw)

    @property
    def is_large(self) -> bool:
        """Whether reading all segments takes so long that it belongs in a thread."""
        return len(self) > MOST_ROWS

    @cached_property
    def size(self) -> int:
        """The size in memory, in bytes, estimated from a sample of the segments."""
        sample = self._raw[:: max(1, len(self._raw) // _SIZE_SAMPLE)]
        return 1000 + sum(map(_size, sample)) * len(self._raw) // max(1, len(sample))

    def between(self, start: float, end: float | None) -> list[int]:
        """Return the indices of the segments that overlap a window in seconds; no `end` means the video's end."""
        last = float("inf") if end is None else end
        # A segment that ends where the window starts is outside; a segment without a length at that moment is inside.
        return [
            index
            for index in range(bisect_left(self._latest_ends, start), bisect_right(self._starts, last))
            if self._ends[index] > start or self._starts[index] >= start
        ]

    def evidence(self, indices: Sequence[int]) -> Iterator[tuple[int, Evidence]]:
        """Yield index and evidence of those segments that have a text; the evidence does not name the video."""
        for index in indices:
            segment = _parse_segment(self._raw[index])
            if segment.text:
                moment = Evidence.at(self.video_no, self.track, segment.start, segment.end, text=segment.text)
                yield index, moment.without_video()

    @property
    def end(self) -> float:
        """The latest end of a segment with a time, in seconds."""
        return max((end for end in self._ends if end < float("inf")), default=0.0)

    def has_same_content(self, other: Segments) -> bool:
        """Return whether other segments have the same times and texts."""
        if len(self) != len(other):
            return False
        if self._raw == other._raw:
            return True
        with collect_omissions():  # `evidence` counts them
            pairs = zip(self.evidence(range(len(self))), other.evidence(range(len(other))), strict=False)
            return all(mine == theirs for mine, theirs in pairs)

    def start_of(self, index: int) -> float | None:
        """Return a segment's start in seconds, unrounded; `None` for a segment without a time."""
        with collect_omissions():  # `evidence` counts them
            return None if _parse_segment(self._raw[index]).start is None else self._starts[index]


def _size(value: object) -> int:
    """Return the size of JSON data in memory, in bytes."""
    size = sys.getsizeof(value)
    if isinstance(value, dict):
        return size + sum(map(_size, cast(dict[str, object], value).values()))
    if isinstance(value, list):
        return size + sum(map(_size, cast(list[object], value)))
    return size


def _all_times(raw: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Return start and end of every segment, in seconds."""
    try:  # the usual spelling first: far faster than validating every segment
        times = [(float(row["startTime"]), float(row["endTime"])) for row in raw]
    except (KeyError, TypeError, ValueError, OverflowError):
        return [_times(row) for row in raw]
    if not all(abs(start) < LARGEST_NUMBER and abs(end) < LARGEST_NUMBER for start, end in times):
        return [_times(row) for row in raw]
    return times


def _times(raw: dict[str, Any]) -> tuple[float, float]:
    """Return start and end of a segment in any spelling; a segment without times is in every window."""
    with collect_omissions():  # `evidence` counts them
        segment = _parse_segment(raw)
    if segment.start is None:
        return 0.0, float("inf")
    return segment.start, segment.start if segment.end is None else max(segment.start, segment.end)


def _parse_segment(raw: dict[str, Any]) -> _WireSegment:
    return read_part(_WireSegment.model_validate, raw)
