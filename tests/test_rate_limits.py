"""Rate limits: calls wait for their turn, a queue that is too long refuses, and a refusal is final (API 2.10)."""

from __future__ import annotations

import asyncio

import httpx2
import pytest
from conftest import FakeWire, envelope, run

from memories_mcp.api import Api
from memories_mcp.api.rate_limits import RateLimiter
from memories_mcp.errors import RateLimited
from memories_mcp.runner import Runner
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio


def limited(limits: str) -> tuple[FakeWire, Runner]:
    """A runner with these `MEMORIES_RATE_LIMITS`, over a fake wire."""
    settings = Settings.from_environment({"MEMORIES_RATE_LIMITS": limits})
    wire = FakeWire(envelope({"sessions": []}))
    api = Api("sk-x", "https://api.example", rates=settings.rate_limits, transport=httpx2.MockTransport(wire))
    return wire, Runner(settings, api=api)


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [("list=1/60", 60), ("list=0.02/1", 50), ("list=0.5/30", 60), ("list=0.9/90", 100)],
)
async def test_a_rate_below_one_a_second_lets_one_through_and_the_next_after_its_whole_period(
    limits: str, seconds: float
) -> None:
    wire, runner = limited(limits)
    await run(runner, "list_sessions")
    with pytest.raises(RateLimited) as caught:
        await run(runner, "list_sessions")
    await runner.aclose()

    assert caught.value.retry_after == pytest.approx(seconds, abs=5)
    assert len(wire.requests) == 1


async def test_as_many_calls_as_a_rate_allows_start_together() -> None:
    wire, runner = limited("list=3/600")
    await asyncio.gather(*(run(runner, "list_sessions") for _ in range(3)))
    with pytest.raises(RateLimited) as caught:
        await run(runner, "list_sessions")
    await runner.aclose()

    assert len(wire.requests) == 3
    assert caught.value.retry_after == pytest.approx(600, abs=5)


async def test_parallel_calls_wait_their_turn() -> None:
    loop = asyncio.get_running_loop()
    limits = RateLimiter({"search": (2, 0.1)})
    began = loop.time()
    await asyncio.gather(*(limits.acquire("search") for _ in range(6)))

    assert loop.time() - began > 0.15


async def test_a_queue_that_is_too_long_is_refused_at_once_and_nothing_is_sent() -> None:
    limits = RateLimiter({"chat": (1, 15)})
    await limits.acquire("chat")
    waiting = asyncio.create_task(limits.acquire("chat"))
    await asyncio.sleep(0)
    with pytest.raises(RateLimited) as caught:
        await limits.acquire("chat")
    waiting.cancel()

    assert caught.value.retry_after == pytest.approx(30, abs=5)
    assert "nothing was sent" in str(caught.value)


async def test_the_refusal_of_the_own_limiter_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    # A wait that the retries would sit out: shorter than their deadline, longer than a turn may take.
    monkeypatch.setattr("memories_mcp.api.rate_limits.LONGEST_WAIT", 1.0)
    wire, runner = limited("list=1/20")
    await run(runner, "list_sessions")
    with pytest.raises(RateLimited, match="nothing was sent"):
        await run(runner, "list_sessions")
    await runner.aclose()

    assert len(wire.requests) == 1


async def test_limits_hold_by_default_and_are_off_for_the_sandbox(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memories_mcp.api.rate_limits.LONGEST_WAIT", 0.0)  # a call that would wait is refused
    refused = list[int]()
    for chosen in (settings.change(sandbox=False), settings):
        runner = Runner(chosen)
        calls = (run(runner, "list_sessions") for _ in range(9))
        results = await asyncio.gather(*calls, return_exceptions=True)
        refused.append(sum(isinstance(result, RateLimited) for result in results))
        await runner.aclose()

    assert refused[0] > 0
    assert refused[1] == 0
