"""Coercions for the wire's quirks (API 2.7), as pydantic types, and the cleaning of its texts.

Numbers come as strings, missing values as the string "null", names in both casings, ids beyond 2^53,
and texts with characters that no reader can see. Everything that is read from the network passes here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

T = TypeVar("T")

_MISSING = {"null", ""}


def missing(value: Any) -> bool:
    """Whether a value means "nothing": `None`, `""` or the four letters `null`."""
    return value is None or (isinstance(value, str) and value.strip().lower() in _MISSING)


def _or_none(read: Callable[[Any], Any]) -> BeforeValidator:
    return BeforeValidator(lambda value: None if missing(value) else read(value))


def _number(value: Any) -> Any:
    if isinstance(value, str) and ":" in value:  # "00:05:23", as one page documents times
        value = sum(float(part) * 60**power for power, part in enumerate(reversed(value.split(":"))))
    elif isinstance(value, str):
        value = float(value) if not value.strip().lstrip("-").isdigit() else int(value)
    if isinstance(value, int | float) and not abs(value) < 1e18:  # neither infinite nor "not a number"
        return None
    return value


def _whole(value: Any) -> Any:
    number = _number(value)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _moment(unit: float) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if isinstance(value, str) and not value.strip().lstrip("-").isdigit():
            return value  # already a date; pydantic reads ISO 8601
        if not isinstance(value, str | int | float):
            raise ValueError("not a date")
        number = _number(value)
        if number is None:
            return None
        seconds = number / unit
        if not 0 <= seconds < 32_503_680_000:  # the year 3000; beyond it the value is no date
            return None
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=0)

    return read


def _shortest(value: float) -> float:
    """13 rather than 13.0: the same number in fewer characters."""
    rounded = round(float(value), 3)
    return int(rounded) if rounded.is_integer() else rounded


def _utc(value: datetime) -> datetime:
    """In UTC; a date without a zone is taken for one in UTC."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# Controls, formats (zero-width, bidirectional, tags), surrogates, private use; and variation selectors
# beyond the two that emoji need, which can carry hidden bytes.
_UNSEEN = re.compile("[\ufe00-\ufe0d\U000e0100-\U000e01ef]")


_UNSEEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co"}


_SPACES = re.compile(r"[^\S\n]+")


def clean(text: str) -> str:
    """The text as a person would see it: no invisible or control characters, line breaks as `\\n`."""
    return without_controls(text).strip()


def without_controls(text: str) -> str:
    """A piece of a text, cleaned but with the blanks at its ends."""
    if text.isascii() and text.isprintable():
        return text
    text = re.sub("\r\n?|[\u2028\u2029\u0085\v\f]", "\n", text).replace("\t", " ")
    text = _UNSEEN.sub("", text)
    return "".join(c for c in text if c == "\n" or unicodedata.category(c) not in _UNSEEN_CATEGORIES)


def one_line(text: str) -> str:
    """A cleaned text on one line."""
    return _SPACES.sub(" ", clean(text).replace("\n", " ")).strip()


def _identifier(value: Any) -> Any:
    return str(value) if isinstance(value, int) else one_line(value) if isinstance(value, str) else value


def _text(shape: Callable[[str], str]) -> Callable[[Any], Any]:
    return lambda value: shape(value) if isinstance(value, str) else value


Number = Annotated[
    float,
    PlainSerializer(_shortest, return_type=Any),  # with `float`, 13 would be written as 13.0 again
    WithJsonSchema({"type": "number"}, mode="serialization"),
]


Seconds = Annotated[Number | None, _or_none(_number)]
"""Seconds from a string or a number; "null" is nothing."""


Score = Annotated[Number | None, _or_none(_number)]


Degrees = Annotated[float | None, _or_none(_number)]


Count = Annotated[int | None, _or_none(_whole)]


Id = Annotated[str, BeforeValidator(lambda value: _identifier(value))]
"""An identifier; integers beyond 2^53 keep every digit."""


OptionalId = Annotated[str | None, _or_none(lambda value: _identifier(value))]


Text = Annotated[str, BeforeValidator(_text(clean))]


Line = Annotated[str, BeforeValidator(_text(one_line))]


OptionalText = Annotated[str | None, _or_none(_text(clean))]


OptionalLine = Annotated[str | None, _or_none(_text(one_line))]


Date = Annotated[datetime, AfterValidator(_utc)]


FromMillis = Annotated[Date | None, _or_none(_moment(1000))]
"""A date sent as milliseconds since the epoch."""


FromSeconds = Annotated[Date | None, _or_none(_moment(1))]
"""A date sent as seconds since the epoch."""

Status = Literal["ready", "processing", "failed"]


def status(word: str) -> Status:
    """`PARSE` means ready, whatever the upload pages say (API 2.9)."""
    match word.strip().upper():
        case "PARSE":
            return "ready"
        case "FAIL" | "FAILED" | "PARSE_ERROR":
            return "failed"
        case _:
            return "processing"


def names(*words: str) -> AliasChoices:
    """The spellings of one field: every word given, each also in camelCase."""
    return AliasChoices(*dict.fromkeys(form for word in words for form in (word, to_camel(word))))


def without_nothings(value: Any) -> Any:
    """An object without the keys that say nothing, so that another spelling or the default counts."""
    if missing(value):
        return {}
    if not isinstance(value, dict):
        return value
    found = cast(dict[str, Any], value)
    return {name: each for name, each in found.items() if each is not None}


def rows(*keys: str) -> BeforeValidator:
    """Reads a list that comes bare, under one of the keys of an object, or as nothing."""

    def read(value: object) -> object:
        if isinstance(value, dict):
            found = cast(dict[str, Any], value)
            value = next((found[key] for key in keys if found.get(key) is not None), None)
        return [] if missing(value) else value

    return BeforeValidator(read)
