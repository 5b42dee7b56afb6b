"""Parity of MCP and LangChain: one test over all tools, on two accounts that hold the same library."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import BIKE, MEETING
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from mcp import Client
from mcp_types import CallToolResult, ImageContent, TextContent, Tool
from pydantic import SecretStr

from langchain_tools import MemoriesToolkit
from memories_mcp import errors
from memories_mcp.errors import FATAL_ERRORS
from memories_mcp.operations import OPERATIONS
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

RAISED_BY_LANGCHAIN = {"ConfigurationError", "Unauthorized", "OutOfCredits"}
"""Errors that LangChain raises and MCP answers with their text."""

CALLS: list[tuple[str, dict[str, Any]]] = [
    *((operation.name, operation.example) for operation in OPERATIONS),
    ("search_videos", {"query": "price of the Team plan", "search_type": "BY_AUDIO", "top_k": 3}),
    ("search_videos", {"query": "price", "video_nos": f'["{MEETING}"]'}),
    ("search_videos", {"query": "price", "tag": None}),
    ("get_evidence", {"query": "price of the Team plan", "video_nos": [MEETING], "context_seconds": "0:05"}),
    ("search_videos", {"q": 1}),
    ("search_videos", {}),
    ("search_videos", {"query": None}),
    ("search_videos", {"query": "x", "top_k": 0, "config": 1, "self": 2, "run_manager": 3}),
    ("search_videos", {"query": "x", "unique_id": "no-such-namespace"}),
    ("get_audio_transcription", {"video_no": "VI1"}),
    ("get_audio_transcription", {"video_no": MEETING, "start_seconds": 30, "end_seconds": 90}),
    ("get_video_transcription", {"video_no": "PI-604418309112233984"}),
    ("get_session_detail", {"session_id": "1"}),
    ("upload_video_file", {"path": "../secret.mp4"}),
    ("delete_videos", {"video_nos": ["VI404"]}),
    ("delete_videos", {"video_nos": [BIKE], "confirmation_token": "forged"}),
    ("list_videos", {"size": 2, "page": 2}),
]
_VARYING = re.compile(
    r"[0-9a-f]{8}-[0-9a-f-]{27}_[0-9a-f]{32}|VI\d{12,}|\b6\d{17}\b|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\dZ)?|\b1\d{12}\b"
    r"|\b[0-9a-f]{32}\.[\w-]+\.[\w-]+"  # a confirmation token
)


def mask_varying(text: str) -> str:
    """Return the text with the values that differ by account masked: new ids, times, tokens."""
    return _VARYING.sub("…", text.replace("/theirs", "/files"))


@pytest.fixture
def fixed_nonce(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("langchain_tools.tools.make_nonce", lambda: "fixed")
    return "fixed"


async def test_every_tool_is_the_same_over_mcp_and_in_langchain(
    live: Settings, key: str, files_root: Path, fixed_nonce: str
) -> None:
    mcp_files = Path(shutil.copytree(files_root, files_root.with_name("theirs")))
    mcp_settings = live.change(api_key=f"{key}-mcp", caption_api_key=f"{key}-mcp", files_root=mcp_files)
    server = make_server(mcp_settings.change(toolsets=("all",)), nonce=lambda: fixed_nonce)
    compared = 0
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("CAPTION_API_KEY", key),
            ("CAPTION_BASE_URL", live.caption_base_url),
            ("CALLBACK_URL", live.callback_url),
            ("RATE_LIMITS", "off"),
        ):
            patch.setenv(f"MEMORIES_{name}", value)
        kit = MemoriesToolkit(
            api_key=SecretStr(key), base_url=live.base_url, toolsets=["all"], files_root=files_root, confirm="token"
        )
    async with Client(server) as client, kit:
        mcp_tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        tools = {tool.name: tool for tool in kit.get_tools()}
        assert list(mcp_tools) == list(tools)
        for name, tool in tools.items():
            check_definition(mcp_tools[name], tool)
        for name, arguments in CALLS:
            over_mcp = await client.call_tool(name, arguments)
            in_langchain = await tools[name].ainvoke({"type": "tool_call", "id": "1", "name": name, "args": arguments})
            check_result(over_mcp, in_langchain)
            compared += 1
    assert {name for name, _ in CALLS} == set(tools)
    assert compared == len(CALLS)


def check_definition(mcp_tool: Tool, tool: BaseTool) -> None:
    function = convert_to_openai_tool(tool)["function"]
    annotations = mcp_tool.annotations
    assert annotations is not None
    assert function["name"] == mcp_tool.name
    assert function["description"] == mcp_tool.description
    assert function["parameters"] == {name: value for name, value in mcp_tool.input_schema.items() if name != "title"}
    assert tool.metadata == {
        "mcp": {
            "tool": {
                "title": mcp_tool.title,
                "annotations": annotations.model_dump(by_alias=False, exclude_none=True),
            }
        }
    }


def check_result(over_mcp: CallToolResult, in_langchain: ToolMessage) -> None:
    assert mask_varying(in_langchain.text) == "".join(
        mask_varying(block.text) for block in over_mcp.content if isinstance(block, TextContent)
    )
    assert [block.get("base64") for block in in_langchain.content_blocks if block["type"] == "image"] == [
        block.data for block in over_mcp.content if isinstance(block, ImageContent)
    ]
    assert (in_langchain.status == "error") == bool(over_mcp.is_error)
    if not over_mcp.is_error:
        langchain_result = json.dumps(in_langchain.artifact, sort_keys=True)
        mcp_result = json.dumps({"structured_content": over_mcp.structured_content}, sort_keys=True)
        assert mask_varying(langchain_result) == mask_varying(mcp_result)


def test_the_errors_that_langchain_raises_are_those_named_here() -> None:
    assert {error.__name__ for error in FATAL_ERRORS} == RAISED_BY_LANGCHAIN
    assert all(hasattr(errors, name) for name in RAISED_BY_LANGCHAIN)


@pytest.mark.parametrize("pinned", [True, False])
async def test_a_fixed_namespace_removes_the_argument_from_both_schemas(live: Settings, pinned: bool) -> None:
    fixed = "team" if pinned else ""
    async with Client(make_server(live.change(unique_id=fixed or None))) as client:
        mcp_tools = (await client.list_tools()).tools
    kit = MemoriesToolkit(api_key=SecretStr("sk-1"), unique_id=fixed or None, toolsets=["all"])
    for mcp_tool, tool in zip(mcp_tools, kit.get_tools(), strict=True):
        check_definition(mcp_tool, tool)
        assert not (pinned and "unique_id" in mcp_tool.input_schema["properties"])
