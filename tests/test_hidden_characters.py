"""Characters that carry hidden bytes are removed from what the service sends, before a model can read them."""

from __future__ import annotations

import pytest
from conftest import envelope
from mcp import Client
from mcp_types import TextContent
from reading import faked

pytestmark = pytest.mark.anyio

SELECTORS = "".join(map(chr, (*range(0xFE00, 0xFE0E), *range(0xE0100, 0xE01F0))))
"""Variation selectors, each of which can stand for a byte, without the two that emoji need."""


async def listed(client: Client) -> tuple[str, str]:
    """The text of `list_videos`, and the first video's name in its structured content."""
    result = await client.call_tool("list_videos", {})
    assert isinstance(result.content[0], TextContent)
    assert result.structured_content
    return result.content[0].text, result.structured_content["videos"][0]["video_name"]


async def test_no_byte_hides_in_a_variation_selector() -> None:
    hidden = "".join(f"a{selector}" for selector in SELECTORS)
    _, client = faked(envelope({"videos": [{"video_no": "VI1", "status": "PARSE", "video_name": hidden}]}))
    async with client:
        text, name = await listed(client)

    assert name == "a" * len(SELECTORS)
    assert not set(text) & set(SELECTORS)


async def test_an_emoji_keeps_its_selector() -> None:
    _, client = faked(envelope({"videos": [{"video_no": "VI1", "status": "PARSE", "video_name": "❤️ or ❤︎"}]}))
    async with client:
        text, name = await listed(client)

    assert name == "❤️ or ❤︎"
    assert name in text
