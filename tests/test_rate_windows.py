"""No window of time has more requests than a rate allows, and no tenant of a key waits behind another's backlog."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Sequence

import httpx2
import pytest
from conftest import FakeWire, envelope, run

from memories_mcp.api import Api
from memories_mcp.api.rate_limits import RateLimiter
from memories_mcp.errors import RateLimited
from memories_mcp.runner import Runner
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio


def most_in(times: Sequence[float], seconds: float) -> int:
    """The most events in any window."""
    return max(bisect_left(times, time + seconds) - index for index, time in enumerate(times))


async def times_of(limits: RateLimiter, calls: int) -> list[float]:
    """When each of these calls at once gets its turn."""
    times: list[float] = []

    async def call() -> None:
        await limits.acquire("list")
        times.append(asyncio.get_running_loop().time())

    await asyncio.gather(*(call() for _ in range(calls)))
    return times


@pytest.mark.parametrize(("requests", "calls"), [(5, 12), (1, 3), (2.5, 5), (0.5, 2)])
async def test_no_window_has_more_requests_than_the_rate_allows(requests: float, calls: int) -> None:
    times = await times_of(RateLimiter({"list": (requests, 0.1)}), calls)

    assert len(times) == calls
    assert most_in(times, 0.1) <= max(1, requests)
    assert most_in(times, 0.1 / min(1, requests)) <= max(1, requests)


async def test_a_loop_that_was_held_up_does_not_catch_up_in_a_burst() -> None:
    limits = RateLimiter({"list": (2, 0.05)})
    calls = asyncio.ensure_future(times_of(limits, 6))
    await asyncio.sleep(0.01)
    until = asyncio.get_running_loop().time() + 0.12
    while asyncio.get_running_loop().time() < until:
        pass  # holds the event loop past two turns

    assert most_in(await calls, 0.05) <= 2


async def test_a_cancelled_call_gives_its_turn_back() -> None:
    limits = RateLimiter({"chat": (1, 15)})
    await limits.acquire("chat")
    for _ in range(3):
        waiting = asyncio.create_task(limits.acquire("chat"))
        await asyncio.sleep(0)
        with pytest.raises(RateLimited) as caught:
            await limits.acquire("chat")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        assert caught.value.retry_after == pytest.approx(30, abs=1)


async def test_a_call_that_is_cancelled_when_its_turn_is_due_holds_up_nothing() -> None:
    limits, loop = RateLimiter({"list": (1, 0.02)}), asyncio.get_running_loop()
    await limits.acquire("list")
    cancelled, waiting = [asyncio.create_task(limits.acquire("list")) for _ in range(2)]
    await asyncio.sleep(0)
    until = loop.time() + 0.03
    while loop.time() < until:
        pass
    cancelled.cancel()
    await asyncio.wait_for(waiting, 30)

    assert (await asyncio.gather(cancelled, return_exceptions=True))[0].__class__ is asyncio.CancelledError


async def test_a_tenant_does_not_wait_behind_the_backlog_of_another() -> None:
    limits = RateLimiter({"list": (1, 0.02)})
    order: list[str] = []

    async def call(owner: str) -> None:
        await limits.acquire("list", owner)
        order.append(owner)

    backlog = [asyncio.create_task(call("busy")) for _ in range(9)]
    await asyncio.sleep(0)
    await asyncio.gather(call("other"), call("other"), *backlog)

    assert [index for index, owner in enumerate(order) if owner == "other"][-1] <= 4


async def test_a_full_queue_refuses_the_tenant_with_the_backlog() -> None:
    limits = RateLimiter({"chat": (1, 8)})
    backlog = [asyncio.create_task(limits.acquire("chat", "busy")) for _ in range(3)]
    await asyncio.wait(backlog, return_when=asyncio.FIRST_COMPLETED)
    other = asyncio.create_task(limits.acquire("chat", "other"))
    await asyncio.sleep(0)
    with pytest.raises(RateLimited) as caught:
        await backlog[2]
    backlog[1].cancel()
    other.cancel()
    await asyncio.gather(backlog[1], other, return_exceptions=True)

    assert backlog[0].done()
    assert backlog[1].cancelled()
    assert other.cancelled()  # it waited
    assert caught.value.retry_after == pytest.approx(24, abs=1)


async def test_slow_requests_of_one_tenant_leave_slots_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.api.rate_limits.LONGEST_WAIT", 0.05)
    limits, release, answers = RateLimiter({}), asyncio.Event(), FakeWire(envelope({"sessions": []}))

    async def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.params.get("unique_id") == "slow":
            await release.wait()
        return await answers(request)

    def runner(namespace: str) -> Runner:
        api = Api("sk-shared", "https://api.example", rates=limits, transport=httpx2.MockTransport(answer))
        return Runner(Settings(unique_id=namespace), api=api)

    slow, quick = runner("slow"), runner("quick")
    waiting = [asyncio.create_task(run(slow, "list_sessions")) for _ in range(40)]
    refused = 0
    for call in asyncio.as_completed(waiting):
        with pytest.raises(RateLimited):
            await call
        refused += 1
        if refused == 16:  # of 40, all above three quarters of 32
            break
    await run(quick, "list_sessions")
    release.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)

    assert sum(isinstance(result, RateLimited) for result in results) == refused
    for tenant in (slow, quick):
        await tenant.aclose()
