"""What may be tried again, and when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from memories_mcp.api.responses import transient
from memories_mcp.errors import ApiError, NotReady, RateLimited, Unreachable

if TYPE_CHECKING:
    import tenacity

T = TypeVar("T")

ATTEMPTS = 4
DEADLINE = 30.0
"""Seconds after which no further try is begun."""
FIRST_WAIT = 0.5
LONGEST_WAIT = 8.0


class NeverSent(Unreachable):
    """No connection could be made, so nothing can have happened: trying again is safe for any request."""


def worth_repeating(error: BaseException, *, repeatable: bool) -> bool:
    """Whether a second try can help without costing or changing anything twice (API 2.4)."""
    if isinstance(error, RateLimited):
        return bool(error.code or error.status == 429)  # our own limiter's refusal is final
    if isinstance(error, NeverSent):
        return True
    if not repeatable or isinstance(error, NotReady):
        return False
    if isinstance(error, ApiError):
        return error.status >= 500 or transient(error.words)
    return isinstance(error, Unreachable)


def _wait(state: tenacity.RetryCallState) -> float:
    import tenacity

    jittered = tenacity.wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)(state)
    error = state.outcome and state.outcome.exception()
    return max(error.retry_after, jittered) if isinstance(error, RateLimited) else jittered


async def repeat(send: Callable[[], Awaitable[T]], *, repeatable: bool) -> T:
    """Call `send` until it succeeds, fails for good, or the tries are used up: full jitter, with a deadline."""
    import tenacity  # not before a request: listing tools needs none

    retrying = tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(ATTEMPTS) | tenacity.stop_before_delay(DEADLINE),
        wait=_wait,
        retry=tenacity.retry_if_exception(lambda error: worth_repeating(error, repeatable=repeatable)),
        reraise=True,
    )
    return await retrying(send)
