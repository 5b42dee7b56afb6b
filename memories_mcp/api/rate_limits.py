"""Client-side rate limits (API 2.10), so that parallel calls wait instead of failing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from aiolimiter import AsyncLimiter

from memories_mcp.api.endpoints import Rate
from memories_mcp.errors import ConfigurationError, RateLimited

LONGEST_WAIT = 20.0
"""Seconds; a request that would have to wait longer fails immediately."""

MAX_CONCURRENT = 32
"""Requests of one key that may be under way at once, so that no key takes all connections."""

DEFAULT_RATES: dict[str, tuple[float, float]] = {
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
"""Requests, and the seconds in which they are allowed, by class.

For `task` and `detail` the documents give two figures; these are the newer and lower ones.
"""

NO_LIMITS: dict[str, tuple[float, float]] = {}
"""No rate limits, for the sandbox and for benchmarks."""


def effective_rates(rates: Mapping[str, tuple[float, float]] | None) -> dict[str, tuple[float, float]]:
    """Return the effective rates: the defaults for `None`, no limits for an empty mapping, else changed defaults."""
    if rates is None:
        return dict(DEFAULT_RATES)
    return {**DEFAULT_RATES, **rates} if rates else {}


class RateLimiter:
    """One rate limiter per class of requests; bound to the event loop that uses it first.

    Args:
        rates: Requests, and the seconds in which they are allowed, by class; see `in_force`.

    Raises:
        ConfigurationError: A class is unknown.
    """

    def __init__(self, rates: Mapping[str, tuple[float, float]] | None = None) -> None:
        if unknown := [rate for rate in rates or () if rate not in DEFAULT_RATES]:
            raise ConfigurationError(
                f"MEMORIES_RATE_LIMITS names an unknown class: {', '.join(unknown)}.",
                next_step=f"Use one of these: {', '.join(DEFAULT_RATES)}.",
            )
        # The limiter requires at least one request per period: half a request in 1 s becomes one in 2 s.
        self._limiters = {
            rate: AsyncLimiter(max(1, requests), seconds / min(1, requests))
            for rate, (requests, seconds) in effective_rates(rates).items()
        }
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self._waiting = dict.fromkeys(self._limiters, 0)
        self._granted = {rate: deque[float](maxlen=int(limiter.max_rate)) for rate, limiter in self._limiters.items()}

    async def acquire(self, rate: Rate) -> None:
        """Wait until a request of the class may be sent.

        Raises:
            RateLimited: The wait would exceed `LONGEST_WAIT`; nothing was sent.
        """
        limiter = self._limiters.get(rate)
        if limiter is None:
            return
        wait, now = 0.0, asyncio.get_running_loop().time()
        if not limiter.has_capacity():
            # The bucket frees one place per interval; the current interval began with the last granted request.
            interval = limiter.time_period / limiter.max_rate
            wait = max(0.0, interval - (now - self._granted[rate][-1])) + self._waiting[rate] * interval
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

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None, None]:
        """Wait until fewer than `MAX_CONCURRENT` requests are under way, and count as one while the body runs.

        Raises:
            RateLimited: None ended within `LONGEST_WAIT`; nothing was sent.
        """
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                await self._slots.acquire()
        except TimeoutError:
            raise RateLimited(
                f"{MAX_CONCURRENT} requests are under way already; nothing was sent.",
                retry_after=LONGEST_WAIT,
                next_step="Try again with fewer calls at a time.",
            ) from None
        try:
            yield
        finally:
            self._slots.release()
