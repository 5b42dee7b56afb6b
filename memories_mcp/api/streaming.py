"""Streamed chat answers: both dialects, bare lines, or one JSON document (API 4).

Dialect A sends records `{"type": "thinking" | "content" | "ref", …}`, dialect B `{"token": "…"}`. Texts are deltas. The
terminator has half a dozen spellings or is missing.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, Literal, TypeVar, cast

from memories_mcp.api.bodies import without_blocking
from memories_mcp.api.endpoints import Endpoint
from memories_mcp.api.event_stream import Event, EventReader, LineReader, is_terminator
from memories_mcp.api.explanations import explain
from memories_mcp.api.responses import LARGE, api_error, next_step_if_unclear
from memories_mcp.api.retry import LateRateLimit
from memories_mcp.errors import ApiError, MemoriesError, RateLimited, UnexpectedResponse
from memories_mcp.models.coercions import is_missing

T = TypeVar("T")

_TEXT_KEYS = ("content", "token", "text", "delta", "response", "message")
"""Keys of a piece of text; in an envelope, `message` is not part of the answer."""
_REASON_KEYS = ("data", "msg", "message", "error", "detail", "content", "text")
_SUCCESS = {"0000", "SUCCESS", "0", "200"}
"""The codes that mean success in a stream."""
_KINDS_WITHOUT_TEXT = {"session", "ping", "heartbeat"}
_SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


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


def join_pieces(pieces: Iterable[str]) -> str:
    """Return the text that consists of the pieces; a character whose halves came in two pieces is whole in it."""
    text = "".join(pieces)
    try:
        text.encode()  # far faster than the search, and most texts have no halves
    except UnicodeEncodeError:
        pass
    else:
        return text
    return _SURROGATE_PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)


class ChatAssembler:
    """Assembles an answer from the bytes of a stream.

    An answer that has begun has been billed, and the same question would be billed again. So what came of it is kept
    when the stream breaks, reaches a time limit or reports a refusal, and the question is not sent again.

    Args:
        endpoint: The endpoint that streams, for the advice of an error.
        key: The key of the request, which no error may repeat.

    Attributes:
        size: The bytes that were read.
    """

    def __init__(self, endpoint: Endpoint, key: str) -> None:
        self.size = 0
        self._endpoint = endpoint
        self._key = key
        self._lines = LineReader()
        self._reader = EventReader()
        self._has_begun = False  # whether anything came that a refused question does not bring
        self._has_ended = False  # whether a terminator or a whole document arrived
        self._has_damage = False
        self._session_id = ""
        self._content = StringIO()  # compact; a list of short pieces takes ten times the memory
        self._thinkings: list[_Thinking] = []
        self._refs: list[Any] = []
        self._document: dict[str, Any] = {}

    async def read(self, chunks: AsyncIterator[bytes], on_event: OnEvent | None) -> dict[str, Any]:
        """Read a stream to its end and return the answer, in the shape of the plain endpoint's `data`.

        Args:
            chunks: The bytes of the stream.
            on_event: Receives each piece of the answer.

        Raises:
            MemoriesError: The stream is broken, reports a refusal or has no part of an answer; `rescue` takes it.
        """
        async for chunk in chunks:
            self.size += len(chunk)
            await self._report(self._feed(chunk), on_event)
            if self._has_ended:
                break
        await self._report(self._close(), on_event)
        return await self._beside(lambda: self._answer(None))

    async def rescue(self, error: MemoriesError) -> dict[str, Any]:
        """Return what came of the answer before an error, marked as incomplete.

        Raises:
            MemoriesError: No part of the answer came. It is the given error; if the answer had begun, its advice is not
                to send the question again.
        """
        try:
            await self._report(self._close(), None)
        except MemoriesError as reported:
            error = reported  # the reason that the service gave
            explain(error, self._endpoint, self._key)
        return await self._beside(lambda: self._answer(error))

    async def _report(self, events: Iterator[ChatEvent], on_event: OnEvent | None) -> None:
        """Read the events, which may have waited for the end of a long line, and hand them on."""
        for event in await self._beside(lambda: list(events)) if self.size > LARGE else events:
            if on_event:
                await on_event(event)

    async def _beside(self, function: Callable[[], T]) -> T:
        return await without_blocking(function, large=self.size > LARGE)

    def _feed(self, chunk: bytes) -> Iterator[ChatEvent]:
        for line in self._lines.feed(chunk):
            yield from self._line(line)

    def _line(self, line: str) -> Iterator[ChatEvent]:
        for event in () if self._has_ended else self._reader.feed(line):
            yield from self._event(event)

    def _close(self) -> Iterator[ChatEvent]:
        yield from self._line(self._lines.close())
        for event in () if self._has_ended else self._reader.close():
            yield from self._event(event)

    def _answer(self, error: MemoriesError | None) -> dict[str, Any]:
        content = join_pieces([self._content.getvalue()])
        if not content.strip() and not self._refs and not self._document:
            raise self._without_answer(error)
        if self._has_damage:
            error = error or UnexpectedResponse("A part of the stream could not be read.")
        elif self._has_ended:
            error = None  # what broke after the end is no matter
        else:
            error = error or UnexpectedResponse("The stream ended too early.")
        pieces = {
            "content": content,
            "thinkings": [thinking.as_wire() for thinking in self._thinkings],
            "refs": self._refs,
            "session_id": self._session_id,
        }
        document = {name: value for name, value in self._document.items() if not is_missing(value) and value != []}
        return {
            **{name: value for name, value in pieces.items() if value},
            **document,
            "complete": error is None,
            "failure": error,
        }

    def _without_answer(self, error: MemoriesError | None) -> MemoriesError:
        if error is None:
            return UnexpectedResponse(
                "The stream ended before the answer began.",
                next_step="Check list_sessions, which may show the question, before you try again.",
            )
        if self._has_begun and isinstance(error, RateLimited):
            late = LateRateLimit(error.summary, retry_after=error.retry_after, code=error.code, words=error.words)
            late.next_step = next_step_if_unclear(self._endpoint)
            return late
        if not error.next_step or (self._has_begun and type(error) in {ApiError, UnexpectedResponse}):
            error.next_step = next_step_if_unclear(self._endpoint)
        return error

    def _event(self, event: Event) -> Iterator[ChatEvent]:
        name, data = event
        if self._has_ended:
            return
        if isinstance(data, dict):
            yield from self._record(data, name)
        elif data is None:
            self._has_begun = self._has_damage = True
        elif is_terminator(data):
            self._has_ended = True
        elif name:
            yield from self._record({"content": data}, name)
        else:
            yield from self._text(data)

    def _record(self, record: dict[str, Any], name: str) -> Iterator[ChatEvent]:
        kind = name
        while True:  # a record may be wrapped as the `data` of another one
            kind = str(record.get("type") or kind).lower()
            session = record.get("sessionId") or record.get("session_id")
            if isinstance(session, str | int) and not is_missing(session):
                self._session_id = str(session)
                self._has_begun = True
            inner = record.get("data")
            if isinstance(inner, str) and is_terminator(inner):
                self._has_ended = True
                return
            if failure := _failure(record, kind):
                raise failure
            self._has_begun = True
            if not isinstance(inner, dict):
                break
            has_code, record = not is_missing(record.get("code")), cast(dict[str, Any], inner)
            if has_code and "type" not in record:
                self._document = record
                self._has_ended = True
                return
        if kind == "ref" or "ref" in record or "refs" in record:
            refs = record.get("ref") or record.get("refs")
            self._refs += cast(list[Any], refs) if isinstance(refs, list) else []
            return
        keys = _TEXT_KEYS if kind or is_missing(record.get("code")) else _TEXT_KEYS[:-1]
        text = next((record[key] for key in keys if isinstance(record.get(key), str)), "")
        if kind == "thinking":
            yield from self._thinking(str(record.get("title") or ""), text)
        elif kind not in _KINDS_WITHOUT_TEXT:
            yield from self._text(text)

    def _text(self, text: str) -> Iterator[ChatEvent]:
        self._has_begun = True
        if text:
            self._content.write(text)
            yield ChatEvent("content", text)

    def _thinking(self, title: str, text: str) -> Iterator[ChatEvent]:
        if self._thinkings and (not title or self._thinkings[-1].title == title):
            self._thinkings[-1].content.write(text)
            return
        self._thinkings.append(_Thinking(title))
        self._thinkings[-1].content.write(text)
        if title:
            yield ChatEvent("thinking", title)


@dataclass
class _Thinking:
    """A step of reasoning whose text is growing."""

    title: str
    content: StringIO = field(default_factory=StringIO)

    def as_wire(self) -> dict[str, str]:
        return {"title": self.title, "content": join_pieces([self.content.getvalue()])}


def _failure(record: dict[str, Any], kind: str) -> ApiError | None:
    """Return the refusal that a record reports, in one of the service's ways (API 2.4 and 4)."""
    code = _code(record)
    has_failed = (
        kind == "error"
        or code
        or bool(record.get("error") and not is_missing(record["error"]))
        or record.get("success") is False
        or record.get("failed") is True
        or (isinstance(record.get("data"), str) and not is_missing(record["data"]) and "type" not in record)
    )
    if not has_failed:
        return None
    records = [record]
    records += [cast(dict[str, Any], record[key]) for key in ("error", "data") if isinstance(record.get(key), dict)]
    reasons = (value for fields in records for key in _REASON_KEYS if isinstance(value := fields.get(key), str))
    reason = next((value for value in reasons if not is_missing(value)), "")
    error = api_error(next((code for code in map(_code, records) if code), ""), reason)
    error.summary = error.summary.replace("The API answered HTTP 200", "The stream reports an error", 1)
    return error


def _code(record: dict[str, Any]) -> str:
    """Return the code of a refusal, or an empty text."""
    code = record.get("code")
    return "" if is_missing(code) or str(code) in _SUCCESS else str(code)
