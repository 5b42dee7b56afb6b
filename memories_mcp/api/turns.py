"""The turns of one class of requests: an exact sliding window, shared fairly by the owners of the requests."""

from __future__ import annotations

import asyncio
import uuid
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

MARGIN = 0.1
"""Seconds by which a window is longer than the API's, as requests do not all take equally long to reach the service."""

Refusal = Callable[[float], Exception]
"""Returns the error for a wait in seconds that is too long."""


class SharedWindow(Protocol):
    """The window of one class of requests that several processes share."""

    @property
    def shares(self) -> int:
        """The number of processes that share the account, as far as it is known."""
        ...

    async def reserve(self, ticket: str, longest: float, unreported: Sequence[float]) -> float | None:
        """Reserve the next turn and return the seconds until then; a turn that is too far away is not reserved.

        Args:
            ticket: The name of the reservation, for `give_back`.
            longest: The longest wait in seconds.
            unreported: How many seconds ago this process took turns that it did not reserve here.

        Returns:
            `None` if the window cannot be reached, so that this process counts alone.
        """
        ...

    def give_back(self, ticket: str) -> None:
        """Give up a reservation, in the background."""
        ...


class _Turn(NamedTuple):
    at: float
    ticket: str


@dataclass(eq=False)
class _Waiter:
    owner: object
    start: float
    granted: asyncio.Future[_Turn]


@dataclass
class _Order:
    """The fair order: start-time fair queueing, in which an owner with one request does not wait behind a backlog."""

    virtual: float = 0.0
    finish: dict[object, float] = field(default_factory=dict[object, float])

    def start_of(self, owner: object) -> float:
        return max(self.virtual, self.finish.get(owner, 0.0))


class Turns:
    """Grants at most `requests` turns in any `seconds` and a margin.

    Each caller reserves one turn when it comes, so that it learns at once how long it waits. The turns of all callers
    are dealt out in fair order when they are due. Bound to one event loop at a time.

    Args:
        requests: The number of turns; below 1, the window is extended to one turn.
        seconds: The length of the window.
        shared: The same window, shared with other processes.
    """

    def __init__(self, requests: float, seconds: float, shared: SharedWindow | None = None) -> None:
        self.requests = max(1, int(requests))
        self.seconds = seconds / min(1, requests)
        self.seconds += min(MARGIN, self.seconds / 10)
        self._shared = shared
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._past = deque[_Turn](maxlen=self.requests)
        self._turns: list[_Turn] = []  # reserved and not due yet, one for each waiter
        self._waiters: list[_Waiter] = []  # in fair order
        self._order = _Order()

    async def take(self, owner: object, longest: float, refusal: Refusal) -> None:
        """Wait for a turn.

        With too many waiting, the last in fair order is refused: the caller itself, or one of an owner with more.

        Args:
            owner: Whose turn it is.
            longest: The longest wait in seconds.
            refusal: Returns the error to raise for a longer one.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # what waited in another loop is gone with it
            self._loop, self._timer, self._order = loop, None, _Order()
            self._turns.clear()
            self._waiters.clear()
        wait, ticket = await self._reserve(longest)
        waiter = _Waiter(owner, self._order.start_of(owner), loop.create_future())
        position = bisect_right(self._waiters, waiter.start, key=lambda other: other.start)
        if wait <= longest:
            insort(self._turns, _Turn(loop.time() + max(0.0, wait), ticket))
        elif position < len(self._waiters):
            if not (last := self._waiters.pop()).granted.done():
                last.granted.set_exception(refusal(wait))
        else:
            raise refusal(wait)
        self._waiters.insert(position, waiter)
        self._order.finish[owner] = waiter.start + 1
        self._deal()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            self._leave(waiter)
            raise

    async def _reserve(self, longest: float) -> tuple[float, str]:
        """Return the seconds until a turn, and its ticket if other processes know of it."""
        if self._shared:
            ticket, now = uuid.uuid4().hex, asyncio.get_running_loop().time()
            unreported = [turn for turn in self._past if not turn.ticket and turn.at > now - self.seconds]
            try:
                wait = await self._shared.reserve(ticket, longest, [now - turn.at for turn in unreported])
            except asyncio.CancelledError:
                self._shared.give_back(ticket)
                raise
            if wait is not None:
                for turn in unreported:
                    if turn in self._past:
                        self._past[self._past.index(turn)] = turn._replace(ticket="reported")
                return wait, ticket
        # Each process has its part of the window, or one turn in a longer one.
        shares = self._shared.shares if self._shared else 1
        requests, seconds = max(1, self.requests // shares), self.seconds * max(1.0, shares / self.requests)
        return self._nth_last(requests) + seconds - asyncio.get_running_loop().time(), ""

    def _nth_last(self, number: int) -> float:
        """Return the time of the nth last of all turns, reserved ones included."""
        if number <= len(self._turns):
            return self._turns[-number].at
        number -= len(self._turns)
        return self._past[-number].at if number <= len(self._past) else float("-inf")

    def _deal(self) -> None:
        """Grant the turns that are due, and set the timer for the next one."""
        assert self._loop
        if self._timer:
            self._timer.cancel()
            self._timer = None
        now = self._loop.time()
        while self._waiters:
            if self._waiters[0].granted.done():  # cancelled, and not yet aware of that
                self._leave(self._waiters[0])
                continue
            turn = self._turns[0]
            # A loop that was held up grants late, and the turns after that one move too.
            due = turn.at if len(self._past) < self.requests else max(turn.at, self._past[0].at + self.seconds)
            if due > now:
                self._timer = self._loop.call_at(due, self._deal)
                return
            waiter = self._waiters.pop(0)
            granted = self._turns.pop(0)._replace(at=now)
            self._past.append(granted)
            self._order.virtual = waiter.start
            waiter.granted.set_result(granted)
        self._order = _Order()

    def _leave(self, waiter: _Waiter) -> None:
        """Give back the turn of a caller that was cancelled: the last one if it waits, else its own."""
        turn = None
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            turn = self._turns.pop()
        elif not waiter.granted.cancelled() and not waiter.granted.exception():
            turn = waiter.granted.result()
            if turn in self._past:
                self._past.remove(turn)
        if turn and turn.ticket and self._shared:
            self._shared.give_back(turn.ticket)
