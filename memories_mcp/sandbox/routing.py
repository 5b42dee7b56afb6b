"""What the sandbox's endpoints are made of: a call, a refusal, the table of routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from starlette.datastructures import UploadFile
from starlette.requests import Request

from memories_mcp.sandbox.store import Account

PREFIX = "/serve/api/v1/"
CAPTION_PREFIX = "/v1/understand/"


class Refusal(Exception):
    """The API says no, with HTTP 200 and a code (API 2.4)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Call:
    """One request of an account.

    Attributes:
        values: The query of a GET, the JSON object, or the form's fields.
        namespace: `unique_id`, wherever it was sent.
        folder: Where uploaded files are kept.
        form: The fields of a form in order, repeated ones included.
    """

    account: Account
    request: Request
    values: dict[str, Any]
    namespace: str
    folder: Path
    form: tuple[tuple[str, Any], ...] = ()

    def text(self, name: str, default: str = "") -> str:
        """A parameter as text."""
        value = self.values.get(name, default)
        return str(value) if value is not None else default

    def required(self, name: str) -> str:
        """A parameter that must be there."""
        value = self.text(name).strip()
        if not value:
            raise Refusal("0001", f"The {name} parameter cannot be empty!")
        return value

    def number(self, name: str, default: int) -> int:
        """A whole number, sent as a number or as digits."""
        value = self.text(name, str(default))
        if not value.lstrip("-").isdigit() or int(value) < 1:
            raise Refusal("0001", f"The {name} parameter is incorrect")
        return int(value)

    def files(self, name: str) -> list[UploadFile]:
        """The files of a multipart field, which may repeat."""
        return [each for each in self.request_list(name) if isinstance(each, UploadFile)]

    def request_list(self, name: str) -> list[Any]:
        """Every value of a form's field."""
        return [value for field, value in self.form if field == name]

    def strings(self, name: str) -> list[str]:
        """A list of strings."""
        value: object = self.values.get(name) or []
        if not isinstance(value, list):
            raise Refusal("0001", f"The {name} parameter is incorrect")
        return [str(each) for each in cast(list[Any], value)]


Handler = Callable[[Call], Awaitable[Any]]
ROUTES: dict[str, tuple[str, Handler]] = {}
"""Path to method and handler; a handler returns the envelope's `data`, or a whole response."""


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    """Record a handler for a path below the API's prefix; paths that begin with a slash are whole."""

    def record(handler: Handler) -> Handler:
        ROUTES[path if path.startswith("/") else PREFIX + path] = (method, handler)
        return handler

    return record
