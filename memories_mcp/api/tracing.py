"""A span, a log record and a report for each request to the API; the span is a no-op without an exporter."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Generator
from contextlib import contextmanager

from memories_mcp.api.deadlines import RequestBody, ResponseBody
from memories_mcp.api.endpoints import Endpoint
from memories_mcp.errors import MemoriesError
from memories_mcp.observer import ApiRequest, Observer

logger = logging.getLogger(__name__)


class RequestTrace:
    """Collects what is recorded about a request.

    Attributes:
        status: The HTTP status, or `None` without a response.
        turn: When its turn came, by `time.perf_counter`; `None` while it waits.
        sent: The body of the request, once it is sent.
        received: The body of the response, once it arrives.
    """

    status: int | None = None
    turn: float | None = None
    sent: RequestBody | None = None
    received: ResponseBody | None = None


@contextmanager
def report_request(endpoint: Endpoint, observer: Observer) -> Generator[RequestTrace, None, None]:
    """Report the body as one request, from the moment when it begins to wait for its turn."""
    request, start, error_type = RequestTrace(), time.perf_counter(), ""
    try:
        yield request
    except BaseException as error:
        error_type = _error_type(error)
        raise
    finally:
        end = time.perf_counter()
        turn = end if request.turn is None else request.turn
        observer.record_request(
            ApiRequest(
                endpoint_class=endpoint.rate,
                error_type=error_type,
                waited=turn - start,
                seconds=end - turn,
                sent=request.sent.size if request.sent else 0,
                received=request.received.size if request.received else 0,
            )
        )


def _error_type(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return type(error).__name__ if isinstance(error, MemoriesError) else "other"


@contextmanager
def trace_request(
    request: RequestTrace, endpoint: Endpoint, host: str, port: int | None
) -> Generator[None, None, None]:
    """Record the body as one request; neither the key nor any argument is recorded.

    Args:
        request: Collects what is recorded.
        endpoint: The endpoint that is called.
        host: The name of the host.
        port: The port, or `None` for the default port of the scheme.
    """
    from opentelemetry import trace  # imported late: listing the tools sends no request

    request.turn = start = time.perf_counter()
    error_type = ""
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
            yield
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
