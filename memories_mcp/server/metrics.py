"""Metrics for Prometheus, named by the OpenTelemetry conventions for MCP where these have a name.

Labels hold only names that this package knows, never one that a caller chose: a caller could add series without end.
Imported only by a server with metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    UNSUPPORTED_PROTOCOL_VERSION,
)
from mcp_types.methods import SPEC_CLIENT_METHODS
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from memories_mcp.observer import ApiRequest, ConfirmationStep, Observer
from memories_mcp.server.protocol_errors import UNAVAILABLE

_OPERATION_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
"""The boundaries of the conventions."""
_REQUEST_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180)
_WAIT_SECONDS = (0.01, 0.1, 0.5, 1, 2, 5, 10, 20)
_ERROR_TYPES = {
    "",
    "tool_error",
    "cancelled",
    *map(
        str,
        (
            INTERNAL_ERROR,
            INVALID_PARAMS,
            INVALID_REQUEST,
            METHOD_NOT_FOUND,
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            UNSUPPORTED_PROTOCOL_VERSION,
            UNAVAILABLE,
        ),
    ),
}
_OTHER = "other"
"""Stands for every name that is not known."""


class _Operation(NamedTuple):
    method: str
    tool: str
    error_type: str


class Metrics(Observer):
    """Counts what happens in one server.

    Args:
        tools: The names of the tools that the operator offers.

    Attributes:
        registry: Holds the metrics.
    """

    def __init__(self, tools: Iterable[str]) -> None:
        disable_created_metrics()  # the time of each series' first value would add a line to it
        self.registry = CollectorRegistry()
        self._tools = frozenset(tools)
        self._operations = Histogram(
            "mcp_server_operation_duration_seconds",
            "Requests of clients, by method, tool and error; without an error if they succeeded.",
            ["mcp_method_name", "gen_ai_tool_name", "error_type"],
            buckets=_OPERATION_SECONDS,
            registry=self.registry,
        )
        self._by_operation: dict[_Operation, Histogram] = {}
        self._requests = Histogram(
            "memories_api_request_duration_seconds",
            "Requests to the API without the wait before them, by class of endpoints and error.",
            ["endpoint_class", "error_type"],
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )
        self._waits = Histogram(
            "memories_api_wait_seconds",
            "Waits of requests to the API for their turn, by class of endpoints.",
            ["endpoint_class"],
            buckets=_WAIT_SECONDS,
            registry=self.registry,
        )
        self._sent = self._counter("memories_api_sent_bytes", "Bytes of bodies sent to the API.", "endpoint_class")
        self._received = self._counter(
            "memories_api_received_bytes", "Bytes of answers of the API as they arrived.", "endpoint_class"
        )
        self._confirmations = self._counter(
            "memories_confirmations",
            "Confirmations of what cannot be undone: asked for, given and declined.",
            "gen_ai_tool_name",
            "step",
        )
        self._spending = self._counter(
            "memories_paid_requests",
            "Requests that cost money, spent and refused, by price class.",
            "price_class",
            "outcome",
        )
        self._responses = self._counter("memories_http_responses", "Responses over HTTP, by status.", "status")
        ProcessCollector(registry=self.registry)  # descriptors, memory, processor time

    def watch(self, name: str, help: str, value: Callable[[], float]) -> None:
        """Show a value as it is whenever the metrics are read.

        Args:
            name: The name of the metric.
            help: What it is.
            value: Returns the value.
        """
        Gauge(name, help, registry=self.registry).set_function(value)

    def render(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self.registry)

    def record_operation(self, method: str, tool: str, error_type: str, seconds: float) -> None:
        """See `Observer`."""
        operation = _Operation(
            method if method in SPEC_CLIENT_METHODS else _OTHER,
            tool if not tool or tool in self._tools else _OTHER,
            error_type if error_type in _ERROR_TYPES else _OTHER,
        )
        histogram = self._by_operation.get(operation)
        if histogram is None:
            histogram = self._by_operation[operation] = self._operations.labels(*operation)
        histogram.observe(seconds)

    def record_request(self, request: ApiRequest) -> None:
        """See `Observer`."""
        self._requests.labels(request.endpoint_class, request.error_type).observe(request.seconds)
        self._waits.labels(request.endpoint_class).observe(request.waited)
        if request.sent:
            self._sent.labels(request.endpoint_class).inc(request.sent)
        if request.received:
            self._received.labels(request.endpoint_class).inc(request.received)

    def record_confirmation(self, tool: str, step: ConfirmationStep) -> None:
        """See `Observer`."""
        self._confirmations.labels(tool, step).inc()

    def record_spending(self, price: str, outcome: Literal["spent", "refused"]) -> None:
        """See `Observer`."""
        self._spending.labels(price, outcome).inc()

    def record_response(self, status: int) -> None:
        """Record one response over HTTP."""
        self._responses.labels(str(status)).inc()

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(name, help, labels, registry=self.registry)
