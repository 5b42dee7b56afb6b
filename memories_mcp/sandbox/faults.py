"""The faults that a client can add to its account of the sandbox."""

from __future__ import annotations

from typing import Literal

Fault = Literal[
    "rate_limit", "http_429", "server_error", "html", "null_body", "null_data", "truncated", "abnormal", "slow", "cut",
    "no_terminator", "stalled", "late_rate_limit",
]  # fmt: skip
"""The faults; `docs/sandbox.md` describes them."""
