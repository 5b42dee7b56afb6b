"""Reading of argument values as language models and their hosts write them.

A reader turns a spelling into the value that the argument's type expects: `"3:00"` into seconds, `"VI1, VI2"` into a
list, `"YouTube"` into `YOUTUBE`. A value that no reader knows passes through, so that pydantic reports it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

from pydantic.fields import FieldInfo

Reader = Callable[[Any], Any]


class Unreadable:
    """A value that cannot be read. No type accepts it, so pydantic reports its place, and `reason` explains it."""

    def __init__(self, reason: str, value: Any) -> None:
        self.reason = reason
        self.value = value

    def __repr__(self) -> str:
        return f"Unreadable({self.reason!r})"


# Annotations of argument types


@dataclass(frozen=True)
class Spelling:
    """The spellings of a text, as an annotation of its type.

    Attributes:
        separator: Matches between the values if a list of them is written as one text.
        inside_items: Whether the items of a real list are split too.
        digits: Whether a number is one of the spellings; such a value can consist of digits only.
        is_item: Returns whether a part is a value; a line is split only if every part of it is one. By default, a line
            is always split.
        large: Whether a number beyond 2^53 is one too, unless a host may have rounded it.
    """

    separator: re.Pattern[str] = re.compile(r"\n+")
    inside_items: bool = False
    digits: bool = True
    is_item: Callable[[str], bool] | None = None
    large: bool = False


TASKS = Spelling(digits=False)
FOLDERS = Spelling(large=True)
LABELS = Spelling(re.compile(r"[,;\n]+"))
HASHTAGS = Spelling(re.compile(r"[\s,;]+|(?<=\w)(?=#)"))
URLS = Spelling(re.compile(r"[,;]?\s+|[,;](?=https?://)", re.IGNORECASE), inside_items=True)
"""A comma inside a URL is a part of it; one before a blank or before the next scheme separates."""
REFS = Spelling(
    re.compile(r"[\s,;]+(?=[^\s,;#]+#|image:)"),
    inside_items=True,
    is_item=lambda part: "#" in part or "image:" in part or "memories://" in part,
)
"""A ref has a comma between its times, and blanks in a video's name; a separator stands before the next ref."""
PATHS = Spelling(re.compile(r"\n+|(?<=\.\w{3}),\s*|(?<=\.\w{4}),\s*"))
"""A file's name may have commas; one behind an extension separates."""


@dataclass(frozen=True, eq=False)  # annotations must be hashable, and a dictionary is not
class OtherWords:
    """Other words for the values of an enumeration, as an annotation of its type; case and separators do not matter."""

    words: Mapping[str, str]


class _Seconds:
    """Type of the annotation of a time or a duration in seconds."""


class _Wait:
    """Type of the annotation of a wait: a longer one than the maximum is cut to it."""


TimeInSeconds = Annotated[float, _Seconds()]
"""Seconds, also written as `3:00`, `1:02:05` or `95s`."""
WaitSeconds = Annotated[int, _Seconds(), _Wait()]
"""Whole seconds to wait, with the maximum of `Field(le=...)`."""


# Blank values


def is_blank(value: Any) -> bool:
    """Return whether a value means that the argument is left out: `None`, or a text of nothing but blanks."""
    return value is None or (isinstance(value, str) and not value.strip())


# Seconds

_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,4}):(\d{1,2}(?:[.,]\d{1,9})?)")
_UNITS = re.compile(
    r"(?=\d)(?:(\d{1,4}) ?h(?:ours?|rs?)?)?[ ,]*(?:(\d{1,6}) ?m(?:in(?:ute)?s?)?)?[ ,]*"
    r"(?:(\d{1,9}(?:\.\d{1,9})?) ?s(?:ec(?:ond)?s?)?)?",
    re.IGNORECASE,
)
_SIXTY = 60


def parse_seconds(text: str) -> float:
    """Return the seconds of a time such as `95`, `95.5`, `3:00`, `1:02:05`, `95s` or `1h 2m`.

    Raises:
        ValueError: The text is no time, or a negative one.
    """
    text = text.strip()
    if re.match(r"-\d", text):
        raise ValueError("a time is not negative")
    try:
        seconds = float(text)
    except ValueError:
        seconds = _parse_clock(text)
    if seconds is None or not math.isfinite(seconds):
        raise ValueError("not a time; write seconds, m:ss or h:mm:ss, such as 95, 1:35 or 0:01:35")
    return seconds


def _parse_clock(text: str) -> float | None:
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = match.groups()
        second = float(seconds.replace(",", "."))
        if second >= _SIXTY or (hours is not None and int(minutes) >= _SIXTY):
            return None
        return int(hours or 0) * 3600 + int(minutes) * 60 + second
    if match := _UNITS.fullmatch(text):
        hours, minutes, seconds = match.groups()
        return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds or 0)
    return None


def _read_seconds(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return parse_seconds(value)
        except ValueError as error:
            return Unreadable(str(error), value)
    if isinstance(value, bool) or (isinstance(value, int | float) and not _is_finite(value)):
        return Unreadable("not a number of seconds", value)
    return value


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False


# Texts and enumerations

_FIRST_INEXACT = 2**53
"""From here on a host that computes with doubles cannot tell neighbouring integers apart."""
_LONGEST_CHOICE = 60


def _read_text(spelling: Spelling) -> Reader:
    digits, large = spelling.digits, spelling.large

    def read(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        if value == value and abs(value) >= _FIRST_INEXACT and not (large and _is_exact(value)):
            return Unreadable("quote it: numbers of this size lose digits", value)
        return str(int(value)) if digits and value == value and value == int(value) else value

    return read


def _is_exact(value: float) -> bool:
    """Return whether a large integer is as it was first written.

    A host that computes with doubles writes the shortest digits of a double, filled up with zeros.
    """
    from decimal import Decimal  # imported late: ids are mostly text

    return isinstance(value, int) and value < _FIRST_INEXACT**2 and value != Decimal(repr(float(value)))


def fold(word: str) -> str:
    """Return a word without case, blanks, hyphens and underscores, for comparison."""
    return word.replace("_", "").replace("-", "").replace(" ", "").strip().casefold()


def _read_choice(choices: tuple[Any, ...], other_words: Mapping[str, str]) -> Reader:
    folded = {fold(word): choice for word, choice in other_words.items()} | {fold(choice): choice for choice in choices}

    def read(value: Any) -> Any:
        word = _read_text(Spelling())(value)
        if not isinstance(word, str) or len(word) > _LONGEST_CHOICE:
            return value
        return folded.get(fold(word), value)

    return read


# Lists

_LONGEST_TEXT = 200_000
"""Characters of a text that is read as a list; 50 URLs of 2,000 characters are half of it."""
_MOST_ITEMS = 1000
"""A longer list is left as it is: every list of an operation is limited to fewer items."""
_OPENS_JSON = re.compile(r"""\[\s*(?:[\["'{]|$)""")


def _read_list(read_item: Reader, spelling: Spelling) -> Reader:
    def read(value: Any) -> Any:
        if isinstance(value, str):
            value = _split_text(value, spelling)
        elif isinstance(value, tuple | set | frozenset):
            value = list(cast(Any, value))
        elif isinstance(value, bool | int | float | dict):
            value = [value]
        if not isinstance(value, list):
            return value
        items = cast(list[Any], value)
        if len(items) > _MOST_ITEMS:
            return items
        if spelling.inside_items:
            items = [part for item in items for part in (_split(item, spelling) if isinstance(item, str) else [item])]
        return [read_item(item) for item in items if not is_blank(item)]

    return read


def _split_text(text: str, spelling: Spelling) -> Any:
    """Return the items of a list that is written as one text: as JSON, in brackets, or only separated."""
    text = text.strip()
    refused = Unreadable('expected a list such as ["a", "b"]; this text is not valid JSON', text)
    if len(text) > _LONGEST_TEXT:
        return Unreadable("expected a list; this text is too long for one", text)
    if text.startswith(("[", "{")):
        try:
            parsed = json.loads(text)
        except RecursionError:
            return refused
        except ValueError:
            if text.startswith("[") and text.endswith("]") and not set(text[1:]) & {"[", "{"}:
                text = text[1:-1]
            elif _OPENS_JSON.match(text):
                return refused
        else:
            return cast(list[Any], parsed) if isinstance(parsed, list) else [parsed]
    return _split(text, spelling)


def _split(text: str, spelling: Spelling) -> list[str]:
    if spelling.is_item is None:
        return _split_line(text, spelling)
    parts: list[str] = []
    for line in text.split("\n"):
        values = _split_line(line, spelling)
        parts += values if all(not value or spelling.is_item(value) for value in values) else [line]
    return parts


def _split_line(line: str, spelling: Spelling) -> list[str]:
    return [part.strip().strip("\"'`") for part in spelling.separator.split(line)]


# Readers of types


def make_reader(field: FieldInfo, read_model: Callable[[type, Any], Any]) -> Reader | None:
    """Return the reader of an argument; `None` if pydantic reads all its spellings.

    Args:
        field: The argument.
        read_model: Reads an object as the arguments of a model inside the argument, which it receives first.
    """
    return _make_reader(field.annotation, field.metadata, read_model)


def _make_reader(annotation: Any, metadata: list[Any], read_model: Callable[[type, Any], Any]) -> Reader | None:
    annotation, metadata = _flatten(annotation, metadata)
    if get_origin(annotation) is list:
        item_type, item_metadata = _flatten(get_args(annotation)[0], [])
        read_item = _make_reader(item_type, item_metadata, read_model) or _keep
        return _read_list(read_item, _find(Spelling, item_metadata) or Spelling())
    if get_origin(annotation) is Literal:
        other_words = _find(OtherWords, metadata)
        return _read_choice(get_args(annotation), other_words.words if other_words else {})
    if _find(_Seconds, metadata):
        return _read_seconds
    if annotation is str:
        return _read_text(_find(Spelling, metadata) or Spelling())
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        return lambda value: read_model(annotation, value)
    return None


def _keep(value: Any) -> Any:
    return value


AnnotationT = TypeVar("AnnotationT")


def find_annotation(field: FieldInfo, kind: type[AnnotationT]) -> AnnotationT | None:
    """Return the annotation of a kind on an argument's type or, for a list, on the type of its items."""
    annotation, metadata = _flatten(field.annotation, field.metadata)
    if get_origin(annotation) is list:
        _, metadata = _flatten(get_args(annotation)[0], metadata)
    return _find(kind, metadata)


def longest_wait(field: FieldInfo) -> int | None:
    """Return the maximum of a wait; `None` if the argument is not a wait."""
    _, metadata = _flatten(field.annotation, field.metadata)
    if not _find(_Wait, metadata):
        return None
    return next((constraint.le for constraint in metadata if hasattr(constraint, "le")), None)


def _find(kind: type[Any], metadata: list[Any]) -> Any:
    return next((item for item in metadata if isinstance(item, kind)), None)


def _flatten(annotation: Any, metadata: list[Any]) -> tuple[Any, list[Any]]:
    """Return a type without `None` and `Annotated`, and the metadata of all its layers."""
    while True:
        if get_origin(annotation) is Annotated:
            metadata = [*metadata, *annotation.__metadata__]
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in {Union, UnionType}:
            members = [member for member in get_args(annotation) if member is not NoneType]
            if len(members) != 1:
                return annotation, metadata
            annotation = members[0]
        else:
            return annotation, metadata
