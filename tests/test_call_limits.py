"""Calls under way are capped for each caller: one at its cap is refused at once, and no other one waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from http_clients import Transport, bearer_key, connect, each_transport
from mcp import MCPError

from memories_mcp.api import Api
from memories_mcp.server.http.app import run_http_server
from memories_mcp.server.http.messages import MAX_CALLER_BYTES
from memories_mcp.server.tenants import Tenants
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

MOST = 2
CALL: dict[str, Any] = {
    "jsonrpc": "2.0", "id": "mine", "method": "tools/call", "params": {"name": "list_videos", "arguments": {}},
}  # fmt: skip
ACCEPT = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


class Gate:
    """An API whose list of videos is answered only when the gate is open."""

    def __init__(self) -> None:
        self.arrived = asyncio.Semaphore(0)
        self.opened = asyncio.Event()

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/list_videos"):
            self.arrived.release()
            await self.opened.wait()
        return httpx2.Response(200, json={"code": "0000", "data": {"videos": [], "sessions": []}})


@asynccontextmanager
async def serving(settings: Settings, gate: Gate) -> AsyncGenerator[str, None]:
    settings = settings.change(max_calls_per_caller=MOST)
    api = Api("sk-x", "https://api.example", rates={}, transport=httpx2.MockTransport(gate))
    async with run_http_server(settings, tenants=Tenants(settings, api=api)) as url:
        yield url


@each_transport
async def test_a_caller_at_its_cap_is_refused_and_another_one_is_served_at_once(
    open_house: Settings, transport: Transport
) -> None:
    gate, key = Gate(), bearer_key()
    async with serving(open_house, gate) as url, connect(url, transport, key) as client:
        await client.list_tools()  # the SDK's client would ask for them after its first call
        calls = [asyncio.create_task(client.call_tool("list_videos", {})) for _ in range(MOST)]
        for _ in calls:
            await asyncio.wait_for(gate.arrived.acquire(), 30)
        with pytest.raises(MCPError, match="This caller has 2 calls under way, the most allowed"):
            await client.call_tool("list_sessions", {})
        with pytest.raises(MCPError, match="2 calls under way"):
            await client.read_resource("memories://videos")
        async with connect(url, transport, bearer_key()) as other:
            assert not (await other.call_tool("list_sessions", {})).is_error
        assert (await client.list_tools()).tools
        assert not any(call.done() for call in calls)
        gate.opened.set()
        results = [*await asyncio.gather(*calls), await client.call_tool("list_sessions", {})]

    assert not any(result.is_error for result in results)


async def test_the_refusal_says_when_to_come_back_and_a_burst_is_counted_exactly(open_house: Settings) -> None:
    gate = Gate()
    async with (
        serving(open_house, gate) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, headers={**ACCEPT, **bearer_key()}, timeout=30) as client,
    ):
        begun = await client.post("/mcp", json=CALL)
        assert begun.status_code == 400  # no session: what is refused for another reason takes no place
        modern = {
            "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "list_videos",
        }  # fmt: skip
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        call = {**CALL, "params": {**CALL["params"], "_meta": meta}}
        burst = [asyncio.create_task(client.post("/mcp", json=call, headers=modern)) for _ in range(MOST + 5)]
        for _ in range(MOST):
            await asyncio.wait_for(gate.arrived.acquire(), 30)
        for _ in range(1000):
            if sum(task.done() for task in burst) == 5:
                break
            await asyncio.sleep(0.01)
        gate.opened.set()
        answers = await asyncio.gather(*burst)

    refused = [answer for answer in answers if answer.status_code != 200]
    assert [(answer.status_code, answer.headers["retry-after"]) for answer in refused] == [(429, "1")] * 5
    assert {answer.json()["id"] for answer in refused} == {"mine"}
    assert {answer.json()["error"]["code"] for answer in refused} == {-32000}


async def test_a_call_whose_client_left_keeps_its_place_until_it_ends(open_house: Settings) -> None:
    gate, key = Gate(), bearer_key()
    async with (
        serving(open_house, gate) as url,
        connect(url, "http legacy", key) as client,
        httpx2.AsyncClient(base_url=url, trust_env=False, headers={**ACCEPT, **key}, timeout=30) as http,
    ):
        begun = await http.post(
            "/mcp",
            json={
                "jsonrpc": "2.0", "id": 1, "method": "initialize",
                "params": {
                    "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"},
                },
            },
        )  # fmt: skip
        session = {"mcp-session-id": begun.headers["mcp-session-id"]}
        await http.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=session)
        for number in range(MOST):
            left = asyncio.create_task(http.post("/mcp", json={**CALL, "id": number}, headers=session))
            await asyncio.wait_for(gate.arrived.acquire(), 30)
            left.cancel()
            await asyncio.wait([left])
        with pytest.raises(MCPError, match="2 calls under way"):
            await client.call_tool("list_sessions", {})
        gate.opened.set()
        for _ in range(1000):
            try:
                result = await client.call_tool("list_sessions", {})
                break
            except MCPError:
                await asyncio.sleep(0.01)
        else:
            pytest.fail("the places did not become free")

    assert not result.is_error


async def test_the_bodies_of_one_caller_take_a_bounded_room(open_house: Settings) -> None:
    piece = b" " * 1024 * 1024
    pieces = MAX_CALLER_BYTES // len(piece)
    parts_of_a_body = 4
    sent, goes_on = asyncio.Semaphore(0), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(parts_of_a_body - 1):
            yield piece
        yield piece[:-1]
        sent.release()
        await goes_on.wait()
        yield b"1"

    key = bearer_key()
    async with (
        serving(open_house, Gate()) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, headers=ACCEPT, timeout=30) as client,
    ):
        bodies = [
            asyncio.create_task(client.post("/mcp", content=slow(), headers=key))
            for _ in range(pieces // parts_of_a_body)
        ]
        for _ in bodies:
            await asyncio.wait_for(sent.acquire(), 30)
        refused = await client.post("/mcp", content=b" " * 1024, headers=key)
        for _ in range(1000):
            if refused.status_code == 429:
                break
            await asyncio.sleep(0.01)  # the last parts are still on their way
            refused = await client.post("/mcp", content=b" " * 1024, headers=key)
        other = await client.post("/mcp", content=b" " * 1024, headers=bearer_key())
        goes_on.set()
        answers = await asyncio.gather(*bodies)
        after = await client.post("/mcp", content=b" " * 1024, headers=key)

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert "32 MiB" in refused.json()["error"]["message"]
    assert {answer.status_code for answer in (other, after, *answers)} == {400}
