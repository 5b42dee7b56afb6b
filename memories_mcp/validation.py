"""Raw arguments to input models, with one line a problem."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from memories_mcp.errors import InvalidArguments

M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], raw: Mapping[str, Any], pinned: Mapping[str, Any] | None = None) -> M:
    """Turn raw arguments into an input model, the same way on every surface.

    Args:
        model: The input model.
        raw: Arguments as a model or a person wrote them.
        pinned: Arguments that the operator fixed; in `raw` they are refused as unknown.

    Raises:
        InvalidArguments: One line a problem.
    """
    pinned = pinned or {}
    known = [name for name in model.model_fields if name not in pinned]
    problems = [_unknown(name, known) for name in raw if name not in known]
    values = {name: value for name, value in raw.items() if name in known}
    values |= {name: value for name, value in pinned.items() if name in model.model_fields}
    try:
        args = model.model_validate(values)
    except ValidationError as error:
        raise InvalidArguments([*problems, *map(_problem, error.errors())]) from None
    if problems:
        raise InvalidArguments(problems)
    return args


def _unknown(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    shown = name if len(name) <= 60 else f"{name[:60]}…"
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known) or 'none'}."
    return f"{shown}: unknown argument; {hint}"


def _problem(error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "arguments"
    if error["type"] == "missing":
        return f"{where}: required."
    message = error["msg"].removeprefix("Value error, ")
    given = error["input"]
    if isinstance(given, str | int | float | bool):
        shown = str(given)
        message += f" (got {shown[:60]!r}{'…' if len(shown) > 60 else ''})"
    return f"{where}: {message}."
