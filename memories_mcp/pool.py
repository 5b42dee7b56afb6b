"""Things that are made on first use and kept for whom they were made, up to a number."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass
class _Kept(Generic[V]):
    value: V
    users: int = 0
    leaving: bool = False


class Pool(Generic[K, V]):
    """Values by key; over the limit, those that nobody uses go, longest unused first.

    Args:
        most: How many are kept.
        close: What is done with one that goes.
    """

    def __init__(self, most: int, close: Callable[[V], Awaitable[None]]) -> None:
        self._most = most
        self._close = close
        self._kept: OrderedDict[K, _Kept[V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def values(self) -> list[V]:
        """All that are kept, longest unused first."""
        return [each.value for each in self._kept.values()]

    @asynccontextmanager
    async def use(self, key: K, make: Callable[[], V]) -> AsyncGenerator[V, None]:
        """The value of a key, made where there is none; it is not closed while the body runs."""
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = _Kept(make())
        self._kept.move_to_end(key)
        kept.users += 1
        try:
            idle = [each for each, other in self._kept.items() if not other.users]
            superfluous = [self._kept.pop(each) for each in idle[: max(0, len(self._kept) - self._most)]]
            for each in superfluous:
                await self._close(each.value)
            yield kept.value
        finally:
            kept.users -= 1
            if kept.leaving and not kept.users:
                await self._close(kept.value)

    async def aclose(self, *, at_once: bool) -> None:
        """Let all of them go: at once, or those in use when their last user leaves."""
        all_kept = list(self._kept.values())
        self._kept.clear()
        for each in all_kept:
            each.leaving = not at_once and each.users > 0
            if not each.leaving:
                await self._close(each.value)
