"""The building blocks of the routes: the request of an account, a refusal, the table of handlers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from starlette.datastructures import UploadFile
from starlette.requests import Request

from memories_mcp.sandbox.store import Account
from memories_mcp.sandbox.uploads import Uploads

PREFIX = "/serve/api/v1/"
CAPTION_PREFIX = "/v1/understand/"


class Refusal(Exception):
    """A refusal of the API: HTTP 200 with an error code (API 2.4)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Call:
    """One request of an account.

    Attributes:
        account: The account of the API key.
        request: The HTTP request.
        values: The parameters by name: the query of a GET, the JSON object, or the form's fields; a JSON body that
            is no object under the empty name.
        namespace: `unique_id`, from the query or the body.
        uploads: The uploaded files.
        form: The fields of a form in order, repeated ones included.
    """

    account: Account
    request: Request
    values: dict[str, Any]
    namespace: str
    uploads: Uploads
    form: tuple[tuple[str, Any], ...] = ()

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter as text."""
        value = self.values.get(name, default)
        return str(value) if value is not None else default

    def required(self, name: str) -> str:
        """Return a parameter as text without surrounding space; refuse an empty one."""
        value = self.text(name).strip()
        if not value:
            raise Refusal("0001", f"The {name} parameter cannot be empty!")
        return value

    def number(self, name: str, default: int) -> int:
        """Return a positive integer, which may be sent as a number or as digits."""
        value = self.text(name, str(default))
        if not value.lstrip("-").isdigit() or int(value) < 1:
            raise Refusal("0001", f"The {name} parameter is incorrect")
        return int(value)

    def files(self, name: str) -> list[UploadFile]:
        """Return the files of a multipart field, which may repeat."""
        return [value for value in self.form_values(name) if isinstance(value, UploadFile)]

    def form_values(self, name: str) -> list[Any]:
        """Return every value of a form field, which may repeat."""
        return [value for field, value in self.form if field == name]

    def strings(self, name: str) -> list[str]:
        """Return a parameter that is a list of strings."""
        value: object = self.values.get(name) or []
        if not isinstance(value, list):
            raise Refusal("0001", f"The {name} parameter is incorrect")
        return [str(item) for item in cast(list[Any], value)]


RouteHandler = Callable[[Call], Awaitable[Any]]
ROUTES: dict[str, tuple[str, RouteHandler]] = {}
"""Method and handler by path; a handler returns the envelope's `data`, or a complete response."""


def route(method: str, path: str) -> Callable[[RouteHandler], RouteHandler]:
    """Register a handler for a path below the API's prefix; a path with a leading slash is absolute."""

    def register(handler: RouteHandler) -> RouteHandler:
        ROUTES[path if path.startswith("/") else PREFIX + path] = (method, handler)
        return handler

    return register
