"""Citations: the moments that an agent's messages rest on, numbered, with links."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage, convert_to_messages
from pydantic import BaseModel, ConfigDict, ValidationError

from langchain_tools.documents import join_text
from memories_mcp.models.evidence import Evidence, parse_ref
from memories_mcp.operations.common.moments import Moment
from memories_mcp.rendering.text import format_span

EVIDENCE_KEY = "memories_evidence"
"""Key in `response_metadata` under which the messages of a `MemoriesChatMessageHistory` hold their moments."""


class Citation(BaseModel):
    """A moment of a video, with the number under which a text cites it."""

    model_config = ConfigDict(frozen=True)

    number: int
    """From 1, in the order of first mention."""
    moment: Evidence
    """The moment: `ref`, video, kind, times in seconds and text."""
    link: str | None = None
    """The video's page or file, as the service sent it, else the resource of the transcript around the moment."""

    @property
    def title(self) -> str:
        """The video's name or number, and the times: `Quarterly planning meeting, 3:32-4:16`."""
        video = self.moment.video_name or self.moment.video_no or self.moment.ref
        span = format_span(self.moment.start_seconds, self.moment.end_seconds)
        return f"{video}, {span}" if span else video

    def __str__(self) -> str:
        link = f" <{self.link}>" if self.link else ""
        return f"[{self.number}] {self.title}{link}"


def collect_citations(messages: Sequence[BaseMessage | Mapping[str, Any]], *, mentioned: bool = True) -> list[Citation]:
    """Return the moments of a conversation's tool results, each once, numbered from 1.

    Args:
        messages: The messages of an agent's state, also as mappings, from our tools or through LangChain's MCP adapter.
        mentioned: Return only the moments whose `ref` stands in the text of the last answer, in the order in which it
            mentions them, if it mentions any. With `False`, or if it mentions none, return all, in the order of the
            results.
    """
    parsed = convert_to_messages([cast(Any, message) for message in messages])
    moments: dict[str, tuple[Evidence, str | None]] = {}
    for message in parsed:
        for moment, link in _moments(message):
            if moment.ref not in moments or link:
                moments[moment.ref] = (moment, link)
    answer = next((message.text for message in reversed(parsed) if isinstance(message, AIMessage)), "")
    cited = [ref for ref in moments if _position(answer, ref) >= 0] if mentioned else []
    refs = sorted(cited, key=lambda ref: _position(answer, ref)) or list(moments)
    return [
        Citation(number=number, moment=moments[ref][0], link=moments[ref][1] or moments[ref][0].uri)
        for number, ref in enumerate(refs, 1)
    ]


def _position(text: str, ref: str) -> int:
    """Return where a text mentions a ref, or -1; `…#t=5` within `…#t=50` is no mention."""
    start = text.find(ref)
    while start >= 0:
        end = start + len(ref)
        if end == len(text) or not (text[end].isalnum() or (text[end] in ",&" and text[end + 1 : end + 2].isalnum())):
            return start
        start = text.find(ref, end)
    return -1


def _moments(message: BaseMessage) -> Iterator[tuple[Evidence, str | None]]:
    """Yield the moments of a message, with the link of their video where the result has one."""
    if isinstance(message, ToolMessage):
        artifact = cast(Any, message).artifact
        if isinstance(artifact, Mapping):
            yield from _find(cast(Mapping[str, Any], artifact).get("structured_content"), None)
    else:
        yield from _find(message.response_metadata.get(EVIDENCE_KEY), None)


def _find(node: Any, link: str | None) -> Iterator[tuple[Evidence, str | None]]:
    """Yield every object of a result that is a moment, in order."""
    if isinstance(node, Mapping):
        values = cast(Mapping[str, Any], node)
        link = _link(values) or link
        if "refs" in values and "segments" in values:
            yield from _stretch(values, link)
            return
        if "ref" in values and "kind" in values:
            try:
                yield Evidence.model_validate(values), link
            except ValidationError:
                return  # another tool's object that only looks like a moment
            return
        children: Iterable[Any] = values.values()
    elif isinstance(node, list):
        children = cast(list[Any], node)
    else:
        return
    for child in children:
        yield from _find(child, link)


def _stretch(values: Mapping[str, Any], link: str | None) -> Iterator[tuple[Evidence, str | None]]:
    """Yield the moments of a stretch that `get_evidence` read, each with what is said and seen in the stretch."""
    with suppress(ValidationError):
        stretch = Moment.model_validate(values)
        text = join_text(stretch.segments)
        for ref in stretch.refs:
            with suppress(ValueError):
                video_no, kind, start, end = parse_ref(ref)
                yield Evidence.at(video_no, kind, start, end, video_name=stretch.video_name, text=text), link


def _link(values: Mapping[str, Any]) -> str | None:
    link = values.get("video_url")
    return link if isinstance(link, str) and link.startswith(("http://", "https://")) else None
