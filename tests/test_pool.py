"""The pool of closable values: what it evicts, in which order, and what it never closes early."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

import pytest

from memories_mcp.pool import Pool

pytestmark = pytest.mark.anyio


class Recorder:
    """Creates values named like their keys and records the order in which they are closed."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.pool = Pool[str, str](2, self.close)

    async def close(self, value: str) -> None:
        self.closed.append(value)

    async def use(self, *keys: str) -> None:
        for key in keys:
            async with self.pool.use(key, partial(str, key)) as value:
                assert value == key


async def test_the_least_recently_used_value_is_evicted_not_the_oldest() -> None:
    recorder = Recorder()
    await recorder.use("first", "second", "first", "third")

    assert recorder.closed == ["second"]
    assert recorder.pool.values == ["first", "third"]


async def test_a_value_is_created_once_while_it_is_pooled() -> None:
    recorder = Recorder()
    async with recorder.pool.use("key", lambda: "original"):
        pass
    async with recorder.pool.use("key", lambda: "another") as value:
        assert value == "original"


async def test_a_value_in_use_is_never_evicted() -> None:
    recorder = Recorder()
    async with recorder.pool.use("busy", lambda: "busy"):
        await recorder.use("second", "third")
        assert recorder.closed == ["second"]

    assert recorder.pool.values == ["busy", "third"]


async def test_the_pool_returns_to_its_limit_after_all_values_were_in_use() -> None:
    recorder = Recorder()
    async with AsyncExitStack() as stack:
        for key in ("first", "second", "third"):
            await stack.enter_async_context(recorder.pool.use(key, partial(str, key)))
        assert len(recorder.pool) == 3

    await recorder.use("fourth")
    assert recorder.closed == ["first", "second"]
    assert len(recorder.pool) == 2


@pytest.mark.parametrize("force", [True, False])
async def test_a_value_in_use_is_closed_when_its_user_is_done_unless_at_once(force: bool) -> None:
    recorder = Recorder()
    await recorder.use("idle")
    async with recorder.pool.use("busy", lambda: "busy"):
        await recorder.pool.aclose(force=force)
        assert recorder.closed == (["idle", "busy"] if force else ["idle"])

    assert recorder.closed == ["idle", "busy"]
    assert len(recorder.pool) == 0
