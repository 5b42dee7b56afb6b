"""Resources: offered with the tools that return the same, in namespaces, with switches, links and completions."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from conftest import MEETING, MEETING_SESSION, envelope, order
from mcp import Client, MCPError
from mcp_types import (
    CallToolResult,
    PromptReference,
    ResourceLink,
    ResourceTemplateReference,
    TextContent,
)
from reading import SAID, faked, read, refused

from memories_mcp.api import Api
from memories_mcp.operations import OPERATIONS
from memories_mcp.rendering.budget import BUDGET
from memories_mcp.server.app import make_server
from memories_mcp.server.resource_types import RESOURCE_TYPES, ResourceType
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(live: Settings) -> AsyncIterator[Client]:
    async with Client(make_server(live.change(links=True))) as client:
        yield client


@pytest.mark.parametrize("unique_id", ["\x00", "a\nb", "x" * 201])
async def test_a_namespace_that_can_be_none_is_refused_before_anything_is_sent(unique_id: str) -> None:
    wire, client = faked(envelope({}))
    async with client:
        result = await client.call_tool("list_videos", {"unique_id": unique_id})
        await refused(client, f"memories://videos?unique_id={quote(unique_id)}")

    assert result.is_error
    assert wire.requests == []


async def test_a_change_during_a_look_is_not_lost() -> None:
    looking, goes_on, looks = asyncio.Event(), asyncio.Event(), 0

    async def answer(request: httpx2.Request) -> httpx2.Response:
        nonlocal looks
        if b'"size":200' in request.content.replace(b" ", b"") and b"video_no" not in request.content:
            looks += 1
            looking.set()
            await goes_on.wait()
        rows = [{"video_no": "VI1", "status": "PARSE"}] if looks < 2 else []
        return envelope({"videos": rows} if request.url.path.endswith("list_videos") else {})

    api = Api("sk-x", "https://api.example", rates={}, transport=httpx2.MockTransport(answer))
    async with Client(make_server(Settings(api_key="sk-x", confirm=False), api=api), cache=None) as client:
        listing = asyncio.create_task(client.list_resources())
        await looking.wait()
        await client.call_tool("delete_videos", {"video_nos": ["VI1"]})
        goes_on.set()
        await listing
        uris = [each.uri for each in (await client.list_resources()).resources]

    assert "memories://videos/VI1" not in uris


async def test_a_link_out_of_another_namespace_leads_there(live: Settings) -> None:
    async with Client(make_server(live.change(links=True))) as client:
        arguments = {"url": "https://videos.example/holiday.mp4", "unique_id": "my team"}
        uploaded = await client.call_tool("upload_video_url", arguments)
        assert uploaded.structured_content
        video_no = uploaded.structured_content["video_no"]
        await client.call_tool("wait_until_ready", {"video_nos": [video_no], "unique_id": "my team"})
        found = await client.call_tool("search_videos", {"query": "holiday", "unique_id": "my team"})
        assert found.structured_content
        uri = found.structured_content["moments"][0]["uri"]
        linked = [each.uri for each in found.content if isinstance(each, ResourceLink)]

        assert uri.endswith("&unique_id=my%20team")
        assert linked == [uri]
        assert "holiday" in (await read(client, uri)).text
        assert (await refused(client, f"memories://videos/{video_no}")).error.code == -32602


async def test_links_inside_a_resource_of_another_namespace_lead_there_too(live: Settings) -> None:
    async with Client(make_server(live)) as client:
        arguments = {"url": "https://videos.example/holiday.mp4", "unique_id": "my team", "wait_seconds": 20}
        uploaded = await client.call_tool("upload_video_url", arguments)
        chat = await client.call_tool("chat_with_library", {"prompt": "the holiday", "unique_id": "my team"})
        assert uploaded.structured_content
        assert chat.structured_content
        session = f"memories://sessions/{chat.structured_content['session_id']}?unique_id=my%20team"
        video = f"memories://videos/{uploaded.structured_content['video_no']}?unique_id=my%20team"
        told = [(await read(client, uri)).text for uri in (session, f"{session}&format=json", video)]
        uris = {uri for text in told for uri in re.findall(r"memories://[^)\s\"]+", text)}

        assert len(uris) >= 3
        for uri in uris:
            assert (await read(client, uri)).text


async def test_a_fixed_namespace_is_the_one_of_every_resource(live: Settings) -> None:
    async with Client(make_server(live.change(unique_id="team-a"))) as client:
        assert json.loads((await read(client, "memories://videos")).text)["videos"] == []
        assert (await refused(client, "memories://videos?unique_id=default")).error.code == -32602
        assert (await refused(client, f"memories://videos/{MEETING}")).error.code == -32602
        assert (await client.list_resources()).resources[2:] == []


@pytest.mark.parametrize("resource_type", RESOURCE_TYPES, ids=lambda resource_type: resource_type.name)
async def test_a_resource_is_offered_only_with_the_tool_that_gives_the_same(
    live: Settings, resource_type: ResourceType[Any]
) -> None:
    without = live.change(exclude_tools=tuple(resource_type.tools))
    async with Client(make_server(without)) as client:
        templates = [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
        uris = [each.uri for each in (await client.list_resources()).resources]

        assert resource_type.template not in templates
        assert resource_type.fixed not in uris
        for uri in uris:
            await read(client, uri)


async def test_a_toolset_that_reads_no_transcripts_reads_none_as_resources(live: Settings) -> None:
    async with Client(make_server(live.change(toolsets=("search",)))) as client:
        assert (await client.list_resources()).resources == []
        assert (await refused(client, SAID)).error.code == -32602


def test_every_tool_that_a_resource_stands_for_exists() -> None:
    names = {operation.name for operation in OPERATIONS}

    assert {tool for resource_type in RESOURCE_TYPES for tool in resource_type.tools} <= names


def linked(result: CallToolResult) -> list[str]:
    return [each.uri for each in result.content if isinstance(each, ResourceLink)]


async def test_every_link_of_a_result_can_be_read_and_has_the_type_it_says(client: Client) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        ("search_videos", {"query": "pricing chain soup tide goal walk", "top_k": 30}),
        ("chat_with_library", {"prompt": "What is the price of the Team plan?"}),
        ("get_audio_transcription", {"video_no": MEETING}),
        ("list_videos", {}),
        ("list_sessions", {}),
        ("get_session_detail", {"session_id": MEETING_SESSION}),
        ("get_private_video_details", {"video_no": MEETING}),
        ("get_evidence", {"refs": [f"{MEETING}#t=266,275&kind=audio"]}),
        ("search_public_videos", {"query": "bread"}),
    ]
    for name, arguments in calls:
        result = await client.call_tool(name, arguments)
        links = [each for each in result.content if isinstance(each, ResourceLink)]

        assert 1 <= len(links) <= 5, name
        assert len({each.uri for each in links}) == len(links)
        for each in links:
            assert (await read(client, each.uri)).mime_type == each.mime_type, each.uri


async def test_a_chat_links_the_conversation_first(client: Client) -> None:
    result = await client.call_tool("chat_with_videos", {"prompt": "Team plan price?", "video_nos": [MEETING]})
    assert result.structured_content

    assert linked(result)[0] == f"memories://sessions/{result.structured_content['session_id']}"


async def test_nothing_is_linked_that_this_caller_may_not_read(live: Settings) -> None:
    async with Client(make_server(live.change(toolsets=("search",), links=True))) as client:
        assert linked(await client.call_tool("search_videos", {"query": "pricing"})) == []


@pytest.mark.parametrize(("characters", "links"), [(10, 5), (940, 2)])
async def test_links_take_only_the_room_that_the_text_of_a_result_leaves(characters: int, links: int) -> None:
    numbers = [f"VI{number}" for number in range(20)]
    rows = [{"video_no": number, "status": "FAIL", "cause": "c" * characters} for number in numbers]
    _, client = faked(envelope({"videos": rows}), links=True)
    async with client:
        arguments = {"video_nos": numbers, "max_seconds": 0, "unique_id": "日" * 200}  # each link has 1,800 characters
        result = await client.call_tool("wait_until_ready", arguments)

    used = len(result.content[0].text) if isinstance(result.content[0], TextContent) else 0
    used += sum(len(link.model_dump_json(by_alias=True, exclude_none=True)) for link in result.content[1:])
    assert used <= BUDGET
    assert len(linked(result)) == links


@pytest.mark.parametrize(
    ("template", "argument", "typed", "expected"),
    [
        ("memories://videos/{video_no}", "video_no", "quarterly", [MEETING]),
        ("memories://videos/{video_no}", "video_no", MEETING[:8], [MEETING]),
        ("memories://sessions/{session_id}", "session_id", "PRICING", [MEETING_SESSION]),
        ("memories://videos/{video_no}/transcripts/{track}{?start,end}", "track", "a", ["audio", "visual"]),
        ("memories://sessions/{session_id}{?format}", "format", "j", ["json"]),
        ("memories://videos/{video_no}/transcripts/{track}{?start,end}", "start", "1", []),
        ("memories://videos/{video_no}", "video_no", "no such name", []),
    ],
)
async def test_arguments_of_templates_are_completed(
    client: Client, template: str, argument: str, typed: str, expected: list[str]
) -> None:
    reference = ResourceTemplateReference(uri=template)
    found = (await client.complete(reference, {"name": argument, "value": typed})).completion

    assert found.values == expected


async def test_what_begins_with_the_words_comes_first(client: Client) -> None:
    found = (
        await client.complete(PromptReference(name="meeting_minutes"), {"name": "video", "value": "qu"})
    ).completion

    assert found.values[0] == MEETING
    assert found.total == len(found.values) > 1


async def test_a_name_beyond_the_newest_videos_is_looked_up_in_the_whole_library() -> None:
    newest = {"videos": [{"video_no": f"VI{n}", "status": "PARSE"} for n in range(200)], "total_count": "5000"}

    def answer(request: httpx2.Request) -> httpx2.Response:
        if b"old talk" in request.content:
            return envelope({"videos": [{"video_no": "VI9999", "video_name": "An old talk", "status": "PARSE"}]})
        return envelope(newest if request.url.path.endswith("list_videos") else {})

    wire, client = faked(answer)
    async with client:
        reference = ResourceTemplateReference(uri="memories://videos/{video_no}")
        found = (await client.complete(reference, {"name": "video_no", "value": "old talk"})).completion

    assert found.values == ["VI9999"]
    assert len(wire.requests) == 3


@pytest.mark.parametrize(
    ("reference", "argument"),
    [
        (ResourceTemplateReference(uri="memories://nonsense/{x}"), "x"),
        (ResourceTemplateReference(uri="memories://videos/{video_no}"), "nonsense"),
        (PromptReference(name="nonsense"), "video"),
        (PromptReference(name="find_moment"), "nonsense"),
    ],
)
async def test_completing_what_does_not_exist_is_an_error(client: Client, reference: Any, argument: str) -> None:
    with pytest.raises(MCPError) as caught:
        await client.complete(reference, {"name": argument, "value": ""})

    assert caught.value.error.code == -32602


async def test_when_the_service_fails_nothing_is_completed_and_nothing_breaks(live: Settings) -> None:
    await order(live, "html", times=20)
    async with Client(make_server(live)) as client:
        reference = ResourceTemplateReference(uri="memories://videos/{video_no}")
        found = (await client.complete(reference, {"name": "video_no", "value": "q"})).completion

    assert found.values == []
