"""Refusals of huge arguments: ten problems are named, the others counted, and no text grows with the input."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from mcp import Client
from mcp_types import TextContent

from memories_mcp.errors import InvalidArguments
from memories_mcp.models import argument_names
from memories_mcp.operations import OPERATIONS
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

BY_NAME = {operation.name: operation for operation in OPERATIONS}


@cache
def many() -> dict[str, int]:
    return {f"argument_{number}": number for number in range(190_000)}


def refused(tool: str, **arguments: Any) -> InvalidArguments:
    with pytest.raises(InvalidArguments) as caught:
        BY_NAME[tool].validate(arguments, {})
    return caught.value


def test_ten_problems_are_named_and_the_others_counted() -> None:
    error = refused("search_videos", **many())

    assert len(error.problems) == 11
    assert error.problems[-1] == "and 189991 more problems."  # with the query, which is missing
    assert len(str(error)) < 3000


def test_the_work_for_an_unknown_name_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    folded = list[str]()
    fold = argument_names.fold

    def record(word: str) -> str:
        folded.append(word)
        return fold(word)

    monkeypatch.setattr(argument_names, "fold", record)
    refused("search_videos", **many())

    assert len(folded) < 500


def test_names_inside_an_argument_are_bounded_too() -> None:
    error = refused("caption_video_url", url="https://x.example/a.mp4", user_prompt="x", persons=[many()] * 5)

    assert len(error.problems) == 5
    assert len(str(error)) < 1000


@pytest.mark.parametrize(
    "arguments",
    [
        lambda: {"video_nos": ["!"] * 190_000},
        lambda: {"video_nos": ["!"] * 100},
        lambda: {"video_nos": "VI1," * 900_000},
        lambda: {"video_nos": "[" * 3_000_000},
        lambda: {"video_nos": [["VI1"] * 1000] * 100},
        lambda: {"unique_id": "x" * 3_000_000},
        lambda: {"unique_id": 10**100_000},
        lambda: {"x" * 3_000_000: 1, "y\n\u202e" * 1000: 2},
    ],
    ids=range(8),
)
def test_the_text_of_a_refusal_does_not_grow_with_the_input(arguments: Callable[[], dict[str, Any]]) -> None:
    error = refused("delete_videos", **arguments())

    assert len(error.problems) <= 11
    assert len(str(error)) < 4000
    assert "\u202e" not in str(error)


@pytest.mark.anyio
async def test_a_tools_answer_to_thousands_of_arguments_stays_within_its_budget(settings: Settings) -> None:
    async with Client(make_server(settings.change(api_key=""))) as client:
        result = await client.call_tool("search_videos", many())

    assert result.is_error
    assert isinstance(result.content[0], TextContent)
    assert len(result.content[0].text) < 24_000
