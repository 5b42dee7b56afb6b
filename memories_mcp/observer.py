"""What the parts of a server report about their work; metrics are made from it. By default nothing is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ConfirmationStep = Literal["asked", "given", "declined"]
"""A person is asked to confirm what cannot be undone, agrees, or declines."""


@dataclass(frozen=True, kw_only=True)
class ApiRequest:
    """One request to the API, after its end.

    Attributes:
        endpoint_class: The class of requests that its endpoint belongs to.
        error_type: The name of the error; empty for success.
        waited: The seconds that it waited for its turn.
        seconds: The seconds from its turn to the end of the answer.
        sent: The bytes of the body that were sent.
        received: The bytes of the answer as they arrived, compressed or not.
    """

    endpoint_class: str
    error_type: str
    waited: float
    seconds: float
    sent: int
    received: int


class Observer:
    """Receives what happens in a server; this one keeps nothing."""

    def record_operation(self, method: str, tool: str, error_type: str, seconds: float) -> None:
        """Record one request of a client.

        Args:
            method: The method, as the client wrote it.
            tool: The name of the called tool, as the client wrote it; empty for other methods.
            error_type: The code of the JSON-RPC error, `tool_error` or `cancelled`; empty for success.
            seconds: The duration.
        """

    def record_request(self, request: ApiRequest) -> None:
        """Record one request to the API."""

    def record_confirmation(self, tool: str, step: ConfirmationStep) -> None:
        """Record that a confirmation is asked for, given or declined."""

    def record_spending(self, price: str, outcome: Literal["spent", "refused"]) -> None:
        """Record that a request of a price class was sent, or refused since the caller had reached its limit."""


UNOBSERVED = Observer()
"""The observer where none is wanted."""
