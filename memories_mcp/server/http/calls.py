"""Caps on calls under way: one credential at its cap is refused at once, and the others do not wait for it."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from memories_mcp.server.http.messages import error_response, message_of
from memories_mcp.server.http.shares import Call, Shares, credential_of, set_call
from memories_mcp.server.protocol_errors import UNAVAILABLE

_COUNTED = {"tools/call", "resources/read", "prompts/get", "completion/complete"}
"""The methods that send requests to the API. A caller at its cap can still list tools and answer forms."""
_RETRY_SECONDS = "1"


class CallLimitMiddleware:
    """Counts the calls that each credential has under way, and refuses those above the cap.

    Args:
        app: The app with the transports.
        most: The most calls that one credential may have under way.
        path: The path of streamable HTTP.
    """

    def __init__(self, app: ASGIApp, most: int, path: str) -> None:
        self._app = app
        self._shares = Shares(most)
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        message, credential = message_of(scope), credential_of(scope)
        if message.get("method") not in _COUNTED or message.get("id") is None or not credential:
            await self._app(scope, receive, send)
            return
        call = Call(self._shares, credential)
        if call.refused and scope["path"] == self._path:
            response = error_response(
                429,
                call.describe_refusal(),
                {"Retry-After": _RETRY_SECONDS},
                code=UNAVAILABLE,
                request_id=message["id"],
            )
            await response(scope, receive, send)
            return
        set_call(scope, call)
        if call.refused:  # a client of SSE reads no refusal but one on its stream, which the server sends
            await self._app(scope, receive, send)
            return
        with call.hold():
            await self._app(scope, receive, send)
