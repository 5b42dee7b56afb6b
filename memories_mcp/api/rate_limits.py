"""How fast one may ask: the API's limits (API 2.10), kept here so that parallel calls wait instead of failing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping

from aiolimiter import AsyncLimiter

from memories_mcp.api.endpoints import Rate
from memories_mcp.errors import ConfigurationError, RateLimited

LONGEST_WAIT = 20.0
"""Seconds; who would have to wait longer is refused at once."""

PER_ACCOUNT: dict[str, tuple[float, float]] = {
    "upload": (1, 1),
    "scrape": (1, 60),
    "search": (10, 1),
    "chat": (1, 1),
    "read": (5, 1),
    "list": (5, 1),
    "delete": (5, 1),
    "download": (12, 60),
    "task": (1, 1),
    "detail": (1, 2),
    "caption": (1, 1),
}
"""Requests and the seconds in which they are allowed; polls and public details by the newer, tighter figures."""


def in_force(rates: Mapping[str, tuple[float, float]] | None) -> dict[str, tuple[float, float]]:
    """Nothing given is the API's own figures, something given changes those, an empty mapping is no limits."""
    return {} if rates is not None and not rates else {**PER_ACCOUNT, **(rates or {})}


class Limits:
    """One limiter a class of requests; lives on the event loop that uses it first."""

    def __init__(self, rates: Mapping[str, tuple[float, float]] | None = None) -> None:
        if unknown := [rate for rate in rates or () if rate not in PER_ACCOUNT]:
            raise ConfigurationError(
                f"MEMORIES_RATE_LIMITS: there is no class {', '.join(unknown)}.",
                next_step=f"There are: {', '.join(PER_ACCOUNT)}.",
            )
        chosen = in_force(rates)
        # The limiter wants at least one request a period: half a request a second is one in two.
        self._limiters = {
            rate: AsyncLimiter(max(1, allowed), period / min(1, allowed)) for rate, (allowed, period) in chosen.items()
        }
        self._waiting = dict.fromkeys(self._limiters, 0)
        self._granted = {rate: deque[float](maxlen=int(limiter.max_rate)) for rate, limiter in self._limiters.items()}

    async def turn(self, rate: Rate) -> None:
        """Wait for a turn.

        Raises:
            RateLimited: The queue is longer than `LONGEST_WAIT`; nothing was sent.
        """
        limiter = self._limiters.get(rate)
        if limiter is None:
            return
        wait, now = 0.0, asyncio.get_running_loop().time()
        if not limiter.has_capacity():
            # The bucket leaks one place a step; the last one granted says how far the present step has come.
            step = limiter.time_period / limiter.max_rate
            wait = max(0.0, step - (now - self._granted[rate][-1])) + self._waiting[rate] * step
        if wait > LONGEST_WAIT:
            raise RateLimited(
                f"Too many {rate} requests are waiting already; nothing was sent.",
                retry_after=wait,
                next_step=f"Try again in {wait:.0f} s.",
            )
        self._waiting[rate] += 1
        try:
            await limiter.acquire()
            self._granted[rate].append(asyncio.get_running_loop().time())
        finally:
            self._waiting[rate] -= 1


NO_LIMITS: dict[str, tuple[float, float]] = {}
"""For the sandbox and for measurements."""
