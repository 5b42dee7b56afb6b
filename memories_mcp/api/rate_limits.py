"""Client-side rate limits (API 2.10), so that parallel calls wait instead of failing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from memories_mcp.api.endpoints import Rate
from memories_mcp.api.slots import Slots
from memories_mcp.api.turns import SharedLimits, Turns
from memories_mcp.errors import ConfigurationError, RateLimited

LONGEST_WAIT = 20.0
"""Seconds; a request that would have to wait longer fails immediately."""

MAX_CONCURRENT = 32
"""Requests of one key that may be under way at once, so that no key takes all connections; see `Slots`."""

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
    """The rate limits and the requests under way of one key; bound to one event loop at a time.

    No window of time ever has more requests of a class than its rate allows.

    Args:
        rates: Requests, and the seconds in which they are allowed, by class; see `effective_rates`.
        shared: The same limits, shared with other processes.

    Raises:
        ConfigurationError: A class is unknown.
    """

    def __init__(
        self, rates: Mapping[str, tuple[float, float]] | None = None, shared: SharedLimits | None = None
    ) -> None:
        if unknown := [rate for rate in rates or () if rate not in DEFAULT_RATES]:
            raise ConfigurationError(
                f"MEMORIES_RATE_LIMITS names an unknown class: {', '.join(unknown)}.",
                next_step=f"Use one of these: {', '.join(DEFAULT_RATES)}.",
            )
        self._turns = {
            rate: Turns(requests, seconds, shared, rate) for rate, (requests, seconds) in effective_rates(rates).items()
        }
        self._slots = Slots(MAX_CONCURRENT)

    async def acquire(self, rate: Rate, owner: object = None) -> None:
        """Wait until a request of the class may be sent; the owners of requests take fair turns.

        Args:
            rate: The class.
            owner: Whose request it is, such as a tenant's client.

        Raises:
            RateLimited: The wait would exceed `LONGEST_WAIT`; nothing was sent.
        """

        def refusal(wait: float) -> RateLimited:
            return RateLimited(
                f"Too many {rate} requests are waiting already; nothing was sent.",
                retry_after=wait,
                next_step=f"Try again in {wait:.0f} s.",
            )

        if turns := self._turns.get(rate):
            await turns.take(owner, LONGEST_WAIT, refusal)

    @asynccontextmanager
    async def request(self, rate: Rate, owner: object = None) -> AsyncGenerator[None, None]:
        """Wait until a request of the class may be sent, and count as a request under way while the body runs.

        At most `MAX_CONCURRENT` are under way, and one owner has a share of them.

        Args:
            rate: The class.
            owner: Whose request it is, such as a tenant's client.

        Raises:
            RateLimited: The wait would exceed `LONGEST_WAIT`; nothing was sent.
        """
        await self.acquire(rate, owner)
        if not self._slots.take_free(owner):
            await self._wait_for_slot(rate, owner)
        try:
            yield
        finally:
            self._slots.release(owner)

    async def _wait_for_slot(self, rate: Rate, owner: object) -> None:
        """Wait until a slot is free, and once more for a turn, as those of many waiting requests have passed by then.

        Raises:
            RateLimited: None ended within `LONGEST_WAIT`; nothing was sent.
        """
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                await self._slots.take(owner)
        except TimeoutError:
            raise RateLimited(
                f"{MAX_CONCURRENT} requests are under way already; nothing was sent.",
                retry_after=LONGEST_WAIT,
                next_step="Try again with fewer calls at a time.",
            ) from None
        try:
            await self.acquire(rate, owner)
        except BaseException:
            self._slots.release(owner)
            raise
