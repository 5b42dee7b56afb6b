"""The audit: one log line for each call that spent money or that cannot be undone, without its arguments."""

from __future__ import annotations

import logging
from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, field

from memories_mcp.observer import ConfirmationStep, Observer

logger = logging.getLogger(__name__)

_call: ContextVar[Call | None] = ContextVar("memories_mcp_call", default=None)


@dataclass
class Call:
    """What a call of a client has done so far.

    Attributes:
        spent: The requests that cost money, by price class.
        refused: The price classes whose limit the caller had reached.
        confirmation: The last step of its confirmation; `None` without any.
        error: The name of the error that ended it; empty otherwise.
    """

    spent: Counter[str] = field(default_factory=Counter[str])
    refused: set[str] = field(default_factory=set[str])
    confirmation: ConfirmationStep | None = None
    error: str = ""


def begin_call() -> Call:
    """Begin a call and return what is recorded about it from now on in the same task and those that it starts."""
    call = Call()
    _call.set(call)
    return call


def current_call() -> Call | None:
    """Return what is recorded about the current call; `None` outside of one."""
    return _call.get()


def record_confirmation(observer: Observer, tool: str, step: ConfirmationStep) -> None:
    """Record a step of the confirmation of the current call.

    Args:
        observer: Receives the step too.
        tool: The name of the tool.
        step: The step.
    """
    observer.record_confirmation(tool, step)
    if call := current_call():
        call.confirmation = step


def log_call(call: Call, *, who: str, method: str, tool: str, irreversible: bool, outcome: str) -> None:
    """Log a call that has ended.

    Args:
        call: What the call did.
        who: Names the caller, without secrets.
        method: The method.
        tool: The name of the tool; empty for other methods.
        irreversible: Whether the tool does what cannot be undone.
        outcome: How the call ended.
    """
    logger.info(
        "call",
        extra={
            "who": who,
            "method": method,
            "tool": tool,
            "spent": dict(call.spent),
            "over_limit": sorted(call.refused),
            "irreversible": irreversible,
            "confirmation": call.confirmation,
            "outcome": call.error or outcome,
        },
    )
