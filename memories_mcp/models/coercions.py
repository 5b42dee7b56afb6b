"""Pydantic types that coerce the API's irregular values, and cleaning of its texts (API 2.7).

Numbers arrive as strings, missing values as the string "null", field names in two casings, ids beyond 2^53, and texts
with invisible characters. Every value read from the network passes through these types.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

# Missing values


def is_missing(value: Any) -> bool:
    """Return whether a value means "nothing": `None`, a blank string or the string "null" in any case."""
    return value is None or (isinstance(value, str) and value.strip().lower() in {"", "null"})


def drop_missing(value: Any) -> Any:
    """Return an object without its `None` values, so that another spelling of a field or its default applies.

    A missing value becomes an empty object; a value that is no object is returned as it is.
    """
    if is_missing(value):
        return {}
    if not isinstance(value, dict):
        return value
    fields = cast(dict[str, Any], value)
    return {name: field for name, field in fields.items() if field is not None}


# Texts

_SPACES = re.compile(r"[^\S\n]+")

# Variation selectors beyond the two that emoji need can carry hidden bytes.
_VARIATION_SELECTORS = re.compile("[\ufe00-\ufe0d\U000e0100-\U000e01ef]")

_INVISIBLE_CATEGORIES = {"Cc", "Cf", "Cs", "Co"}
"""Unicode's controls, formats (zero-width, bidirectional, tags), surrogates and private use."""


def clean_text(text: str) -> str:
    """Return a text as it appears on a screen: no invisible or control characters, line breaks as `\\n`, trimmed."""
    return remove_invisible(text).strip()


def remove_invisible(text: str) -> str:
    """Clean a fragment of a text and keep the blanks at its ends, for fragments that are joined later."""
    if text.isascii() and text.isprintable():
        return text
    text = re.sub("\r\n?|[\u2028\u2029\u0085\v\f]", "\n", text).replace("\t", " ")
    text = _VARIATION_SELECTORS.sub("", text)
    return "".join(c for c in text if c == "\n" or unicodedata.category(c) not in _INVISIBLE_CATEGORIES)


def one_line(text: str) -> str:
    """Return a cleaned text on one line."""
    return _SPACES.sub(" ", clean_text(text).replace("\n", " ")).strip()


# Validators; a value of an unexpected type passes through, so that pydantic reports it


def _optional(read: Callable[[Any], Any]) -> BeforeValidator:
    return BeforeValidator(lambda value: None if is_missing(value) else read(value))


def _for_strings(clean: Callable[[str], str]) -> Callable[[Any], Any]:
    return lambda value: clean(value) if isinstance(value, str) else value


def _read_id(value: Any) -> Any:
    if isinstance(value, int):
        return str(value)
    return one_line(value) if isinstance(value, str) else value


def _read_number(value: Any) -> Any:
    if isinstance(value, str) and ":" in value:  # "00:05:23", as one page documents times
        value = sum(float(part) * 60**power for power, part in enumerate(reversed(value.split(":"))))
    elif isinstance(value, str):
        value = int(value) if value.strip().lstrip("-").isdigit() else float(value)
    if isinstance(value, int | float) and not abs(value) < 1e18:  # infinite, NaN or absurd
        return None
    return value


def _read_integer(value: Any) -> Any:
    number = _read_number(value)
    return int(number) if isinstance(number, float) and number.is_integer() else number


_YEAR_3000 = 32_503_680_000
"""Seconds since the epoch; a later date is an error of the service."""


def _read_timestamp(units_per_second: float) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if isinstance(value, str) and not value.strip().lstrip("-").isdigit():
            return value  # already a date; pydantic reads ISO 8601
        if not isinstance(value, str | int | float):
            raise ValueError("not a date")
        number = _read_number(value)
        if number is None:
            return None
        seconds = number / units_per_second
        if not 0 <= seconds < _YEAR_3000:
            return None
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=0)

    return read


def _to_utc(value: datetime) -> datetime:
    """Convert a date to UTC; a date without a time zone is taken as UTC."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _to_short_number(value: float) -> float:
    """Round to three decimals and write 13 rather than 13.0."""
    rounded = round(float(value), 3)
    return int(rounded) if rounded.is_integer() else rounded


# Types

Id = Annotated[str, BeforeValidator(_read_id)]
"""An identifier; integers beyond 2^53 keep every digit."""
OptionalId = Annotated[str | None, _optional(_read_id)]

Text = Annotated[str, BeforeValidator(_for_strings(clean_text))]
OptionalText = Annotated[str | None, _optional(_for_strings(clean_text))]
Line = Annotated[str, BeforeValidator(_for_strings(one_line))]
OptionalLine = Annotated[str | None, _optional(_for_strings(one_line))]

Number = Annotated[
    float,
    PlainSerializer(_to_short_number, return_type=Any),  # `return_type=float` would write 13.0 again
    WithJsonSchema({"type": "number"}, mode="serialization"),
]
Seconds = Annotated[Number | None, _optional(_read_number)]
"""Seconds from a string or a number."""
Score = Annotated[Number | None, _optional(_read_number)]
Degrees = Annotated[float | None, _optional(_read_number)]
Count = Annotated[int | None, _optional(_read_integer)]

Date = Annotated[datetime, AfterValidator(_to_utc)]
DateFromMillis = Annotated[Date | None, _optional(_read_timestamp(1000))]
"""A date sent as milliseconds since the epoch."""
DateFromSeconds = Annotated[Date | None, _optional(_read_timestamp(1))]
"""A date sent as seconds since the epoch."""

Status = Literal["ready", "processing", "failed"]
"""A processing state."""


STATUS_WORDS: dict[str, Status] = {
    "PARSE": "ready", "UNPARSE": "processing", "FAIL": "failed", "FAILED": "failed", "PARSE_ERROR": "failed",
}  # fmt: skip
"""The API's words for processing states; `PARSE` means ready, against the upload pages (API 2.9)."""


def parse_status(word: str) -> Status:
    """Translate the API's word for a processing state; an unknown word means that the processing goes on."""
    return STATUS_WORDS.get(word.strip().upper(), "processing")


# Shapes


def wire_names(*spellings: str) -> AliasChoices:
    """Return the aliases under which a field is read: every spelling, each also in camelCase."""
    return AliasChoices(*dict.fromkeys(form for spelling in spellings for form in (spelling, to_camel(spelling))))


def wire_list(*keys: str) -> BeforeValidator:
    """Return a validator for a list that is sent bare, under one of the keys of an object, or as nothing."""

    def read(value: object) -> object:
        if isinstance(value, dict):
            fields = cast(dict[str, Any], value)
            value = next((fields[key] for key in keys if fields.get(key) is not None), None)
        return [] if is_missing(value) else value

    return BeforeValidator(read)
