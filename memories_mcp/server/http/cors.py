"""CORS: lets web pages of an allowed Origin call the server and read its answers."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Send

from memories_mcp.server.http.credentials import HEADERS

_METHODS = "GET, POST, DELETE"
_REQUEST_HEADERS = ", ".join(
    (
        "Authorization", "Content-Type", "Accept", "Last-Event-ID",
        "Mcp-Session-Id", "Mcp-Protocol-Version", "Mcp-Method", "Mcp-Name",
        *HEADERS,
    )
)  # fmt: skip
"""The headers that the server and the SDK read."""
_RESPONSE_HEADERS = "Mcp-Session-Id, WWW-Authenticate, Retry-After"
_MAX_AGE_SECONDS = "600"


def preflight_response() -> Response:
    """Return the answer to a preflight request; `add_cors_headers` adds the Origin."""
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _REQUEST_HEADERS,
            "Access-Control-Max-Age": _MAX_AGE_SECONDS,
        },
    )


def add_cors_headers(send: Send, origin: str) -> Send:
    """Return a `send` that lets a page of this Origin read the response, whatever its status."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message.get("headers", ())))
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = _RESPONSE_HEADERS
            headers.add_vary_header("Origin")
            message = {**message, "headers": headers.raw}
        await send(message)

    return send_with_headers
