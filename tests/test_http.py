"""The server over real HTTP on loopback: both transports, both eras, who may come in, and whose data is whose."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, cast

import httpx2
import pytest
from conftest import BIKE, MEETING, MEETING_SESSION
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types import (
    CallToolResult,
    ElicitResult,
    EmptyResult,
    SubscribeRequest,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
)

from memories_mcp.api import Api
from memories_mcp.errors import ConfigurationError
from memories_mcp.operations import OPERATIONS
from memories_mcp.server.http import is_loopback, running, serve_http
from memories_mcp.server.tenants import Tenants
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

TOKEN = "operator-token-0123456789"
Way = Literal["http modern", "http legacy", "sse legacy"]
WAYS: list[Way] = ["http modern", "http legacy", "sse legacy"]
each_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture
def open_house(live: Settings) -> Settings:
    """A server on loopback that asks nobody who they are; its own key is set and must serve nobody."""
    return live


@pytest.fixture
async def url(open_house: Settings) -> AsyncIterator[str]:
    async with running(open_house) as url:
        yield url


@asynccontextmanager
async def visiting(url: str, way: Way, headers: dict[str, str], **more: Any) -> AsyncGenerator[Client, None]:
    mode = "auto" if way == "http modern" else "legacy"
    if way.startswith("sse"):
        async with Client(sse_client(f"{url}/sse", headers=headers), mode=mode, cache=None, **more) as client:
            yield client
        return
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode, cache=None, **more) as client,
    ):
        yield client


def mine() -> dict[str, str]:
    return {"Authorization": f"Bearer sk-{uuid.uuid4().hex}"}


def mine_by_header() -> dict[str, str]:
    return {"X-Memories-Api-Key": f"sk-{uuid.uuid4().hex}"}


def structured(result: CallToolResult) -> dict[str, Any]:
    assert result.structured_content is not None, text(result)
    return cast(dict[str, Any], result.structured_content)


def text(result: CallToolResult) -> str:
    assert isinstance(result.content[0], TextContent)
    return result.content[0].text


async def numbers(client: Client) -> set[str]:
    listed = await client.call_tool("list_videos", {})
    assert not listed.is_error, text(listed)
    return {each["video_no"] for each in structured(listed).get("videos", [])}


# ---- both transports serve everything


@each_way
async def test_everything_is_served(url: str, way: Way) -> None:
    heard = list[str]()

    async def follow(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")

    async with visiting(url, way, mine()) as client:
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


@each_way
async def test_a_person_is_asked_over_http_too(url: str, way: Way) -> None:
    shown = list[str]()

    async def agree(context: Any, params: Any) -> ElicitResult:
        shown.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    async with visiting(url, way, mine(), elicitation_callback=agree) as client:
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
        answers = [await client.post("/mcp", json=body, headers={**headers, **mine()}) for _ in range(3)]
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


# ---- who may come in


def endpoints(url: str) -> list[tuple[str, str]]:
    return [("POST", f"{url}/mcp"), ("GET", f"{url}/sse"), ("POST", f"{url}/messages/?session_id={'0' * 32}")]


async def statuses(url: str, headers: dict[str, str], content: bytes = b"{}") -> list[int]:
    """What each endpoint of both transports answers, before any stream begins."""
    found: list[int] = []
    async with httpx2.AsyncClient(trust_env=False) as client:
        for method, endpoint in endpoints(url):
            base = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
            async with client.stream(method, endpoint, headers={**base, **headers}, content=content) as answer:
                found.append(answer.status_code)
    return found


async def test_a_strange_host_is_refused_everywhere(url: str) -> None:
    assert await statuses(url, {"host": "evil.example"}) == [421, 421, 421]


async def test_a_strange_origin_is_refused_everywhere(url: str) -> None:
    assert await statuses(url, {"origin": "https://evil.example"}) == [403, 403, 403]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:9", "[::1]:80"])
async def test_the_names_of_this_machine_are_served(url: str, host: str) -> None:
    assert 421 not in await statuses(url, {"host": host, "origin": f"http://{host}"})


async def test_the_operator_names_the_hosts_behind_a_proxy(open_house: Settings) -> None:
    async with running(open_house.change(allowed_hosts=("mcp.example.com",))) as url:
        assert 421 not in await statuses(url, {"host": "mcp.example.com", "origin": "https://mcp.example.com"})
        assert await statuses(url, {"host": "evil.example.com"}) == [421, 421, 421]
        assert await statuses(url, {"host": "mcp.example.com.evil.com"}) == [421, 421, 421]


async def test_a_body_over_the_limit_is_refused_on_both_transports(url: str) -> None:
    found = await statuses(url, mine(), b" " * (4 * 1024 * 1024 + 1))

    assert [found[0], found[2]] == [413, 413]


@pytest.mark.parametrize("sent", ["", "Bearer not-the-token", f"Bearer {TOKEN}x"])
async def test_with_a_token_set_nobody_comes_in_without_it_or_a_key(open_house: Settings, sent: str) -> None:
    headers = {"Authorization": sent} if sent else {}
    async with running(open_house.change(http_token=TOKEN)) as url:
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
    async with running(open_house.change(unique_id="team")) as url:
        assert await statuses(url, {**mine(), "X-Memories-Unique-Id": "other"}) == [403, 403, 403]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.7.7", "example.com"])
def test_an_address_that_others_reach_is_refused_without_authentication(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(ConfigurationError, match="MEMORIES_HTTP_TOKEN"):
        serve_http(Settings(sandbox=True), host, 0, print)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_is_known(host: str) -> None:
    assert is_loopback(host)


# ---- whose key serves whom


@each_way
async def test_the_servers_own_key_serves_nobody_who_does_not_hold_the_token(open_house: Settings, way: Way) -> None:
    async with running(open_house) as url, visiting(url, way, {}) as client:
        assert len((await client.list_tools()).tools) > 20
        assert [each.uri for each in (await client.list_resources()).resources] == [
            "memories://sessions",
            "memories://videos",
        ]
        result = await client.call_tool("list_videos", {})
        with pytest.raises(MCPError, match="X-Memories-Api-Key"):
            await client.read_resource(f"memories://videos/{MEETING}")

    assert result.is_error
    assert "X-Memories-Api-Key" in text(result)


async def test_an_empty_bearer_is_no_key(open_house: Settings) -> None:
    async with running(open_house) as url, visiting(url, "http legacy", {"Authorization": "Bearer"}) as client:
        result = await client.call_tool("list_videos", {})

    assert "There is no API key" in text(result)


@each_way
async def test_who_holds_the_token_uses_the_servers_key_and_who_brings_a_key_their_own(
    open_house: Settings, way: Way
) -> None:
    guarded = open_house.change(http_token=TOKEN, confirm=False)
    holder = {"Authorization": f"Bearer {TOKEN}"}
    async with running(guarded) as url:
        async with visiting(url, way, holder) as client:
            await client.call_tool("delete_videos", {"video_nos": [MEETING]})
            servers = await numbers(client)
        async with visiting(url, way, {**holder, "X-Memories-Api-Key": f"sk-{uuid.uuid4().hex}"}) as client:
            own = await numbers(client)
        async with visiting(url, way, mine()) as client:
            bearer = await numbers(client)
    async with running(guarded) as url, visiting(url, way, holder) as client:
        assert await numbers(client) == servers

    assert MEETING not in servers
    assert MEETING in own
    assert MEETING in bearer


@each_way
async def test_two_tenants_at_once_see_nothing_of_each_other(open_house: Settings, way: Way) -> None:
    async with running(open_house.change(confirm=False)) as url:  # noqa: SIM117 (the clients leave before the server)
        async with visiting(url, way, mine()) as first, visiting(url, way, mine()) as second:
            uploaded = await first.call_tool("upload_video_url", {"url": "https://x.example/secret-plan.mp4"})
            assert uploaded.structured_content
            video_no = uploaded.structured_content["video_no"]
            await first.call_tool("wait_until_ready", {"video_nos": [video_no]})
            await second.call_tool("delete_videos", {"video_nos": [BIKE]})
            chat = await first.call_tool("chat_with_library", {"prompt": "What is the secret plan?"})
            assert chat.structured_content
            session = f"memories://sessions/{chat.structured_content['session_id']}"

            async def everything(client: Client) -> tuple[str, str, set[str]]:
                listed = await client.list_resources()
                found = await client.call_tool("search_videos", {"query": "secret plan"})
                return str(listed.resources), text(found), await numbers(client)

            for _ in range(3):
                (listed1, found1, numbers1), (listed2, found2, numbers2) = await asyncio.gather(
                    everything(first), everything(second)
                )
                assert video_no in listed1
                assert session in listed1
                assert video_no in found1
                assert BIKE in numbers1
                assert video_no not in listed2 + found2 + str(numbers2)
                assert session not in listed2
                assert BIKE not in numbers2
            for uri in (f"memories://videos/{video_no}", f"memories://videos/{video_no}/transcripts/audio", session):
                assert (await first.read_resource(uri)).contents
                with pytest.raises(MCPError, match="Resource not found"):
                    await second.read_resource(uri)


@each_way
async def test_two_namespaces_of_one_key_see_nothing_of_each_other(url: str, way: Way) -> None:
    key = mine()
    one, two = ({**key, "X-Memories-Unique-Id": name} for name in ("team-one", "team-two"))
    async with visiting(url, way, one) as first, visiting(url, way, two) as second:
        await first.call_tool("upload_video_url", {"url": "https://x.example/plan.mp4"})

        assert len(await numbers(first)) == 1
        assert await numbers(second) == set()
        assert len((await second.list_resources()).resources) == 2
        tools = {tool.name: tool.input_schema for tool in (await first.list_tools()).tools}
        assert "unique_id" not in tools["search_videos"]["properties"]
        refused = await second.call_tool("list_videos", {"unique_id": "team-one"})
        assert refused.is_error


async def test_the_namespace_of_a_header_makes_the_list_of_tools_private(url: str) -> None:
    async with visiting(url, "http modern", {**mine(), "X-Memories-Unique-Id": "team"}) as client:
        assert (await client.list_tools()).cache_scope == "private"


async def test_changes_are_told_to_the_tenant_alone(open_house: Settings) -> None:
    key, uri = mine(), f"memories://videos/{MEETING}"
    async with (
        running(open_house.change(confirm=False)) as url,
        visiting(url, "http modern", key) as listener,
        visiting(url, "http modern", mine()) as stranger,
        visiting(url, "sse legacy", key) as actor,
        listener.listen(resource_subscriptions=[uri]) as hears,
        stranger.listen(resource_subscriptions=[uri]) as should_not,
    ):
        await actor.call_tool("delete_videos", {"video_nos": [MEETING]})
        event = await asyncio.wait_for(anext(hears), 5)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(should_not), 0.3)

    assert event == ResourceUpdated(uri=uri)


@pytest.mark.parametrize("thief", [{}, {"Authorization": "Bearer sk-thief"}])
async def test_a_session_serves_only_who_began_it(url: str, thief: dict[str, str]) -> None:
    owner = mine()
    base = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    hello = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }  # fmt: skip
    call: dict[str, Any] = {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}}
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        begun = await client.post("/mcp", json=hello, headers={**base, **owner})
        session = {"mcp-session-id": begun.headers["mcp-session-id"]}
        stolen = await client.post("/mcp", json=call, headers={**base, **session, **thief})
        own = await client.post("/mcp", json=call, headers={**base, **session, **owner})
        async with client.stream("GET", "/sse", headers=owner) as stream:
            lines = stream.aiter_lines()
            endpoint = ""
            while not endpoint:
                endpoint = (await anext(lines)).partition("data: ")[2]
            intruded = await client.post(endpoint, json=hello, headers={**base, **thief})
            welcome = await client.post(endpoint, json=hello, headers={**base, **owner})

    assert (begun.status_code, stolen.status_code, own.status_code) == (200, 404, 200)
    assert (intruded.status_code, welcome.status_code) == (404, 202)


async def test_a_confirmation_of_one_tenant_is_worth_nothing_to_another(url: str) -> None:
    arguments = {"video_nos": [MEETING]}
    async with visiting(url, "http modern", mine()) as first, visiting(url, "http modern", mine()) as second:
        preview = await first.call_tool("delete_videos", arguments)
        assert preview.structured_content
        token = preview.structured_content["confirmation"]["confirmation_token"]
        stolen = await second.call_tool("delete_videos", {**arguments, "confirmation_token": token})

        assert stolen.is_error
        assert MEETING in await numbers(second)


# ---- what a request may narrow


@each_way
async def test_headers_narrow_lists_and_calls(url: str, way: Way) -> None:
    async with visiting(url, way, {**mine(), "X-Memories-Toolsets": "search, library"}) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("chat_with_library", {"prompt": "x"})
        prompts = [each.name for each in (await client.list_prompts()).prompts]
    async with visiting(url, way, {**mine(), "X-Memories-Read-Only": "true"}) as client:
        reads = {tool.name for tool in (await client.list_tools()).tools}
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("delete_videos", {"video_nos": [MEETING]})

    assert {each.toolset for each in OPERATIONS if each.name in names} == {"search", "library"}
    assert prompts == ["audit_library"]
    assert {each.effect.value for each in OPERATIONS if each.name in reads} == {"read"}


async def test_headers_cannot_widen_what_the_operator_allows(open_house: Settings) -> None:
    narrow = open_house.change(toolsets=("library",), read_only=True)
    wide = {**mine(), "X-Memories-Toolsets": "all", "X-Memories-Read-Only": "false"}
    async with running(narrow) as url, visiting(url, "http modern", wide) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("delete_videos", {"video_nos": [MEETING]})

    assert {(each.toolset, each.effect.value) for each in OPERATIONS if each.name in names} == {("library", "read")}


async def test_file_tools_are_off_until_the_operator_opens_them(open_house: Settings, files_root: Path) -> None:
    rooted = open_house.change(files_root=files_root)
    file_tools = {each.name for each in OPERATIONS if each.uses_files}
    async with running(rooted) as url, visiting(url, "http modern", mine()) as client:
        closed = {tool.name for tool in (await client.list_tools()).tools}
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("upload_video_file", {"path": "talk.mp4"})
    async with running(rooted.change(http_files=True)) as url, visiting(url, "http modern", mine()) as client:
        opened = {tool.name for tool in (await client.list_tools()).tools}
        result = await client.call_tool("upload_video_file", {"path": "talk.mp4"})

    assert closed & file_tools == set()
    assert file_tools <= opened
    assert {"upload_video_file", "download_video", "search_similar_images", "caption_image_file"} <= file_tools
    assert not result.is_error, text(result)


async def test_with_a_token_set_the_files_are_open_to_its_holders_alone(open_house: Settings, files_root: Path) -> None:
    guarded = open_house.change(files_root=files_root, http_files=True, http_token=TOKEN)
    stranger, holder = {"X-Memories-Api-Key": "junk"}, {"Authorization": f"Bearer {TOKEN}"}
    async with running(guarded) as url:
        async with visiting(url, "http modern", stranger) as client:
            listed = await client.list_tools()
            with pytest.raises(MCPError, match="not offered"):
                await client.call_tool("upload_video_file", {"path": "talk.mp4"})
        async with visiting(url, "http modern", holder) as client:
            result = await client.call_tool("upload_video_file", {"path": "talk.mp4"})
        async with visiting(url, "http modern", {**holder, **mine_by_header()}) as client:
            own = await client.call_tool("upload_video_file", {"path": "talk.mp4"})

    assert {each.name for each in listed.tools} & {each.name for each in OPERATIONS if each.uses_files} == set()
    assert listed.cache_scope == "private"
    assert not result.is_error
    assert not own.is_error


# ---- many tenants


async def test_tenants_over_the_limit_are_let_go_while_many_come_and_none_of_them_fails(
    open_house: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memories_mcp.server.tenants._MOST_TENANTS", 3)
    tenants = Tenants(open_house, over_http=True)

    async def come_and_go(url: str) -> set[str]:
        async with visiting(url, "http legacy", mine()) as client:
            request = SubscribeRequest(params=SubscribeRequestParams(uri=f"memories://videos/{MEETING}"))
            await client.session.send_request(request, EmptyResult)
            return await numbers(client)

    async with running(open_house, tenants=tenants) as url:
        found = await asyncio.gather(*(come_and_go(url) for _ in range(12)))
        await come_and_go(url)

        assert len(tenants) <= 4
    assert all(MEETING in each for each in found)


async def test_a_change_is_heard_whatever_else_the_same_key_sends_in_its_headers(open_house: Settings) -> None:
    key, uri = mine(), f"memories://videos/{MEETING}"
    async with (
        running(open_house.change(confirm=False)) as url,
        visiting(url, "http modern", key) as listener,
        visiting(url, "http modern", {**key, "X-Memories-Caption-Api-Key": "sk-caption"}) as actor,
        listener.listen(resource_subscriptions=[uri]) as hears,
    ):
        before = [each.uri for each in (await listener.list_resources()).resources]
        await actor.call_tool("delete_videos", {"video_nos": [MEETING]})
        event = await asyncio.wait_for(anext(hears), 5)
        after = [each.uri for each in (await listener.list_resources()).resources]

    assert event == ResourceUpdated(uri=uri)
    assert uri in before
    assert uri not in after


# ---- clients that leave, servers that stop


async def test_clients_that_leave_in_the_middle_leave_no_traceback(url: str, caplog: pytest.LogCaptureFixture) -> None:
    base = {"content-type": "application/json", "accept": "application/json, text/event-stream", **mine()}
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
            call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": waits}
            with pytest.raises(httpx2.TimeoutException):
                await client.post("/mcp", json=call, headers=session, timeout=0.3)
        await asyncio.sleep(0.3)

    assert [record for record in caplog.records if record.exc_info] == []
    assert "Traceback" not in caplog.text


async def test_leaving_a_modern_call_cancels_it(open_house: Settings) -> None:
    async with running(open_house) as url, visiting(url, "http modern", mine()) as client:
        uploaded = await client.call_tool("upload_video_url", {"url": "https://x.example/a.mp4"})
        assert uploaded.structured_content
        call = asyncio.create_task(client.call_tool("wait_until_ready", {"video_nos": ["VI404404"], "max_seconds": 40}))
        await asyncio.sleep(0.2)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        # Only a cancelled call lets a server stop at once.
        begun = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - begun < 5


async def test_a_server_that_stops_finishes_calls_under_way_and_takes_no_new_ones(open_house: Settings) -> None:
    arrived, goes_on = asyncio.Semaphore(0), asyncio.Event()

    async def answer(request: httpx2.Request) -> httpx2.Response:
        arrived.release()
        await goes_on.wait()
        return httpx2.Response(200, json={"code": "0000", "data": {"videos": []}})

    api = Api("sk-x", "https://api.example", rates={}, transport=httpx2.MockTransport(answer))
    tenants = Tenants(open_house, api=api)
    async with running(open_house, tenants=tenants) as url, AsyncExitStack() as clients:
        visitors = [await clients.enter_async_context(visiting(url, way, mine())) for way in WAYS]
        for each in visitors:
            await each.list_tools()  # the SDK's client would ask for them after its first call
        calls = [asyncio.create_task(each.call_tool("list_videos", {})) for each in visitors]
        for _ in visitors:
            await asyncio.wait_for(arrived.acquire(), 5)
        tenants.stop(seconds=20)
        async with httpx2.AsyncClient(base_url=url, trust_env=False) as late:
            refused = [(await late.post("/mcp", json={})).status_code, (await late.get("/healthz")).status_code]
        for each in visitors:
            with pytest.raises(MCPError, match="stopping"):
                await each.call_tool("list_sessions", {})
        assert tenants.active == 3
        goes_on.set()
        results = await asyncio.gather(*calls)

    assert refused == [503, 503]
    assert not any(result.is_error for result in results)
    assert tenants.active == 0
