"""A video that a list does not contain may be among the rows that could not be read, and the answer says so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conftest import FakeWire, answered, calling, envelope
from loopback_servers import http_response, serve

from langchain_tools import MemoriesTranscriptLoader
from memories_mcp.errors import NotFound

pytestmark = pytest.mark.anyio

ONE, THREE = [{"video_name": "x"}], [None, {"video_name": "x"}, 7]


@pytest.mark.parametrize(
    ("rows", "says"),
    [(ONE, "rows? of the list could not be read"), (THREE, "[3-9] rows of the list could not be read")],
)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("wait_until_ready", {"video_nos": ["VI9"], "max_seconds": 0}),
        ("wait_until_ready", {"video_nos": ["VI8", "VI9"], "max_seconds": 0}),
        ("update_video_transcription", {"video_no": "VI9", "prompt": "x"}),
    ],
)
async def test_an_unknown_video_may_be_a_row_that_could_not_be_read(
    rows: list[Any], says: str, name: str, arguments: dict[str, Any]
) -> None:
    async with calling(FakeWire(lambda _: envelope({"videos": rows}))) as runner:
        with pytest.raises(NotFound, match=says) as caught:
            await runner.run(runner.operations[name], arguments)

    assert "list_videos" in caught.value.next_step


async def test_a_whole_list_leaves_no_doubt() -> None:
    with pytest.raises(NotFound) as caught:
        await answered({"videos": []}, "wait_until_ready", video_nos=["VI9"], max_seconds=0)

    assert "could not be read" not in str(caught.value)


async def test_a_video_that_is_not_deleted_may_be_a_row_that_could_not_be_read() -> None:
    nothing = await answered({"videos": THREE}, "delete_videos", video_nos=["VI9"])
    part = await answered({"videos": [*ONE, {"video_no": "VI1"}]}, "delete_videos", video_nos=["VI1", "VI9"])

    assert nothing.not_found == ["VI9"]
    assert "3 rows of the list could not be read; the video may be among them." in nothing.note
    assert part.not_found == ["VI9"]
    assert "could not be read; the video may be among them." in part.note


async def test_the_loader_says_so_too() -> None:
    async def list_videos(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http_response({"videos": ONE}))

    async with serve(list_videos) as port:
        loader = MemoriesTranscriptLoader(api_key="sk-x", base_url=f"http://127.0.0.1:{port}", video_nos=["VI9"])
        with pytest.raises(NotFound, match="1 row of the list could not be read; it may be the video"):
            await loader.aload()
        await loader.aclose()
