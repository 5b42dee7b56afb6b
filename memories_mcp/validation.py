"""Validation of raw arguments against an input model, with one line per problem."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from memories_mcp.errors import InvalidArguments

M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], raw: Mapping[str, Any], pinned: Mapping[str, Any] | None = None) -> M:
    """Return an input model with validated arguments; all surfaces use this function.

    Args:
        model: The input model.
        raw: The arguments as the caller sent them.
        pinned: Arguments that the operator fixed; in `raw` they are refused as unknown.

    Raises:
        InvalidArguments: Lists every problem, one line each.
    """
    pinned = pinned or {}
    known = [name for name in model.model_fields if name not in pinned]
    problems = [_unknown_argument(name, known) for name in raw if name not in known]
    values = {name: value for name, value in raw.items() if name in known}
    values |= {name: value for name, value in pinned.items() if name in model.model_fields}
    try:
        args = model.model_validate(values)
    except ValidationError as error:
        raise InvalidArguments([*problems, *map(_describe_error, error.errors())]) from None
    if problems:
        raise InvalidArguments(problems)
    return args


_QUOTED_LENGTH = 60
"""Characters of an unknown name or a wrong value that a message repeats."""


def _unknown_argument(name: str, known: Sequence[str]) -> str:
    similar = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {similar[0]}?" if similar else f"valid arguments: {', '.join(known) or 'none'}."
    if len(name) > _QUOTED_LENGTH:
        name = f"{name[:_QUOTED_LENGTH]}…"
    return f"{name}: unknown argument; {hint}"


def _describe_error(error: ErrorDetails) -> str:
    field = ".".join(str(part) for part in error["loc"]) or "arguments"
    if error["type"] == "missing":
        return f"{field}: required."
    message = error["msg"].removeprefix("Value error, ")
    value = error["input"]
    if isinstance(value, str | int | float | bool):
        text = str(value)
        ellipsis = "…" if len(text) > _QUOTED_LENGTH else ""
        message += f" (got {text[:_QUOTED_LENGTH]!r}{ellipsis})"
    return f"{field}: {message}."
