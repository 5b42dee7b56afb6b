"""Parsing of large JSON documents in short steps.

The standard parser keeps the interpreter to itself until it ends, in a thread too: a document of 30 MiB would stop the
event loop for half a second. Here it parses one short stretch of the text at a time. A container that is longer than a
stretch is parsed element by element; only a single string can make a step longer.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

STRETCH = 64 * 1024
"""Characters of a stretch, which take about a millisecond."""

_BLANKS = re.compile(r"[ \t\n\r]*")
_AFTER_VALUE = frozenset(" \t\n\r,:]}")


def parse_in_steps(text: str, *, strict: bool = True) -> Any:
    """Return what `json.loads` returns.

    Args:
        text: The document.
        strict: Whether to refuse control characters in strings.

    Raises:
        ValueError: The text is no JSON document.
        RecursionError: Its containers are nested too deeply.
    """
    parser = _Parser(text, strict=strict)
    value, end = parser.value(parser.skip_blanks(0))
    if end != len(text):
        raise ValueError("more than one document")
    return value


class _Parser:
    """Parses values of a text; positions count its characters."""

    def __init__(self, text: str, *, strict: bool) -> None:
        self._text = text
        self._names: dict[str, str] = {}
        self._decoder = json.JSONDecoder(object_hook=self._share_names, strict=strict)
        self._start = 0
        self._stretch = ""

    def skip_blanks(self, position: int) -> int:
        """Return the position of the next character that is no blank."""
        return cast("re.Match[str]", _BLANKS.match(self._text, position)).end()

    def value(self, position: int) -> tuple[Any, int]:
        """Return the value at a position, and the position of what follows it after blanks."""
        result = self._short_value(position)
        if result is None and position != self._start:
            self._start, self._stretch = position, self._text[position : position + STRETCH]
            result = self._short_value(position)
        if result is None:
            result = self._long_value(position)
        return result[0], self.skip_blanks(result[1])

    def _short_value(self, position: int) -> tuple[Any, int] | None:
        """Return a value and its end if it lies within the present stretch."""
        offset = position - self._start
        if not 0 <= offset < len(self._stretch):
            return None
        try:
            value, end = self._decoder.raw_decode(self._stretch, offset)
        except (ValueError, RecursionError):
            return None
        # The rest of a number may lie beyond the stretch.
        return (value, self._start + end) if self._stretch[end : end + 1] in _AFTER_VALUE else None

    def _long_value(self, position: int) -> tuple[Any, int]:
        match self._text[position : position + 1]:
            case "[":
                return self._array(self.skip_blanks(position + 1))
            case "{":
                return self._object(self.skip_blanks(position + 1))
            case _:
                return self._decoder.raw_decode(self._text, position)

    def _array(self, position: int) -> tuple[list[Any], int]:
        items: list[Any] = []
        if self._text[position : position + 1] == "]":
            return items, position + 1
        while True:
            item, position = self.value(position)
            items.append(item)
            if self._text[position : position + 1] == "]":
                return items, position + 1
            position = self._after(",", position)

    def _object(self, position: int) -> tuple[dict[str, Any], int]:
        fields: dict[str, Any] = {}
        if self._text[position : position + 1] == "}":
            return fields, position + 1
        while True:
            name, position = self.value(position)
            if not isinstance(name, str):
                raise ValueError("a field without a name")
            fields[name], position = self.value(self._after(":", position))
            if self._text[position : position + 1] == "}":
                return fields, position + 1
            position = self._after(",", position)

    def _after(self, mark: str, position: int) -> int:
        if self._text[position : position + 1] != mark:
            raise ValueError(f"no {mark} where one is needed")
        return self.skip_blanks(position + 1)

    def _share_names(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return an object whose fields' names are those of other objects, as the standard parser keeps them once."""
        names = self._names
        return {names.setdefault(name, name): value for name, value in fields.items()}
