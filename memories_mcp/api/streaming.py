"""Streamed chat answers: both dialects, bare lines, or one JSON document (API 4).

Dialect A sends `data:{"type": "thinking" | "content" | "ref", …}` lines, dialect B `data: {"token": "…"}`. Texts are
deltas. The terminator has half a dozen spellings or is missing.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import httpx2

from memories_mcp.api.responses import api_error, unwrap_envelope
from memories_mcp.errors import MemoriesError, UnexpectedResponse

_TERMINATORS = {"done", "[done]"}
_TEXT_KEYS = ("content", "token", "text", "delta", "message", "response")
_OTHER_FIELDS = (":", "event:", "id:", "retry:")
"""Beginnings of the comments and fields of an event stream that carry no data."""


@dataclass(frozen=True)
class ChatEvent:
    """A piece of a streamed answer.

    Attributes:
        kind: `content` for a piece of the answer, `thinking` for a new step of reasoning.
        text: The piece to append to the answer, or the title of the step.
    """

    kind: Literal["content", "thinking"]
    text: str


OnEvent = Callable[[ChatEvent], Awaitable[None]]
"""Receives each piece of an answer as it arrives."""


@dataclass
class ChatAssembler:
    """Assembles an answer from the lines of a stream.

    Attributes:
        complete: Whether a terminator or a whole document arrived.
        session_id: The id of the session; empty until it arrives.
        content: The pieces of the answer.
        thinkings: The steps of reasoning, with `title` and `content`.
        refs: The references.
        document: The `data` of a whole answer that arrived as one document.
    """

    complete: bool = False
    session_id: str = ""
    content: list[str] = field(default_factory=list[str])
    thinkings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    refs: list[Any] = field(default_factory=list[Any])
    document: dict[str, Any] = field(default_factory=dict[str, Any])

    def feed(self, line: str) -> Iterator[ChatEvent]:
        """Read one line and yield the events that it contains.

        Args:
            line: A line without the line feed.

        Raises:
            ApiError: The line reports a refusal.
        """
        line = line.rstrip("\r")
        if not line.strip() or line.startswith(_OTHER_FIELDS):
            return
        payload = line[5:].removeprefix(" ") if line.startswith("data:") else line
        if payload.strip().strip('"').lower() in _TERMINATORS:
            self.complete = True
            return
        try:
            record = json.loads(payload)
        except (ValueError, RecursionError):
            if not payload.lstrip().startswith('{"'):  # otherwise a truncated record, not a piece of text
                yield from self._text(payload)
            return
        if isinstance(record, dict):
            yield from self._record(cast(dict[str, Any], record))
        elif record is not None:  # a piece of text that happens to be JSON: 2019, true, "quoted"
            yield from self._text(record if isinstance(record, str) else payload)

    def answer(self) -> dict[str, Any]:
        """Return the answer so far, in the shape of the plain endpoint's `data`.

        Raises:
            UnexpectedResponse: The stream contained no part of an answer.
        """
        if self.document:
            return self.document
        if not self.content and not self.refs:
            raise UnexpectedResponse(
                "The stream ended before the answer began.",
                next_step="Check list_sessions, which may show the question, before you try again.",
            )
        return {
            "content": "".join(self.content),
            "thinkings": self.thinkings,
            "refs": self.refs,
            "session_id": self.session_id,
            "complete": self.complete,
        }

    def _record(self, record: dict[str, Any]) -> Iterator[ChatEvent]:
        session = record.get("sessionId") or record.get("session_id")
        self.session_id = str(session) if session else self.session_id
        inner = record.get("data")
        if isinstance(inner, str) and inner.strip().lower() in _TERMINATORS:
            self.complete = True
        elif isinstance(inner, str) and "type" not in record:
            raise api_error(str(record.get("code", "")), inner)
        elif "code" in record:
            data = unwrap_envelope(record)
            if isinstance(data, dict):
                self.document = cast(dict[str, Any], data)
                self.complete = True
        elif isinstance(inner, dict):
            yield from self._record(cast(dict[str, Any], inner))
        elif record.get("type") == "ref" or "ref" in record or "refs" in record:
            refs = record.get("ref") or record.get("refs")
            self.refs += cast(list[Any], refs) if isinstance(refs, list) else []
        else:
            text = next((record[key] for key in _TEXT_KEYS if isinstance(record.get(key), str)), "")
            if record.get("type") == "thinking":
                yield from self._thinking(str(record.get("title") or ""), text)
            elif record.get("type") != "session":
                yield from self._text(text)

    def _text(self, text: str) -> Iterator[ChatEvent]:
        if text:
            self.content.append(text)
            yield ChatEvent("content", text)

    def _thinking(self, title: str, text: str) -> Iterator[ChatEvent]:
        if self.thinkings and (not title or self.thinkings[-1]["title"] == title):
            self.thinkings[-1]["content"] += text
            return
        self.thinkings.append({"title": title, "content": text})
        if title:
            yield ChatEvent("thinking", title)


async def assemble(lines: AsyncIterator[str], on_event: OnEvent | None) -> dict[str, Any]:
    """Read a stream to its end and return the answer, in the shape of the plain endpoint's `data`.

    A stream that breaks after a part of the answer arrived yields that part, marked as incomplete: the answer has been
    billed, and sending the question again would be billed again.

    Args:
        lines: The lines of the stream, without line feeds.
        on_event: Receives each piece of the answer.

    Raises:
        MemoriesError: The stream broke or reported a refusal before any part of the answer arrived.
    """
    assembler = ChatAssembler()
    try:
        async for line in lines:
            for event in assembler.feed(line):
                if on_event:
                    await on_event(event)
            if assembler.complete:
                break
    except (httpx2.TransportError, MemoriesError):
        if not assembler.content:
            raise
    return assembler.answer()


async def body_lines(body: bytes) -> AsyncIterator[str]:
    """Yield the lines of a body that has been read."""
    for line in body.split(b"\n"):
        yield line.decode("utf-8", "replace")


async def response_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Yield the lines of a body as it arrives.

    Only a line feed ends a line: `aiter_lines` would also split at U+2028, which JSON strings may contain.
    """
    rest = b""
    async for chunk in chunks:
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            yield line.decode("utf-8", "replace")
    if rest:
        yield rest.decode("utf-8", "replace")
