"""Journeys: what a person asks for, in as few calls as a model can make, each with the moment that it rests on.

One call where the request says all that a model needs; two where something must be confirmed or looked at first.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from conftest import BIKE, MEETING, MEETING_SESSION
from mcp import Client
from mcp_types import CallToolResult, TextContent

from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

PRICE = "the Team plan costs twenty-four euros"


class Assistant:
    """A model's side of a conversation: calls tools by name and counts the calls."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.calls: list[str] = []
        self.structured: dict[str, Any] = {}

    async def call(self, name: str, /, **arguments: Any) -> str:
        """Call a tool and return its text."""
        self.calls.append(name)
        result: CallToolResult = await self.client.call_tool(name, arguments)
        [block] = result.content
        assert isinstance(block, TextContent)
        assert not result.is_error, block.text
        self.structured = result.structured_content or {}
        return block.text


@pytest.fixture
async def assistant(live: Settings, files_root: Path) -> AsyncGenerator[Assistant, None]:
    async with Client(make_server(live.change(files_root=files_root))) as client:
        yield Assistant(client)


async def test_where_something_is_decided_with_the_words_to_quote(assistant: Assistant) -> None:
    text = await assistant.call("get_evidence", query="which price was decided for the Team plan?")

    assert len(assistant.calls) == 1
    assert PRICE in text
    assert re.search(r"4:26-5:08 audio: Decision one", text)
    assert MEETING in text


async def test_the_same_question_about_one_video_by_its_name(assistant: Assistant) -> None:
    text = await assistant.call("get_evidence", query="the decision on pricing", video_nos=["quarterly planning"])

    assert len(assistant.calls) == 1
    assert PRICE in text
    assert {moment["video_no"] for moment in assistant.structured["moments"]} == {MEETING}
    assert f"was read as {MEETING}" in text


async def test_what_is_said_between_two_times_of_a_video(assistant: Assistant) -> None:
    text = await assistant.call(
        "get_audio_transcription", video_no="Quarterly planning meeting", start_seconds="4:20", end_seconds="5:00"
    )

    assert len(assistant.calls) == 1
    assert "4:26" in text
    assert PRICE in text


async def test_subtitles_of_a_video_as_a_file(assistant: Assistant, files_root: Path) -> None:
    await assistant.call("get_audio_transcription", video_no="quarterly planning", save_as="meeting.srt")

    assert len(assistant.calls) == 1
    assert "00:04:26,000 --> " in (files_root / "meeting.srt").read_text(encoding="utf-8")


async def test_a_question_to_a_video_by_its_name(assistant: Assistant) -> None:
    text = await assistant.call("chat_with_videos", prompt="Why does the chain slip?", video_nos=["bike_chain_repair"])

    assert len(assistant.calls) == 1
    assert f"{BIKE}#t=" in text


async def test_the_chapters_of_a_video_by_its_name(assistant: Assistant) -> None:
    text = await assistant.call("generate_summary", video_no="quarterly planning", summary_type="chapter")

    assert len(assistant.calls) == 1
    assert re.search(r"^\[1\].*0:\d\d", text, re.MULTILINE), text


async def test_where_a_word_is_said(assistant: Assistant) -> None:
    text = await assistant.call("search_audio_transcripts", query="twenty-four euros")

    assert len(assistant.calls) == 1
    assert f"{MEETING}#t=4:26" in text


async def test_the_moments_behind_an_earlier_answer(assistant: Assistant) -> None:
    text = await assistant.call("get_evidence", session_id=MEETING_SESSION)

    assert len(assistant.calls) == 1
    assert f"{MEETING}#t=" in text


async def test_the_videos_of_a_state(assistant: Assistant) -> None:
    text = await assistant.call("list_videos", status="failed")

    assert len(assistant.calls) == 1
    assert "No video is failed." in text


async def test_a_link_that_is_added_and_used(assistant: Assistant) -> None:
    await assistant.call("upload_video_url", url="https://m.example/espresso-machine.mp4", wait_seconds=30)
    ready = assistant.structured["status"]
    text = await assistant.call("get_evidence", query="espresso machine", video_nos=["espresso-machine"])

    assert len(assistant.calls) == 2
    assert ready == "ready"
    assert assistant.structured["moments"], text


async def test_the_file_that_was_just_saved(assistant: Assistant) -> None:
    await assistant.call("list_local_files", name="talk")
    [saved] = assistant.structured["files"]
    await assistant.call("upload_video_file", path=saved["path"], wait_seconds=30)

    assert len(assistant.calls) == 2
    assert assistant.structured["status"] == "ready"


async def test_a_video_deleted_by_its_name_after_the_user_agreed(assistant: Assistant) -> None:
    preview = await assistant.call("delete_videos", video_nos=["bike_chain_repair"])
    token = assistant.structured["confirmation"]["confirmation_token"]
    await assistant.call("delete_videos", video_nos=["bike_chain_repair"], confirmation_token=token)

    assert len(assistant.calls) == 2
    assert BIKE in preview
    assert assistant.structured["deleted"] == [BIKE]


async def test_new_descriptions_after_the_user_agreed_that_are_ready_to_read(assistant: Assistant) -> None:
    arguments = {"video_no": "bike_chain_repair", "prompt": "Name the tools.", "wait_seconds": 30}
    preview = await assistant.call("update_video_transcription", **arguments)
    token = assistant.structured["confirmation"]["confirmation_token"]
    await assistant.call("update_video_transcription", **arguments, confirmation_token=token)

    assert len(assistant.calls) == 2
    assert "bike_chain_repair" in preview


async def test_videos_put_into_a_new_folder_by_name(assistant: Assistant) -> None:
    await assistant.call("create_folder", name="Planning")
    await assistant.call("move_videos_to_folder", folder_id="Planning", video_nos=["quarterly planning"])

    assert len(assistant.calls) == 2
    assert assistant.structured["moved"] == [MEETING]


async def test_a_post_of_the_public_library_with_its_moment(assistant: Assistant) -> None:
    await assistant.call("search_public_videos", query="sourdough bread")
    [first, *_] = assistant.structured["moments"]
    text = await assistant.call("get_evidence", refs=[first["ref"]])

    assert len(assistant.calls) == 2
    assert "https://" in text
    assert " by " in text


async def test_chatgpt_searches_and_fetches_with_the_address_to_cite(assistant: Assistant) -> None:
    results = json.loads(await assistant.call("search", query="price of the Team plan"))["results"]
    document = json.loads(await assistant.call("fetch", id=results[0]["id"]))

    assert len(assistant.calls) == 2
    assert document["url"].startswith(f"memories://videos/{MEETING}")
    assert "lower the price of the Team plan" in document["text"]
