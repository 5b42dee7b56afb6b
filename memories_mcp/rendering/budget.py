"""The size limit of a result, and cutting results to that limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from types import GenericAlias
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter

from memories_mcp.models.base import Output
from memories_mcp.rendering.fence import make_nonce
from memories_mcp.rendering.text import cut_text, render

BUDGET = 24_000
"""The largest size of a result in characters: under 8,000 tokens of English."""

ENVELOPE = 400
"""Characters of a result around its rows."""

_FEW_ROWS = 50
"""Rows that usually fit, so that they are weighed at once."""

_TEXT_LIMITS = (4000, 1000, 200)
"""Characters to which `fit` cuts long texts, in turn, until the result fits."""


def json_size(row: BaseModel) -> int:
    """Return the characters of a row in the structured form, which is longer than its text."""
    return len(row.model_dump_json(exclude_defaults=True)) + 1


def count_fitting(rows: Sequence[BaseModel], budget: int = BUDGET) -> int:
    """Return how many rows, from the first, fit one result of `budget` characters; at least one."""
    if 1 < len(rows) <= _FEW_ROWS and ENVELOPE + _list_size(rows) <= budget:
        return len(rows)
    size = ENVELOPE
    for count, row in enumerate(rows):
        size += json_size(row)
        if size > budget:
            return max(count, 1)
    return len(rows)


def _list_size(rows: Sequence[BaseModel]) -> int:
    """Return the characters of rows of one type in the structured form; faster than one by one."""
    return len(_list_adapter(type(rows[0])).dump_json(list(rows), exclude_defaults=True))


@cache
def _list_adapter(kind: type[BaseModel]) -> TypeAdapter[list[Any]]:
    return TypeAdapter(cast(Any, GenericAlias(list, (kind,))))


def fit(output: Output) -> None:
    """Cut a result in place to `BUDGET`, first its long texts, then the ends of its longest lists.

    Operations page their results; this is the last resort for responses that no paging expected. It looks at as many
    rows as may fit, not at all of them.
    """
    if not _is_over(output, BUDGET):
        return
    count = _count_rows(output)
    _drop_hopeless_rows(output, BUDGET)
    for limit in _TEXT_LIMITS:
        if not _is_over(output, BUDGET):
            break
        if _has_longer_text(output, limit):
            _cut_texts(output, limit)
            output.add_note(f"Texts were cut at {limit} characters.")
    while _is_over(output, BUDGET - 100):  # room for the note
        longest_list = max(_lists(output), key=len, default=None)
        if longest_list is None:
            break
        tenth = max(1, len(longest_list) // 10)
        del longest_list[-tenth:]
    left_out = count - _count_rows(output)
    if left_out:
        output.add_note(f"{left_out} rows were left out to fit.")


def _is_over(output: Output, budget: int) -> bool:
    """Return whether the structured form or the text of a result is over a budget.

    The text is rendered only where the structured form leaves it in doubt.
    """
    size = json_size(output) + sum(len(sentence) + 1 for sentence in output.quotations)
    return size > budget or (size >= budget * 0.8 and len(render(output, make_nonce())) > budget)


def _least_size(value: object, budget: int) -> int:
    """Return characters that the structured form of a value exceeds with all texts cut; stop counting at `budget`."""
    if isinstance(value, str):
        return min(len(value), _TEXT_LIMITS[-1])
    if isinstance(value, BaseModel):
        value = [getattr(value, name) for name in type(value).model_fields if name != "note"]
    elif not isinstance(value, list):
        return 0
    size = 2
    for item in cast(list[object], value):
        size += _least_size(item, budget - size)
        if size > budget:
            break
    return size


def _drop_hopeless_rows(value: object, budget: int) -> None:
    """Cut every list of a result, in place, to the rows that can fit once all texts are cut."""
    if isinstance(value, list):
        items = cast(list[object], value)
        for count, item in enumerate(items):
            _drop_hopeless_rows(item, budget)
            budget -= _least_size(item, budget)
            if budget < 0:
                del items[max(count, 1) :]
                break
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            _drop_hopeless_rows(getattr(value, name), budget)


def _count_rows(output: Output) -> int:
    return sum(len(rows) for rows in _lists(output))


def _lists(row: BaseModel) -> Iterator[list[Any]]:
    """Yield every list in a result that is not empty, at any depth."""
    for name in type(row).model_fields:
        value: object = getattr(row, name)
        if isinstance(value, BaseModel):
            yield from _lists(value)
        elif isinstance(value, list) and value:
            items = cast(list[Any], value)
            yield items
            for item in items:
                if isinstance(item, BaseModel):
                    yield from _lists(item)


def _has_longer_text(row: BaseModel, limit: int) -> bool:
    """Return whether a text at any depth, other than the note, is longer than `limit` characters."""
    for name in type(row).model_fields:
        value: object = getattr(row, name)
        if name == "note":
            continue
        for item in cast(list[Any], value) if isinstance(value, list) else [value]:
            if isinstance(item, str) and len(item) > limit:
                return True
            if isinstance(item, BaseModel) and _has_longer_text(item, limit):
                return True
    return False


def _cut_texts(row: BaseModel, limit: int) -> None:
    """Cut every text, other than the note, to `limit` characters."""
    for name in type(row).model_fields:
        value: object = getattr(row, name)
        if isinstance(value, str) and len(value) > limit and name != "note":
            setattr(row, name, f"{cut_text(value, limit)}…")
        elif isinstance(value, BaseModel):
            _cut_texts(value, limit)
        elif isinstance(value, list):
            items = cast(list[Any], value)
            for item in items:
                if isinstance(item, BaseModel):
                    _cut_texts(item, limit)
            if any(isinstance(item, str) and len(item) > limit for item in items):
                setattr(row, name, [cut_text(str(item), limit) for item in items])
