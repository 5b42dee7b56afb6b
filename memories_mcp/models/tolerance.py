"""Tolerant reading of the API's answers: what cannot be read is left out and counted, and the rest is kept.

An answer is validated whole first, which is fast; only an answer that fails is read again without its unreadable parts.
What no result can show is not read either: rows and texts beyond a quota, which no answer of a sound service reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from pydantic import ValidationError

T = TypeVar("T")

MOST_ROWS = 2000
"""Rows that one list of an answer gives, counted over all its occurrences; the largest `top_k` is half of it."""
MOST_CHARACTERS = 1_000_000
"""Characters that the texts of an answer give; a result shows 24,000."""


@dataclass
class Omissions:
    """What was left out of answers.

    Attributes:
        rows: Rows that are no objects or have no id.
        values: Single values.
        further_rows: Rows beyond the quota.
        cut_texts: Texts that were cut at the quota.
    """

    rows: int = 0
    values: int = 0
    further_rows: int = 0
    cut_texts: int = 0


@dataclass
class _Quota:
    """What may still be read: characters, and rows by list."""

    characters: int = MOST_CHARACTERS
    rows: dict[object, int] = field(default_factory=dict[object, int])


_call: ContextVar[dict[str, Omissions] | None] = ContextVar("memories_mcp_omissions", default=None)
"""What the running call left out, by request."""
_answer: ContextVar[Omissions | None] = ContextVar("memories_mcp_answer_omissions", default=None)
"""What was left out of the answer that is being read."""
_quota: ContextVar[_Quota | None] = ContextVar("memories_mcp_quota", default=None)
"""The quota of the answer, or of the part of it, that is being read; there is none for our own models."""


@contextmanager
def collect_omissions() -> Generator[dict[str, Omissions]]:
    """Collect what the body leaves out, by request."""
    collected: dict[str, Omissions] = {}
    token = _call.set(collected)
    try:
        yield collected
    finally:
        _call.reset(token)


@contextmanager
def reading_answer(request: str) -> Generator[None]:
    """Count what the body leaves out of one answer; of a request that is repeated, only the last answer counts."""
    omissions = Omissions()
    token = _answer.set(omissions)
    quota_token = _quota.set(_Quota())
    try:
        yield
    finally:
        _quota.reset(quota_token)
        _answer.reset(token)
        collected = _call.get()
        if collected is not None:
            collected[request] = omissions


def describe_omissions(omissions: Iterable[Omissions]) -> str | None:
    """Return a sentence on what was left out, or `None` for nothing."""
    total = _add(omissions)
    rows, values, further, cut = total.rows, total.values, total.further_rows, total.cut_texts
    parts: list[str] = []
    if rows:
        parts.append("1 row without an id was skipped" if rows == 1 else f"{rows} rows without an id were skipped")
    if values:
        parts.append("1 unreadable value was left out" if values == 1 else f"{values} unreadable values were left out")
    if further:
        parts.append("1 further row was left out" if further == 1 else f"{further} further rows were left out")
    if cut:
        parts.append("1 long text was cut" if cut == 1 else f"{cut} long texts were cut")
    return f"{'; '.join(parts)}." if parts else None


def _add(omissions: Iterable[Omissions]) -> Omissions:
    total = Omissions()
    for counts in omissions:
        total.rows += counts.rows
        total.values += counts.values
        total.further_rows += counts.further_rows
        total.cut_texts += counts.cut_texts
    return total


def count_again(omissions: Iterable[Omissions], answer: str) -> None:
    """Count in this call what was left out of an answer that another call requested.

    Args:
        omissions: What was left out.
        answer: Names the answer within the call, so that it is counted once.
    """
    collected = list(omissions)
    call = _call.get()
    if call is not None and collected:
        call[answer] = _add(collected)


def count_skipped_in_call() -> int:
    """Return how many rows were not read of the answers of the running call."""
    total = _add((_call.get() or {}).values())
    return total.rows + total.further_rows


def count_skipped(rows: int = 1) -> None:
    """Count rows that are no objects or have no id."""
    _current().rows += rows


def count_unreadable() -> None:
    """Count a value that was left out."""
    _current().values += 1


def take_rows(source: object, rows: list[Any], most: int) -> list[Any]:
    """Return the rows, from the first, that may be read, and count the others.

    Args:
        source: Identifies the list, wherever it occurs in the answer.
        rows: The rows.
        most: The quota of this list.
    """
    quota = _quota.get()
    if quota is None:
        return rows
    room = quota.rows.get(source, most)
    quota.rows[source] = max(0, room - len(rows))
    if len(rows) <= room:
        return rows
    _current().further_rows += len(rows) - room
    return rows[:room]


def take_text(text: str) -> str:
    """Return the characters of a text that may be read."""
    quota = _quota.get()
    if quota is None:
        return text
    room = quota.characters
    quota.characters = max(0, room - len(text))
    if len(text) <= room:
        return text
    _current().cut_texts += 1
    return text[:room]


def read_part(validate: Callable[[Any], T], raw: Any) -> T:
    """Read a part of an answer when it is needed, as `read_leniently` does, with a quota of its own."""
    token = _quota.set(_Quota())
    try:
        return read_leniently(validate, raw)
    finally:
        _quota.reset(token)


def read_or_undo(validate: Callable[[Any], T], raw: Any) -> T:
    """Return what `validate` reads of a value; after a failure, what it counted is undone, as it is read again."""
    counts, quota = _current(), _quota.get() or _Quota()
    counted, characters, rows = vars(counts).copy(), quota.characters, quota.rows.copy()
    try:
        return validate(raw)
    except ValidationError:
        vars(counts).update(counted)
        quota.characters, quota.rows = characters, rows
        raise


def read_leniently(validate: Callable[[Any], T], raw: Any, *, depth: int = 0) -> T:
    """Return what `validate` reads of a value, without the optional fields that it cannot read.

    Args:
        validate: Validates the value.
        raw: The value, as sent.
        depth: How many parts of an error's location stand before the fields of `raw`.

    Raises:
        ValidationError: The value is not an object, or a required field is missing or cannot be read.
    """
    left_out = 0
    while True:
        try:
            result = read_or_undo(validate, raw)
        except ValidationError as error:
            paths = {
                problem["loc"][depth:-1] if problem["type"] == "missing" else problem["loc"][depth:]
                for problem in error.errors(include_url=False, include_context=False, include_input=False)
            }
            for path in sorted(paths, key=len, reverse=True):  # an object after its own fields
                raw = _without(raw, path)
                if raw is None:
                    raise
            left_out += len(paths)
        else:
            _current().values += left_out
            return result


def read_rows(validate: Callable[[Any], list[Any]], items: list[Any]) -> list[Any]:
    """Return the rows of a list that can be read, each without its unreadable fields.

    Args:
        validate: Validates a list of rows.
        items: The rows, as sent.
    """
    rows: list[Any] = []
    for item in items:
        try:
            rows += read_leniently(lambda row: validate([row]), item, depth=1)
        except ValidationError:
            count_skipped()
    return rows


def _without(raw: Any, path: tuple[int | str, ...]) -> dict[Any, Any] | None:
    """Return a copy of an object without the value at a path, or `None` if the object has no such field."""
    if not isinstance(raw, Mapping) or not path or path[0] not in raw:
        return None
    fields = dict(cast(Mapping[Any, Any], raw))
    inner = _without(fields[path[0]], path[1:])
    if inner is None:
        del fields[path[0]]
    else:
        fields[path[0]] = inner
    return fields


def _current() -> Omissions:
    """Return the counts of the answer that is being read, else those of the call, else counts that are discarded."""
    answer, call = _answer.get(), _call.get()
    if answer is not None:
        return answer
    return Omissions() if call is None else call.setdefault("", Omissions())
