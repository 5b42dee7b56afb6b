"""The size limit of a result, and what is cut to stay within it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from pydantic import BaseModel

from memories_mcp.models.base import Output
from memories_mcp.rendering.fence import make_nonce
from memories_mcp.rendering.text import render

BUDGET = 24_000
"""The most characters of one result: under 8,000 tokens of English."""

ENVELOPE = 400
"""Characters of a result around its rows."""


def fit(output: Output) -> None:
    """Cut what no paging foresaw, so that nothing is over the budget: first long texts, then the ends of lists."""
    for longest in (4000, 1000, 200):
        if _size(output) <= BUDGET:
            return
        if not _has_longer(output, longest):
            continue
        _shorten(output, longest)
        output.note = " ".join(part for part in (output.note, f"Texts were cut at {longest} characters.") if part)
    whole = _rows(output)
    while _size(output) > BUDGET - 100 and (longest_list := max(_lists(output), key=len, default=None)):
        del longest_list[-max(1, len(longest_list) // 10) :]
    if left_out := whole - _rows(output):
        output.note = f"{output.note or ''} {left_out} rows were left out to fit.".strip()


def _lists(row: BaseModel) -> Iterator[list[Any]]:
    for name in type(row).model_fields:
        value: object = getattr(row, name)
        if isinstance(value, BaseModel):
            yield from _lists(value)
        elif isinstance(value, list) and value:
            rows = cast(list[Any], value)
            yield rows
            for each in rows:
                if isinstance(each, BaseModel):
                    yield from _lists(each)


def _rows(output: Output) -> int:
    return sum(len(rows) for rows in _lists(output))


def _size(output: Output) -> int:
    """The larger of the structured form and the text; the text is made only where it can matter."""
    size = weight(output)
    return size if size < BUDGET * 0.8 else max(size, len(render(output, make_nonce())))


def _has_longer(row: BaseModel, longest: int) -> bool:
    values = [getattr(row, name) for name in type(row).model_fields if name != "note"]
    inner = [each for value in values if isinstance(value, list) for each in cast(list[Any], value)]
    return any(
        len(each) > longest if isinstance(each, str) else isinstance(each, BaseModel) and _has_longer(each, longest)
        for each in [*values, *inner]
    )


def _shorten(row: BaseModel, longest: int) -> None:
    for name in type(row).model_fields:
        value: object = getattr(row, name)
        if isinstance(value, str) and len(value) > longest and name != "note":
            setattr(row, name, f"{value[:longest]}…")
        elif isinstance(value, BaseModel):
            _shorten(value, longest)
        elif isinstance(value, list):
            for each in cast(list[Any], value):
                if isinstance(each, BaseModel):
                    _shorten(each, longest)
            if any(isinstance(each, str) and len(each) > longest for each in cast(list[Any], value)):
                setattr(row, name, [str(each)[:longest] for each in cast(list[Any], value)])


def weight(row: BaseModel) -> int:
    """The characters of a row in the structured form, which is longer than its text."""
    return len(row.model_dump_json(exclude_defaults=True)) + 1


def fitting(rows: Sequence[BaseModel], budget: int = BUDGET) -> int:
    """How many rows from the first fit one result; at least one."""
    size = ENVELOPE
    for count, row in enumerate(rows):
        size += weight(row)
        if size > budget:
            return max(count, 1)
    return len(rows)
