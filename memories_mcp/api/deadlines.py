"""Time limits of a request: a lowest rate while a body moves, and a deadline for the answer.

The HTTP client's own time limits hold only for the pause between two pieces, so that a peer could send one byte at a
time without end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator

import httpx2

LOWEST_RATE = 1024.0
"""Bytes per second that a body must move, averaged over `RATE_SECONDS`."""
RATE_SECONDS = 60.0
"""Seconds over which the rate of a body is averaged."""


class TooSlow(httpx2.ReadTimeout):
    """A body moves at less than the lowest rate."""


def describe_lowest_rate() -> str:
    """Return the lowest rate in words."""
    return f"{LOWEST_RATE * RATE_SECONDS / 1024:g} KiB in {RATE_SECONDS:g} s"


class RequestBody(httpx2.AsyncByteStream):
    """The body of a request, which moves a timer while it is sent.

    While the body is sent, the timer enforces the lowest rate; once it is sent, the deadline of the answer.

    Args:
        body: The body to send.
        timer: The timer under which the request is sent.
        answer_seconds: Seconds after the end of the body at which the timer expires.

    Attributes:
        sending: Whether a part of the body is sent, but not all of it.
        size: The bytes that were sent.
    """

    def __init__(self, body: AsyncIterable[bytes], timer: asyncio.Timeout, answer_seconds: float) -> None:
        self._body = body
        self._timer = timer
        self._answer_seconds = answer_seconds
        self.sending = False
        self.size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        now = asyncio.get_running_loop().time
        self.sending, moved = True, 0
        self._timer.reschedule(now() + RATE_SECONDS)
        async for chunk in self._body:
            yield chunk
            self.size += len(chunk)
            moved += len(chunk)
            if moved >= LOWEST_RATE * RATE_SECONDS:
                moved = 0
                self._timer.reschedule(now() + RATE_SECONDS)
        self.sending = False
        self._timer.reschedule(now() + self._answer_seconds)


class ResponseBody(httpx2.AsyncByteStream):
    """The body of a response, which must be complete by a deadline or arrive at the lowest rate.

    Args:
        body: The body as it arrives.
        deadline: The time on the loop's clock by which it must be complete; `None` for the lowest rate instead, which
            counts only the time spent waiting for the peer.

    Attributes:
        size: The bytes that arrived.
    """

    def __init__(self, body: httpx2.AsyncByteStream, deadline: float | None) -> None:
        self._body = body
        self._deadline = deadline
        self.size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        now = asyncio.get_running_loop().time
        chunks = aiter(self._body)
        moved, seconds = 0, RATE_SECONDS
        while True:
            start = now()
            deadline = start + seconds if self._deadline is None else self._deadline
            try:
                if start >= deadline:  # a timer does not stop a body that is always ready
                    raise TimeoutError
                async with asyncio.timeout_at(deadline):
                    chunk = await anext(chunks, None)
            except TimeoutError:
                raise (TooSlow if self._deadline is None else httpx2.ReadTimeout)("no progress in time") from None
            if chunk is None:
                return
            self.size += len(chunk)
            moved += len(chunk)
            seconds -= now() - start
            if moved >= LOWEST_RATE * RATE_SECONDS:
                moved, seconds = 0, RATE_SECONDS
            yield chunk

    async def aclose(self) -> None:
        """Close the body."""
        await self._body.aclose()
