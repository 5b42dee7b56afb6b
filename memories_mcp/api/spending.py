"""The spend guard: counts what a caller sends that costs money, and refuses what exceeds the limit of a day."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from memories_mcp.api.endpoints import Endpoint
from memories_mcp.api.prices import PRICE_CLASSES, price_of
from memories_mcp.api.responses import is_temporary
from memories_mcp.api.retry import ConnectionFailed, LateRateLimit
from memories_mcp.api.tracing import RequestTrace
from memories_mcp.audit import current_call
from memories_mcp.errors import ApiError, ConfigurationError, SpendLimitReached
from memories_mcp.observer import UNOBSERVED, Observer

_DAY = 24 * 60 * 60


class SpendCounts(Protocol):
    """Keeps counts under names that hold no secret; several processes may share one."""

    async def take(self, name: str, most: int, expires: float) -> bool:
        """Add one to a count, unless it has reached the most already, and return whether it was added.

        Args:
            name: The name of the count, which begins at 0.
            most: The highest count.
            expires: When the count is dropped, in seconds since 1970.
        """
        ...

    async def give_back(self, name: str) -> None:
        """Subtract one from a count that was added to."""
        ...


class LocalSpendCounts:
    """The counts of one process, which end with it."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._expires = 0.0

    async def take(self, name: str, most: int, expires: float) -> bool:
        """See `SpendCounts`."""
        if expires > self._expires:  # another day
            self._counts.clear()
            self._expires = expires
        count = self._counts.get(name, 0)
        if count >= most:
            return False
        self._counts[name] = count + 1
        return True

    async def give_back(self, name: str) -> None:
        """See `SpendCounts`."""
        if name in self._counts:  # the count of yesterday is gone
            self._counts[name] -= 1
            if not self._counts[name]:
                del self._counts[name]


def check_limits(limits: Mapping[str, int]) -> None:
    """Check that the limits name price classes.

    Raises:
        ConfigurationError: They name another one.
    """
    if unknown := [price for price in limits if price not in PRICE_CLASSES]:
        raise ConfigurationError(
            f"MEMORIES_SPEND_LIMIT names an unknown class: {', '.join(unknown)}.",
            next_step=f"Use one of these: {', '.join(PRICE_CLASSES)}.",
        )


class Spending:
    """What one caller spends.

    Args:
        limits: The most requests a day by price class; a class without a limit is not listed.
        counts: Keeps the counts.
        caller: Names the caller; a digest without secrets.
        observer: Receives what is spent.
    """

    def __init__(
        self, limits: Mapping[str, int], counts: SpendCounts, caller: str, observer: Observer = UNOBSERVED
    ) -> None:
        self._limits = limits
        self._counts = counts
        self._caller = caller
        self._observer = observer

    @asynccontextmanager
    async def request(self, endpoint: Endpoint, trace: RequestTrace) -> AsyncGenerator[None, None]:
        """Count the body as one request, if it costs money; one that was not carried out does not count.

        Args:
            endpoint: The endpoint that is called.
            trace: Shows whether the request was sent.

        Raises:
            SpendLimitReached: The caller has reached the limit of the class; nothing was sent.
        """
        price = price_of(endpoint)
        if not price:
            yield
            return
        call, most = current_call(), self._limits.get(price)
        day = int(time.time() // _DAY)
        name, resets = f"{day}:{price}:{self._caller}", (day + 1) * _DAY
        if most is not None and not await self._counts.take(name, most, resets):
            self._observer.record_spending(price, "refused")
            if call:
                call.refused.add(price)
            raise _refusal(price, most, resets)
        try:
            yield
        except BaseException as error:
            if trace.turn is not None and not _proves_no_cost(error):
                self._record(price)
            elif most is not None:
                await asyncio.shield(self._counts.give_back(name))
            raise
        self._record(price)

    def _record(self, price: str) -> None:
        self._observer.record_spending(price, "spent")
        if call := current_call():
            call.spent[price] += 1


UNLIMITED = Spending({}, LocalSpendCounts(), "")
"""The spending of a caller whose requests are not counted."""


def _proves_no_cost(error: BaseException) -> bool:
    """Return whether an error shows that the service did not carry out the request."""
    if isinstance(error, ConnectionFailed):
        return True
    return isinstance(error, ApiError) and not isinstance(error, LateRateLimit) and not is_temporary(error)


def _refusal(price: str, most: int, resets: float) -> SpendLimitReached:
    minutes = max(1, round((resets - time.time()) / 60))
    wait = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
    return SpendLimitReached(
        f"The daily limit of this caller is reached: {price}={most}. The request was not sent.",
        next_step=f"Try again after 00:00 UTC, in {wait}, or ask the operator to raise MEMORIES_SPEND_LIMIT.",
    )
