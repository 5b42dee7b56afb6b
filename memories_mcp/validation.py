"""Validation of raw arguments against an input model, with one line per problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from memories_mcp.errors import InvalidArguments
from memories_mcp.models.argument_names import QUOTED_LENGTH, describe_unknown, resolve_names
from memories_mcp.models.spellings import Unreadable

_MOST_PROBLEMS = 10
"""Problems that an error names; the others are only counted."""

M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], raw: Mapping[str, Any], pinned: Mapping[str, Any] | None = None) -> M:
    """Return an input model with validated arguments; all surfaces use this function.

    Args:
        model: The input model.
        raw: The arguments as the caller sent them.
        pinned: Arguments that the operator fixed; in `raw` they are refused as unknown.

    Raises:
        InvalidArguments: Lists the first ten problems, one line each, and counts the others.
    """
    pinned = pinned or {}
    fields = {name: field for name, field in model.model_fields.items() if name not in pinned}
    names = resolve_names(fields, raw)
    problems = [describe_unknown(name, fields) for name in names.unknown[:_MOST_PROBLEMS]]
    values = names.values | {name: value for name, value in pinned.items() if name in model.model_fields}
    count = len(names.unknown)
    try:
        args = model.model_validate(values)
    except ValidationError as error:
        problems += map(_describe_error, error.errors(include_url=False)[: _MOST_PROBLEMS - len(problems)])
        count += error.error_count()
    else:
        if not count:
            return args
    if count > len(problems):
        problems.append(f"and {count - len(problems)} more problems.")
    raise InvalidArguments(problems)


def _describe_error(error: ErrorDetails) -> str:
    field = ".".join(str(part) for part in error["loc"]) or "arguments"
    if error["type"] == "missing":
        return f"{field}: required."
    message = error["msg"].removeprefix("Value error, ")
    value = error["input"]
    if isinstance(value, Unreadable):
        message, value = value.reason, value.value
    return f"{field}: {message}{_quote(value)}."


def _quote(value: Any) -> str:
    """Return a wrong value for the end of a message; nothing for objects and lists."""
    if isinstance(value, int) and abs(value) >= 10**QUOTED_LENGTH:
        return f" (got a number of {value.bit_length()} bits)"
    if not isinstance(value, str | int | float):
        return ""
    text = value if isinstance(value, str) else str(value)
    ellipsis = "…" if len(text) > QUOTED_LENGTH else ""
    return f" (got {text[:QUOTED_LENGTH]!r}{ellipsis})"
