"""Plain sentences for requests that the SDK refuses: unknown methods and parameters of a wrong shape."""

from __future__ import annotations

import mcp_types as t
from mcp import MCPError
from pydantic import ValidationError
from pydantic_core import ErrorDetails

UNAVAILABLE = -32000
"""The same call may succeed in a moment; from the range that JSON-RPC reserves for errors of the server's own."""
_MAX_NAME_CHARACTERS = 80
_MAX_PROBLEMS = 3
_MAX_DESCRIBED = 100
"""The details of more problems than these take long to build, and say no more."""
_REASONS = {
    "missing": "is missing",
    "string_type": "is not a string",
    "dict_type": "is not an object",
    "model_type": "is not an object",
    "list_type": "is not a list",
}
_SDK_MESSAGE = "Invalid request parameters"
"""The SDK's only message for parameters of a wrong shape, and for requests before `initialize`."""


def describe_refusal(method: str, error: MCPError | ValidationError) -> MCPError:
    """Return the error to send in place of one that the SDK raised; an error of this server stays as it is.

    Args:
        method: The method of the request.
        error: The error.
    """
    method = method[:_MAX_NAME_CHARACTERS]
    if isinstance(error, ValidationError):
        return MCPError(code=t.INVALID_PARAMS, message=f"Invalid parameters of {method}: {_describe_problems(error)}.")
    if error.error.code == t.METHOD_NOT_FOUND:
        return MCPError(code=t.METHOD_NOT_FOUND, message=f"Unknown method: {method}.")
    if error.error.message == _SDK_MESSAGE:
        message = f"{method} came before the session was initialized. Send initialize first."
        return MCPError(code=error.error.code, message=message)
    return error


def _describe_problems(error: ValidationError) -> str:
    count = error.error_count()
    if count > _MAX_DESCRIBED:
        return f"{count} values are invalid"
    problems = map(_describe_problem, error.errors(include_url=False, include_context=False, include_input=False))
    distinct = [*dict.fromkeys(problems)]
    more = f"; {len(distinct) - _MAX_PROBLEMS} more" if len(distinct) > _MAX_PROBLEMS else ""
    return "; ".join(distinct[:_MAX_PROBLEMS]) + more


def _describe_problem(details: ErrorDetails) -> str:
    # Names of models, which mark the members of a union, begin with a capital letter.
    names = [str(part) for part in details["loc"] if part != "params" and not str(part)[:1].isupper()]
    name = ".".join(names)[:_MAX_NAME_CHARACTERS] or "params"
    return f"{name} {_REASONS.get(details['type'], 'is invalid')}"
