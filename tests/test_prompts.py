"""Prompts: what they ask for, what they refuse, and that their words name tools that exist."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from mcp import Client, MCPError
from mcp_types import TextContent

from memories_mcp.operations import OPERATIONS
from memories_mcp.server.app import make_server
from memories_mcp.server.prompts import PROMPTS, Prompt
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

NAMES = {operation.name for operation in OPERATIONS}
each_prompt = pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt.name)


@pytest.fixture(params=["auto", "legacy"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with Client(make_server(Settings()), mode=request.param) as client:
        yield client


async def written(client: Client, name: str, **arguments: str) -> str:
    messages = (await client.get_prompt(name, arguments)).messages
    assert messages
    assert isinstance(messages[0].content, TextContent)
    return messages[0].content.text


async def test_the_five_prompts_are_listed_with_titles_and_described_arguments(client: Client) -> None:
    listed = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}

    assert [*listed] == ["find_moment", "answer_with_citations", "compare_videos", "meeting_minutes", "audit_library"]
    for prompt in listed.values():
        assert prompt.title
        assert prompt.description
        assert all(argument.description for argument in prompt.arguments or [])
    assert [argument.required for argument in listed["compare_videos"].arguments or []] == [True, True, False]


@each_prompt
async def test_it_says_what_was_asked_for_and_leads_to_cited_answers(client: Client, prompt: Prompt) -> None:
    given = {argument.name: f"value of {argument.name}" for argument in prompt.arguments}
    text = await written(client, prompt.name, **given)

    assert "Cite every claim" in text
    assert "evidence ref" in text
    for value in given.values():
        assert value in text


@each_prompt
async def test_its_words_name_only_tools_that_it_needs(client: Client, prompt: Prompt) -> None:
    required = {argument.name: "x" for argument in prompt.arguments if argument.required}
    everything = {argument.name: "x" for argument in prompt.arguments}
    words = await written(client, prompt.name, **required) + await written(client, prompt.name, **everything)

    assert NAMES & set(re.findall(r"[a-z_]+", words)) <= set(prompt.tools) <= NAMES


@each_prompt
async def test_each_missing_argument_is_named(client: Client, prompt: Prompt) -> None:
    required = [argument.name for argument in prompt.arguments if argument.required]
    if not required:
        assert await written(client, prompt.name)
        return
    for blank in ({}, dict.fromkeys(required, " ")):
        with pytest.raises(MCPError) as caught:
            await client.get_prompt(prompt.name, blank)

        assert caught.value.error.code == -32602
        for name in required:
            assert f"missing argument {name}" in caught.value.error.message


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("nonsense", {}, "Unknown prompt: nonsense"),
        ("meeting_minutes", {"video": "x", "vidoe": "y"}, "unknown argument vidoe. Arguments: video."),
        ("meeting_minutes", {"video": "x" * 5000}, "video is too long"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_words(
    client: Client, name: str, arguments: dict[str, str], words: str
) -> None:
    with pytest.raises(MCPError) as caught:
        await client.get_prompt(name, arguments)

    assert caught.value.error.code == -32602
    assert words in caught.value.error.message


async def test_a_prompt_is_offered_only_with_all_its_tools() -> None:
    async with Client(make_server(Settings(exclude_tools=("get_evidence",)))) as client:
        listed = [prompt.name for prompt in (await client.list_prompts()).prompts]
        with pytest.raises(MCPError, match="Unknown prompt"):
            await client.get_prompt("find_moment", {"description": "x"})

    assert listed == ["meeting_minutes", "audit_library"]
