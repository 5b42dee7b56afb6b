"""Result shapes that two or more toolsets share; moments are always `Evidence`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple, cast, get_args

from pydantic import BeforeValidator, Field, model_validator

from memories_mcp.operation import Output, Row
from memories_mcp.uris import decimal, transcript_uri, video_uri
from memories_mcp.wire import (
    Count,
    FromMillis,
    Id,
    Line,
    OptionalId,
    OptionalLine,
    OptionalText,
    Score,
    Seconds,
    Status,
    Text,
    Wire,
    missing,
    names,
    rows,
    status,
)

Track = Literal["audio", "visual"]
"""What is said, or what is seen."""

Kind = Literal["clip", "visual", "audio", "keyframe", "image", "metadata"]

_KINDS: dict[str, Kind] = {
    "keyframe": "keyframe",
    "visual_ts": "visual",
    "audio_ts": "audio",
    "video_meta": "metadata",
}
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


class Page(Output):
    """A result that comes in pages."""

    page: Annotated[int, BeforeValidator(lambda value: 1 if missing(value) else value)] = Field(
        default=1, validation_alias=names("current_page", "page")
    )
    """This page's number, from 1."""
    total: Count = Field(default=None, validation_alias=names("total_count", "total"))
    """How many there are in all, as the API counts them."""


class StatusFields(Row):
    """A processing state, in our word and in the API's."""

    status: Annotated[Status, BeforeValidator(lambda word: status(str(word)))]
    """ready, processing or failed."""
    raw_status: Line = Field(default="", validation_alias=names("status", "video_status"))
    """The API's own word; PARSE means ready."""
    cause: OptionalLine = None
    """Why it failed."""

    @model_validator(mode="before")
    @classmethod
    def _status_spellings(cls, row: Any) -> Any:
        if isinstance(row, dict):
            found = cast(dict[str, Any], row)
            words = (found.get(name) for name in ("status", "videoStatus", "video_status"))
            return {**found, "status": next((word for word in words if not missing(word)), "UNPARSE")}
        return row


Duration = Annotated[Seconds, BeforeValidator(lambda value: None if str(value) in {"0", "0.0"} else value)]
"""Seconds; the API writes 0 for "not known yet"."""


Size = Annotated[Count, BeforeValidator(lambda value: None if str(value) == "0" else value)]
"""Bytes; the API writes 0 for "not known"."""


class Video(StatusFields):
    """A video and its state."""

    video_no: Id
    video_name: OptionalLine = None
    duration_seconds: Duration = Field(default=None, validation_alias=names("duration"))
    size_bytes: Size = Field(default=None, validation_alias=names("size"))
    created_at: FromMillis = Field(default=None, validation_alias=names("create_time", "upload_time"))
    video_url: OptionalLine = None


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


class Thinking(Row):
    """A step of reasoning."""

    title: Line = ""
    content: Text = ""


class ChatAnswer(Output):
    """An answer and what it rests on."""

    answer: Text
    evidence: list[Evidence] = []
    """The moments it refers to, as the API gave them."""
    session_id: str | None = None
    """Pass it back to go on with this conversation."""
    complete: bool
    """False when the answer's stream broke off."""
    thinkings: list[Thinking] = []
    """The reasoning, where asked for."""


class RefVideo(Wire):
    """The video of a chat reference."""

    video_no: Id = ""
    video_name: OptionalLine = None


class RefItem(Wire):
    """One moment of a chat reference; fields differ by `type`."""

    video_no: Id = ""
    type: str = ""
    start_time: Seconds = None
    end_time: Seconds = None
    text: OptionalText = None
    title: OptionalLine = None
    summary: OptionalText = None
    view_count: Count = None
    like_count: Count = None
    share_count: Count = None
    comment_count: Count = None

    def told(self) -> str | None:
        """The moment in words: its text, or what the metadata say."""
        if self.text or self.type != "video_meta":
            return self.text
        counts = {
            "views": self.view_count,
            "likes": self.like_count,
            "shares": self.share_count,
            "comments": self.comment_count,
        }
        numbers = ", ".join(f"{count} {name}" for name, count in counts.items() if count is not None)
        return ". ".join(part for part in (self.title, self.summary, numbers) if part) or None


class Ref(Wire):
    """A chat reference: a video and its moments."""

    video: RefVideo = RefVideo()
    ref_items: Annotated[list[RefItem], rows()] = []

    def evidence(self) -> Iterable[Evidence]:
        """The moments; a reference without any names the video itself."""
        for item in self.ref_items or [RefItem(type="video_meta")]:
            kind = _KINDS.get(item.type, "clip")
            video_no = item.video_no or self.video.video_no
            if not video_no:
                continue
            timed = kind != "metadata"
            yield Evidence.at(
                video_no,
                kind,
                item.start_time if timed else None,
                item.end_time if timed else None,
                video_name=self.video.video_name,
                text=item.told(),
            )


class WireThinking(Wire):
    """A reasoning step as sent; it may carry references."""

    title: Line = ""
    content: Text = ""
    refs: Annotated[list[Ref], rows()] = []


class WireMessage(Wire):
    """A message as the chat and the session endpoints send it; references hide in three places."""

    role: Line = "assistant"
    content: Text = Field(default="", validation_alias=names("content", "response", "answer", "text"))
    thinkings: Annotated[list[WireThinking], rows()] = []
    refs: Annotated[list[Ref], rows()] = Field(default=[], validation_alias=names("refs", "ref"))
    session_id: OptionalId = None
    complete: bool = True

    def evidence(self) -> list[Evidence]:
        """Every moment referred to, each once, wherever it stood."""
        everywhere = [*self.refs, *(ref for thinking in self.thinkings for ref in thinking.refs)]
        found = {each.ref: each for ref in everywhere for each in ref.evidence()}
        return list(found.values())

    def steps(self) -> list[Thinking]:
        """The reasoning without its references."""
        return [Thinking(title=each.title, content=each.content) for each in self.thinkings]
