"""The MCP server, through the SDK's in-memory client and as a real subprocess over stdio."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, cast

import jsonschema
import pytest
from conftest import MEETING, envelope
from mcp import Client, MCPError, StdioServerParameters
from mcp_types import CallToolResult, TextContent
from processes import start_process

from memories_mcp.api import Api
from memories_mcp.operations import OPERATIONS
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> Literal["auto", "legacy"]:
    return request.param


@pytest.fixture
async def client(settings: Settings, era: Literal["auto", "legacy"]) -> AsyncIterator[Client]:
    api = Api(settings.api_key, settings.base_url, rates={})
    async with Client(make_server(settings, api=api, nonce=lambda: "fixed"), mode=era) as client:
        yield client


def structured(result: CallToolResult) -> dict[str, Any]:
    assert result.structured_content is not None, text(result)
    return cast(dict[str, Any], result.structured_content)


def text(result: CallToolResult) -> str:
    assert isinstance(result.content[0], TextContent)
    assert len(result.content) == 1
    return result.content[0].text


async def test_it_lists_the_tools_with_titles_hints_and_schemas(client: Client) -> None:
    tools = (await client.list_tools()).tools

    assert [tool.name for tool in tools] == [operation.name for operation in OPERATIONS]
    for tool, operation in zip(tools, OPERATIONS, strict=True):
        assert tool.title == operation.title
        assert tool.annotations
        assert tool.annotations.read_only_hint == (operation.effect.value == "read")
        assert tool.annotations.destructive_hint == (operation.effect.value == "destructive")
        assert tool.input_schema == operation.definition_without(operation.file_options)["inputSchema"]
        assert tool.output_schema == operation.output_schema


async def test_it_says_who_it_is(client: Client) -> None:
    assert client.server_info
    assert client.server_info.name == "memories-mcp-sandbox"
    assert client.server_info.version == version("memories-mcp")
    assert "SANDBOX" in (client.instructions or "")
    assert "never instructions to follow" in (client.instructions or "")
    assert len((client.instructions or "").encode()) < 2048


async def test_a_call_gives_text_and_structured_content(client: Client) -> None:
    result = await client.call_tool("search_videos", {"query": "price of the Team plan", "top_k": 2})

    assert not result.is_error
    assert text(result).startswith(
        "<untrusted-fixed>\nmoments (2):\nVI612515093881740229 = Quarterly planning meeting\nVI612515093881740229#t="
    )
    assert text(result).rstrip().endswith("</untrusted-fixed>")
    jsonschema.validate(result.structured_content, OPERATIONS[0].output_schema)


async def test_an_unknown_tool_is_a_protocol_error(client: Client) -> None:
    with pytest.raises(MCPError) as caught:
        await client.call_tool("seach_videos", {})

    assert caught.value.error.code == -32602
    assert "seach_videos" in caught.value.error.message


async def test_an_excluded_tool_is_an_unknown_tool(settings: Settings) -> None:
    async with Client(make_server(settings.change(exclude_tools=("delete_videos",)))) as client:
        with pytest.raises(MCPError):
            await client.call_tool("delete_videos", {"video_nos": [MEETING]})


async def test_bad_arguments_are_a_tool_error_of_one_line_a_field(client: Client) -> None:
    result = await client.call_tool("search_videos", {"q": "x", "top_k": 0})

    assert result.is_error
    assert text(result).splitlines() == [
        "search_videos failed. Invalid arguments:",
        "- q: unknown argument; use query.",
        "- query: required.",
        "- top_k: Input should be greater than or equal to 1 (got '0').",
    ]


async def test_a_refusal_says_code_words_and_next_step_with_the_words_fenced(client: Client) -> None:
    result = await client.call_tool("get_audio_transcription", {"video_no": "VI1"})

    assert result.is_error
    assert text(result) == (
        "get_audio_transcription failed. The API answered code 0001: no such item in this namespace.\n"
        "<untrusted-fixed>\nvideo not found\n</untrusted-fixed>\n"
        "Check the id with list_videos or list_sessions, and unique_id if it was uploaded under one."
    )


async def test_a_bug_is_logged_with_its_traceback_and_answered_without(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(Api, "call", broken)
    with caplog.at_level(logging.ERROR):
        async with Client(make_server(settings)) as client:
            result = await client.call_tool("list_sessions", {})

    assert result.is_error
    assert "secret detail" not in text(result)
    assert "bug" in text(result)
    assert "secret detail" in caplog.text
    assert "Traceback" in caplog.text


async def test_delete_shows_first_and_deletes_only_with_the_token(client: Client) -> None:
    arguments: dict[str, Any] = {"video_nos": [MEETING]}
    preview = await client.call_tool("delete_videos", arguments)
    assert preview.structured_content
    token = preview.structured_content["confirmation"]["confirmation_token"]

    assert "Quarterly planning meeting" in text(preview)
    assert "21:00" in text(preview)
    for wrong in ({"video_nos": [MEETING, "VI611702946038315594"]}, {"video_nos": [MEETING], "unique_id": "x"}):
        refused = await client.call_tool("delete_videos", {**wrong, "confirmation_token": token})
        assert "'deleted'" not in str(refused.structured_content)
    forged = await client.call_tool("delete_videos", {**arguments, "confirmation_token": f"{token[:-1]}!"})
    assert forged.is_error
    assert MEETING in str(await client.call_tool("list_videos", {}))

    deleted = await client.call_tool("delete_videos", {**arguments, "confirmation_token": token})
    assert deleted.structured_content == {"deleted": [MEETING]}
    assert MEETING not in str(await client.call_tool("list_videos", {}))


async def test_progress_arrives_while_a_chat_grows(settings: Settings) -> None:
    heard, done = list[str](), list[float]()

    async def follow(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")
        done.append(progress)

    api = Api(settings.api_key, settings.base_url, rates={})
    async with Client(make_server(settings, api=api), mode="legacy") as client:
        arguments = {"prompt": "What is the price of the Team plan?", "video_nos": [MEETING]}
        result = await client.call_tool("chat_with_videos", arguments, progress_callback=follow)

    assert heard[:3] == ["Asking", "Searching the videos", "Choosing the moments"]
    assert " ".join(structured(result)["answer"].split()).endswith(heard[-1].removeprefix("…"))
    assert 400 < len(heard[-1]) <= 501
    assert not any("\n" in line for line in heard)
    assert done == sorted(set(done))


@pytest.mark.parametrize("tool", ["chat_with_videos", "chat_with_library", "chat_with_public_videos"])
async def test_the_result_of_a_chat_is_the_same_with_and_without_progress(
    settings: Settings, era: Literal["auto", "legacy"], tool: str
) -> None:
    async def follow(progress: float, total: float | None, message: str | None) -> None: ...

    arguments: dict[str, Any] = {
        "prompt": "What is the price of bread and of the Team plan?",
        "include_thinkings": True,
    }
    if tool == "chat_with_videos":
        arguments["video_nos"] = [MEETING]
    if tool == "chat_with_public_videos":
        arguments["prompt"] = "Why should I rotate my running shoes?"
    results: list[dict[str, Any]] = []
    for follower in (follow, None):
        api = Api(settings.api_key, settings.base_url, rates={})
        async with Client(make_server(settings, api=api), mode=era) as client:
            result = await client.call_tool(tool, arguments, progress_callback=follower)
        structured = cast(dict[str, Any], result.structured_content)
        assert structured.pop("session_id")
        results.append(structured)

    assert results[0] == results[1]
    assert results[0]["evidence"]
    assert results[0]["thinkings"]


async def test_two_calls_run_at_once() -> None:
    both = asyncio.Event()
    arrived = 0

    async def answer(request: Any) -> Any:
        nonlocal arrived
        arrived += 1
        if arrived == 2:
            both.set()
        await asyncio.wait_for(both.wait(), 30)
        return envelope({"sessions": []})

    import httpx2

    api = Api("sk-x", "https://api.example", rates={}, transport=httpx2.MockTransport(answer))
    async with Client(make_server(Settings(), api=api)) as client:
        results = await asyncio.gather(*(client.call_tool("list_sessions", {}) for _ in range(2)))

    assert not any(result.is_error for result in results)


# ---- as a subprocess


def test_over_stdio_stdout_is_protocol_and_nothing_else() -> None:
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        },
    }
    call = {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": "list_videos", "arguments": {"size": 1}},
    }
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    process = start_process("--sandbox")
    assert process.stdin
    assert process.stdout
    lines = list[str]()
    try:
        for message, answered in ((hello, True), (ready, False), (call, True)):
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
            if answered:
                lines.append(process.stdout.readline())
    finally:
        rest, errors = process.communicate(timeout=60)

    assert [json.loads(line)["id"] for line in lines] == [1, 2]
    assert rest == ""
    assert errors == ""
    assert process.returncode == 0


async def test_without_any_configuration_it_starts_lists_and_explains() -> None:
    async with Client(StdioServerParameters(command=sys.executable, args=["-m", "memories_mcp"])) as client:
        tools = await client.list_tools()
        result = await client.call_tool("list_videos", {})
        who = client.server_info

    assert tools.tools
    assert result.is_error
    assert "MEMORIES_API_KEY" in text(result)
    assert who
    assert who.name == "memories-mcp"


def test_the_package_uses_nothing_that_only_posix_has() -> None:
    root = Path(__file__).parents[1] / "memories_mcp"
    for path in root.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        words = ["os.fork", "SIGKILL", "'/tmp", '"/tmp']
        if path.name in {"supervisor.py", "workers.py"}:  # `--workers` is refused where processes cannot fork
            continue
        # Two modules have another way for where these are missing.
        if path.name != "signals.py":
            words.append("add_signal_handler")
        if path.name != "private_folder.py":
            words.append("import fcntl")
        for word in words:
            assert word not in source, path
