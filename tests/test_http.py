"""The server over real HTTP on loopback: both transports, both eras, who may come in, and how it stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest
from conftest import MEETING, MEETING_SESSION
from http_clients import TOKEN, TRANSPORTS, Transport, bearer_key, connect, each_transport, structured
from mcp import MCPError
from mcp_types import (
    ElicitResult,
    TextResourceContents,
)

from memories_mcp.api import Api
from memories_mcp.errors import ConfigurationError
from memories_mcp.server.http.app import is_loopback, run_http_server, serve_http
from memories_mcp.server.tenants import Tenants
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio


@each_transport
async def test_everything_is_served(url: str, transport: Transport) -> None:
    heard = list[str]()

    async def follow(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")

    async with connect(url, transport, bearer_key()) as client:
        tools = (await client.list_tools()).tools
        prompts = (await client.list_prompts()).prompts
        read = await client.read_resource(f"memories://sessions/{MEETING_SESSION}")
        arguments = {"prompt": "What is the price of the Team plan?", "video_nos": [MEETING]}
        chat = await client.call_tool("chat_with_videos", arguments, progress_callback=follow)

    assert len(tools) > 20
    assert len(prompts) == 5
    assert isinstance(read.contents[0], TextResourceContents)
    assert "Larkdesk" in read.contents[0].text
    assert not chat.is_error
    assert heard[0] == "Asking"
    assert heard[-1].endswith(" ".join(structured(chat)["answer"].split())[-40:])


@each_transport
async def test_a_person_is_asked_over_http_too(url: str, transport: Transport) -> None:
    shown = list[str]()

    async def agree(context: Any, params: Any) -> ElicitResult:
        shown.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    async with connect(url, transport, bearer_key(), elicitation_callback=agree) as client:
        result = await client.call_tool("delete_videos", {"video_nos": [MEETING]})

    assert result.structured_content == {"deleted": [MEETING]}
    assert len(shown) == 1


async def test_the_list_of_tools_is_the_same_bytes_each_time_with_a_cache_hint(url: str) -> None:
    headers = {
        "content-type": "application/json", "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list",
    }  # fmt: skip
    meta: dict[str, Any] = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        answers = [await client.post("/mcp", json=body, headers={**headers, **bearer_key()}) for _ in range(3)]
        narrowed = await client.post("/mcp", json=body, headers={**headers, "X-Memories-Read-Only": "true"})

    assert len({answer.content for answer in answers}) == 1
    result = answers[0].json()["result"]
    assert (result["ttlMs"], result["cacheScope"]) == (3_600_000, "public")
    assert narrowed.json()["result"]["cacheScope"] == "private"
    info = result["_meta"]["io.modelcontextprotocol/serverInfo"]
    assert info["websiteUrl"]
    assert info["icons"][0]["src"].startswith("data:image/svg+xml;base64,")


async def test_health_is_told_to_anybody(url: str) -> None:
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        answer = await client.get("/healthz", headers={"host": "10.0.0.7:8000"})

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def endpoints(url: str) -> list[tuple[str, str]]:
    return [("POST", f"{url}/mcp"), ("GET", f"{url}/sse"), ("POST", f"{url}/messages/?session_id={'0' * 32}")]


async def statuses(url: str, headers: dict[str, str], content: bytes = b"{}") -> list[int]:
    """What each endpoint of both transports answers, before any stream begins."""
    codes: list[int] = []
    async with httpx2.AsyncClient(trust_env=False) as client:
        for method, endpoint in endpoints(url):
            base = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
            async with client.stream(method, endpoint, headers={**base, **headers}, content=content) as answer:
                codes.append(answer.status_code)
    return codes


async def test_a_strange_host_is_refused_everywhere(url: str) -> None:
    assert await statuses(url, {"host": "evil.example"}) == [421, 421, 421]


async def test_a_strange_origin_is_refused_everywhere(url: str) -> None:
    assert await statuses(url, {"origin": "https://evil.example"}) == [403, 403, 403]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:9", "[::1]:80"])
async def test_the_names_of_this_machine_are_served(url: str, host: str) -> None:
    assert 421 not in await statuses(url, {"host": host, "origin": f"http://{host}"})


async def test_the_operator_names_the_hosts_behind_a_proxy(open_house: Settings) -> None:
    async with run_http_server(open_house.change(allowed_hosts=("mcp.example.com",))) as url:
        assert 421 not in await statuses(url, {"host": "mcp.example.com", "origin": "https://mcp.example.com"})
        assert await statuses(url, {"host": "evil.example.com"}) == [421, 421, 421]
        assert await statuses(url, {"host": "mcp.example.com.evil.com"}) == [421, 421, 421]


async def test_a_body_over_the_limit_is_refused_on_both_transports(url: str) -> None:
    codes = await statuses(url, bearer_key(), b" " * (4 * 1024 * 1024 + 1))

    assert [codes[0], codes[2]] == [413, 413]


@pytest.mark.parametrize("sent", ["", "Bearer not-the-token", f"Bearer {TOKEN}x"])
async def test_with_a_token_set_nobody_comes_in_without_it_or_a_key(open_house: Settings, sent: str) -> None:
    headers = {"Authorization": sent} if sent else {}
    async with run_http_server(open_house.change(http_token=TOKEN)) as url:
        assert await statuses(url, headers) == [401, 401, 401]
        async with httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.post(f"{url}/mcp", headers=headers)
            health = await client.get(f"{url}/healthz")

    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "token" in answer.json()["error"]["message"]
    assert TOKEN not in answer.text
    assert health.status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Basic dTpw"}, 401),
        ({"Authorization": "Bearer a b"}, 400),
        ({"X-Memories-Api-Key": "sk-1", "Authorization": "Bearer sk-2"}, 401),
        ({"X-Memories-Api-Key": "${input:key}"}, 400),
        ({"X-Memories-Read-Only": "perhaps"}, 400),
        ({"X-Memories-Unique-Id": "x" * 300}, 400),
        ({"X-Memories-Toolsets": "serch"}, 400),
        ({"X-Memories-Toolset": "search"}, 400),
    ],
)
async def test_headers_that_make_no_sense_are_refused_in_words(url: str, headers: dict[str, str], status: int) -> None:
    assert set(await statuses(url, headers)) == {status}
    async with httpx2.AsyncClient(trust_env=False) as client:
        message = (await client.post(f"{url}/mcp", headers=headers)).json()["error"]["message"]

    assert any(name.lower() in message.lower() for name in headers)


async def test_a_namespace_that_the_operator_fixed_cannot_be_changed(open_house: Settings) -> None:
    async with run_http_server(open_house.change(unique_id="team")) as url:
        assert await statuses(url, {**bearer_key(), "X-Memories-Unique-Id": "other"}) == [403, 403, 403]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.7.7", "example.com"])
def test_an_address_that_others_reach_is_refused_without_authentication(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(ConfigurationError, match="MEMORIES_HTTP_TOKEN"):
        serve_http(Settings(sandbox=True), host, 0, print)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_is_known(host: str) -> None:
    assert is_loopback(host)


async def first_lines(stream: httpx2.Response) -> AsyncIterator[str]:
    """The lines of a stream up to its first data."""
    async for line in stream.aiter_lines():
        yield line
        if line.startswith("data: {"):
            return


async def test_clients_that_leave_in_the_middle_leave_no_traceback(url: str, caplog: pytest.LogCaptureFixture) -> None:
    base = {"content-type": "application/json", "accept": "application/json, text/event-stream", **bearer_key()}
    hello = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }  # fmt: skip
    with caplog.at_level(logging.INFO):
        async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
            async with client.stream("GET", "/sse", headers=base) as stream:
                await anext(stream.aiter_lines())
            begun = await client.post("/mcp", json=hello, headers=base)
            session = {**base, "mcp-session-id": begun.headers["mcp-session-id"]}
            async with client.stream("GET", "/mcp", headers=session):
                pass
            waits = {"name": "wait_until_ready", "arguments": {"video_nos": ["VI404"], "max_seconds": 30}}
            params = {**waits, "_meta": {"progressToken": 1}}
            call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}
            async with client.stream("POST", "/mcp", json=call, headers=session) as stream:
                assert any(["notifications/progress" in line async for line in first_lines(stream)])
        await asyncio.sleep(0.3)

    assert [record for record in caplog.records if record.exc_info] == []
    assert "Traceback" not in caplog.text


async def test_leaving_a_modern_call_cancels_it(open_house: Settings) -> None:
    arrived, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(request: httpx2.Request) -> httpx2.Response:
        arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    api = Api("sk-x", "https://api.example", rates={}, transport=httpx2.MockTransport(hang))
    tenants = Tenants(open_house, api=api)
    async with (
        run_http_server(open_house, tenants=tenants) as url,
        connect(url, "http modern", bearer_key()) as client,
    ):
        await client.list_tools()  # the SDK's client would ask for them after its first call
        call = asyncio.create_task(client.call_tool("list_videos", {}))
        await asyncio.wait_for(arrived.wait(), 30)
        assert not cancelled.is_set()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(cancelled.wait(), 15)  # the API's own limit is later


async def test_a_server_that_stops_finishes_calls_under_way_and_takes_no_new_ones(open_house: Settings) -> None:
    arrived, goes_on = asyncio.Semaphore(0), asyncio.Event()

    async def answer(request: httpx2.Request) -> httpx2.Response:
        arrived.release()
        await goes_on.wait()
        return httpx2.Response(200, json={"code": "0000", "data": {"videos": []}})

    api = Api("sk-x", "https://api.example", rates={}, transport=httpx2.MockTransport(answer))
    tenants = Tenants(open_house, api=api)
    async with run_http_server(open_house, tenants=tenants) as url, AsyncExitStack() as clients:
        visitors = [
            await clients.enter_async_context(connect(url, transport, bearer_key())) for transport in TRANSPORTS
        ]
        for visitor in visitors:
            await visitor.list_tools()  # the SDK's client would ask for them after its first call
        calls = [asyncio.create_task(visitor.call_tool("list_videos", {})) for visitor in visitors]
        for _ in visitors:
            await asyncio.wait_for(arrived.acquire(), 30)
        tenants.stop()
        async with httpx2.AsyncClient(base_url=url, trust_env=False) as late:
            refused = [(await late.post("/mcp", json={})).status_code, (await late.get("/healthz")).status_code]
        for visitor in visitors:
            with pytest.raises(MCPError, match="stopping"):
                await visitor.call_tool("list_sessions", {})
        assert tenants.active_requests == 3
        goes_on.set()
        results = await asyncio.gather(*calls)

    assert refused == [503, 503]
    assert not any(result.is_error for result in results)
    assert tenants.active_requests == 0
