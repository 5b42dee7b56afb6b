"""Links lead to the namespace that the call used, however its argument was written."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import envelope
from mcp_types import ResourceLink
from reading import faked

pytestmark = pytest.mark.anyio

LISTING = envelope({"videos": [{"video_no": "VI1", "status": "PARSE"}]})


async def links_of(arguments: dict[str, Any], **settings: Any) -> list[str]:
    _, client = faked(LISTING, links=True, **settings)
    async with client:
        result = await client.call_tool("list_videos", arguments)
    assert not result.is_error
    return [str(block.uri) for block in result.content if isinstance(block, ResourceLink)]


@pytest.mark.parametrize("arguments", [{"unique_id": "team"}, {"uniqueId": "team"}])
async def test_the_namespace_of_the_call_stands_in_its_links(arguments: dict[str, Any]) -> None:
    assert await links_of(arguments) == ["memories://videos?unique_id=team"]


@pytest.mark.parametrize("arguments", [{}, {"unique_id": None}, {"unique_id": "null"}, {"unique_id": "  "}])
async def test_no_namespace_stands_in_the_links_of_a_call_without_one(arguments: dict[str, Any]) -> None:
    assert await links_of(arguments) == ["memories://videos"]


async def test_a_number_as_a_namespace_is_its_text() -> None:
    assert await links_of({"unique_id": 7}) == ["memories://videos?unique_id=7"]


async def test_the_fixed_namespace_needs_no_name() -> None:
    assert await links_of({}, unique_id="team") == ["memories://videos"]
