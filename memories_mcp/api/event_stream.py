"""Event streams: from bytes to lines to events, by the rules of WHATWG's "server-sent events" and API 4.

The service sends less than the standard asks for, so three rules of the standard are widened:

- A `data` line that is a whole JSON object is an event of its own, since blank lines may be missing. Such a line can
  never be the beginning of a longer JSON document, so a stream that keeps to the standard is read as the standard says.
- The end of the stream ends an event too. What is left is then read like an event that a blank line ends.
- A stream without any `data` line consists of bare lines: JSON objects, pieces of text, or one document over several
  lines. Beside `data` lines, a bare JSON object and a bare terminator are read, and any other line is an unknown field.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from io import StringIO
from itertools import groupby
from typing import Any, NamedTuple, cast

from memories_mcp.api.bodies import MAX_BYTES, ValueCounter
from memories_mcp.api.large_json import STRETCH, parse_in_steps
from memories_mcp.api.responses import LARGE
from memories_mcp.errors import UnexpectedResponse

_LINE_END = re.compile("\r\n|\n|\r")
_TERMINATORS = {"done", "[done]"}
_TRUNCATED = re.compile(r'\s*+\[?+\s*+\{\s*+("|\Z)')
"""The beginning of a JSON object, or of a list of them."""
_DOCUMENT_STARTS = {*'{["-0123456789tfn'}
_FIELDS = {"data", "event", "id", "retry"}
_LONGEST_FIELD = max(map(len, _FIELDS))


class Event(NamedTuple):
    """One event of a stream.

    Attributes:
        name: The type of the event in lower case; empty for the default type, `message`.
        data: A JSON object, a text, or `None` for a JSON object that is damaged.
    """

    name: str
    data: dict[str, Any] | str | None


def is_terminator(text: str) -> bool:
    """Return whether the data of an event is one of the words that end a stream."""
    return text.strip().strip('"').lower() in _TERMINATORS


def is_event_stream(body: bytes) -> bool:
    """Return whether a body is an event stream, whatever its media type says."""
    start = body.removeprefix(codecs.BOM_UTF8).lstrip()[: _LONGEST_FIELD + 1]
    first_line = re.split(rb"[\r\n]", start, maxsplit=1)[0]
    return first_line.startswith(b":") or first_line.partition(b":")[0].decode("latin-1") in _FIELDS


async def iter_body(body: bytes) -> AsyncIterator[bytes]:
    """Yield a body that has been read, as the chunks of a stream."""
    for start in range(0, len(body), STRETCH):
        yield body[start : start + STRETCH]
        await asyncio.sleep(0)


class LineReader:
    """Splits the bytes of a stream into lines.

    Only CRLF, LF and CR end a line: `str.splitlines` would also split at U+2028, which JSON strings may contain.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._parts: list[str] = []  # of the line that has not ended
        self._after_return = False

    def feed(self, chunk: bytes) -> list[str]:
        """Return the lines that the chunk completes, without their ends."""
        text = self._decoder.decode(chunk)
        if text:
            if self._after_return:  # the line ended with the last chunk; a line feed belongs to that end
                text = text.removeprefix("\n")
            self._after_return = text.endswith("\r")
        first, *others = _LINE_END.split(text)
        self._parts.append(first)
        if not others:
            return []
        lines = ["".join(self._parts), *others[:-1]]
        self._parts = others[-1:]
        return lines

    def close(self) -> str:
        """Return the last line if it has no end, else an empty text."""
        parts, self._parts = self._parts, []
        return "".join(parts) + self._decoder.decode(b"", final=True)


class _Lines:
    """Lines that wait, as one text: a list of short strings takes thirty times the memory."""

    def __init__(self) -> None:
        self._text = StringIO()
        self.count = 0

    def append(self, line: str) -> None:
        if self.count:
            self._text.write("\n")
        self._text.write(line)
        self.count += 1

    def take(self) -> str:
        text = self._text.getvalue()
        self._text, self.count = StringIO(), 0
        return text


class EventReader:
    """Reads events from the lines of a stream; see the rules above."""

    def __init__(self) -> None:
        self._name = ""
        self._data = _Lines()
        self._has_fields = False
        self._held = _Lines()  # bare lines, until it is known what they are

    def feed(self, line: str) -> Iterator[Event]:
        """Read one line and yield the events that it completes."""
        field, _, value = line.partition(":")
        if not line:
            yield from self._end_event()
        elif field.strip() and field not in _FIELDS:
            yield from self._bare_line(line)
        elif field == "event":
            name = value.strip().lower()
            self._name = "" if name == "message" else name
        elif field == "data":
            self._has_fields = True
            self._held.take()
            yield from self._data_line(value.removeprefix(" "))

    def close(self) -> Iterator[Event]:
        """Yield what the end of the stream completes.

        Raises:
            UnexpectedResponse: The stream is a page of HTML.
        """
        yield from self._end_event()
        held = self._held.take()
        if held.lstrip().startswith("<"):
            raise UnexpectedResponse(
                "The API answered with HTML in place of an event stream.",
                next_step="This is a fault between here and the API; try again later.",
            )
        if held:
            yield from _events("", held, separator="")

    def _data_line(self, value: str) -> Iterator[Event]:
        if not self._data.count and (record := _parse_object(value)) is not None:
            yield Event(self._name, record)
        elif is_terminator(value) and (not self._data.count or "[" in value):  # the connection may stay open after it
            yield from self._end_event()
            yield Event("", value)
        else:
            self._data.append(value)

    def _bare_line(self, line: str) -> Iterator[Event]:
        if is_terminator(line):
            yield from self.close()
            yield Event("", line)
        elif not self._held.count and (record := _parse_object(line)) is not None:
            yield from self._end_event()
            yield Event("", record)
        elif not self._has_fields:
            self._held.append(line)

    def _end_event(self) -> Iterator[Event]:
        name, payload = self._name, self._data.take()
        self._name = ""
        if payload:
            yield from _events(name, payload, separator="\n")


def _events(name: str, payload: str, *, separator: str) -> Iterator[Event]:
    """Yield the events of lines that belong together.

    Args:
        name: The type of the events.
        payload: The lines.
        separator: What joins lines of text.
    """
    document = _parse(payload)
    if isinstance(document, dict):
        yield Event(name, cast(dict[str, Any], document))
    elif records := _records(document):
        for record in records:
            yield Event(name, record)
    elif document is not _NO_JSON:  # a piece of text that happens to be JSON: 2019, true, "quoted"
        if document is not None:
            yield Event(name, document if isinstance(document, str) else payload)
    elif _TRUNCATED.match(payload):
        for line in _split_lines(payload):
            yield Event(name, _parse_object(line))
    elif _has_documents(payload, bare=not separator):
        for are_documents, lines in groupby(_split_lines(payload), _may_be_document):
            for text in lines if are_documents else [_join_lines(lines, separator)]:
                yield from _events(name, text, separator=separator)
    else:
        yield Event(name, payload.replace("\n", separator))


_NO_JSON = object()


def _parse(text: str) -> object:
    """Return a JSON document, or `_NO_JSON`; strings may contain line feeds, which joined lines bring."""
    if text.lstrip()[:1] not in _DOCUMENT_STARTS:  # an exception for each word of an answer would be slow
        return _NO_JSON
    try:
        if len(text) <= LARGE:
            return json.loads(text, strict=False)
        counter = ValueCounter(MAX_BYTES)
        counter.add(text)
        counter.check()
        return parse_in_steps(text, strict=False)
    except (ValueError, RecursionError):
        return _NO_JSON


def _parse_object(text: str) -> dict[str, Any] | None:
    document = _parse(text) if text.lstrip()[:1] == "{" else None
    return cast(dict[str, Any], document) if isinstance(document, dict) else None


def _split_lines(payload: str) -> Iterator[str]:
    """Yield the lines of a text, of which there may be millions, one at a time."""
    start = 0
    while (end := payload.find("\n", start)) >= 0:
        yield payload[start:end]
        start = end + 1
    yield payload[start:]


def _join_lines(lines: Iterable[str], separator: str) -> str:
    text = StringIO()
    for number, line in enumerate(lines):
        text.write(separator + line if number else line)
    return text.getvalue()


def _may_be_document(line: str) -> bool:
    return line.lstrip()[:1] in {"{", "[", '"'}


def _has_documents(payload: str, *, bare: bool) -> bool:
    """Return whether lines of text have JSON documents among them: objects, and in bare lines strings too."""
    if "\n" not in payload:
        return False
    lines = filter(_may_be_document, _split_lines(payload))
    return any(bare or _parse_object(line) is not None for line in lines)


def _records(document: object) -> list[dict[str, Any]]:
    """Return the objects of a list that consists of objects."""
    items = cast(list[Any], document) if isinstance(document, list) else []
    return items if all(isinstance(item, dict) for item in items) else []
