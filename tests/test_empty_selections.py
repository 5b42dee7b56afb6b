"""An empty selection offers nothing, or is refused; it never means everything."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from http_clients import bearer_key
from mcp import Client

from langchain_tools import MemoriesRetriever, MemoriesToolkit, MemoriesTranscriptLoader
from memories_mcp.cli.main import main
from memories_mcp.errors import ConfigurationError
from memories_mcp.operations import select
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ({"toolsets": []}, []),
        ({"tools": []}, []),
        ({"toolsets": (), "tools": ()}, []),
        ({"toolsets": [], "tools": ["search_videos"]}, ["search_videos"]),
        ({"toolsets": ["chat"], "tools": []}, ["chat_with_videos", "chat_with_library"]),
        ({"toolsets": ["public_upload"], "read_only": True}, []),
    ],
)
async def test_a_toolkit_offers_no_more_than_its_lists_name(
    monkeypatch: pytest.MonkeyPatch, selection: dict[str, Any], names: list[str]
) -> None:
    monkeypatch.setenv("MEMORIES_TOOLSETS", "all")

    assert [tool.name for tool in MemoriesToolkit(**selection).get_tools()] == names


async def test_none_leaves_the_selection_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "delete_videos" in {tool.name for tool in MemoriesToolkit(toolsets=None, tools=None).get_tools()}
    monkeypatch.setenv("MEMORIES_TOOLS", "list_videos")
    assert [tool.name for tool in MemoriesToolkit(toolsets=None).get_tools()] == ["list_videos"]


@pytest.mark.parametrize("selection", [{"toolsets": [""]}, {"toolsets": [" "]}, {"tools": [""]}])
async def test_a_blank_name_is_an_unknown_one(selection: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="Unknown tool"):
        MemoriesToolkit(**selection)


async def test_the_operations_of_no_toolset_are_none() -> None:
    assert select([]) == select(tools=[]) == ()
    assert select(None) == select(["default"])


async def test_a_server_of_no_toolset_lists_no_tool(live: Settings) -> None:
    async with Client(make_server(live.change(toolsets=()))) as client:
        assert (await client.list_tools()).tools == []


@pytest.mark.parametrize("variable", ["MEMORIES_TOOLSETS", "MEMORIES_TOOLS", "MEMORIES_EXCLUDE_TOOLS"])
async def test_a_blank_variable_is_unset_and_one_without_a_name_is_refused(variable: str) -> None:
    for blank in ("", " ", "${user_config.toolsets}"):
        assert Settings.from_environment({variable: blank}) == Settings()
    for nameless in (",", " , ,"):
        with pytest.raises(ConfigurationError, match=f"{variable} .* name at least one"):
            Settings.from_environment({variable: nameless})


@pytest.mark.parametrize("option", ["--toolsets", "--tools", "--exclude-tools"])
@pytest.mark.parametrize("value", ["", " ", ","])
def test_an_option_without_a_name_is_refused(capsys: pytest.CaptureFixture[str], option: str, value: str) -> None:
    assert main([f"{option}={value}", "tools"]) == 2
    assert f"{option} is {value!r}: name at least one" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["", ",", ", ,"])
async def test_a_header_without_a_name_is_refused(url: str, value: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        response = await client.post(f"{url}/mcp", headers={**bearer_key(), "X-Memories-Toolsets": value})

    assert response.status_code == 400
    assert "X-Memories-Toolsets" in response.json()["error"]["message"]


async def test_no_video_is_searched_or_loaded_if_the_list_of_videos_is_empty(account: dict[str, Any]) -> None:
    assert await MemoriesRetriever(**account, video_nos=[]).ainvoke("pricing") == []
    assert await MemoriesRetriever(**account).ainvoke("pricing", video_nos=[]) == []
    assert await MemoriesRetriever(**account, video_nos=None, k=1).ainvoke("pricing")
    assert MemoriesTranscriptLoader(**account, video_nos=[]).load() == []
