"""LRU pool of closable values; never evicts one in use."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass
class _Entry(Generic[V]):
    value: V
    users: int = 0
    close_when_unused: bool = False


class Pool(Generic[K, V]):
    """Values by key, created on first use; above the limit the least recently used idle ones are closed.

    The pool exceeds its limit while more values than that are in use.

    Args:
        max_size: Number of values to keep.
        close: Closes an evicted value.
    """

    def __init__(self, max_size: int, close: Callable[[V], Awaitable[None]]) -> None:
        self._max_size = max_size
        self._close = close
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()  # least recently used first

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def values(self) -> list[V]:
        """The pooled values, least recently used first."""
        return [entry.value for entry in self._entries.values()]

    @asynccontextmanager
    async def use(self, key: K, create: Callable[[], V]) -> AsyncGenerator[V, None]:
        """Yield the value of a key, created if missing; the pool does not evict the value while the body runs."""
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(create())
        self._entries.move_to_end(key)
        entry.users += 1
        try:
            for evicted in self._evict():
                await self._close(evicted)
            yield entry.value
        finally:
            entry.users -= 1
            if entry.close_when_unused and not entry.users:
                await self._close(entry.value)

    async def aclose(self, *, force: bool) -> None:
        """Close all values and empty the pool.

        Args:
            force: Whether to close values in use too; otherwise each of them is closed when its last user is done.
        """
        entries = list(self._entries.values())
        self._entries.clear()
        for entry in entries:
            entry.close_when_unused = not force and entry.users > 0
            if not entry.close_when_unused:
                await self._close(entry.value)

    def _evict(self) -> list[V]:
        """Remove the least recently used idle values above the limit and return them."""
        excess = max(0, len(self._entries) - self._max_size)
        idle = [key for key, entry in self._entries.items() if not entry.users]
        return [self._entries.pop(key).value for key in idle[:excess]]
