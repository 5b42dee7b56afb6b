"""What this replica shares with others."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from memories_mcp.api.turns import SharedLimits
from memories_mcp.server.replicas.changes import ChangeBus, Receive
from memories_mcp.server.replicas.link import RedisLink
from memories_mcp.server.replicas.windows import RedisLimits


class Replicas:
    """The rate limits and the changes that the replicas on one Redis server share.

    Args:
        url: The URL of Redis.
        receive: Receives the changes of the other replicas.

    Raises:
        ConfigurationError: The URL has options that do not exist.
    """

    def __init__(self, url: str, receive: Receive) -> None:
        self._link = RedisLink(url)
        self._bus = ChangeBus(self._link, receive)
        self.available = self._link.available
        """Set while Redis answers."""

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Replicas, None]:
        """Be one of the replicas while the body runs.

        Raises:
            ConfigurationError: Redis does not answer, or refuses.
        """
        async with self._link.open(), self._bus.open():
            yield self

    def limits(self, account: str) -> SharedLimits:
        """Return the shared rate limits of an account, which is named by a digest of its key."""
        return RedisLimits(self._link, account)

    def publish(self, tenant: str, uris: Sequence[str]) -> None:
        """Publish a change, in the background.

        Args:
            tenant: A digest that names the tenant in all replicas.
            uris: The changed resources.
        """
        self._bus.publish(tenant, uris)
