"""A span for each request to the API, beneath the tool call's; nothing without an exporter (OpenTelemetry)."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from contextlib import contextmanager

from memories_mcp.api.endpoints import Endpoint

logger = logging.getLogger(__name__)


class Traced:
    """What is known of a request once it is answered."""

    status: int | None = None
    """The HTTP status."""


@contextmanager
def traced(endpoint: Endpoint, host: str, port: int | None) -> Generator[Traced, None, None]:
    """Record the body as one request; neither the key nor any argument is recorded."""
    from opentelemetry import trace  # with the first request: listing tools needs none

    seen, begun, failed = Traced(), time.perf_counter(), ""
    attributes = {"http.request.method": endpoint.method, "server.address": host, "url.path": endpoint.full_path}
    with trace.get_tracer("memories_mcp").start_as_current_span(
        f"{endpoint.method} {endpoint.path}",
        kind=trace.SpanKind.CLIENT,
        attributes=attributes | ({"server.port": port} if port else {}),
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield seen
        except BaseException as error:
            failed = type(error).__name__
            span.set_attribute("error.type", failed)
            span.set_status(trace.StatusCode.ERROR)
            raise
        finally:
            if seen.status is not None:
                span.set_attribute("http.response.status_code", seen.status)
            spent = round((time.perf_counter() - begun) * 1000)
            about = {"endpoint": endpoint.path, "status": seen.status, "outcome": failed or "ok", "ms": spent}
            logger.debug("api request", extra=about)
