"""The slots for requests under way, of which each owner has a share."""

from __future__ import annotations

import asyncio
from collections import Counter

_PER_FREE_SLOT = 3
"""Slots that an owner may hold for each one that is free: alone it holds three quarters, and others find some free."""


class Slots:
    """Counts the requests under way of one key.

    The share of an owner depends on what is free (a dynamic threshold): the more owners, the less for each.

    Args:
        number: The slots of all owners.
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._held = Counter[object]()
        self._waiters: list[tuple[object, asyncio.Future[None]]] = []

    def take_free(self, owner: object) -> bool:
        """Take a slot if the owner's share leaves one, and return whether it did."""
        if self._held[owner] >= _PER_FREE_SLOT * self._free:
            return False
        self._free -= 1
        self._held[owner] += 1
        return True

    async def take(self, owner: object) -> None:
        """Wait for a slot."""
        if self.take_free(owner):
            return
        waiter = (owner, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            await waiter[1]
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif not waiter[1].cancelled():  # the slot came in the same moment
                self.release(owner)
            raise

    def release(self, owner: object) -> None:
        """Give a slot back; the waiting owner with the fewest slots takes it."""
        self._free += 1
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]  # an owner is not kept alive
        for waiter in sorted(self._waiters, key=lambda waiter: self._held[waiter[0]]):
            if waiter[1].done() or not self.take_free(waiter[0]):
                continue
            self._waiters.remove(waiter)
            waiter[1].set_result(None)
