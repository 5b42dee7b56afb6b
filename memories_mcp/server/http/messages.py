"""The body of a POST request: one JSON-RPC message, checked before the SDK parses it.

The SDK quotes the input and its validator's text in some of its refusals, and large bodies keep the event loop busy for
seconds. Here a refusal is a plain sentence, and the size of a body bounds the work behind it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from mcp_types import INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR
from pydantic_core import from_json
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from memories_mcp.server.http.shares import Shares, credential_of
from memories_mcp.server.protocol_errors import UNAVAILABLE

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_CALLER_BYTES = 32 * 1024 * 1024
"""The size of all bodies that one credential may have under way."""
_MAX_SEPARATORS = 20_000
_MAX_CONTAINERS = 5_000
"""The longest valid arguments have some hundreds; objects cost most, since the SDK validates them several times."""
_MAX_ID_CHARACTERS = 200
_MAX_ID = 2**64
_MAX_METHOD_CHARACTERS = 200

_MESSAGE = "memories_mcp.message"
"""The key of a request's message in its ASGI scope."""

RequestId = str | int | float | None
RefuseMessage = Callable[[Scope, Mapping[str, Any]], Response | None]


def error_response(
    status: int,
    message: str,
    headers: Mapping[str, str] | None = None,
    *,
    code: int = INVALID_REQUEST,
    request_id: RequestId = None,
) -> Response:
    """Return an error as JSON-RPC, the form that clients show.

    Args:
        status: The HTTP status.
        message: What failed and what to do.
        headers: Further headers of the response.
        code: The code of the JSON-RPC error.
        request_id: The id of the refused request; `None` if it has none that can be read.
    """
    body = {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}
    return Response(json.dumps(body), status, headers, media_type="application/json")


def message_of(scope: Scope) -> Mapping[str, Any]:
    """Return the JSON-RPC message of a request; empty for a request that carries none."""
    return scope.get(_MESSAGE, {})


class MessageMiddleware:
    """Refuses POST bodies that are not one JSON-RPC message of a bounded size, and too many at once of one credential.

    Args:
        app: The app with the transports.
        paths: The paths to which clients post messages.
        refuse: Returns the refusal of a well-formed message that its request must not send.
    """

    def __init__(self, app: ASGIApp, paths: Sequence[str], refuse: RefuseMessage | None = None) -> None:
        self._app = app
        self._paths = paths
        self._refuse = refuse
        self._bytes = Shares(MAX_CALLER_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in self._paths:
            await self._app(scope, receive, send)
            return
        with _Room(self._bytes, credential_of(scope)) as room:
            await self._serve(room, scope, receive, send)

    async def _serve(self, room: _Room, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await _read_body(scope, receive, room)
        except _TooLarge:
            message = f"The body is longer than {MAX_BODY_BYTES // 1024**2} MiB. Send a shorter one."
            await error_response(413, message)(scope, receive, send)
            return
        except _NoRoom:
            text = f"This caller has bodies of {MAX_CALLER_BYTES // 1024**2} MiB under way. Send fewer at once."
            await error_response(429, text, {"Retry-After": "1"}, code=UNAVAILABLE)(scope, receive, send)
            return
        if body is None:  # the client left
            return
        message = _parse(body)
        if not isinstance(message, Response) and self._refuse is not None:
            message = self._refuse(scope, message) or message
        if isinstance(message, Response):
            await message(scope, receive, send)
            return
        scope[_MESSAGE] = message
        pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return pending.pop() if pending else await receive()

        await self._app(scope, replay, send)


class _TooLarge(Exception):
    pass


class _NoRoom(Exception):
    pass


class _Room:
    """The room for one body among those of its credential, until its request has ended."""

    def __init__(self, shares: Shares, credential: str) -> None:
        self._shares = shares
        self._credential = credential
        self._size = 0

    def __enter__(self) -> _Room:
        return self

    def __exit__(self, *_: object) -> None:
        self._shares.give_back(self._credential, self._size)

    def add(self, size: int) -> None:
        """Take room for a part of the body, or raise `_NoRoom`."""
        if not self._shares.has_room(self._credential, size):
            raise _NoRoom
        self._shares.take(self._credential, size)
        self._size += size


async def _read_body(scope: Scope, receive: Receive, room: _Room) -> bytes | None:
    """Return the whole body, or `None` if the client disconnects.

    Args:
        scope: The request.
        receive: Returns its parts.
        room: Counts its bytes.

    Raises:
        _TooLarge: The body is longer than the limit, by its header or by its bytes.
        _NoRoom: The bodies of the credential together are.
    """
    declared = Headers(scope=scope).get("content-length", "")
    if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
        raise _TooLarge
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _TooLarge
        room.add(len(message.get("body", b"")))
        more = message.get("more_body", False)
    return bytes(body)


def _parse(body: bytes) -> dict[str, Any] | Response:
    """Return the JSON-RPC message of a body, or the refusal of a body that is not one."""
    # Counted before parsing, since parsing is part of the work to bound. Separators inside texts count too.
    if body.count(b",") > _MAX_SEPARATORS or body.count(b"{") + body.count(b"[") > _MAX_CONTAINERS:
        return error_response(413, "Invalid request: the body holds too many values. Send fewer in one request.")
    try:
        message: Any = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        text = f"Parse error: {_parse_problem(body, error)}. Send one JSON-RPC message as JSON in UTF-8."
        return error_response(400, text, code=PARSE_ERROR)
    problem = _problem(message)
    if problem is None:
        return cast(dict[str, Any], message)
    code, text = problem
    request_id = cast(dict[str, Any], message).get("id") if isinstance(message, dict) else None
    return error_response(400, text, code=code, request_id=request_id if _is_echoed(request_id) else None)


def _parse_problem(body: bytes, error: ValueError) -> str:
    if not body.strip():
        return "the body is empty"
    try:
        body.decode()
    except UnicodeDecodeError:
        return "the body is not UTF-8"
    if body.startswith(b"\xef\xbb\xbf"):
        return "the body begins with a byte order mark"
    # The parser's message ends with the position; the rest of it is for programmers of parsers.
    position = re.search(r"at line (\d+) column (\d+)$", str(error))
    return f"the body is not valid JSON at line {position[1]}, column {position[2]}" if position else "it is not JSON"


def _problem(message: Any) -> tuple[int, str] | None:
    """Return the code and the text of the first problem of a parsed body."""
    if isinstance(message, list):
        return INVALID_REQUEST, "Invalid request: the body is a list. Send each message in a request of its own."
    if not isinstance(message, dict):
        return INVALID_REQUEST, "Invalid request: the body is not a JSON object. Send one JSON-RPC message."
    fields = cast(dict[str, Any], message)
    if fields.get("jsonrpc") != "2.0":
        return INVALID_REQUEST, 'Invalid request: jsonrpc is not "2.0". Send "jsonrpc": "2.0".'
    if "method" in fields:
        return _request_problem(fields)
    return _response_problem(fields)


def _request_problem(fields: dict[str, Any]) -> tuple[int, str] | None:
    method, params, request_id = fields["method"], fields.get("params"), fields.get("id")
    if not isinstance(method, str) or not 0 < len(method) <= _MAX_METHOD_CHARACTERS:
        return INVALID_REQUEST, "Invalid request: method is not the name of a method. Send a name such as tools/list."
    # Some clients write a notification's missing id as null.
    is_notification = "id" not in fields or (request_id is None and method.startswith("notifications/"))
    if not is_notification and not _is_id(request_id):
        return INVALID_REQUEST, (
            "Invalid request: id is not a string or an integer of common size. Send one, or leave id out of a "
            "notification."
        )
    if params is not None and not isinstance(params, dict):
        code = INVALID_PARAMS if isinstance(params, list) else INVALID_REQUEST
        return code, "Invalid request: params is not an object. Send parameters by name."
    return None


def _response_problem(fields: dict[str, Any]) -> tuple[int, str] | None:
    match fields:
        case {"result": dict(), "id": request_id} if _is_id(request_id):
            return None
        case {"error": {"code": int(), "message": str()}}:
            return None
        case {"result": _} | {"error": _}:
            return INVALID_REQUEST, "Invalid response: result, error or id is malformed. Send a JSON-RPC response."
        case _:
            return INVALID_REQUEST, "Invalid request: method is missing. Send a name such as tools/list."


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and _is_echoed(value)


def _is_echoed(value: object) -> bool:
    """Return whether an id is a string or a number of a size that an error may repeat."""
    if isinstance(value, str):
        return len(value) <= _MAX_ID_CHARACTERS
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MAX_ID
