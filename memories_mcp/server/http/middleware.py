"""The access checks of every HTTP request, before the transports: Host, Origin, credentials."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from memories_mcp.server.http.authentication import Authentication
from memories_mcp.server.http.cors import add_cors_headers, preflight_response
from memories_mcp.server.http.credentials import RequestRefused, RequestUser, check_repeated
from memories_mcp.server.http.messages import error_response
from memories_mcp.server.http.metrics import METRICS_PATH, MetricsEndpoint
from memories_mcp.server.tenants import Tenants
from memories_mcp.settings import Settings

if TYPE_CHECKING:
    from memories_mcp.server.metrics import Metrics

logger = logging.getLogger(__name__)

HEALTH_PATH = "/healthz"
READY_PATH = "/readyz"
_METADATA_PREFIX = "/.well-known/"

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_MAX_LOGGED_CHARACTERS = 300


class AccessMiddleware:
    """Checks Host, Origin and credentials of every request, for all transports, before its body is read.

    Args:
        app: The app with the transports.
        tenants: The server's; their state shows whether the server is stopping.
        settings: The operator's.
        host: The address that the server listens on.
        authentication: Finds out which user a request comes from.
        endpoint: Serves the metrics; `None` if this port does not.
    """

    def __init__(
        self,
        app: ASGIApp,
        tenants: Tenants,
        settings: Settings,
        host: str,
        authentication: Authentication,
        endpoint: MetricsEndpoint | None = None,
    ) -> None:
        self._app = app
        self._tenants = tenants
        self._authentication = authentication
        self._endpoint = endpoint
        self._names = _AllowedNames(settings, host)
        self.pending_posts = 0
        """The number of POST requests without a complete response, except streams of subscriptions."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Served with and without a final slash: a redirect would lead a client behind a TLS proxy to plain HTTP.
        scope = {**scope, "path": scope["path"].removesuffix("/") or "/"}
        headers = Headers(scope=scope)
        origins = headers.getlist("origin")
        if len(origins) == 1 and self._names.allow_origin(origins[0]):
            send = add_cors_headers(send, origins[0])
        if scope["path"] in {HEALTH_PATH, READY_PATH}:
            await self._app(scope, receive, send)
            return
        if metrics := self._tenants.oversight.metrics:
            send = _count_response(send, metrics)
        if scope["path"] == METRICS_PATH and self._endpoint:
            await self._serve_metrics(self._endpoint, scope, receive, send)
            return
        user = await self._authenticate(Request(scope, receive), headers)
        if isinstance(user, Response):
            if user.status_code >= 400:
                reason = bytes(user.body).decode()[:_MAX_LOGGED_CHARACTERS]
                logger.info("refused", extra={"path": scope["path"], "status": user.status_code, "reason": reason})
            await user(scope, receive, send)
            return
        if user is not None:
            scope["user"] = user
        if scope["method"] != "POST" or headers.get("mcp-method") == "subscriptions/listen":
            await self._app(scope, receive, send)
            return
        self.pending_posts += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self.pending_posts -= 1

    async def _serve_metrics(self, endpoint: MetricsEndpoint, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._names.check(Headers(scope=scope))
        except RequestRefused as refused:
            await error_response(refused.status, refused.message)(scope, receive, send)
            return
        await endpoint(scope, receive, send)

    async def _authenticate(self, request: Request, headers: Headers) -> RequestUser | Response | None:
        """Return the user of a request, `None` if the path needs none, or the response that ends the request."""
        # A stopping server still serves its sessions, so that clients can list and answer forms. Whatever another
        # server can serve as well is refused by the HTTP status, so that a proxy can pass it on.
        in_session = "mcp-session-id" in headers or "session_id" in request.query_params
        if self._tenants.stopping and not in_session:
            return error_response(503, "The server is stopping. Try again in a moment.", {"Retry-After": "1"})
        try:
            check_repeated(headers)
            self._names.check(headers)
            if request.method == "OPTIONS" and "origin" in headers:
                return preflight_response()
            if request.scope["path"].startswith(_METADATA_PREFIX):  # read before a client can sign in
                return None
            return await self._authentication.authenticate(headers)
        except RequestRefused as refused:
            challenge = self._authentication.resource.challenge(request.scope, refused)
            return error_response(refused.status, refused.message, challenge)


def _count_response(send: Send, metrics: Metrics) -> Send:
    """Return a function that sends a response and counts it."""

    async def send_and_count(message: Message) -> None:
        if message["type"] == "http.response.start":
            metrics.record_response(message["status"])
        await send(message)

    return send_and_count


class _AllowedNames:
    """The names under which the server is reached; others are refused, against DNS rebinding by web pages.

    Args:
        settings: The operator's.
        host: The address that the server listens on.
    """

    _HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?")

    def __init__(self, settings: Settings, host: str) -> None:
        listened = f"[{host}]" if ":" in host else host
        self._names = {*_LOOPBACK_NAMES, listened, *settings.allowed_hosts}
        self._origins = settings.allowed_origins

    def check(self, headers: Headers) -> None:
        """Check the Host and the Origin of a request; a request that no web page sends has no Origin.

        Raises:
            RequestRefused: One of them is not a name of this server.
        """
        if not self._allow_host(headers.get("host", "")):
            raise RequestRefused(
                421,
                "Host is not a name of this server. Use a loopback name, or have the operator add the name to "
                "MEMORIES_ALLOWED_HOSTS.",
            )
        origin = headers.get("origin", "")
        if origin and not self.allow_origin(origin):
            raise RequestRefused(
                403,
                "Origin is not one that may call this server. Have the operator add it to MEMORIES_ALLOWED_ORIGINS.",
            )

    def allow_origin(self, origin: str) -> bool:
        """Return whether pages of this Origin may call the server."""
        scheme, _, host = origin.lower().partition("://")
        return origin.lower() in self._origins or (scheme in {"http", "https"} and self._allow_host(host))

    def _allow_host(self, host: str) -> bool:
        """Return whether a host is allowed; a name without a port allows every port."""
        match = self._HOST.fullmatch(host.lower())
        return match is not None and (match[0] in self._names or match["name"] in self._names)
