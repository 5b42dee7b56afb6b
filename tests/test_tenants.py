"""Whose data is whose over HTTP: keys, namespaces, what a request may narrow, and many tenants at once."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import BIKE, MEETING
from http_clients import TOKEN, Transport, bearer_key, connect, each_transport, header_key, text, video_numbers
from mcp import Client, MCPError
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types import (
    EmptyResult,
    SubscribeRequest,
    SubscribeRequestParams,
)

from memories_mcp.operations import OPERATIONS
from memories_mcp.server.http.app import run_http_server
from memories_mcp.server.tenants import Tenants
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio


@each_transport
async def test_the_servers_own_key_serves_nobody_who_does_not_hold_the_token(
    open_house: Settings, transport: Transport
) -> None:
    async with run_http_server(open_house) as url, connect(url, transport, {}) as client:
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
    async with run_http_server(open_house) as url, connect(url, "http legacy", {"Authorization": "Bearer"}) as client:
        result = await client.call_tool("list_videos", {})

    assert "There is no API key" in text(result)


@each_transport
async def test_who_holds_the_token_uses_the_servers_key_and_who_brings_a_key_their_own(
    open_house: Settings, transport: Transport
) -> None:
    guarded = open_house.change(http_token=TOKEN, confirm=False)
    holder = {"Authorization": f"Bearer {TOKEN}"}
    async with run_http_server(guarded) as url:
        async with connect(url, transport, holder) as client:
            await client.call_tool("delete_videos", {"video_nos": [MEETING]})
            servers = await video_numbers(client)
        async with connect(url, transport, {**holder, "X-Memories-Api-Key": f"sk-{uuid.uuid4().hex}"}) as client:
            own = await video_numbers(client)
        async with connect(url, transport, bearer_key()) as client:
            bearer = await video_numbers(client)
    async with run_http_server(guarded) as url, connect(url, transport, holder) as client:
        assert await video_numbers(client) == servers

    assert MEETING not in servers
    assert MEETING in own
    assert MEETING in bearer


@each_transport
async def test_two_tenants_at_once_see_nothing_of_each_other(open_house: Settings, transport: Transport) -> None:
    async with run_http_server(open_house.change(confirm=False)) as url:  # noqa: SIM117 (the clients leave before the server)
        async with connect(url, transport, bearer_key()) as first, connect(url, transport, bearer_key()) as second:
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
                return str(listed.resources), text(found), await video_numbers(client)

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


@each_transport
async def test_two_namespaces_of_one_key_see_nothing_of_each_other(url: str, transport: Transport) -> None:
    key = bearer_key()
    one, two = ({**key, "X-Memories-Unique-Id": name} for name in ("team-one", "team-two"))
    async with connect(url, transport, one) as first, connect(url, transport, two) as second:
        await first.call_tool("upload_video_url", {"url": "https://x.example/plan.mp4"})

        assert len(await video_numbers(first)) == 1
        assert await video_numbers(second) == set()
        assert len((await second.list_resources()).resources) == 2
        tools = {tool.name: tool.input_schema for tool in (await first.list_tools()).tools}
        assert "unique_id" not in tools["search_videos"]["properties"]
        refused = await second.call_tool("list_videos", {"unique_id": "team-one"})
        assert refused.is_error


async def test_the_namespace_of_a_header_makes_the_list_of_tools_private(url: str) -> None:
    async with connect(url, "http modern", {**bearer_key(), "X-Memories-Unique-Id": "team"}) as client:
        assert (await client.list_tools()).cache_scope == "private"


async def test_changes_are_told_to_the_tenant_alone(open_house: Settings) -> None:
    key, uri = bearer_key(), f"memories://videos/{MEETING}"
    async with (
        run_http_server(open_house.change(confirm=False)) as url,
        connect(url, "http modern", key) as listener,
        connect(url, "http modern", bearer_key()) as stranger,
        connect(url, "sse legacy", key) as actor,
        listener.listen(resource_subscriptions=[uri]) as hears,
        stranger.listen(resource_subscriptions=[uri]) as should_not,
    ):
        await actor.call_tool("delete_videos", {"video_nos": [MEETING]})
        event = await asyncio.wait_for(anext(hears), 30)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(should_not), 0.3)

    assert event == ResourceUpdated(uri=uri)


@pytest.mark.parametrize("thief", [{}, {"Authorization": "Bearer sk-thief"}])
async def test_a_session_serves_only_who_began_it(url: str, thief: dict[str, str]) -> None:
    owner = bearer_key()
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
    async with connect(url, "http modern", bearer_key()) as first, connect(url, "http modern", bearer_key()) as second:
        preview = await first.call_tool("delete_videos", arguments)
        assert preview.structured_content
        token = preview.structured_content["confirmation"]["confirmation_token"]
        stolen = await second.call_tool("delete_videos", {**arguments, "confirmation_token": token})

        assert stolen.is_error
        assert MEETING in await video_numbers(second)


@each_transport
async def test_headers_narrow_lists_and_calls(url: str, transport: Transport) -> None:
    async with connect(url, transport, {**bearer_key(), "X-Memories-Toolsets": "search, library"}) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("chat_with_library", {"prompt": "x"})
        prompts = [each.name for each in (await client.list_prompts()).prompts]
    async with connect(url, transport, {**bearer_key(), "X-Memories-Read-Only": "true"}) as client:
        reads = {tool.name for tool in (await client.list_tools()).tools}
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("delete_videos", {"video_nos": [MEETING]})

    assert {each.toolset for each in OPERATIONS if each.name in names} == {"search", "library"}
    assert prompts == ["audit_library"]
    assert {each.effect.value for each in OPERATIONS if each.name in reads} == {"read"}


async def test_headers_cannot_widen_what_the_operator_allows(open_house: Settings) -> None:
    narrow = open_house.change(toolsets=("library",), read_only=True)
    wide = {**bearer_key(), "X-Memories-Toolsets": "all", "X-Memories-Read-Only": "false"}
    async with run_http_server(narrow) as url, connect(url, "http modern", wide) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("delete_videos", {"video_nos": [MEETING]})

    assert {(each.toolset, each.effect.value) for each in OPERATIONS if each.name in names} == {("library", "read")}


async def test_file_tools_are_off_until_the_operator_opens_them(open_house: Settings, files_root: Path) -> None:
    rooted = open_house.change(files_root=files_root)
    file_tools = {each.name for each in OPERATIONS if each.uses_files}
    async with run_http_server(rooted) as url, connect(url, "http modern", bearer_key()) as client:
        closed = {tool.name for tool in (await client.list_tools()).tools}
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("upload_video_file", {"path": "talk.mp4"})
    async with (
        run_http_server(rooted.change(http_files=True)) as url,
        connect(url, "http modern", bearer_key()) as client,
    ):
        opened = {tool.name for tool in (await client.list_tools()).tools}
        result = await client.call_tool("upload_video_file", {"path": "talk.mp4"})

    assert closed & file_tools == set()
    assert file_tools <= opened
    assert {"upload_video_file", "download_video", "search_similar_images", "caption_image_file"} <= file_tools
    assert not result.is_error, text(result)


async def test_with_a_token_set_the_files_are_open_to_its_holders_alone(open_house: Settings, files_root: Path) -> None:
    guarded = open_house.change(files_root=files_root, http_files=True, http_token=TOKEN)
    stranger, holder = {"X-Memories-Api-Key": "junk"}, {"Authorization": f"Bearer {TOKEN}"}
    async with run_http_server(guarded) as url:
        async with connect(url, "http modern", stranger) as client:
            listed = await client.list_tools()
            with pytest.raises(MCPError, match="not offered"):
                await client.call_tool("upload_video_file", {"path": "talk.mp4"})
        async with connect(url, "http modern", holder) as client:
            result = await client.call_tool("upload_video_file", {"path": "talk.mp4"})
        async with connect(url, "http modern", {**holder, **header_key()}) as client:
            own = await client.call_tool("upload_video_file", {"path": "talk.mp4"})

    assert {each.name for each in listed.tools} & {each.name for each in OPERATIONS if each.uses_files} == set()
    assert listed.cache_scope == "private"
    assert not result.is_error
    assert not own.is_error


async def test_tenants_over_the_limit_are_let_go_while_many_come_and_none_of_them_fails(
    open_house: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memories_mcp.server.tenants._MAX_TENANTS", 3)
    tenants = Tenants(open_house, over_http=True)

    async def come_and_go(url: str) -> set[str]:
        async with connect(url, "http legacy", bearer_key()) as client:
            request = SubscribeRequest(params=SubscribeRequestParams(uri=f"memories://videos/{MEETING}"))
            await client.session.send_request(request, EmptyResult)
            return await video_numbers(client)

    async with run_http_server(open_house, tenants=tenants) as url:
        found = await asyncio.gather(*(come_and_go(url) for _ in range(12)))
        await come_and_go(url)

        assert len(tenants) <= 4
    assert all(MEETING in each for each in found)


async def test_a_change_is_heard_whatever_else_the_same_key_sends_in_its_headers(open_house: Settings) -> None:
    key, uri = bearer_key(), f"memories://videos/{MEETING}"
    async with (
        run_http_server(open_house.change(confirm=False)) as url,
        connect(url, "http modern", key) as listener,
        connect(url, "http modern", {**key, "X-Memories-Caption-Api-Key": "sk-caption"}) as actor,
        listener.listen(resource_subscriptions=[uri]) as hears,
    ):
        before = [each.uri for each in (await listener.list_resources()).resources]
        await actor.call_tool("delete_videos", {"video_nos": [MEETING]})
        event = await asyncio.wait_for(anext(hears), 30)
        after = [each.uri for each in (await listener.list_resources()).resources]

    assert event == ResourceUpdated(uri=uri)
    assert uri in before
    assert uri not in after
