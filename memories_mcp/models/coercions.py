"""Pydantic types that coerce the API's irregular values, and cleaning of its texts (API 2.7).

Numbers arrive as strings, missing values as the string "null", field names in two casings, ids beyond 2^53, and texts
with invisible characters. Every value read from the network passes through these types.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    PlainSerializer,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic.alias_generators import to_camel

from memories_mcp.models.tolerance import (
    MOST_ROWS,
    count_skipped,
    count_unreadable,
    read_leniently,
    read_or_undo,
    read_rows,
    take_rows,
    take_text,
)

# Missing values


def is_missing(value: Any) -> bool:
    """Return whether a value means "nothing": `None`, a blank string or the string "null" in any case."""
    if not isinstance(value, str):
        return value is None
    text = value.strip()
    return not text or (len(text) == len("null") and text.lower() == "null")


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


def text_as(field: str) -> Callable[[Any], Any]:
    """Return a function that reads a bare text, in place of an object, as the object's field."""
    return lambda value: {field: value} if isinstance(value, str) and not is_missing(value) else value


# Texts

_INVISIBLE_CATEGORIES = {"Cc", "Cf", "Cs", "Co"}
"""Unicode's controls, formats (zero-width, bidirectional, tags), surrogates and private use."""

_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff"
    "\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's Default_Ignorable_Code_Point without the two variation selectors that emoji need."""

_EMOJI_SELECTORS = "\ufe0e\ufe0f"
"""The choice of text or picture, which may stand once after a symbol: more of them could carry hidden bytes."""

_SHORT_LENGTH = 200


def clean_text(text: str) -> str:
    """Return a text as it appears on a screen: no invisible or control characters, line breaks as `\\n`, trimmed."""
    return remove_invisible(text).strip()


def remove_invisible(text: str) -> str:
    """Clean a fragment of a text and keep the blanks at its ends, for fragments that are joined later."""
    if text.isascii() and text.isprintable():
        return text
    text = re.sub("\r\n?|[\u2028\u2029\u0085\v\f]", "\n", text).replace("\t", " ")
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    text = _IGNORABLE.sub("", text)
    # A long text has few different characters, so their categories are looked up once each.
    categories = {character: unicodedata.category(character) for character in set(text)}
    categories.pop("\n", None)
    if hidden := [ord(character) for character, category in categories.items() if category in _INVISIBLE_CATEGORIES]:
        text = text.translate(dict.fromkeys(hidden))
    if categories.keys().isdisjoint(_EMOJI_SELECTORS):
        return text
    symbols = "".join(character for character, category in categories.items() if category == "So")
    return re.sub(f"(?<![{symbols}])[{_EMOJI_SELECTORS}]" if symbols else f"[{_EMOJI_SELECTORS}]", "", text)


def one_line(text: str) -> str:
    """Return a cleaned text on one line."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()  # most lines, without the slower steps
    return " ".join(remove_invisible(text).split())


def shorten(name: str) -> str:
    """Return a name for a message, a form or a list: cut at 200 characters."""
    return name if len(name) <= _SHORT_LENGTH else f"{name[: _SHORT_LENGTH - 1]}…"


# Validators; a value that cannot be read is a `ValueError`, and reading leaves it out where it is optional


def _optional(read: Callable[[Any], Any]) -> BeforeValidator:
    return BeforeValidator(lambda value: None if is_missing(value) else read(value))


def _read_text(clean: Callable[[str], str]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)  # a video named 2024
        return clean(take_text(value)) if isinstance(value, str) else value

    return read


_LONGEST_ID = 200


def _read_id(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    line = one_line(value[: 10 * _LONGEST_ID]) if isinstance(value, str) else ""
    if len(line) > _LONGEST_ID or (len(line) <= len("null") and is_missing(line)):
        raise ValueError("not an id")
    return line


_CLOCK = re.compile(r"[0-9]{1,9}(:[0-9]{1,9}){1,2}(\.[0-9]{1,9})?")
_DECIMAL = re.compile(r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?")

_LONGEST_NUMBER = 100
LARGEST_NUMBER = 1e18
"""No time, size or count of the service comes near it."""


def _read_number(value: Any) -> int | float:
    number = _parse_number(value.strip()) if isinstance(value, str) else value
    if number is True or number is False or not isinstance(number, int | float):
        raise ValueError("not a number")
    if not abs(number) < LARGEST_NUMBER:  # infinite, NaN or absurd
        raise ValueError("not a plausible number")
    return number


def _parse_number(text: str) -> int | float | None:
    if len(text) > _LONGEST_NUMBER:
        return None
    if text.isascii() and text.isdigit() and len(text) < 20:
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    if _CLOCK.fullmatch(text):  # "00:05:23", as one page documents times
        return sum(float(part) * 60**power for power, part in enumerate(reversed(text.split(":"))))
    return None


def _read_integer(value: Any) -> int | float:
    number = _read_number(value)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def read_amount(value: Any) -> int | float | None:
    """Read a length or a size; the API writes 0 for "not known", and a negative one means no more."""
    number = None if is_missing(value) else _read_number(value)
    return None if number is None or number <= 0 else number


_YEAR_3000 = 32_503_680_000
"""Seconds since the epoch; a later date is an error of the service."""


def _read_timestamp(units_per_second: float) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if isinstance(value, str) and _parse_number(value.strip()) is None:
            return value  # already a date; pydantic reads ISO 8601
        seconds = _read_number(value) / units_per_second
        if not 0 <= seconds < _YEAR_3000:
            raise ValueError("not a plausible date")
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=0)

    return read


def _to_utc(value: datetime) -> datetime:
    """Convert a date to UTC; a date without a time zone is taken as UTC."""
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("not a date of the years 1 to 9999") from None


def _to_short_number(value: float) -> float:
    """Round to three decimals and write 13 rather than 13.0."""
    rounded = round(float(value), 3)
    return int(rounded) if rounded.is_integer() else rounded


# Types

Id = Annotated[str, BeforeValidator(_read_id)]
"""An identifier; integers beyond 2^53 keep every digit."""
OptionalId = Annotated[str | None, _optional(_read_id)]

Text = Annotated[str, BeforeValidator(_read_text(clean_text))]
OptionalText = Annotated[str | None, _optional(_read_text(clean_text))]
Line = Annotated[str, BeforeValidator(_read_text(one_line))]
OptionalLine = Annotated[str | None, _optional(_read_text(one_line))]

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
    return STATUS_WORDS.get(word[:_SHORT_LENGTH].strip().upper(), "processing")


# Shapes


def wire_names(*spellings: str) -> AliasChoices:
    """Return the aliases under which a field is read: every spelling, each also in camelCase."""
    return AliasChoices(*dict.fromkeys(form for spelling in spellings for form in (spelling, to_camel(spelling))))


def wire_list(*keys: str, most: int = MOST_ROWS) -> WrapValidator:
    """Return a validator for a list that is sent bare, under one of the keys of an object, or as nothing.

    Rows that cannot be read are skipped, and a single row counts as a list of one; other values yield nothing. Only
    `most` rows of an answer are read.
    """
    source = object()

    def read(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        if keys and isinstance(value, dict):
            fields = cast(dict[str, Any], value)
            value = next((fields[key] for key in keys if fields.get(key) is not None), None)
        if value == [] or is_missing(value):
            return validate([])
        if not isinstance(value, list):
            try:
                return read_leniently(lambda row: validate([row]), value, depth=1)
            except ValidationError:
                count_unreadable()
                return validate([])
        items = take_rows(source, cast(list[Any], value), most)
        if all(type(item) is dict for item in items):
            with suppress(ValidationError):
                return read_or_undo(validate, items)
        rows = [item for item in items if not is_missing(item)]
        count_skipped(len(items) - len(rows))
        return read_rows(validate, rows)

    return WrapValidator(read)


def raw_list() -> BeforeValidator:
    """Return a validator for a list whose rows stay as they were sent, to be read when they are needed.

    Rows that are no objects are skipped, and a single row counts as a list of one; other values yield nothing.
    """

    def read(value: Any) -> list[Any]:
        if is_missing(value):
            return []
        if not isinstance(value, dict | list):
            count_unreadable()
            return []
        items = cast(list[Any], value if isinstance(value, list) else [value])
        rows: list[Any] = [item for item in items if isinstance(item, dict)]
        count_skipped(len(items) - len(rows))
        return rows

    return BeforeValidator(read)
