"""A missing key: the next step names what fits the surface."""

from __future__ import annotations

import pytest
from conftest import run
from http_clients import connect, text
from pydantic import SecretStr

from langchain_tools import MemoriesToolkit
from memories_mcp import errors
from memories_mcp.runner import Runner
from memories_mcp.server.http.app import run_http_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

REMOTE = "https://api.example"


@pytest.mark.parametrize(
    ("name", "arguments", "variable"),
    [
        ("list_sessions", {}, "MEMORIES_API_KEY"),
        ("caption_image_url", {"url": "https://x.example/a.jpg", "user_prompt": "x"}, "MEMORIES_CAPTION_API_KEY"),
    ],
)
async def test_on_the_command_line_and_over_stdio_it_is_a_variable(
    name: str, arguments: dict[str, str], variable: str
) -> None:
    runner = Runner(Settings(base_url=REMOTE, toolsets=("all",)))
    with pytest.raises(errors.ConfigurationError) as caught:
        await run(runner, name, **arguments)

    assert variable in caught.value.next_step
    assert "--sandbox" in caught.value.next_step
    assert "Bearer" not in caught.value.next_step


async def test_over_http_it_is_a_header() -> None:
    async with (
        run_http_server(Settings(base_url=REMOTE)) as url,
        connect(url, "http modern", {}) as client,
    ):
        answer = text(await client.call_tool("list_sessions", {}))

    assert "X-Memories-Api-Key" in answer
    assert "--sandbox" not in answer


async def test_in_langchain_it_is_an_argument() -> None:
    toolkit = MemoriesToolkit(base_url=REMOTE)
    [tool] = [tool for tool in toolkit.get_tools() if tool.name == "list_sessions"]
    with pytest.raises(errors.ConfigurationError) as caught:
        await tool.ainvoke({})

    assert "api_key=" in caught.value.next_step
    assert "sandbox=True" in caught.value.next_step
    assert "Bearer" not in str(caught.value)


async def test_a_run_without_a_caption_key_names_the_configurable() -> None:
    toolkit = MemoriesToolkit(base_url=REMOTE, per_run=True, toolsets=["captions"])
    [tool] = [tool for tool in toolkit.get_tools() if tool.name == "caption_image_url"]
    with pytest.raises(errors.ConfigurationError, match="memories_caption_api_key"):
        await tool.ainvoke(
            {"url": "https://x.example/a.jpg", "user_prompt": "x"},
            {"configurable": {"memories_api_key": SecretStr("sk-x")}},
        )
