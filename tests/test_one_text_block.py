"""A result is one text block unless the operator asks for links: frameworks turn links into files."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import MEETING, MEETING_SESSION
from mcp import Client
from mcp_types import CallToolResult, ContentBlock

from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("search_videos", {"query": "pricing", "top_k": 30}),
    ("chat_with_library", {"prompt": "What is the price of the Team plan?"}),
    ("get_audio_transcription", {"video_no": MEETING}),
    ("list_videos", {}),
    ("list_sessions", {}),
    ("get_session_detail", {"session_id": MEETING_SESSION}),
    ("get_evidence", {"refs": [f"{MEETING}#t=266,275&kind=audio"]}),
    ("upload_video_url", {"url": "https://videos.example/holiday.mp4"}),
    ("search_videos", {"query": "pricing", "top_k": "many"}),
]


async def results(settings: Settings) -> list[CallToolResult]:
    async with Client(make_server(settings)) as client:
        return [await client.call_tool(name, arguments) for name, arguments in CALLS]


def kinds(content: list[ContentBlock]) -> list[str]:
    return [block.type for block in content]


async def test_a_result_is_one_text_block(live: Settings) -> None:
    for result in await results(live):
        assert kinds(result.content) == ["text"]


async def test_the_uris_stay_in_the_structured_content(live: Settings) -> None:
    search, *_ = await results(live)

    assert search.structured_content
    assert all(moment["uri"].startswith("memories://") for moment in search.structured_content["moments"])


async def test_the_operator_may_ask_for_links(live: Settings) -> None:
    for result in (await results(live.change(links=True)))[:7]:
        assert {*kinds(result.content[1:])} == {"resource_link"}
