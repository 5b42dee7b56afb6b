"""An OpenTelemetry span and a log record for each request to the API; the span is a no-op without an exporter."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from contextlib import contextmanager

from memories_mcp.api.endpoints import Endpoint

logger = logging.getLogger(__name__)


class RequestTrace:
    """Collects what the span records about the response."""

    status: int | None = None
    """The HTTP status, or `None` without a response."""


@contextmanager
def trace_request(endpoint: Endpoint, host: str, port: int | None) -> Generator[RequestTrace, None, None]:
    """Record the body as one request; neither the key nor any argument is recorded.

    Args:
        endpoint: The endpoint that is called.
        host: The name of the host.
        port: The port, or `None` for the default port of the scheme.
    """
    from opentelemetry import trace  # imported late: listing the tools sends no request

    request, start, error_type = RequestTrace(), time.perf_counter(), ""
    attributes: dict[str, str | int] = {
        "http.request.method": endpoint.method,
        "server.address": host,
        "url.path": endpoint.full_path,
    }
    if port:
        attributes["server.port"] = port
    with trace.get_tracer("memories_mcp").start_as_current_span(
        f"{endpoint.method} {endpoint.path}",
        kind=trace.SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield request
        except BaseException as error:
            error_type = type(error).__name__
            span.set_attribute("error.type", error_type)
            span.set_status(trace.StatusCode.ERROR)
            raise
        finally:
            if request.status is not None:
                span.set_attribute("http.response.status_code", request.status)
            milliseconds = round((time.perf_counter() - start) * 1000)
            logger.debug(
                "api request",
                extra={
                    "endpoint": endpoint.path,
                    "status": request.status,
                    "outcome": error_type or "ok",
                    "ms": milliseconds,
                },
            )
