"""The rate limits of an account over all replicas: the sliding windows of `Turns`, in Redis."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from memories_mcp.api.turns import LONGEST_HOLD
from memories_mcp.server.replicas.link import PREFIX, Away, RedisLink

# Turns are scores, in milliseconds of Redis' own clock, and may lie in the future. A turn may be taken if less than
# `requests` others lie in the window before it, or after it; turns that were given back leave gaps, which are safe.
_RESERVE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local requests, window, longest = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
for index = 6, #ARGV do
    redis.call('ZADD', KEYS[1], now - ARGV[index], ARGV[1] .. index)
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
redis.call('ZREM', KEYS[1], ARGV[1])
local nth = redis.call('ZREVRANGE', KEYS[1], requests - 1, requests - 1, 'WITHSCORES')
local wait = math.max(0, tonumber(ARGV[5]), nth[2] and nth[2] + window - now or 0)
if wait <= longest then
    redis.call('ZADD', KEYS[1], now + wait, ARGV[1])
end
redis.call('PEXPIRE', KEYS[1], math.ceil(longest + window))
return tostring(wait)
"""


class RedisLimits:
    """The shared rate limits of one account.

    Args:
        link: The link to Redis.
        account: A digest of the account's key.
    """

    def __init__(self, link: RedisLink, account: str) -> None:
        self._link = link
        self._account = account

    def window(self, rate: str, requests: int, seconds: float) -> RedisWindow:
        """Return the window of a class of requests."""
        return RedisWindow(self._link, f"{PREFIX}rate:{self._account}:{rate}", requests, seconds)


class RedisWindow:
    """The shared window of one class of requests; see `SharedWindow`.

    Args:
        link: The link to Redis.
        key: The key of the window in Redis.
        requests: The number of turns in the window.
        seconds: The length of the window.
    """

    def __init__(self, link: RedisLink, key: str, requests: int, seconds: float) -> None:
        self._link = link
        self._key = key
        self._requests = requests
        self._seconds = seconds
        self._reserve = link.client.register_script(_RESERVE)

    @property
    def alone(self) -> bool:
        """Whether this process counts alone: Redis does not answer, or other replicas are about to come back."""
        return not self._link.available.is_set() or time.monotonic() < self._link.together_from

    @property
    def alone_since(self) -> float:
        """When this process lost the others last, on the monotonic clock."""
        return self._link.lost_at

    @property
    def shares(self) -> int:
        """The last known number of replicas."""
        return self._link.replicas

    async def reserve(self, ticket: str, longest: float, unreported: Sequence[float]) -> float | None:
        """Reserve the next turn and return the seconds until then.

        Args:
            ticket: The name of the reservation.
            longest: The longest wait in seconds.
            unreported: How many seconds ago this process took turns that it did not reserve here.

        Returns:
            `None` if this process counts alone.
        """
        if self.alone:
            return None
        # Others may not have reported yet what they did alone.
        hold = min(self._seconds, LONGEST_HOLD) + self._link.together_from - time.monotonic()
        numbers = [self._seconds, longest, hold, *unreported]
        arguments = [ticket, self._requests, *(round(number * 1000, 3) for number in numbers)]
        with suppress(Away):
            wait: Any = await self._link.run(lambda: self._reserve([self._key], arguments))
            return float(wait) / 1000
        return None

    def give_back(self, ticket: str) -> None:
        """Give up a reservation, in the background."""
        if self._link.available.is_set():
            self._link.start(self._link.run(lambda: self._link.client.zrem(self._key, ticket)))
