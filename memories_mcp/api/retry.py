"""Retries: which failed requests are sent again, and when."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from memories_mcp.api.responses import is_temporary, proves_refusal
from memories_mcp.errors import ApiError, NotReady, RateLimited, Unreachable

if TYPE_CHECKING:
    import tenacity

T = TypeVar("T")

ATTEMPTS = 4
"""Maximum number of attempts."""
DEADLINE = 30.0
"""Seconds after the first attempt from which no further attempt starts."""
FIRST_BACKOFF = 0.5
"""Upper bound in seconds of the first wait; the bound doubles with each attempt."""
MAX_BACKOFF = 8.0
"""Upper bound in seconds of any wait."""


class ConnectionFailed(Unreachable):
    """No connection was established, so the request was not sent and any request may be retried."""


class LateRateLimit(RateLimited):
    """A refusal for rate after a part of a response arrived, so the request was carried out and is not retried."""


def should_retry(error: BaseException, *, repeatable: bool) -> bool:
    """Return whether another attempt may succeed and cannot cost or change anything twice (API 2.4).

    Args:
        error: The error of the last attempt.
        repeatable: Whether the request may be sent twice.
    """
    if isinstance(error, LateRateLimit):
        return False
    if isinstance(error, RateLimited):
        return proves_refusal(error) or (repeatable and bool(error.code))  # the client-side limiter gives no code
    if isinstance(error, ConnectionFailed):
        return True
    if not repeatable or isinstance(error, NotReady):
        return False
    if isinstance(error, ApiError):
        return is_temporary(error)
    return isinstance(error, Unreachable)


def _wait_seconds(state: tenacity.RetryCallState) -> float:
    import tenacity

    seconds = tenacity.wait_random_exponential(multiplier=FIRST_BACKOFF, max=MAX_BACKOFF)(state)
    error = state.outcome and state.outcome.exception()
    return max(error.retry_after, seconds) if isinstance(error, ApiError) else seconds


async def with_retries(send: Callable[[], Awaitable[T]], *, repeatable: bool) -> T:
    """Call `send` until it succeeds, fails permanently or reaches `ATTEMPTS` or `DEADLINE`.

    The waits grow exponentially, with full jitter.

    Args:
        send: Sends the request and reads the response.
        repeatable: Whether the request may be sent twice.
    """
    started = time.monotonic()
    try:
        return await send()
    except Exception as error:
        if not should_retry(error, repeatable=repeatable):
            raise
        failed: list[Exception] = [error]
    import tenacity  # imported late: most requests succeed at once, and its controller costs each one 70 µs

    async def attempt() -> T:
        if failed:
            raise failed.pop()
        return await send()

    remaining = DEADLINE - (time.monotonic() - started)
    retrying = tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(ATTEMPTS) | tenacity.stop_before_delay(remaining),
        wait=_wait_seconds,
        retry=tenacity.retry_if_exception(lambda error: should_retry(error, repeatable=repeatable)),
        reraise=True,
    )
    return await retrying(attempt)
