"""The access checks of every HTTP request, before the transports: Host, Origin, credentials."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from memories_mcp.server.http.credentials import RequestRefused, RequestUser, read_credentials
from memories_mcp.server.tenants import Tenants
from memories_mcp.settings import Settings

logger = logging.getLogger(__name__)

HEALTH_PATH = "/healthz"

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_UNKNOWN_HOST = (
    "Host or Origin is not a name of this server. Use a loopback name, or have the operator add the name to "
    "MEMORIES_ALLOWED_HOSTS."
)
_MAX_LOGGED_CHARACTERS = 300


class AccessMiddleware:
    """Checks Host, Origin and credentials of every request, for all transports.

    Args:
        app: The app with the transports.
        tenants: The server's; their state shows whether the server is stopping.
        settings: The operator's.
        host: The address that the server listens on.
    """

    def __init__(self, app: ASGIApp, tenants: Tenants, settings: Settings, host: str) -> None:
        self._app = app
        self._tenants = tenants
        self._settings = settings
        self._security = TransportSecurityMiddleware(transport_security(settings, host))
        self.pending_posts = 0
        """The number of POST requests without a complete response, except streams of subscriptions."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http" or scope["path"] == HEALTH_PATH or scope["path"].startswith("/.well-known/"):
            await self._app(scope, receive, send)
            return
        # Host names are case-insensitive, but the SDK's checks and ours compare them exactly.
        lowered = [(name, value.lower() if name in {b"host", b"origin"} else value) for name, value in scope["headers"]]
        scope = {**scope, "headers": lowered}
        headers = Headers(scope=scope)
        user = await self._authenticate(Request(scope, receive), headers)
        if isinstance(user, Response):
            reason = bytes(user.body).decode()[:_MAX_LOGGED_CHARACTERS]
            logger.info("refused", extra={"path": scope["path"], "status": user.status_code, "reason": reason})
            await user(scope, receive, send)
            return
        scope["user"] = user
        if scope["method"] != "POST" or headers.get("mcp-method") == "subscriptions/listen":
            await self._app(scope, receive, send)
            return
        self.pending_posts += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self.pending_posts -= 1

    async def _authenticate(self, request: Request, headers: Headers) -> RequestUser | Response:
        """Return the user of a request, or the response that refuses the request."""
        # A stopping server still serves its sessions, so that clients can list and answer forms, but takes no new ones.
        in_session = "mcp-session-id" in headers or "mcp-method" in headers or "session_id" in request.query_params
        if self._tenants.stopping and not in_session:
            return _error_response(503, "The server is stopping. Try again in a moment.", {"Retry-After": "1"})
        if (invalid := await self._security.validate_request(request)) is not None:
            return _error_response(invalid.status_code, _UNKNOWN_HOST)
        try:
            return RequestUser(read_credentials(headers, self._settings))
        except RequestRefused as refused:
            challenge = {"WWW-Authenticate": 'Bearer realm="memories-mcp"'} if refused.status == 401 else None
            return _error_response(refused.status, refused.message, challenge)


def _error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error as JSON-RPC, the form that clients show."""
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": message}}
    return Response(json.dumps(body), status, headers, media_type="application/json")


def transport_security(settings: Settings, host: str) -> TransportSecuritySettings:
    """Return the names under which the server is reached; others are refused, against DNS rebinding by web pages."""
    listened = f"[{host}]" if ":" in host else host
    names = dict.fromkeys([*_LOOPBACK_NAMES, listened, *settings.allowed_hosts])
    hosts: list[str] = []
    for name in names:
        hosts.append(name)
        if not _has_port(name):
            hosts.append(f"{name}:*")
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=hosts,
        allowed_origins=[f"{scheme}://{name}" for scheme in ("http", "https") for name in hosts],
    )


def _has_port(name: str) -> bool:
    return name.rpartition(":")[2].isdigit() and not name.endswith("]")
