"""Changes of resources over all replicas: each publishes what its calls notice, and hears what others publish."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, cast

from redis.exceptions import RedisError

from memories_mcp.server.replicas import link as timing
from memories_mcp.server.replicas.link import PREFIX, Away, RedisLink

logger = logging.getLogger(__name__)

_CHANNEL = f"{PREFIX}changes"
_MAX_UNSENT = 1000
"""Changes kept while Redis does not answer; later ones are lost, and the others forget all they keep anyway."""

Receive = Callable[[str, Sequence[str]], None]
"""Receives the digest of a tenant, and URIs; both empty if changes may have been missed."""


class ChangeBus:
    """The channel of changes.

    Args:
        link: The link to Redis.
        receive: Receives the changes of the other replicas.
    """

    def __init__(self, link: RedisLink, receive: Receive) -> None:
        self._link = link
        self._receive = receive
        self._unsent = asyncio.Queue[str](_MAX_UNSENT)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None, None]:
        """Publish and hear while the body runs.

        Raises:
            Away: Redis refused the subscription.
        """
        pubsub = await self._subscribe()
        tasks = [asyncio.create_task(self._hear(pubsub)), asyncio.create_task(self._send())]
        try:
            yield
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(timing.DEADLINE):
                    await self._unsent.join()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def publish(self, tenant: str, uris: Sequence[str]) -> None:
        """Publish a change, in the background and in order.

        Args:
            tenant: A digest that names the tenant in all replicas.
            uris: The changed resources.
        """
        with suppress(asyncio.QueueFull):
            message = {"from": self._link.replica, "tenant": tenant, "uris": [*uris]}
            self._unsent.put_nowait(json.dumps(message, separators=(",", ":")))

    async def _send(self) -> None:
        while True:
            message = await self._unsent.get()
            sent = False
            while not sent:
                await self._link.available.wait()
                with suppress(Away):
                    await self._link.run(partial(self._link.client.publish, _CHANNEL, message))
                    sent = True
            self._unsent.task_done()

    async def _hear(self, pubsub: Any) -> None:
        """Receive messages; after each interruption, say that some may have been missed."""
        while True:
            lost_at = self._link.lost_at
            try:
                while self._link.lost_at == lost_at and self._link.available.is_set():
                    message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=timing.PAUSE)
                    if message:
                        self._accept(message["data"])
            except (RedisError, OSError, TimeoutError) as error:
                self._link.lost(error)
            finally:
                with suppress(RedisError, OSError, TimeoutError):
                    await pubsub.aclose()
            pubsub = await self._subscribe_again()
            self._receive("", [])

    async def _subscribe_again(self) -> Any:
        while True:
            await self._link.available.wait()
            with suppress(Away):
                return await self._subscribe()

    async def _subscribe(self) -> Any:
        pubsub = self._link.listening_client.pubsub()
        try:
            await self._link.run(lambda: pubsub.subscribe(_CHANNEL))
        except BaseException:
            await pubsub.aclose()
            raise
        return pubsub

    def _accept(self, data: bytes) -> None:
        """Hand on a message of another replica; what cannot be read was published by another program."""
        try:
            message: Any = json.loads(data)
            sender, tenant, uris = str(message["from"]), str(message["tenant"]), cast(list[object], message["uris"])
            if sender != self._link.replica:
                self._receive(tenant, [str(uri) for uri in uris])
        except (ValueError, TypeError, KeyError, RecursionError):
            logger.debug("a message on the channel of changes could not be read", exc_info=True)
