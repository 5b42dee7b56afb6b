"""Chat answers, however they come: both stream dialects, bare lines, or one JSON document (API 4).

Dialect A sends `data:{"type": "thinking" | "content" | "ref", …}` lines, dialect B `data: {"token": "…"}`. Texts are
deltas; the end is written in half a dozen ways, or is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from memories_mcp.api.responses import refusal, unwrap
from memories_mcp.errors import UnexpectedResponse

_END = {"done", "[done]"}
_TEXT_KEYS = ("content", "token", "text", "delta", "message", "response")
_FIELD_LINES = (":", "event:", "id:", "retry:")


@dataclass(frozen=True)
class ChatEvent:
    """A piece of a growing answer: a `content` delta, or the `title` of a thought that begins."""

    kind: Literal["content", "thinking"]
    text: str


@dataclass
class ChatAssembler:
    """Puts an answer together from lines; `answer()` has the shape of the plain endpoint's `data`."""

    complete: bool = False
    session_id: str = ""
    content: list[str] = field(default_factory=list[str])
    thinkings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    refs: list[Any] = field(default_factory=list[Any])
    whole: dict[str, Any] = field(default_factory=dict[str, Any])

    def feed(self, line: str) -> Iterator[ChatEvent]:
        """Take one line without its end and yield what it adds.

        Raises:
            ApiError: The line carries a refusal.
        """
        line = line.rstrip("\r")
        if not line.strip() or line.startswith(_FIELD_LINES):
            return
        payload = line[5:].removeprefix(" ") if line.startswith("data:") else line
        if payload.strip().strip('"').lower() in _END:
            self.complete = True
            return
        try:
            record = json.loads(payload)
        except (ValueError, RecursionError):
            if not payload.lstrip().startswith('{"'):  # that is a record that was cut, not a piece of text
                yield from self._text(payload)
            return
        if isinstance(record, dict):
            yield from self._record(cast(dict[str, Any], record))
        elif record is not None:  # a piece of text that happens to be JSON: 2019, true, "quoted"
            yield from self._text(record if isinstance(record, str) else payload)

    def answer(self) -> dict[str, Any]:
        """The answer so far.

        Raises:
            UnexpectedResponse: Nothing of an answer came.
        """
        if self.whole:
            return self.whole
        if not self.content and not self.refs:
            raise UnexpectedResponse(
                "The answer's stream ended before it began.",
                next_step="list_sessions may show the question; look there before you ask again.",
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
        if isinstance(inner, str) and inner.strip().lower() in _END:
            self.complete = True
        elif isinstance(inner, str) and "type" not in record:
            raise refusal(str(record.get("code", "")), inner)
        elif "code" in record:
            data = unwrap(record)
            if isinstance(data, dict):
                self.whole = cast(dict[str, Any], data)
                self.complete = True
        elif isinstance(inner, dict):
            yield from self._record(cast(dict[str, Any], inner))
        elif record.get("type") == "ref" or "ref" in record or "refs" in record:
            refs = record.get("ref") or record.get("refs")
            self.refs += cast(list[Any], refs) if isinstance(refs, list) else []
        else:
            text = next((record[key] for key in _TEXT_KEYS if isinstance(record.get(key), str)), "")
            if record.get("type") == "thinking":
                yield from self._thought(str(record.get("title") or ""), text)
            elif record.get("type") != "session":
                yield from self._text(text)

    def _text(self, text: str) -> Iterator[ChatEvent]:
        if text:
            self.content.append(text)
            yield ChatEvent("content", text)

    def _thought(self, title: str, text: str) -> Iterator[ChatEvent]:
        if self.thinkings and (not title or self.thinkings[-1]["title"] == title):
            self.thinkings[-1]["content"] += text
            return
        self.thinkings.append({"title": title, "content": text})
        if title:
            yield ChatEvent("thinking", title)
