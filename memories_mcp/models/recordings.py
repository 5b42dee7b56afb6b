"""Date and place of a recording: arguments as people and language models write them, and what the service takes.

The service names no time zone for its dates (API 2.7). The one pair of examples in its documents, the date that an
image was uploaded with and the milliseconds that a search shows for it, agrees with UTC.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from memories_mcp.models.base import Input

_FORM = "write it as 2025-10-03 or 2025-10-03T14:30Z"
_LONGEST_DATE = 100
_YEARS = range(1900, 2101)

# Dates

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,9})?")
_MILLIS_FROM = 1e11
"""From here on a number counts milliseconds: as seconds it would be the year 5138."""
_SECONDS_FROM = 1e8
"""The smallest number that counts seconds, in 1973; a smaller one is more likely a part of a date."""

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_SHORTEST_MONTH = 3
_WEEKDAY = re.compile(r"\b(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\b[.,]?")
_FILLING = re.compile(r"\([^()]*\)|,|\bat\b|\bof\b|(?<=\d)(?:st|nd|rd|th)\b")
_TIME = re.compile(
    r"(?:(?<=\d)t| |^)(?=\d{1,2}(?::| ?[ap]\.?m\b))(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?"
    r"(?::(?P<second>\d{2})(?:[.,]\d{1,9})?)?(?: ?(?P<half>[ap])\.?m\b\.?)?"
    r"(?: ?(?P<zone>z|(?:utc|gmt)?[+-]\d{2}(?::?\d{2})?|utc|gmt))?(?![\w:.])"
)
_SEPARATOR = re.compile(r"[-/.: ]+")


def parse_date(value: Any, *, whole: bool = True) -> datetime:
    """Return a date in UTC; one without an offset is taken as UTC.

    Args:
        value: ISO 8601, a written date, seconds or milliseconds since the epoch, or a `date`.
        whole: Whether a year or a month without a day is refused, in place of meaning its beginning.

    Raises:
        ValueError: The value is no date, or its order of day and month is unclear.
    """
    try:
        moment = _read_date(value, whole=whole)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        moment = moment.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        raise ValueError(f"not a date; {_FORM}") from None
    if moment.year not in _YEARS:
        raise ValueError(f"the year {moment.year} is out of range; {_FORM}")
    return moment


def _read_date(value: Any, *, whole: bool) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) < 1e15:  # absurd, infinite or NaN
            raise ValueError(f"not a date; {_FORM}")
        value = f"{value:.3f}" if isinstance(value, float) and not value.is_integer() else str(int(value))
    if not isinstance(value, str) or len(value) > _LONGEST_DATE:
        raise ValueError(f"not a date; {_FORM}")
    text = unicodedata.normalize("NFKC", value).strip()
    # Numbers first: ISO 8601 would read some of thirteen digits as a date and a time.
    if _NUMBER.fullmatch(text) and (number := float(text)) >= _SECONDS_FROM:
        return _EPOCH + timedelta(seconds=number / (1000 if number >= _MILLIS_FROM else 1))
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return _read_written_date(" ".join(text.casefold().split()), whole=whole)


def _read_written_date(text: str, *, whole: bool) -> datetime:
    text = " ".join(_FILLING.sub(" ", _WEEKDAY.sub(" ", text)).split())
    time = _TIME.search(text)
    if time:
        text = f"{text[: time.start()]} {text[time.end() :]}"
    year, month, day = _read_day(_SEPARATOR.split(text.strip()))
    if day is None and (whole or time):
        raise ValueError(f"the day is missing; {_FORM}")
    try:
        moment = datetime(year, month, day or 1)
        return _at_time(moment, time) if time else moment
    except ValueError:
        raise ValueError(f"there is no such date; {_FORM}") from None


def _read_day(parts: list[str]) -> tuple[int, int, int | None]:
    """Return year, month and day of the parts of a date; the day is `None` for a year or a month.

    Raises:
        ValueError: The parts are no date, or the order of day and month is unclear.
    """
    numbers = [part for part in parts if part.isascii() and part.isdigit()]
    words = [part for part in parts if part not in numbers]
    match [len(number) for number in numbers], words:
        case [4], []:
            return int(numbers[0]), 1, None
        case [4, 1 | 2], []:
            return int(numbers[0]), int(numbers[1]), None
        case [1 | 2, 4], []:
            return int(numbers[1]), int(numbers[0]), None
        case [4, 1 | 2, 1 | 2], []:
            return int(numbers[0]), int(numbers[1]), int(numbers[2])
        case [1 | 2, 1 | 2, 4], []:
            return _order(int(numbers[0]), int(numbers[1]), int(numbers[2]))
        case [4], [word]:
            return int(numbers[0]), _month(word), None
        case [1 | 2, 4], [word]:
            return int(numbers[1]), _month(word), int(numbers[0])
        case [4, 1 | 2], [word]:
            return int(numbers[0]), _month(word), int(numbers[1])
        case _:
            raise ValueError(f"not a date; {_FORM}")


def _order(first: int, second: int, year: int) -> tuple[int, int, int]:
    if first <= 12 and second <= 12 and first != second:
        raise ValueError(
            f"day and month cannot be told apart; write {year}-{second:02}-{first:02} or {year}-{first:02}-{second:02}"
        )
    return (year, second, first) if second <= 12 else (year, first, second)


def _month(word: str) -> int:
    for number, name in enumerate(_MONTHS, 1):
        if len(word) >= _SHORTEST_MONTH and name.startswith(word):
            return number
    raise ValueError(f"not a date; {_FORM}")


def _at_time(moment: datetime, time: re.Match[str]) -> datetime:
    hour, minute, second = (int(time[name] or 0) for name in ("hour", "minute", "second"))
    if time["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("no hour of a half day")
        hour = hour % 12 + (12 if time["half"] == "p" else 0)
    zone = UTC if time["zone"] else None
    if offset := re.search(r"([+-])(\d{2}):?(\d{2})?$", time["zone"] or ""):
        length = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        zone = timezone(-length if offset[1] == "-" else length)
    return moment.replace(hour=hour, minute=minute, second=second, tzinfo=zone)


def _as_text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _as_millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


_ANY_PRECISION = BeforeValidator(partial(parse_date, whole=False))
_TEXT = WithJsonSchema({"type": "string"})

RecordingDate = Annotated[datetime, BeforeValidator(parse_date), PlainSerializer(_as_text, return_type=str), _TEXT]
"""The date of a recording, sent as text."""
DateFilter = Annotated[datetime, _ANY_PRECISION, PlainSerializer(_as_text, return_type=str), _TEXT]
"""The earliest date of the recordings to return, sent as text; a year or a month means its beginning."""
DateFilterInMillis = Annotated[datetime, _ANY_PRECISION, PlainSerializer(_as_millis, return_type=int), _TEXT]
"""The same, sent as milliseconds since the epoch."""

# Places

_DEGREES = re.compile(r"([nsew])? ?([+-]?\d{1,3}(?:\.\d{1,15})?) ?°? ?([nsew])?")
_EARTH_RADIUS_KM = 6371


def _read_degrees(value: Any) -> Any:
    """Read degrees with a compass direction, such as `48.1° N`; other values are left to pydantic."""
    if isinstance(value, bool):
        raise ValueError("not a number of degrees")
    if isinstance(value, str) and (match := _DEGREES.fullmatch(" ".join(value.casefold().split()))):
        degrees = float(match[2])
        return -abs(degrees) if {match[1], match[3]} & {"s", "w"} else degrees
    return value


def _within(limit: float) -> Callable[[float], float]:
    def check(degrees: float) -> float:
        if abs(degrees) > limit:
            raise ValueError(f"must lie between -{limit:g} and {limit:g} degrees")
        return degrees

    return check


# The limits are left out of the schemas: models know them.
Latitude = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_read_degrees), AfterValidator(_within(90))]
Longitude = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_read_degrees), AfterValidator(_within(180))]


class Place(Input):
    """The place of a recording."""

    latitude: Latitude | None = None
    """With longitude."""
    longitude: Longitude | None = None
    """With latitude."""

    @model_validator(mode="after")
    def _check_place(self) -> Place:
        if (self.latitude is None) != (self.longitude is None):
            present, absent = ("latitude", "longitude") if self.longitude is None else ("longitude", "latitude")
            raise ValueError(f"{present} needs {absent}: the two go together; send both or none")
        return self


def distance_km(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Return the distance of two places, each latitude and longitude in degrees, along the earth's surface."""
    latitude, other_latitude = math.radians(first[0]), math.radians(second[0])
    half_latitude = (other_latitude - latitude) / 2
    half_longitude = math.radians(second[1] - first[1]) / 2
    chord = math.sin(half_latitude) ** 2 + math.cos(latitude) * math.cos(other_latitude) * math.sin(half_longitude) ** 2
    return 2 * _EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(chord)))
