"""Evidence: a moment of a video, and the reference that names it."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, cast, get_args

from memories_mcp.models.base import Row
from memories_mcp.models.coercions import (
    OptionalLine,
    OptionalText,
    Score,
    Seconds,
)
from memories_mcp.models.uris import decimal, transcript_uri, video_uri

Track = Literal["audio", "visual"]
"""What is said, or what is seen."""

Kind = Literal["clip", "visual", "audio", "keyframe", "image", "metadata"]


_MOMENT_SECONDS = 10
"""How long a moment without an end is taken to last."""


class Reference(NamedTuple):
    """What an evidence `ref` says."""

    video_no: str
    kind: Kind
    start: float | None = None
    end: float | None = None

    def __str__(self) -> str:
        if self.kind == "image":
            return f"image:{self.video_no}"
        if self.start is None:
            return f"{self.video_no}#kind={self.kind}"
        end = "" if self.end is None else f",{decimal(self.end)}"
        return f"{self.video_no}#t={decimal(self.start)}{end}&kind={self.kind}"

    @property
    def track(self) -> Track:
        """The transcript in which the moment stands."""
        return "audio" if self.kind == "audio" else "visual"

    @property
    def uri(self) -> str | None:
        """The resource of that video's transcript for that window; images have none."""
        if self.kind == "image":
            return None
        if self.kind == "metadata":
            return video_uri(self.video_no)
        if self.start is None:
            return transcript_uri(self.video_no, self.track)
        end = self.start + _MOMENT_SECONDS if self.end is None else self.end
        return transcript_uri(self.video_no, self.track, self.start, end)


_REF = re.compile(r"(?P<video>[^\s#/?]{1,64})#(?:t=(?P<start>[\d:.]+)(?:,(?P<end>[\d:.]+))?&)?kind=(?P<kind>[a-z]+)")


_TIME = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)")


def _seconds(time: str) -> float:
    """Seconds from 95, 95.5 or, as Media Fragments allow too, 1:35 and 0:01:35."""
    found = _TIME.fullmatch(time)
    if found is None:
        raise ValueError("times are seconds, or m:ss")
    hours, minutes, seconds = found.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds)


def parse_ref(ref: str) -> Reference:
    """Read an evidence `ref` back; its times may be written as texts show them, 0:30.

    Raises:
        ValueError: It is not one.
    """
    ref = ref.strip()
    if re.fullmatch(r"image:[A-Za-z0-9_-]{1,64}", ref):
        return Reference(ref.removeprefix("image:"), "image")
    found = _REF.fullmatch(ref)
    kind = found and found["kind"]
    if found is None or kind not in get_args(Kind) or kind == "image":
        raise ValueError("not an evidence ref; they look like VI123#t=30,36&kind=visual")
    start, end = (_seconds(part) if part else None for part in (found["start"], found["end"]))
    if start is not None and end is not None and end < start:
        raise ValueError("the moment ends before it starts")
    return Reference(found["video"], cast(Kind, kind), start, end)


class Evidence(Row):
    """A moment an answer rests on."""

    ref: str
    """Stable reference; get_evidence takes it."""
    video_no: str | None = None
    video_name: OptionalLine = None
    kind: Kind
    start_seconds: Seconds = None
    end_seconds: Seconds = None
    text: OptionalText = None
    """What is seen or said there."""
    score: Score = None
    uri: str | None = None
    """Resource with the transcript around it."""

    @classmethod
    def at(
        cls,
        video_no: str,
        kind: Kind,
        start: float | None = None,
        end: float | None = None,
        *,
        video_name: str | None = None,
        text: str | None = None,
        score: float | None = None,
    ) -> Evidence:
        """The moment of a video, or an image; `ref` and `uri` follow from where it is."""
        start = None if start is None else round(max(0.0, start), 3)
        end = None if end is None else round(end, 3)
        end = end if start is not None and end is not None and end >= start else None
        where = Reference(video_no, kind, start, end)
        return cls(
            ref=str(where),
            video_no=None if kind == "image" else video_no,
            video_name=video_name,
            kind=kind,
            start_seconds=start,
            end_seconds=end,
            text=text,
            score=score,
            uri=where.uri,
        )

    @property
    def reference(self) -> Reference:
        """Where it is."""
        start, end = self.start_seconds, self.end_seconds
        return Reference(self.video_no or self.ref.removeprefix("image:"), self.kind, start, end)

    def of_known_video(self) -> Evidence:
        """The same moment inside a result that names the video once for all."""
        return self.model_copy(update={"video_no": None, "video_name": None, "uri": None})
