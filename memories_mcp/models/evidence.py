"""Evidence: a moment of a video or an image, and the reference that identifies it."""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Literal, NamedTuple, cast, get_args

from pydantic import AfterValidator, Field

from memories_mcp.models.base import NotInText, Row
from memories_mcp.models.coercions import (
    Count,
    OptionalLine,
    OptionalText,
    Score,
    Seconds,
)
from memories_mcp.models.ids import StandIn, describe_kind, is_video_number
from memories_mcp.models.platforms import timed_link
from memories_mcp.models.spellings import REFS, parse_seconds
from memories_mcp.models.uris import format_seconds, transcript_uri, video_uri

Track = Literal["audio", "visual"]
"""A transcript: `audio` is what is said, `visual` what is seen."""

Kind = Literal["clip", "visual", "audio", "keyframe", "image", "metadata"]
"""The origin of a moment."""

_DEFAULT_SECONDS = 10
"""The assumed length of a moment without an end."""


class Reference(NamedTuple):
    """The parts of an evidence `ref`.

    Attributes:
        video_no: The video, or for the kind `image` the image's id; in a caller's ref it may be the video's name.
        kind: The origin of the moment.
        start: Its start in seconds.
        end: Its end in seconds.
    """

    video_no: str
    kind: Kind
    start: float | None = None
    end: float | None = None

    def __str__(self) -> str:
        if self.kind == "image":
            return f"image:{self.video_no}"
        if self.start is None:
            return f"{self.video_no}#kind={self.kind}"
        end = "" if self.end is None else f",{format_seconds(self.end)}"
        return f"{self.video_no}#t={format_seconds(self.start)}{end}&kind={self.kind}"

    @property
    def track(self) -> Track:
        """The transcript that contains the moment."""
        return "audio" if self.kind == "audio" else "visual"

    @property
    def uri(self) -> str | None:
        """The resource with the video's transcript for the moment's window; `None` for an image."""
        if self.kind == "image":
            return None
        if self.kind == "metadata":
            return video_uri(self.video_no)
        if self.start is None:
            return transcript_uri(self.video_no, self.track)
        end = self.start + _DEFAULT_SECONDS if self.end is None else self.end
        return transcript_uri(self.video_no, self.track, self.start, end)


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
    creator: OptionalLine = None
    view_count: Count = None
    video_url: OptionalLine = None
    """Link to the video, at this time where its site allows it."""
    bucket: Annotated[OptionalLine, NotInText()] = None
    """Where the service stores the frame or the image."""
    blob: Annotated[OptionalLine, NotInText()] = None

    @staticmethod
    def at(
        video_no: str,
        kind: Kind,
        start: float | None = None,
        end: float | None = None,
        *,
        video_name: str | None = None,
        text: str | None = None,
        score: float | None = None,
        creator: str | None = None,
        view_count: int | None = None,
        video_url: str | None = None,
    ) -> Evidence:
        """Return a moment of a video, or an image, with the `ref` and `uri` that follow from its position.

        Args:
            video_no: The video, or for the kind `image` the image's id.
            kind: The origin of the moment.
            start: Its start in seconds; a negative one becomes 0.
            end: Its end in seconds; ignored before `start` or without it.
            video_name: The video's name.
            text: What is seen or said there.
            score: How well the moment matches a search.
            creator: The creator of a public video.
            view_count: The views of a public video.
            video_url: The link to the video, without the moment's time.
        """
        start = None if start is None else round(max(0.0, start), 3)
        end = None if end is None else round(end, 3)
        if start is None or (end is not None and end < start):
            end = None
        reference = Reference(video_no, kind, start, end)
        fields = {
            "ref": str(reference),
            "video_no": None if kind == "image" else video_no,
            "video_name": video_name,
            "kind": kind,
            "start_seconds": start,
            "end_seconds": end,
            "text": text,
            "score": score,
            "uri": reference.uri,
            "creator": creator,
            "view_count": view_count,
            "video_url": timed_link(video_url, start) if video_url else None,
        }
        # Not validated a second time: the values come from the models that read the answer, or are the caller's own.
        return _blank().model_copy(update=fields)

    @property
    def reference(self) -> Reference:
        """The parts of `ref`."""
        video_no = self.video_no or self.ref.removeprefix("image:")
        return Reference(video_no, self.kind, self.start_seconds, self.end_seconds)

    def without_video(self) -> Evidence:
        """Return the moment without the fields of its video, for a result that names the video once."""
        fields = ("video_no", "video_name", "uri", "creator", "view_count", "video_url")
        return self.model_copy(update=dict.fromkeys(fields))


@cache
def _blank() -> Evidence:
    return Evidence(ref="", kind="clip")


_REF = re.compile(
    r"(?P<video>[^\n]{1,300})#(?:t=(?P<start>[\d:.]+)(?:,(?P<end>[\d:.]+))?)?(?:(?:&|(?<=#))kind=(?P<kind>[a-z]+))?"
)
_URI = re.compile(
    r"memories://videos/(?P<video>[^\s#/?]{1,64})(?:/transcripts/(?P<track>visual|audio))?"
    r"(?:\?start=(?P<start>\d+(?:\.\d+)?)(?:&end=(?P<end>\d+(?:\.\d+)?))?)?"
)
"""The URI of a video or of a window of its transcript, which the rows of evidence carry."""
_AROUND = " \t\n\"'`*.,;:!?()[]{}<>“”‘’„«»"
"""What surrounds a ref that is copied out of a text."""
_SHORT_NAME = re.compile(r"v\d{1,3}(?![^\s#,.:;])", re.IGNORECASE)
"""A short name for a video that a reader made up, such as v1."""


def parse_ref(ref: str) -> Reference:
    """Parse an evidence `ref`; times may be written as in texts, such as 0:30, and `kind` defaults to `clip`.

    A name in place of the video's number is kept as it is.

    Raises:
        ValueError: The text is not an evidence `ref`.
    """
    ref = ref.strip(_AROUND)
    if re.fullmatch(r"image:[A-Za-z0-9_-]{1,64}", ref):
        return Reference(ref.removeprefix("image:"), "image")
    if uri := _URI.fullmatch(ref):
        start, end = (format_seconds(float(time)) if time else "" for time in (uri["start"], uri["end"]))
        times = f"t={start}{',' if end else ''}{end}&" if start else ""
        ref = f"{uri['video']}#{times}kind={uri['track'] or 'clip'}"
    match = _REF.fullmatch(ref)
    video: str = match["video"] if match else ref
    if (short := _SHORT_NAME.match(ref)) and video in {ref, short[0]}:
        raise ValueError(
            f"{short[0]} is not a video's number; copy the ref as the result shows it, such as "
            "VI612515093881740229#t=60,98&kind=clip"
        )
    other = None if is_video_number(video) and match else describe_kind(video)
    if other and other[0] != "an evidence ref":
        raise ValueError(f"not an evidence ref but {other[0]}; {other[1]}")
    kind = "clip" if match and match["start"] and not match["kind"] else match and match["kind"]
    if match is None or kind not in get_args(Kind) or kind == "image":
        raise ValueError("not an evidence ref; they look like VI123#t=30,36&kind=visual")
    start, end = (parse_seconds(time) if time else None for time in (match["start"], match["end"]))
    if start is not None and end is not None and end < start:
        raise ValueError("the moment ends before it starts")
    return Reference(video, cast(Kind, kind), start, end)


def _normalize_ref(ref: str) -> str:
    return str(parse_ref(ref))


def _split_ref(ref: str) -> tuple[str, str]:
    video, separator, rest = ref.rpartition("#")
    return ("", ref) if not separator or is_video_number(video) else (video, separator + rest)


Ref = Annotated[str, Field(max_length=400), AfterValidator(_normalize_ref), REFS, StandIn("name", _split_ref)]
"""An evidence ref, whose video may be given by its name."""
