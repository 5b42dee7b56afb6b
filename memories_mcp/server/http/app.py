"""The server over HTTP: streamable HTTP at `/mcp`, SSE for old clients at `/sse`."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from types import FrameType

import uvicorn
from mcp.server import Server
from mcp.server.sse import SseServerTransport
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from memories_mcp.errors import ConfigurationError
from memories_mcp.loopback import EmbeddedServer, bind, serving, url_of
from memories_mcp.server.app import make_server
from memories_mcp.server.http.middleware import HEALTH_PATH, AccessMiddleware, security_of
from memories_mcp.server.tenants import Tenants
from memories_mcp.settings import Settings

MCP_PATH = "/mcp"
SSE_PATH = "/sse"
MESSAGES_PATH = "/messages/"

DRAIN_SECONDS = 20.0
"""How long a server that was told to stop waits for calls under way."""
_STREAMS_END_SECONDS = 5


class _Sse:
    """The SSE transport's stream, as an ASGI app."""

    def __init__(self, server: Server[Tenants], transport: SseServerTransport) -> None:
        self._server = server
        self._transport = transport

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._transport.connect_sse(scope, receive, send) as (incoming, outgoing):
            await self._server.run(incoming, outgoing, self._server.create_initialization_options())


def http_app(settings: Settings, tenants: Tenants, server: Server[Tenants], host: str) -> AccessMiddleware:
    """The ASGI app of both transports behind one gate.

    Args:
        settings: The operator's.
        tenants: The server's.
        server: Made with these tenants, which whoever serves the app has opened.
        host: The address that is listened on.
    """
    messages = SseServerTransport(MESSAGES_PATH)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "stopping"}, 503) if tenants.closing else JSONResponse({"status": "ok"})

    app = server.streamable_http_app(
        streamable_http_path=MCP_PATH,
        transport_security=security_of(settings, host),
        custom_starlette_routes=[
            Route(HEALTH_PATH, health),
            Route(SSE_PATH, _Sse(server, messages), methods=["GET"]),
        ],
    )
    app.router.routes.append(Mount(MESSAGES_PATH, messages.handle_post_message))
    return AccessMiddleware(app, tenants, settings, host)


class _HttpServer(uvicorn.Server):
    """Stops politely: nothing new, what runs goes on for a while, then the streams are ended."""

    def __init__(self, gate: AccessMiddleware, tenants: Tenants) -> None:
        config = uvicorn.Config(
            gate,
            log_config=None,
            access_log=False,
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=_STREAMS_END_SECONDS,
        )
        super().__init__(config)
        self._gate = gate
        self._tenants = tenants

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._tenants.closing:  # told twice
            self.should_exit = self.force_exit = True
        self._tenants.stop(DRAIN_SECONDS)

    async def on_tick(self, counter: int) -> bool:
        busy = self._gate.posts or self._tenants.active
        impatient = time.monotonic() > self._tenants.patience
        if self._tenants.closing and not self.should_exit and (impatient or not busy):
            self._tenants.end_streams()
            self.should_exit = True  # what still streams sees it, and ends
        return await super().on_tick(counter)


class _EmbeddedHttpServer(EmbeddedServer, _HttpServer):
    pass


Make = Callable[[Settings, Tenants], Server[Tenants]]


def _make(settings: Settings, tenants: Tenants) -> Server[Tenants]:
    return make_server(settings, tenants=tenants)


@asynccontextmanager
async def running(
    settings: Settings, host: str = "127.0.0.1", port: int = 0, *, tenants: Tenants | None = None, make: Make = _make
) -> AsyncGenerator[str, None]:
    """Serve in the running event loop and yield the base URL; it stops, politely, when the body ends.

    Args:
        settings: The operator's.
        host: Where to listen.
        port: 0 picks a free one.
        tenants: In place of those made from the settings.
        make: Makes the server in place of the product's own.
    """
    with closing(bind(host, port)) as listener:
        served = Tenants(settings, over_http=True) if tenants is None else tenants
        async with served.open() as opened:
            server = _EmbeddedHttpServer(http_app(settings, opened, make(settings, opened), host), opened)
            async with serving(server, listener, lambda: opened.stop(DRAIN_SECONDS)) as url:
                yield url


def serve_http(settings: Settings, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve over HTTP until told to stop by Ctrl-C or SIGTERM; a second time stops at once.

    Args:
        settings: The operator's.
        host: Where to listen.
        port: 0 picks a free one.
        announce: Hears where it is served, and what the operator should know.

    Raises:
        ConfigurationError: The address would be open to others without authentication, or cannot be used.
    """
    if not is_loopback(host) and not settings.http_token:
        raise ConfigurationError(
            f"Nobody could tell who calls: {host or 'every address'} is reached from other machines, and requests need "
            "no authentication.",
            next_step="Set MEMORIES_HTTP_TOKEN, which requests must then carry, or keep to 127.0.0.1.",
        )

    async def serve() -> None:
        with closing(bind(host, port)) as listener:
            async with Tenants(settings, over_http=True).open() as opened:
                server = _HttpServer(http_app(settings, opened, _make(settings, opened), host), opened)
                url = url_of(listener)
                announce(f"Serving MCP at {url}{MCP_PATH}, for older clients at {url}{SSE_PATH}.")
                if not is_loopback(host) and not settings.allowed_hosts:
                    announce("Only loopback names are served: set MEMORIES_ALLOWED_HOSTS to those that others use.")
                if settings.api_key and not settings.http_token:
                    announce(
                        "MEMORIES_API_KEY serves no HTTP request without MEMORIES_HTTP_TOKEN; callers send theirs."
                    )
                await server.serve([listener])

    asyncio.run(serve())


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
