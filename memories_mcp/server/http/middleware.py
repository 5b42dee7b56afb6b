"""What every HTTP request passes before the protocol: Host, Origin, credentials. One gate before all transports."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from memories_mcp.server.http.credentials import Refused, RequestUser, credentials_of
from memories_mcp.server.tenants import Tenants
from memories_mcp.settings import Settings

logger = logging.getLogger(__name__)

HEALTH_PATH = "/healthz"

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class AccessMiddleware:
    """What every request to the protocol passes, whatever the transport: Host, Origin, credentials.

    Args:
        app: The transports behind it.
        tenants: Knows whether the server stops.
        settings: The operator's.
        host: The address that is listened on.
    """

    def __init__(self, app: ASGIApp, tenants: Tenants, settings: Settings, host: str) -> None:
        self._app = app
        self._tenants = tenants
        self._settings = settings
        self._security = TransportSecurityMiddleware(security_of(settings, host))
        self.posts = 0
        """Requests whose answer is not sent yet; streams that only listen do not count."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or turn it away."""
        if scope["type"] != "http" or scope["path"] == HEALTH_PATH or scope["path"].startswith("/.well-known/"):
            await self._app(scope, receive, send)
            return
        # Names of hosts know no case, but the checks do: the SDK's own as well as ours.
        lowered = [(name, value.lower() if name in {b"host", b"origin"} else value) for name, value in scope["headers"]]
        scope = {**scope, "headers": lowered}
        headers = Headers(scope=scope)
        refusal = await self._refusal(Request(scope, receive), headers)
        if isinstance(refusal, Response):
            about = {"path": scope["path"], "status": refusal.status_code, "reason": bytes(refusal.body).decode()[:300]}
            logger.info("refused", extra=about)
            await refusal(scope, receive, send)
            return
        scope["user"] = refusal
        counts = scope["method"] == "POST" and headers.get("mcp-method") != "subscriptions/listen"
        self.posts += counts
        try:
            await self._app(scope, receive, send)
        finally:
            self.posts -= counts

    async def _refusal(self, request: Request, headers: Headers) -> Response | RequestUser:
        # Whoever is here already may answer questions and read lists; nobody new comes in.
        known = "mcp-session-id" in headers or "mcp-method" in headers or "session_id" in request.query_params
        if self._tenants.closing and not known:
            return _refused(503, "The server is stopping.", {"Retry-After": "1"})
        if (wrong := await self._security.validate_request(request)) is not None:
            return _refused(wrong.status_code, _STRANGE_NAME)
        try:
            return RequestUser(credentials_of(headers, self._settings))
        except Refused as refused:
            asks = {"WWW-Authenticate": 'Bearer realm="memories-mcp"'} if refused.status == 401 else {}
            return _refused(refused.status, refused.reason, asks)


_STRANGE_NAME = (
    "Host or Origin is none of this server's names: only loopback and those in MEMORIES_ALLOWED_HOSTS are served."
)


def _refused(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Response:
    """As JSON-RPC, which is what clients show."""
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": reason}}
    return Response(json.dumps(body), status, headers, media_type="application/json")


def security_of(settings: Settings, host: str) -> TransportSecuritySettings:
    """The names under which the server is reached; what comes under another one may be a web page's trick."""
    shown = f"[{host}]" if ":" in host else host
    names = [*dict.fromkeys([*_LOOPBACK, shown, *settings.allowed_hosts])]
    hosts = [each for name in names for each in ([name] if _has_port(name) else [name, f"{name}:*"])]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=hosts,
        allowed_origins=[f"{scheme}://{each}" for scheme in ("http", "https") for each in hosts],
    )


def _has_port(name: str) -> bool:
    return name.rpartition(":")[2].isdigit() and not name.endswith("]")
