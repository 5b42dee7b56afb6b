"""The server over HTTP: streamable HTTP at `/mcp`, SSE for older clients at `/sse`."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from types import FrameType

import uvicorn
from mcp.server import Server
from mcp.server.sse import SseServerTransport
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from memories_mcp.errors import ConfigurationError
from memories_mcp.loopback import EmbeddedServer, bind, run_server, url_of
from memories_mcp.server.app import make_server
from memories_mcp.server.http.authentication import Authentication
from memories_mcp.server.http.calls import CallLimitMiddleware
from memories_mcp.server.http.messages import MAX_BODY_BYTES, MessageMiddleware
from memories_mcp.server.http.metrics import METRICS_PATH, MetricsEndpoint, serve_metrics
from memories_mcp.server.http.middleware import HEALTH_PATH, READY_PATH, AccessMiddleware
from memories_mcp.server.http.peers import Peers
from memories_mcp.server.http.protected_resource import METADATA_PATH
from memories_mcp.server.http.routing import SessionRouter, messages_path
from memories_mcp.server.http.sessions import SessionLimitMiddleware
from memories_mcp.server.tenants import Tenants
from memories_mcp.settings import Settings
from memories_mcp.sign_in_values import ONLY_KEYS

MCP_PATH = "/mcp"
SSE_PATH = "/sse"

_STREAMS_END_SECONDS = 5
_GARBAGE_THRESHOLD = 10_000
"""Objects after which Python looks for garbage: those of a few calls, not of a part of one."""


class _SseEndpoint:
    """The SSE transport's stream as an ASGI app."""

    def __init__(self, server: Server[Tenants], transport: SseServerTransport) -> None:
        self._server = server
        self._transport = transport

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._transport.connect_sse(scope, receive, send) as (incoming, outgoing):
            await self._server.run(incoming, outgoing, self._server.create_initialization_options())


class _MessagesEndpoint:
    """The SSE transport's endpoint for messages as an ASGI app."""

    def __init__(self, transport: SseServerTransport) -> None:
        self._transport = transport

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._transport.handle_post_message(scope, receive, send)


def http_app(
    settings: Settings, tenants: Tenants, host: str, *, name: str = "", peers: Peers | None = None
) -> SessionRouter:
    """Return the ASGI app of both transports, behind the checks of this package.

    Args:
        settings: The operator's.
        tenants: Open; the caller closes them.
        host: The address that the server listens on.
        name: The name of this process, for its sessions; by default that of the replica.
        peers: The other workers of this server.

    Raises:
        ConfigurationError: The settings of the ways to authenticate contradict each other, or metrics would be public.
    """
    name = name or settings.replica
    server = make_server(settings, tenants=tenants)
    authentication = Authentication(settings, tenants.operator_runner.operations)
    path = messages_path(name)
    messages = SseServerTransport(f"{path}/", max_request_body_size=MAX_BODY_BYTES)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "stopping"}, 503) if tenants.stopping else JSONResponse({"status": "ok"})

    async def readiness(_: Request) -> Response:
        return JSONResponse({"status": "ok"}) if tenants.ready else JSONResponse({"status": "stopping"}, 503)

    app = server.streamable_http_app(
        streamable_http_path=MCP_PATH,
        max_request_body_size=MAX_BODY_BYTES,
        session_idle_timeout=settings.session_idle_seconds,
        max_sessions=None,  # `SessionLimitMiddleware` counts them by credential
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # see `AccessMiddleware`
        custom_starlette_routes=[
            Route(HEALTH_PATH, health),
            Route(f"{METADATA_PATH}{{path:path}}", authentication.resource.document),
            Route(READY_PATH, readiness),
            Route(SSE_PATH, _SseEndpoint(server, messages), methods=["GET"]),
            Route(path, _MessagesEndpoint(messages)),
        ],
    )
    app.router.redirect_slashes = False
    limited = SessionLimitMiddleware(app, tenants, MCP_PATH, SSE_PATH)
    counted = CallLimitMiddleware(limited, settings.max_calls_per_caller, MCP_PATH)
    checked = MessageMiddleware(counted, (MCP_PATH, path), authentication.refuse_message)
    metrics = tenants.oversight.metrics
    endpoint = None
    if metrics:
        metrics.watch("memories_sessions", "Open sessions and streams.", lambda: limited.count)
        metrics.watch("memories_tenants", "Keys and namespaces that are kept open.", lambda: len(tenants))
        metrics.watch("memories_requests_in_progress", "Requests under way.", lambda: tenants.active_requests)
        if settings.metrics_port is None:
            if not settings.http_token and not is_loopback(host):
                raise ConfigurationError(
                    f"Every client would see the metrics at {METRICS_PATH}.",
                    next_step="Set MEMORIES_METRICS_PORT to a port that only your network reaches, or "
                    "MEMORIES_HTTP_TOKEN.",
                )
            endpoint = MetricsEndpoint(metrics, settings.http_token)
    return SessionRouter(AccessMiddleware(checked, tenants, settings, host, authentication, endpoint), name, peers)


class HttpServer(uvicorn.Server):
    """Stops gracefully: refuses new clients, waits for calls under way, then ends the streams."""

    def __init__(self, app: SessionRouter, tenants: Tenants) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=_STREAMS_END_SECONDS,
        )
        super().__init__(config)
        self._app = app
        self.tenants = tenants

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; on the second signal, exit."""
        if not self.tenants.ready:  # the second signal
            self.should_exit = self.force_exit = True
        if self.tenants.ready:
            self.tenants.stop()

    async def on_tick(self, counter: int) -> bool:
        """Return whether a stopping server has nothing left to wait for."""
        busy = self._app.pending_posts or self.tenants.active_requests
        overdue = time.monotonic() > self.tenants.drain_deadline
        if self.tenants.stopping and not self.should_exit and (overdue or not busy):
            self.tenants.end_streams()
            self.should_exit = True  # open SSE streams watch this flag and end
        return await super().on_tick(counter)


class _EmbeddedHttpServer(EmbeddedServer, HttpServer):
    pass


@asynccontextmanager
async def run_http_server(
    settings: Settings, host: str = "127.0.0.1", port: int = 0, *, tenants: Tenants | None = None
) -> AsyncGenerator[str, None]:
    """Serve in the running event loop and yield the base URL; stop gracefully when the body ends.

    Args:
        settings: The operator's.
        host: The address to listen on.
        port: 0 for a free one.
        tenants: Used in place of tenants made from the settings; they carry the server's `Extension`, if it has one.
    """
    # Not `tenants or …`: tenants without a member are falsy.
    tenants = Tenants(settings, over_http=True) if tenants is None else tenants
    with closing(bind(host, port)) as listener:
        async with tenants.open() as opened:
            server = _EmbeddedHttpServer(http_app(settings, opened, host), opened)
            async with (
                serve_metrics(settings, opened.oversight.metrics, host),
                run_server(server, listener, opened.stop) as url,
            ):
                yield url


def serve_http(settings: Settings, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve over HTTP until Ctrl-C or SIGTERM; a second signal stops immediately.

    Args:
        settings: The operator's.
        host: The address to listen on; empty for every address of this machine.
        port: 0 for a free one.
        announce: Receives the URL and hints on the settings, one line each.

    Raises:
        ConfigurationError: Other machines reach the address, which has neither token nor sign-in; or the address or
            a setting cannot be used.
    """
    check_access(settings, host)

    async def serve() -> None:
        with closing(bind(host, port)) as listener:
            async with Tenants(settings, over_http=True).open() as tenants:
                server = HttpServer(http_app(settings, tenants, host), tenants)
                keep_what_exists()
                announce_server(settings, host, url_of(listener), announce)
                async with serve_metrics(settings, tenants.oversight.metrics, host):
                    await server.serve([listener])

    asyncio.run(serve())


def check_access(settings: Settings, host: str) -> None:
    """Check that a server which other machines reach asks for credentials.

    Raises:
        ConfigurationError: Other machines reach the address, which has neither token nor sign-in.
    """
    if not is_loopback(host) and settings.ways == ONLY_KEYS:
        raise ConfigurationError(
            f"Refusing to listen on {host or 'every address'} without MEMORIES_HTTP_TOKEN or sign-in.",
            next_step="Set one of them, or listen on 127.0.0.1.",
        )


def keep_what_exists() -> None:
    """Take what exists now out of garbage collection: it lives as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD, *gc.get_threshold()[1:])


def announce_server(settings: Settings, host: str, url: str, announce: Callable[[str], None]) -> None:
    """Say where the server is reached, and what its settings keep it from serving.

    Args:
        settings: The operator's.
        host: The address that the server listens on.
        url: The base URL of the server.
        announce: Receives one line each.
    """
    announce(f"Serving MCP at {url}{MCP_PATH}, for older clients at {url}{SSE_PATH}.")
    if not is_loopback(host) and not settings.allowed_hosts:
        announce(
            "Only requests to loopback names are served. Set MEMORIES_ALLOWED_HOSTS to the host names that clients use."
        )
    if settings.http_token and "token" not in settings.ways and not settings.metrics:
        announce("MEMORIES_HTTP_TOKEN is not accepted. Add token to MEMORIES_HTTP_AUTH, or remove it.")
    if settings.api_key and settings.ways == ONLY_KEYS:
        announce(
            "MEMORIES_API_KEY is not used for HTTP requests without MEMORIES_HTTP_TOKEN. Set the token, "
            "or have clients send their own keys."
        )


def is_loopback(host: str) -> bool:
    """Return whether the address is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
