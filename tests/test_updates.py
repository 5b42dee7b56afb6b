"""Subscribers hear when any call of this process sees a video change; nothing is polled for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from conftest import BIKE, MEETING
from mcp import Client, MCPError
from mcp_types import (
    EmptyResult,
    ResourceUpdatedNotification,
    SubscribeRequest,
    SubscribeRequestParams,
    UnsubscribeRequest,
    UnsubscribeRequestParams,
)

from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

VIDEO = f"memories://videos/{MEETING}"
WINDOW = f"{VIDEO}/transcripts/visual?start=60&end=90"


class Heard:
    """Collects the URIs that a client of the handshake era is told of."""

    def __init__(self) -> None:
        self.uris: asyncio.Queue[str] = asyncio.Queue()

    async def __call__(self, message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            self.uris.put_nowait(str(message.params.uri))

    async def next(self) -> str:
        return await asyncio.wait_for(self.uris.get(), 30)


async def subscribe(client: Client, uri: str) -> None:
    """As clients of the handshake era do; the SDK's own method for it is deprecated."""
    await client.session.send_request(SubscribeRequest(params=SubscribeRequestParams(uri=uri)), EmptyResult)


async def unsubscribe(client: Client, uri: str) -> None:
    await client.session.send_request(UnsubscribeRequest(params=UnsubscribeRequestParams(uri=uri)), EmptyResult)


@asynccontextmanager
async def subscriber(live: Settings, *uris: str) -> AsyncGenerator[tuple[Client, Heard], None]:
    heard = Heard()
    async with Client(make_server(live.change(confirm=False)), mode="legacy", message_handler=heard) as client:
        for uri in uris:
            await subscribe(client, uri)
        yield client, heard


async def test_a_subscriber_hears_of_the_video_its_transcripts_and_the_list(live: Settings) -> None:
    async with subscriber(live, VIDEO, WINDOW, "memories://videos", f"memories://videos/{BIKE}") as (client, heard):
        await client.call_tool("delete_videos", {"video_nos": [MEETING]})
        uris = {await heard.next(), await heard.next(), await heard.next()}

    assert uris == {VIDEO, WINDOW, "memories://videos"}
    assert heard.uris.empty()


async def test_a_new_description_is_told_to_whoever_reads_the_video(live: Settings) -> None:
    async with subscriber(live, VIDEO, WINDOW) as (client, heard):
        await client.call_tool("update_video_transcription", {"video_no": MEETING, "prompt": "Name the people."})

        assert {await heard.next(), await heard.next()} == {VIDEO, WINDOW}


async def test_a_look_that_finds_a_video_ready_tells_it(live: Settings) -> None:
    async with subscriber(live) as (client, heard):
        uploaded = await client.call_tool("upload_video_url", {"url": "https://videos.example/x.mp4"})
        assert uploaded.structured_content
        uri = f"memories://videos/{uploaded.structured_content['video_no']}"
        await subscribe(client, uri)
        await client.call_tool("list_videos", {"status": "failed"})
        for _ in range(3):
            await client.call_tool("list_videos", {})

        assert await heard.next() == uri
    assert heard.uris.empty()


async def test_reading_a_resource_is_a_look_too(live: Settings) -> None:
    async with subscriber(live) as (client, heard):
        uploaded = await client.call_tool("upload_video_url", {"url": "https://videos.example/x.mp4"})
        assert uploaded.structured_content
        uri = f"memories://videos/{uploaded.structured_content['video_no']}"
        await subscribe(client, uri)
        for _ in range(3):
            await client.read_resource(uri)

        assert await heard.next() == uri


async def test_a_chat_changes_its_conversation_and_the_list_of_them(live: Settings) -> None:
    async with subscriber(live, "memories://sessions") as (client, heard):
        answer = await client.call_tool("chat_with_library", {"prompt": "What is the price?"})
        assert answer.structured_content
        assert await heard.next() == "memories://sessions"
        session_id = answer.structured_content["session_id"]
        await subscribe(client, f"memories://sessions/{session_id}")
        await client.call_tool("chat_with_library", {"prompt": "And yearly?", "session_id": session_id})

        assert {await heard.next(), await heard.next()} == {
            "memories://sessions",
            f"memories://sessions/{session_id}",
        }


async def test_a_summary_changes_the_list_of_conversations(live: Settings) -> None:
    async with subscriber(live, "memories://sessions") as (client, heard):
        await client.call_tool("generate_summary", {"video_no": MEETING})

        assert await heard.next() == "memories://sessions"


async def test_who_unsubscribes_hears_no_more(live: Settings) -> None:
    async with subscriber(live, VIDEO, "memories://videos") as (client, heard):
        await unsubscribe(client, VIDEO)
        await client.call_tool("delete_videos", {"video_nos": [MEETING]})

        assert await heard.next() == "memories://videos"
    assert heard.uris.empty()


async def test_what_is_no_resource_cannot_be_subscribed_to(live: Settings) -> None:
    async with subscriber(live) as (client, _):
        with pytest.raises(MCPError) as caught:
            await subscribe(client, "memories://nonsense")

    assert caught.value.error.data == {"uri": "memories://nonsense"}


async def test_a_stream_of_the_new_era_hears_the_same(live: Settings) -> None:
    uris = [VIDEO, WINDOW]
    async with (
        Client(make_server(live.change(confirm=False))) as client,
        client.listen(resource_subscriptions=uris, resources_list_changed=True) as stream,
    ):
        await client.call_tool("delete_videos", {"video_nos": [MEETING]})
        events = [await asyncio.wait_for(anext(stream), 30) for _ in range(3)]

    assert {getattr(event, "uri", "the list") for event in events} == {*uris, "the list"}


async def test_the_list_of_resources_is_fresh_after_a_change(live: Settings) -> None:
    async with Client(make_server(live.change(confirm=False)), cache=None) as client:
        before = [resource.uri for resource in (await client.list_resources()).resources]
        await client.call_tool("delete_videos", {"video_nos": [MEETING]})
        after = [resource.uri for resource in (await client.list_resources()).resources]

    assert VIDEO in before
    assert VIDEO not in after
