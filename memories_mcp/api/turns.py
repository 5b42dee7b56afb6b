"""The turns of one class of requests: an exact sliding window, shared fairly by the owners of the requests."""

from __future__ import annotations

import asyncio
import time
import uuid
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

MARGIN = 0.1
"""Seconds by which a window is longer than the API's, as requests do not all take equally long to reach the service."""
LONGEST_HOLD = 2.0
"""Seconds for which no turn begins after processes lost or found each other, if their window is that long."""

Refusal = Callable[[float], Exception]
"""Returns the error for a wait in seconds that is too long."""


class SharedWindow(Protocol):
    """The window of one class of requests that several processes share."""

    @property
    def alone(self) -> bool:
        """Whether the window cannot be reached, so that this process counts alone."""
        ...

    @property
    def alone_since(self) -> float:
        """When this process lost the others last, on the monotonic clock."""
        ...

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
            `None` if this process counts alone.
        """
        ...

    def give_back(self, ticket: str) -> None:
        """Give up a reservation, in the background."""
        ...


class SharedLimits(Protocol):
    """The rate limits of one key that several processes share."""

    def window(self, rate: str, requests: int, seconds: float) -> SharedWindow:
        """Return the window of a class of requests.

        Args:
            rate: The class.
            requests: The number of turns in the window.
            seconds: The length of the window, margin included.
        """
        ...


@dataclass(eq=False)
class _Turn:
    """A reserved turn.

    Attributes:
        at: When it is due; once it is granted, when it was.
        ticket: The name of the reservation; empty if this process counts alone.
        latest: Until when it may be granted, so that the requests of all processes keep their distance.
    """

    at: float
    ticket: str
    latest: float


@dataclass(eq=False)
class _Waiter:
    owner: object
    start: float
    granted: asyncio.Future[_Turn]
    longest: float
    refusal: Refusal

    def refuse(self, wait: float) -> None:
        if not self.granted.done():
            self.granted.set_exception(self.refusal(wait))


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
        shared: The limits that several processes share.
        rate: The class of requests.
    """

    def __init__(self, requests: float, seconds: float, shared: SharedLimits | None = None, rate: str = "") -> None:
        self.requests = max(1, int(requests))
        self.seconds = seconds / min(1, requests)
        self.margin = min(MARGIN, self.seconds / 10)
        self.seconds += self.margin
        self._shared = shared.window(rate, self.requests, self.seconds) if shared else None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._past = deque[_Turn](maxlen=self.requests)
        self._turns: list[_Turn] = []  # reserved: one for each waiter, except while one is reserved again
        self._waiters: list[_Waiter] = []  # in fair order
        self._order = _Order()
        self._repeating = set[asyncio.Task[None]]()

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
        wait = await self._reserve(longest)
        waiter = _Waiter(owner, self._order.start_of(owner), loop.create_future(), longest, refusal)
        position = bisect_right(self._waiters, waiter.start, key=lambda other: other.start)
        if wait > longest:
            if position == len(self._waiters):
                raise refusal(wait)
            self._waiters.pop().refuse(wait)
        self._waiters.insert(position, waiter)
        self._order.finish[owner] = waiter.start + 1
        self._deal()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            self._leave(waiter)
            raise

    async def _reserve(self, longest: float) -> float:
        """Reserve a turn, unless it is too far away, and return the seconds until then."""
        asked_at, ticket = time.monotonic(), uuid.uuid4().hex
        wait = await self._reserve_with_others(ticket, longest) if self._shared else None
        now = time.monotonic()
        if wait is None:
            requests, seconds = self._alone()
            wait, ticket = self._nth_last(requests) + seconds - now, ""
            if self._shared:
                wait = max(wait, self._shared.alone_since + min(self.seconds, LONGEST_HOLD) - now)
        wait = max(0.0, wait)
        if wait <= longest:
            turn = _Turn(now + wait, ticket, latest=asked_at + wait + self.margin)
            insort(self._turns, turn, key=lambda other: other.at)
        return wait

    async def _reserve_with_others(self, ticket: str, longest: float) -> float | None:
        assert self._shared
        now = time.monotonic()
        unreported = [turn for turn in self._past if not turn.ticket and turn.at > now - self.seconds]
        try:
            wait = await self._shared.reserve(ticket, longest, [now - turn.at for turn in unreported])
        except asyncio.CancelledError:
            self._shared.give_back(ticket)
            raise
        if wait is not None:
            for turn in unreported:
                turn.ticket = turn.ticket or ticket
        return wait

    def _alone(self) -> tuple[int, float]:
        """Return the part of the window that this process has alone, or one turn in a longer one."""
        shares = self._shared.shares if self._shared else 1
        return max(1, self.requests // shares), self.seconds * max(1.0, shares / self.requests)

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
        now = time.monotonic()
        while self._waiters and self._turns:
            waiter, turn = self._waiters[0], self._turns[0]
            if waiter.granted.done():  # cancelled, and not yet aware of that
                self._leave(waiter)
                continue
            # A loop that was held up grants late, and the turns after that one move too.
            requests, seconds = (self.requests, self.seconds) if turn.ticket else self._alone()
            due = max(turn.at, self._past[-requests].at + seconds) if len(self._past) >= requests else turn.at
            if due > now:
                self._timer = self._loop.call_later(due - now, self._deal)
                return
            self._turns.pop(0)
            # Other processes count on the time of a turn, and do not know of one that was reserved alone.
            if self._shared and (now > turn.latest if turn.ticket else not self._shared.alone):
                self._reserve_again(turn, waiter)
                continue
            self._waiters.pop(0)
            turn.at = now
            self._past.append(turn)
            self._order.virtual = waiter.start
            waiter.granted.set_result(turn)
        if not self._waiters:
            self._order = _Order()
        self._give_back_unused()

    def _reserve_again(self, turn: _Turn, waiter: _Waiter) -> None:
        """Reserve a turn in place of one that cannot be used; the first in the queue takes the next one."""

        async def reserve() -> None:
            wait = await self._reserve(waiter.longest)
            self._repeating.discard(task)
            if wait > waiter.longest and self._waiters:
                self._waiters.pop().refuse(wait)
            self._deal()

        self._give_back(turn)
        task = asyncio.ensure_future(reserve())
        self._repeating.add(task)  # the event loop holds tasks by weak references only
        task.add_done_callback(self._repeating.discard)  # if it was cancelled

    def _leave(self, waiter: _Waiter) -> None:
        """Give back the turn of a caller that was cancelled: the last one if it waits, else its own."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            self._give_back_unused()
        elif not waiter.granted.cancelled() and not waiter.granted.exception():
            turn = waiter.granted.result()
            if turn in self._past:
                self._past.remove(turn)
            self._give_back(turn)

    def _give_back_unused(self) -> None:
        while len(self._turns) + len(self._repeating) > len(self._waiters) and self._turns:
            self._give_back(self._turns.pop())

    def _give_back(self, turn: _Turn) -> None:
        if turn.ticket and self._shared:
            self._shared.give_back(turn.ticket)
