"""The endpoint from which Prometheus reads the metrics: on a port of its own, or beside the transports."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import uvicorn
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from memories_mcp.loopback import EmbeddedServer, bind, run_server
from memories_mcp.settings import Settings

if TYPE_CHECKING:
    from memories_mcp.server.metrics import Metrics

METRICS_PATH = "/metrics"
_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The format that every version of Prometheus reads."""


class MetricsEndpoint:
    """Serves the metrics as an ASGI app.

    Args:
        metrics: The metrics.
        token: The bearer token that a request must carry; empty if it needs none.
    """

    def __init__(self, metrics: Metrics, token: str = "") -> None:
        self._metrics = metrics
        self._expected = f"Bearer {token}".encode() if token else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] == "http":
            response = await self._response(scope)
            await response(scope, receive, send)

    async def _response(self, scope: Scope) -> Response:
        if scope["path"].removesuffix("/") != METRICS_PATH:
            return PlainTextResponse(f"Not found. The metrics are at {METRICS_PATH}.", 404)
        if scope["method"] not in {"GET", "HEAD"}:
            return PlainTextResponse("Method not allowed. Use GET.", 405, {"Allow": "GET, HEAD"})
        given = Headers(scope=scope).get("authorization", "").encode()
        if self._expected and not hmac.compare_digest(given, self._expected):
            text = "The metrics need this server's token. Send it as Authorization: Bearer."
            return PlainTextResponse(text, 401, {"WWW-Authenticate": "Bearer"})
        body = await asyncio.to_thread(self._metrics.render)  # takes up to 30 ms
        return Response(body, headers={"Content-Type": _MEDIA_TYPE, "Cache-Control": "no-store"})


@asynccontextmanager
async def serve_metrics(settings: Settings, metrics: Metrics | None, host: str) -> AsyncGenerator[None, None]:
    """Serve the metrics on their own port while the body runs, if they have one.

    Args:
        settings: The operator's.
        metrics: The metrics; `None` if they are off.
        host: The address to listen on.

    Raises:
        ConfigurationError: The port cannot be used.
    """
    if metrics is None or settings.metrics_port is None:
        yield
        return
    with closing(bind(host, settings.metrics_port)) as listener:
        app = MetricsEndpoint(metrics)
        config = uvicorn.Config(app, log_config=None, access_log=False, ws="none", lifespan="off", server_header=False)
        server = EmbeddedServer(config)

        def stop() -> None:
            server.should_exit = True

        async with run_server(server, listener, stop):
            yield
