"""Open sessions are capped for each key, and made-up keys take no room from those that the service knows."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest
from http_clients import TOKEN, bearer_key, connect, video_numbers

from memories_mcp.errors import ConfigurationError
from memories_mcp.server.http.app import run_http_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

MOST = 5
BASE = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}  # fmt: skip
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


@pytest.fixture
async def client(open_house: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    limits = httpx2.Limits(max_connections=100)
    async with (
        run_http_server(open_house.change(max_sessions=MOST)) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, headers=BASE, limits=limits) as client,
    ):
        yield client


async def begin(client: httpx2.AsyncClient, headers: dict[str, str]) -> dict[str, str]:
    """Begin a session and return the headers of its requests."""
    begun = await client.post("/mcp", json=INITIALIZE, headers=headers)
    assert begun.status_code == 200, begun.text
    return {**headers, "mcp-session-id": begun.headers["mcp-session-id"]}


async def status(client: httpx2.AsyncClient, session: dict[str, str]) -> int:
    return (await client.post("/mcp", json=INITIALIZED, headers=session)).status_code


async def test_the_session_unused_for_longest_makes_room(client: httpx2.AsyncClient) -> None:
    key, other = bearer_key(), bearer_key()
    kept = await begin(client, other)
    sessions = [await begin(client, key) for _ in range(MOST)]
    assert await status(client, sessions[0]) == 202  # the second one is now the oldest
    sessions.append(await begin(client, key))

    assert [await status(client, session) for session in sessions] == [202, 404, 202, 202, 202, 202]
    assert await status(client, kept) == 202


async def test_a_key_has_one_cap_whatever_namespace_goes_with_it(client: httpx2.AsyncClient) -> None:
    key = bearer_key()
    first = await begin(client, key)
    for number in range(MOST):
        await begin(client, {**key, "X-Memories-Unique-Id": f"team-{number}"})

    assert await status(client, first) == 404


async def test_sessions_in_use_stay_and_another_one_is_refused(client: httpx2.AsyncClient) -> None:
    key = bearer_key()
    async with AsyncExitStack() as streams:
        sessions = [await begin(client, key) for _ in range(MOST - 1)]
        for session in sessions:
            await streams.enter_async_context(client.stream("GET", "/mcp", headers=session))
        await streams.enter_async_context(client.stream("GET", "/sse", headers=key))
        refused = [await client.post("/mcp", json=INITIALIZE, headers=key), await client.get("/sse", headers=key)]
        stranger = await begin(client, bearer_key())

        assert [await status(client, session) for session in sessions] == [202] * (MOST - 1)
    for answer in refused:
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        assert f"{MOST} sessions in use" in answer.json()["error"]["message"]
    assert await status(client, stranger) == 202
    answers: list[int] = []
    while 200 not in answers and len(answers) < 500:  # the server notices closed streams after a moment
        answers.append((await client.post("/mcp", json=INITIALIZE, headers=key)).status_code)
        await asyncio.sleep(0.01)
    assert answers[-1] == 200


async def test_what_ends_or_fails_makes_room(client: httpx2.AsyncClient) -> None:
    key = bearer_key()
    kept = await begin(client, key)
    for _ in range(2 * MOST):
        session = await begin(client, key)
        assert (await client.delete("/mcp", headers=session)).status_code == 200
        failed = await client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, headers=key)
        assert failed.status_code == 400

    assert await status(client, kept) == 202


async def test_clients_of_the_modern_era_have_no_sessions_to_count(client: httpx2.AsyncClient) -> None:
    key = bearer_key()
    url = str(client.base_url).rstrip("/")
    async with AsyncExitStack() as clients:
        connected = [await clients.enter_async_context(connect(url, "http modern", key)) for _ in range(2 * MOST)]
        for modern in connected:
            assert await video_numbers(modern)


async def test_a_full_server_ends_sessions_of_made_up_keys_first(open_house: Settings) -> None:
    call: dict[str, Any] = {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": "list_videos", "arguments": {}},
    }
    token = {"authorization": f"Bearer {TOKEN}"}
    async with (
        run_http_server(open_house.change(http_token=TOKEN, max_all_sessions=6)) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, headers=BASE) as client,
    ):
        known = await begin(client, bearer_key())
        assert await status(client, known) == 202
        assert (await client.post("/mcp", json=call, headers=known)).status_code == 200
        holder = await begin(client, token)
        made_up = [await begin(client, {"authorization": f"Bearer sk-{uuid.uuid4().hex}"}) for _ in range(20)]

        assert [await status(client, session) for session in (known, holder)] == [202, 202]
        assert [await status(client, session) for session in made_up] == [404] * 16 + [202] * 4


async def test_a_full_server_whose_sessions_are_all_in_use_says_so(open_house: Settings) -> None:
    async with (
        run_http_server(open_house.change(max_all_sessions=1)) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, headers=BASE) as client,
        client.stream("GET", "/sse", headers=bearer_key()),
    ):
        refused = await client.post("/mcp", json=INITIALIZE, headers=bearer_key())

    assert refused.status_code == 503
    assert "no room" in refused.json()["error"]["message"]


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5"])
def test_a_cap_that_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="MEMORIES_MAX_SESSIONS"):
        Settings.from_environment({"MEMORIES_MAX_SESSIONS": text})
