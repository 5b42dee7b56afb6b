"""Chat answers, and the references that the wire hides in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from memories_mcp.models.base import Output, Row, Wire
from memories_mcp.models.coercions import (
    Count,
    Id,
    Line,
    OptionalId,
    OptionalLine,
    OptionalText,
    Seconds,
    Text,
    names,
    rows,
)
from memories_mcp.models.evidence import Evidence, Kind

_KINDS: dict[str, Kind] = {
    "keyframe": "keyframe",
    "visual_ts": "visual",
    "audio_ts": "audio",
    "video_meta": "metadata",
}


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
