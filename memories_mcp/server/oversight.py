"""What an operator watches and limits: metrics, the spend guard, the audit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from memories_mcp.api.spending import LocalSpendCounts, SpendCounts, Spending, check_limits
from memories_mcp.audit import Call, log_call
from memories_mcp.errors import ConfigurationError
from memories_mcp.observer import UNOBSERVED, Observer
from memories_mcp.operation import Effect
from memories_mcp.runner import AnyOperation
from memories_mcp.server.http.credentials import Credentials
from memories_mcp.settings import Settings

if TYPE_CHECKING:
    from memories_mcp.server.metrics import Metrics


class Oversight:
    """Metrics, spend guard and audit of one server.

    Args:
        settings: The operator's.
        operations: All that the operator offers, by name.
        over_http: Whether the server has a place to serve metrics.

    Attributes:
        metrics: What the server counts; `None` if metrics are off.
        observer: Receives what happens in the server.
        counts: Keeps what callers have spent today.

    Raises:
        ConfigurationError: A spend limit names an unknown class, or the package for metrics is missing.
    """

    def __init__(self, settings: Settings, operations: Mapping[str, AnyOperation], *, over_http: bool) -> None:
        self._limits = settings.spend_limit or {}
        check_limits(self._limits)
        self._operations = operations
        self.metrics = _make_metrics(operations) if over_http and settings.metrics else None
        self.observer: Observer = self.metrics or UNOBSERVED
        self.counts: SpendCounts = LocalSpendCounts()

    def spending(self, subject: str, key: str) -> Spending:
        """Return the spending of a caller; every namespace of a caller counts together.

        Args:
            subject: The person who signed in; empty without sign-in.
            key: The key of all other callers.
        """
        caller = _digest("subject", subject) if subject else _digest("key", key)
        return Spending(self._limits, self.counts, caller, self.observer)

    def log_call(self, call: Call, who: Callable[[], str], method: str, tool: str, outcome: str) -> None:
        """Log a call that has ended, if the audit has to show it.

        Args:
            call: What the call did.
            who: Returns the name of the caller.
            method: The method.
            tool: The name of the tool, as the client wrote it; empty for other methods.
            outcome: How the call ended.
        """
        operation = self._operations.get(tool)
        irreversible = operation is not None and operation.effect is Effect.DESTRUCTIVE
        if irreversible or call.spent or call.refused:
            log_call(call, who=who(), method=method, tool=tool, irreversible=irreversible, outcome=outcome)


def describe_caller(credentials: Credentials | None) -> str:
    """Return a name for a caller without secrets: the person who signed in, or a digest of the key.

    Args:
        credentials: Those of the request; `None` in this process.
    """
    if credentials is None:
        return "local"
    if credentials.subject:
        return credentials.subject
    if key := credentials.api_key or credentials.caption_key:
        return f"key {_digest('key', key)[:16]}"
    return "token" if credentials.holds_token else "none"


def _digest(kind: str, name: str) -> str:
    return hashlib.sha256(f"{kind}\n{name}".encode()).hexdigest()[:32]


def _make_metrics(operations: Mapping[str, AnyOperation]) -> Metrics:
    try:
        from memories_mcp.server.metrics import Metrics
    except ImportError:
        raise ConfigurationError(
            "Metrics need the package prometheus-client.", next_step="Run: pip install 'memories-mcp[team]'."
        ) from None
    return Metrics(operations)
