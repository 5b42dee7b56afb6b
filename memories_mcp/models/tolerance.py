"""Tolerant reading of the API's answers: what cannot be read is left out and counted, and the rest is kept.

An answer is validated whole first, which is fast; only an answer that fails is read again without its unreadable parts.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from pydantic import ValidationError

T = TypeVar("T")


@dataclass
class Omissions:
    """What was left out of answers.

    Attributes:
        rows: Rows that are no objects or have no id.
        values: Single values.
    """

    rows: int = 0
    values: int = 0


_call: ContextVar[dict[str, Omissions] | None] = ContextVar("memories_mcp_omissions", default=None)
"""What the running call left out, by request."""
_answer: ContextVar[Omissions | None] = ContextVar("memories_mcp_answer_omissions", default=None)
"""What was left out of the answer that is being read."""


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
    try:
        yield
    finally:
        _answer.reset(token)
        collected = _call.get()
        if collected is not None:
            collected[request] = omissions


def describe_omissions(omissions: Iterable[Omissions]) -> str | None:
    """Return a sentence on what was left out, or `None` for nothing."""
    collected = list(omissions)
    rows, values = sum(counts.rows for counts in collected), sum(counts.values for counts in collected)
    parts: list[str] = []
    if rows:
        parts.append("1 row without an id was skipped" if rows == 1 else f"{rows} rows without an id were skipped")
    if values:
        parts.append("1 unreadable value was left out" if values == 1 else f"{values} unreadable values were left out")
    return f"{'; '.join(parts)}." if parts else None


def count_again(omissions: Iterable[Omissions], answer: str) -> None:
    """Count in this call what was left out of an answer that another call requested.

    Args:
        omissions: What was left out.
        answer: Names the answer within the call, so that it is counted once.
    """
    collected = list(omissions)
    call = _call.get()
    if call is not None and collected:
        call[answer] = Omissions(sum(counts.rows for counts in collected), sum(counts.values for counts in collected))


def count_skipped_in_call() -> int:
    """Return how many rows were skipped in the answers of the running call."""
    return sum(omissions.rows for omissions in (_call.get() or {}).values())


def count_skipped(rows: int = 1) -> None:
    """Count rows that are no objects or have no id."""
    _current().rows += rows


def count_unreadable() -> None:
    """Count a value that was left out."""
    _current().values += 1


@contextmanager
def counting_success() -> Generator[None]:
    """Forget what the body left out if it fails, because the next attempt counts it again."""
    counts = _current()
    rows, values = counts.rows, counts.values
    try:
        yield
    except ValidationError:
        counts.rows, counts.values = rows, values
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
            with counting_success():
                result = validate(raw)
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
