"""The link to Redis: every call has a deadline, and a server that does not answer is left alone for a while."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout

from memories_mcp.errors import ConfigurationError

logger = logging.getLogger(__name__)

T = TypeVar("T")

PREFIX = "memories:"
"""Begins every key and channel."""
DEADLINE = 0.2
"""Seconds for one try of a call."""
PAUSE = 5.0
"""Seconds between two signs of life, and between two tries while Redis does not answer."""
_LEASE_SECONDS = 15
"""How long a replica counts after its last sign of life."""
_START_SECONDS = 2.0
"""Deadline of the first call, which opens the first connection."""
_WARNING_SECONDS = 60.0
_MAX_CONNECTIONS = 4

# A replica that comes back finds out whether the others were away too: then one of them is missing, or has given no
# sign of life since. The first one sets the time from which all use Redis again: when the last one has come back.
_SIGN_OF_LIFE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
redis.call('EXPIRE', KEYS[1], ARGV[2])
local resume = tonumber(redis.call('GET', KEYS[2]) or 0)
local number, away = redis.call('ZCARD', KEYS[1]), tonumber(ARGV[3])
local missing = number < tonumber(ARGV[4]) or redis.call('ZCOUNT', KEYS[1], '-inf', now - away) > 0
if away > 0 and missing and resume < now then
    resume = now + ARGV[5]
    redis.call('SET', KEYS[2], resume, 'EX', ARGV[2])
end
return {number, tostring(resume - now)}
"""


class Away(Exception):  # a state, which each caller has an answer to
    """Redis does not answer, or refuses."""


class RedisLink:
    """The connections of one process to Redis, and the number of processes that use it.

    Args:
        url: `redis://`, `rediss://` or `unix://`; may hold a password.

    Raises:
        ConfigurationError: The URL has options that do not exist.
    """

    def __init__(self, url: str) -> None:
        self.replica = uuid.uuid4().hex
        """Names this process to the others."""
        self.replicas = 1
        """The last known number of processes, this one included."""
        self.available = asyncio.Event()
        """Set while Redis answers."""
        self.lost_at = float("-inf")
        """When Redis was lost last, on the monotonic clock."""
        self.together_from = float("-inf")
        """From when all replicas use Redis again."""
        self._deadline = _START_SECONDS
        self._warned_at = float("-inf")
        self._background = set[asyncio.Task[Any]]()
        # The deadline of a call begins when it has a connection.
        self._turn = asyncio.Semaphore(_MAX_CONNECTIONS)
        try:
            self.client = _client(url, 2 * _MAX_CONNECTIONS, DEADLINE)
            # A subscription waits for messages without a limit, so it has a connection of its own.
            self.listening_client = _client(url, 1, None)
        except (ValueError, TypeError):
            raise ConfigurationError(
                "MEMORIES_REDIS_URL has an option that does not exist or a wrong value.",
                next_step="Use redis://user:password@host:port/number, rediss://… for TLS, or unix:///path.",
            ) from None
        self._sign_of_life = self.client.register_script(_SIGN_OF_LIFE)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None, None]:
        """Register this process while the body runs.

        Raises:
            ConfigurationError: Redis does not answer, or refuses.
        """
        beats: asyncio.Task[None] | None = None
        try:
            await self._register()
            self._deadline = DEADLINE
            beats = asyncio.create_task(self._keep_registered())
            yield
        except Away as away:
            raise ConfigurationError(
                f"Redis cannot be used: {away}.",
                next_step="Start Redis, correct MEMORIES_REDIS_URL, or remove it to serve with one replica.",
            ) from None
        finally:
            if beats:
                beats.cancel()
                with suppress(Away):
                    await self.run(lambda: self.client.zrem(f"{PREFIX}replicas", self.replica))
            for task in self._background:
                task.cancel()
            await asyncio.gather(*filter(None, [beats]), *self._background, return_exceptions=True)
            for client in (self.client, self.listening_client):
                with suppress(RedisError, OSError, TimeoutError):
                    async with asyncio.timeout(DEADLINE):
                        await client.aclose()
                        await client.connection_pool.disconnect()

    async def run(self, command: Callable[[], Awaitable[T]]) -> T:
        """Return the result of a command, which may be sent twice.

        Raises:
            Away: There was none within `DEADLINE`, twice.
        """
        lost_at = self.lost_at
        async with self._turn:
            if self.lost_at != lost_at:
                raise Away("it was lost meanwhile")
            try:
                try:
                    return await self._attempt(command)
                except (RedisConnectionError, TimeoutError):
                    # Redis was restarted, so that the connections are closed; or this process was held up.
                    await self.client.connection_pool.disconnect(inuse_connections=False)
                    return await self._attempt(command)
            except (RedisError, OSError, TimeoutError) as error:
                raise self.lost(error) from None

    async def _attempt(self, command: Callable[[], Awaitable[T]]) -> T:
        async with asyncio.timeout(self._deadline):
            try:
                return await command()
            except RedisTimeout as error:
                raise TimeoutError from error

    def start(self, work: Coroutine[Any, Any, object]) -> None:
        """Run something beside the calls, until the link closes."""
        task = asyncio.create_task(_ignoring_away(work))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def lost(self, error: Exception) -> Away:
        """Take note of a failure and return it as `Away`; warns once a minute."""
        now = time.monotonic()
        reason = _reason(error) or "it does not answer"
        if self.available.is_set():
            self.lost_at = now
            self.available.clear()
        logger.debug("a call of Redis failed: %s", reason)
        if now >= self._warned_at + _WARNING_SECONDS and self._deadline == DEADLINE:
            self._warned_at = now
            logger.warning(
                "Redis cannot be used: %s. This replica keeps to its part of the rate limits, 1 of %d, and hears of no "
                "changes through others.",
                reason,
                self.replicas,
            )
        return Away(reason)

    async def _register(self) -> None:
        is_back = not self.available.is_set()
        away = time.monotonic() - self.lost_at if is_back and self.lost_at > float("-inf") else 0
        keys = [f"{PREFIX}replicas", f"{PREFIX}resume"]
        values = [self.replica, _LEASE_SECONDS, away, self.replicas, PAUSE + 2 * DEADLINE]
        answer: Any = await self.run(lambda: self._sign_of_life(keys, values))
        number, seconds = int(answer[0]), float(answer[1])
        if is_back:
            self.together_from = time.monotonic() + seconds
        if seconds <= 0:  # else others are about to come back
            self.replicas = max(1, number)
        self.available.set()

    async def _keep_registered(self) -> None:
        """Give a sign of life at intervals; while Redis does not answer, these are the only calls."""
        while True:
            was_away = not self.available.is_set()
            await asyncio.sleep(PAUSE)
            if time.monotonic() < self.lost_at + PAUSE:  # lost during the sleep
                await asyncio.sleep(self.lost_at + PAUSE - time.monotonic())
            with suppress(Away):
                await self._register()
                if was_away:
                    logger.warning("Redis answers again.")


def _client(url: str, connections: int, seconds: float | None) -> Any:
    """Return a client that never tries twice; `Any`, as the package leaves the types of options and answers open."""
    pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType] -- see above
        url,
        max_connections=connections,
        timeout=DEADLINE,
        socket_timeout=seconds,
        socket_connect_timeout=_START_SECONDS,
        retry=Retry(NoBackoff(), 0),
        protocol=2,  # without the notifications of protocol 3, a closed connection is noticed before it is used
    )
    pool.make_connection()  # checks the options of the URL; nothing is opened
    return Redis(connection_pool=pool)


def _reason(error: BaseException) -> str:
    """Return why Redis cannot be used; the package's words for an error of the system are long."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
        cause = cause.__cause__ or cause.__context__
    return str(error).rstrip(".")


async def _ignoring_away(work: Coroutine[Any, Any, object]) -> None:
    with suppress(Away):
        await work
