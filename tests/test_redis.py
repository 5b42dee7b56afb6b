"""Replicas share rate limits and changes in Redis, and go on alone, each with its part, while Redis is away."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from bisect import bisect_left
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import BIKE, MEETING
from http_clients import connect
from mcp_types import ResourceTemplateReference
from redis_server import RedisProcess, needs_redis, run_redis
from test_updates import Heard, subscribe

from memories_mcp.api.rate_limits import RateLimiter
from memories_mcp.errors import ConfigurationError, RateLimited
from memories_mcp.server.http.app import run_http_server
from memories_mcp.server.replicas.shared import Replicas
from memories_mcp.settings import Settings

pytestmark = [pytest.mark.anyio, needs_redis]

VIDEOS = ResourceTemplateReference(uri="memories://videos/{video_no}")
VIDEO = f"memories://videos/{MEETING}"
OTHER_VIDEO = f"memories://videos/{BIKE}"


@pytest.fixture(scope="module")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    with run_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisProcess]:
    """A server that a test may stop; replicas look for it often."""
    monkeypatch.setattr("memories_mcp.server.replicas.link.PAUSE", 0.05)
    with run_redis(tmp_path) as server:
        yield server


@asynccontextmanager
async def replicas_on(redis: RedisProcess, number: int) -> AsyncGenerator[list[Replicas], None]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(Replicas(redis.url, lambda tenant, uris: None).open())
            for _ in range(number)
        ]


def limiters(replicas: list[Replicas], key: str, **rates: tuple[float, float]) -> list[RateLimiter]:
    return [RateLimiter(rates, replica.limits(key)) for replica in replicas]


async def times_of(limits: list[RateLimiter], calls: int) -> list[float]:
    times: list[float] = []

    async def call(limiter: RateLimiter) -> None:
        await limiter.acquire("list")
        times.append(asyncio.get_running_loop().time())

    await asyncio.gather(*(call(limiter) for limiter in limits for _ in range(calls)))
    return sorted(times)


def most_in(times: list[float], seconds: float) -> int:
    return max(bisect_left(times, time + seconds) - index for index, time in enumerate(times))


async def test_three_replicas_together_keep_the_rate_of_an_account(shared_redis: RedisProcess, key: str) -> None:
    async with replicas_on(shared_redis, 3) as replicas:
        times = await times_of(limiters(replicas, key, list=(5, 0.3)), 7)

    assert len(times) == 21
    assert most_in(times, 0.3) <= 5
    assert times[-1] - times[0] < 5


async def test_a_replica_that_was_held_up_does_not_use_turns_that_have_passed(
    shared_redis: RedisProcess, key: str
) -> None:
    async with replicas_on(shared_redis, 2) as replicas:
        limits = limiters(replicas, key, list=(1, 0.2))
        calls = asyncio.ensure_future(times_of(limits, 2))
        await limits[0].acquire("list")
        held_until = time.monotonic() + 0.5
        while time.monotonic() < held_until:
            pass  # holds the event loop of both past two turns
        async with asyncio.timeout(10):
            times = await calls

    assert len(times) == 4
    assert most_in(times, 0.2) <= 1


async def wait_for_turns(client: Any, key: str, number: int) -> None:
    """Wait until so many turns of chats are reserved in Redis."""
    async with asyncio.timeout(10):
        while await client.zcard(f"memories:rate:{key}:chat") != number:
            pass


async def test_a_turn_too_far_away_is_refused_with_its_time_and_a_cancelled_one_is_given_back(
    shared_redis: RedisProcess, key: str
) -> None:
    async with replicas_on(shared_redis, 2) as replicas, shared_redis.client() as client:
        first, second = limiters(replicas, key, chat=(1, 15))
        await first.acquire("chat")
        for _ in range(2):
            waiting = asyncio.create_task(first.acquire("chat"))
            await wait_for_turns(client, key, 2)
            with pytest.raises(RateLimited) as caught:
                await second.acquire("chat")
            waiting.cancel()
            await wait_for_turns(client, key, 1)

            assert caught.value.retry_after == pytest.approx(30, abs=1)


async def test_no_key_and_no_namespace_is_stored_or_sent(shared_redis: RedisProcess, live: Settings) -> None:
    settings = live.change(redis_url=shared_redis.url, rate_limits={"list": (5, 1)}, unique_id="secret-namespace")
    async with shared_redis.client() as client, client.monitor() as monitor:
        async with run_http_server(settings) as url, connect(url, "http modern", key_of(live)) as agent:
            await agent.call_tool("list_videos", {})
            await agent.call_tool("chat_with_library", {"prompt": "Hello?"})
        await client.echo("the end")
        commands: list[str] = []
        while not commands or "the end" not in commands[-1]:
            commands.append((await monitor.next_command())["command"])

    assert any("PUBLISH" in command for command in commands)
    assert any("memories:rate:" in command for command in commands)
    assert not [command for command in commands if live.api_key in command or "secret-namespace" in command]


def key_of(settings: Settings) -> dict[str, str]:
    return {"X-Memories-Api-Key": settings.api_key}


@asynccontextmanager
async def two_servers(live: Settings, redis: RedisProcess) -> AsyncGenerator[tuple[str, str], None]:
    settings = live.change(redis_url=redis.url, confirm=False)
    async with run_http_server(settings) as first, run_http_server(settings) as second:
        yield first, second


async def test_a_subscriber_of_one_replica_hears_of_a_change_through_another(
    live: Settings, shared_redis: RedisProcess
) -> None:
    heard = Heard()
    async with (
        two_servers(live, shared_redis) as (first, second),
        connect(first, "http modern", key_of(live)) as agent,
        connect(second, "http legacy", key_of(live), message_handler=heard) as older,
        connect(second, "http modern", key_of(live)) as newer,
        newer.listen(resource_subscriptions=[VIDEO], resources_list_changed=True) as stream,
    ):
        await subscribe(older, VIDEO)
        await agent.call_tool("update_video_transcription", {"video_no": MEETING, "prompt": "Name the people."})

        assert await heard.next() == VIDEO
        event = await asyncio.wait_for(anext(stream), 30)

    assert getattr(event, "uri", "") == VIDEO


async def test_a_replica_does_not_hear_its_own_changes_a_second_time(
    live: Settings, shared_redis: RedisProcess
) -> None:
    own, others = Heard(), Heard()
    async with (
        two_servers(live, shared_redis) as (first, second),
        connect(first, "http legacy", key_of(live), message_handler=own) as agent,
        connect(second, "http legacy", key_of(live), message_handler=others) as other,
    ):
        for client in (agent, other):
            await subscribe(client, VIDEO)
            await subscribe(client, OTHER_VIDEO)
        await agent.call_tool("delete_videos", {"video_nos": [MEETING]})
        assert await others.next() == VIDEO
        await other.call_tool("delete_videos", {"video_nos": [BIKE]})

        assert await own.next() == VIDEO
        assert await own.next() == OTHER_VIDEO


async def test_lists_completions_and_kept_transcripts_follow_a_change_through_another_replica(
    live: Settings, shared_redis: RedisProcess
) -> None:
    heard = Heard()
    async with (
        two_servers(live, shared_redis) as (first, second),
        connect(first, "http modern", key_of(live)) as agent,
        connect(second, "http legacy", key_of(live), message_handler=heard) as other,
    ):
        await subscribe(other, VIDEO)
        listed = await other.list_resources()
        completed = (await other.complete(VIDEOS, {"name": "video_no", "value": ""})).completion.values
        read = await other.call_tool("get_video_transcription", {"video_no": MEETING})
        await agent.call_tool("delete_videos", {"video_nos": [MEETING]})
        await heard.next()
        later = await other.list_resources()
        completed_later = (await other.complete(VIDEOS, {"name": "video_no", "value": ""})).completion.values
        again = await other.call_tool("get_video_transcription", {"video_no": MEETING})

    assert VIDEO in {str(resource.uri) for resource in listed.resources}
    assert VIDEO not in {str(resource.uri) for resource in later.resources}
    assert MEETING in completed
    assert MEETING not in completed_later
    assert not read.is_error
    assert again.is_error


@pytest.mark.parametrize("hangs", [False, True])
async def test_without_redis_each_replica_keeps_to_its_part_and_returns_when_it_is_back(
    own_redis: RedisProcess, key: str, hangs: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with replicas_on(own_redis, 2) as replicas:
        async with asyncio.timeout(10):  # the first replica learns of the second one
            while replicas[0].limits(key).window("list", 1, 1).shares < 2:  # noqa: ASYNC110 -- no event tells it
                await asyncio.sleep(0)
        limits = limiters(replicas, key, list=(4, 0.2))
        await times_of(limits, 1)
        if hangs:
            own_redis.process.send_signal(signal.SIGSTOP)
        else:
            own_redis.stop()
        async with asyncio.timeout(10):
            alone = await times_of(limits, 5)
        if hangs:
            own_redis.process.send_signal(signal.SIGCONT)
        else:
            own_redis.start()
        for replica in replicas:
            async with asyncio.timeout(10):
                await replica.available.wait()
        together = await times_of(limits, 5)

    assert most_in(alone, 0.2) <= 4
    assert most_in(together, 0.2) <= 4
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len([record for record in warnings if "1 of 2" in record.getMessage()]) == 2  # one a minute and replica


async def test_subscribers_and_lists_recover_from_changes_that_were_missed(
    live: Settings, own_redis: RedisProcess
) -> None:
    heard = Heard()
    async with (
        two_servers(live, own_redis) as (first, second),
        connect(first, "http modern", key_of(live)) as agent,
        connect(second, "http legacy", key_of(live), message_handler=heard) as other,
    ):
        await subscribe(other, VIDEO)
        read = await other.call_tool("get_video_transcription", {"video_no": MEETING})
        own_redis.stop()
        deleted = await agent.call_tool("delete_videos", {"video_nos": [MEETING]})
        own_redis.start()
        assert await heard.next() == VIDEO
        again = await other.call_tool("get_video_transcription", {"video_no": MEETING})

    assert not read.is_error
    assert not deleted.is_error
    assert again.is_error


async def test_what_other_programs_publish_is_ignored(live: Settings, shared_redis: RedisProcess) -> None:
    heard = Heard()
    async with (
        two_servers(live, shared_redis) as (first, second),
        connect(first, "http modern", key_of(live)) as agent,
        connect(second, "http legacy", key_of(live), message_handler=heard) as other,
        shared_redis.client() as client,
    ):
        await subscribe(other, VIDEO)
        for message in ["", "[]", "{}", '{"from": 1, "tenant": 2, "uris": 3}', "[" * 100_000, "\ud800", b"\xff\xfe"]:
            data = message if isinstance(message, bytes) else message.encode(errors="surrogatepass")
            await client.publish("memories:changes", data)
        await agent.call_tool("delete_videos", {"video_nos": [MEETING]})

        assert await heard.next() == VIDEO


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://127.0.0.1:9", "connection refused"),
        ("redis://127.0.0.1:9?nonsense=1", "option"),
        ("redis://127.0.0.1:9?db=x", "option"),
    ],
)
async def test_the_server_does_not_start_without_redis_and_says_why(live: Settings, url: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        async with run_http_server(live.change(redis_url=url)):
            pass

    assert "MEMORIES_REDIS_URL" in str(caught.value)


async def test_a_redis_that_refuses_the_password_is_named_without_it(
    live: Settings, shared_redis: RedisProcess
) -> None:
    url = shared_redis.url.replace("//", "//someone:secret-password@")
    with pytest.raises(ConfigurationError, match="invalid username-password pair") as caught:
        async with run_http_server(live.change(redis_url=url)):
            pass

    assert "secret-password" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["127.0.0.1:6379", "http://redis", "redis://", "redis://h:x", "redis://h:0", "unix:redis.sock"]
)
def test_a_value_that_is_no_url_of_redis_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError, match="MEMORIES_REDIS_URL") as caught:
        Settings.from_environment({"MEMORIES_REDIS_URL": text})

    assert "redis.sock" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


async def test_the_missing_package_is_named(live: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("redis", "memories_mcp.server.replicas."))]:
        if not name.startswith("redis_server"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'memories-mcp\[team\]'"):
        async with run_http_server(live.change(redis_url="redis://127.0.0.1:9")):
            pass
