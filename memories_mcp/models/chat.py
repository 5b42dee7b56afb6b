"""Chat answers: as results, and as the API sends them, with references in several places."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import BeforeValidator, Field, InstanceOf, model_validator

from memories_mcp.errors import MemoriesError
from memories_mcp.models.base import Output, Row, Wire
from memories_mcp.models.coercions import (
    Count,
    Line,
    OptionalId,
    OptionalLine,
    OptionalText,
    Seconds,
    Text,
    text_as,
    wire_list,
    wire_names,
)
from memories_mcp.models.evidence import Evidence, Kind
from memories_mcp.models.tolerance import count_skipped

_MOST_REFS = 1000
"""References, moments and steps of one message that are read; a result shows some 200."""


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
    """False when a part of the answer is missing."""
    service_message: OptionalLine = None
    """What the service said when it broke off the answer."""
    thinkings: list[Thinking] = []
    """The reasoning steps, if requested."""


class WireRefVideo(Wire):
    """The video of a chat reference, as sent."""

    video_no: OptionalId = None
    video_name: OptionalLine = None
    video_url: OptionalLine = None
    creator: OptionalLine = Field(default=None, validation_alias=wire_names("blogger_id", "creator"))


class WireRefItem(Wire):
    """One moment of a chat reference, as sent; its fields depend on `type`."""

    video_no: OptionalId = None
    type: Line = ""
    start_time: Seconds = None
    end_time: Seconds = None
    text: OptionalText = None
    title: OptionalLine = None
    summary: OptionalText = None
    view_count: Count = None
    like_count: Count = None
    share_count: Count = None
    comment_count: Count = None

    def description(self) -> str | None:
        """Return the moment's text or, for metadata without a text, its title, summary and counts."""
        if self.text or self.type != "video_meta":
            return self.text
        counts = {
            "views": self.view_count,
            "likes": self.like_count,
            "shares": self.share_count,
            "comments": self.comment_count,
        }
        popularity = ", ".join(f"{count} {name}" for name, count in counts.items() if count is not None)
        return ". ".join(part for part in (self.title, self.summary, popularity) if part) or None


_KINDS: dict[str, Kind] = {
    "keyframe": "keyframe",
    "visual_ts": "visual",
    "audio_ts": "audio",
    "video_meta": "metadata",
}


class WireRef(Wire):
    """A chat reference, as sent: a video and its moments."""

    video: WireRefVideo = WireRefVideo()
    ref_items: Annotated[list[WireRefItem], wire_list(most=_MOST_REFS)] = []

    def evidence(self) -> Iterator[Evidence]:
        """Yield the moments; a reference without moments yields the video's metadata."""
        for item in self.ref_items or [WireRefItem(type="video_meta")]:
            video_no = item.video_no or self.video.video_no
            if not video_no:
                count_skipped()
                continue
            kind = _KINDS.get(item.type, "clip")
            has_times = kind != "metadata"
            yield Evidence.at(
                video_no,
                kind,
                item.start_time if has_times else None,
                item.end_time if has_times else None,
                video_name=self.video.video_name,
                text=item.description(),
                creator=self.video.creator,
                video_url=self.video.video_url,
            )


class WireThinking(Wire):
    """A step of reasoning, as sent; it may carry references."""

    title: Line = ""
    content: Text = ""
    refs: Annotated[list[WireRef], wire_list(most=_MOST_REFS)] = []


class WireMessage(Wire):
    """A message, as the chat and session endpoints send it; references stand on it or on its reasoning steps."""

    role: Line = "assistant"
    content: Text = Field(default="", validation_alias=wire_names("content", "response", "answer", "text"))
    thinkings: Annotated[list[WireThinking], wire_list(most=_MOST_REFS)] = []
    refs: Annotated[list[WireRef], wire_list(most=_MOST_REFS)] = Field(
        default=[], validation_alias=wire_names("refs", "ref")
    )
    session_id: OptionalId = None
    complete: bool = True
    failure: Annotated[
        InstanceOf[MemoriesError] | None,
        BeforeValidator(lambda value: value if isinstance(value, MemoriesError) else None),
    ] = None
    """The error that broke off a stream; never read from the wire, since its summary stands outside the fence."""

    def evidence(self) -> list[Evidence]:
        """Return every moment that the message refers to, each once."""
        refs = [*self.refs, *(ref for thinking in self.thinkings for ref in thinking.refs)]
        by_ref = {moment.ref: moment for ref in refs for moment in ref.evidence()}
        return list(by_ref.values())

    def steps(self) -> list[Thinking]:
        """Return the reasoning without its references."""
        return [Thinking(title=thinking.title, content=thinking.content) for thinking in self.thinkings]


class WireAnswer(WireMessage):
    """The answer of a chat endpoint, as sent: a message, or its bare text."""

    _accept_text = model_validator(mode="before")(text_as("content"))
