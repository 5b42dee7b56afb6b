"""URLs of public posts in place of numbers."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import BREAD, FakeWire, calling, envelope, run
from mcp import Client
from named_library import TASK, arguments_with

from memories_mcp.errors import InvalidArguments
from memories_mcp.models.platforms import post_key
from memories_mcp.operation import Operation
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=3", "http://youtu.be/dQw4w9WgXcQ?si=abc"),
        ("https://m.youtube.com/shorts/dQw4w9WgXcQ/", "youtube.com/embed/dQw4w9WgXcQ"),
        ("https://www.tiktok.com/@a/video/7548120936617203841?is_from_webapp=1",
         "https://www.tiktok.com/player/v1/7548120936617203841"),
        ("https://www.instagram.com/p/CabcDEF/?igsh=1", "https://instagram.com/user/reel/CabcDEF"),
    ],
)  # fmt: skip
def test_the_forms_of_the_url_of_one_post_are_the_same(one: str, other: str) -> None:
    assert post_key(one) == post_key(other) is not None


@pytest.mark.parametrize(
    "url",
    [
        "https://x.example/watch?v=1",
        "https://www.tiktok.com/@a",
        "youtube.com",
        "",
        "http://[",
        "a talk",
        "ftp://youtu.be/x",
    ],
)
def test_other_texts_are_no_posts(url: str) -> None:
    assert post_key(url) is None


@pytest.mark.parametrize(
    ("operation", "argument"), arguments_with("url"), ids=lambda value: getattr(value, "name", value)
)
async def test_each_public_tool_takes_the_url_of_a_post_that_a_result_named(
    operation: Operation[Any, Any], argument: str, live: Settings
) -> None:
    async with Client(make_server(live)) as client:
        detail: dict[str, Any] = (
            await client.call_tool("get_public_video_detail", {"video_no": BREAD})
        ).structured_content or {}
        url = str(detail["video_url"]).replace("https://www.", "") + "?utm_source=x"
        result = await client.call_tool(operation.name, {argument: url})

    assert not result.is_error, result.content
    assert f'{url}" was read as {BREAD}.' in (result.structured_content or {})["note"]


async def test_a_post_in_the_status_of_an_import_is_known_from_then_on() -> None:
    url = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
    row = {"video_no": "PI-7", "video_url": url, "status": "PARSE"}
    wire = FakeWire(lambda request: envelope({"videos": [row], **row}))
    async with calling(wire) as runner:
        await run(runner, "get_task_status", task_id=TASK)
        await run(runner, "get_public_video_detail", video_no="https://youtu.be/dQw4w9WgXcQ")

    assert wire.requests[-1].url.params["video_no"] == "PI-7"


async def test_the_url_of_an_unknown_post_is_refused_with_what_to_do() -> None:
    wire = FakeWire(envelope(None))
    async with calling(wire) as runner:
        with pytest.raises(InvalidArguments) as caught:
            await run(runner, "get_public_video_detail", video_no="https://youtu.be/dQw4w9WgXcQ")

    assert wire.requests == []
    assert "search_public_videos" in str(caught.value)
    assert "upload_platform_urls_public takes it as video_urls" in str(caught.value)
