"""The next steps of the caption tools' and of LangChain's errors are accepted when they are followed."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import MEETING, run
from langchain_core.messages import ToolMessage
from loopback_servers import Exchange, serve
from pydantic import SecretStr
from test_next_steps import BY_NAME, CALLS, FAILED, FRESH, named_calls

from langchain_tools import MemoriesToolkit, MemoriesTranscriptLoader
from memories_mcp.errors import ConfigurationError, FileRefused, MemoriesError, NotReady
from memories_mcp.operations import OPERATIONS
from memories_mcp.runner import Runner
from memories_mcp.sandbox import demo_data
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

# Captions

CAPTION_TOOLS = [operation for operation in OPERATIONS if operation.toolset == "captions"]
CALLBACK, FILES, KEY, HOST = "callback_url", "files_root", "caption_api_key", "caption_base_url"
VARIABLES = {
    "MEMORIES_CALLBACK_URL": CALLBACK, "MEMORIES_FILES_ROOT": FILES,
    "MEMORIES_CAPTION_API_KEY": KEY, "MEMORIES_CAPTION_BASE_URL": HOST,
}  # fmt: skip


def refusing(answer: bytes) -> Exchange:
    """Return an exchange that reads a request with its body and answers it."""

    async def exchange(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        writer.write(answer)

    return exchange


REFUSED_KEY = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
REDIRECT = b"HTTP/1.1 302 Found\r\nlocation: /sign-in\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
SERVERS = {"refused key": refusing(REFUSED_KEY), "redirect": refusing(REDIRECT)}


async def failing(settings: Settings, name: str) -> MemoriesError:
    runner = Runner(settings)
    try:
        with pytest.raises(MemoriesError) as caught:
            await run(runner, name, **BY_NAME[name].example)
    finally:
        await runner.aclose()
    return caught.value


@pytest.mark.parametrize("operation", CAPTION_TOOLS, ids=lambda operation: operation.name)
@pytest.mark.parametrize("wrong", [KEY, FILES, HOST, "refused key", "redirect"])
async def test_the_setting_that_a_caption_tool_names_makes_it_work(
    operation: Any, wrong: str, settings: Settings, files_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)
    right = {CALLBACK: "https://c.example", FILES: files_root, KEY: settings.caption_api_key, HOST: settings.base_url}
    if wrong == FILES and not operation.uses_files:
        return  # does not need it
    async with serve(SERVERS.get(wrong, SERVERS["redirect"])) as port:
        given = {**right, wrong: ""} if wrong == KEY else {**right}
        if wrong == FILES:
            del given[FILES]
        if wrong in {HOST, *SERVERS}:
            given[HOST] = f"http://127.0.0.1:{port if wrong in SERVERS else 9}"
        broken = settings.change(**given)
        error = await failing(broken, operation.name)
    named = [VARIABLES[variable] for variable in re.findall(r"MEMORIES_[A-Z_]+", str(error)) if variable in VARIABLES]

    assert named == [KEY if wrong == "refused key" else HOST if wrong == "redirect" else wrong]
    assert not re.search(r"MEMORIES_(API_KEY|BASE_URL)", str(error))
    if wrong == "refused key":  # a key that the service takes is one that this server takes
        named.append(HOST)
    repaired = Runner(broken.change(**{name: right[name] for name in named}))
    await run(repaired, operation.name, **operation.example)
    await repaired.aclose()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("caption_video_url", {"url": "https://www.tiktok.com/@crumbandcroft/video/7548120936617203841"}),
        ("caption_image_url", {"url": "https://www.tiktok.com/@crumbandcroft"}),
    ],
)
async def test_the_tool_that_takes_a_page_instead_of_a_file_is_accepted(
    settings: Settings, name: str, arguments: dict[str, Any]
) -> None:
    runner = Runner(settings)
    given = {**arguments, "user_prompt": "x"}
    with pytest.raises(MemoriesError) as caught:
        await run(runner, name, **given)
    calls = named_calls(str(caught.value), {"url": arguments["url"]}, name)

    assert calls
    for tool, named in calls:
        await run(runner, tool, **named)
    await runner.aclose()


@pytest.mark.parametrize(("name", "path"), [("caption_image_file", "bicicle.jpg"), ("caption_video_file", "tlak.mp4")])
async def test_the_file_that_a_caption_tool_proposes_is_accepted(
    settings: Settings, files_root: Path, name: str, path: str
) -> None:
    runner = Runner(settings.change(files_root=files_root))
    example = BY_NAME[name].example
    with pytest.raises(FileRefused) as caught:
        await run(runner, name, **{**example, "path": path})
    for proposed in caught.value.words.split(", "):
        await run(runner, name, **{**example, "path": proposed})
    await runner.aclose()


# LangChain


def text_of(message: ToolMessage) -> str:
    """Return the text of an error, or the note of a result."""
    if message.status == "error":
        return str(message.content)
    return message.artifact["structured_content"].get("note", "")


@pytest.fixture
def toolkit(account: dict[str, Any], files_root: Path) -> MemoriesToolkit:
    shutil.copy(demo_data.MEDIA / "red-door.jpg", files_root / "zzqq.jpg")
    return MemoriesToolkit(**account, toolsets=["all"], files_root=files_root, confirm="off")


async def invoke(toolkit: MemoriesToolkit, name: str, arguments: dict[str, Any]) -> ToolMessage:
    call = {"name": name, "args": arguments, "id": "1", "type": "tool_call"}
    message = await toolkit.get_tool(name).ainvoke(call)
    assert isinstance(message, ToolMessage)
    return message


@pytest.mark.parametrize(
    ("name", "arguments"), CALLS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(CALLS)]
)
async def test_a_next_step_that_langchain_hands_to_a_model_is_accepted(
    toolkit: MemoriesToolkit, live: Settings, name: str, arguments: dict[str, Any]
) -> None:
    numbers: dict[str, str] = {}
    for stand_in, url in ((FAILED, f"{live.base_url}/media/broken.mp4"), (FRESH, "https://example.com/a.mp4")):
        if stand_in in str(arguments):
            uploaded = await invoke(toolkit, "upload_video_url", {"url": url})
            numbers[stand_in] = uploaded.artifact["structured_content"]["video_no"]
    if FAILED in numbers:
        await invoke(toolkit, "wait_until_ready", {"video_nos": [numbers[FAILED]]})
    document = json.dumps(arguments)
    for stand_in, number in numbers.items():
        document = document.replace(stand_in, number)
    given: dict[str, Any] = json.loads(document)
    text = text_of(await invoke(toolkit, name, given))

    assert text
    for tool, named in named_calls(text.partition("failed. ")[2] or text, given, name):
        message = await invoke(toolkit, tool, named)
        assert message.status == "success", message.content
    await toolkit.aclose()


async def test_each_way_to_a_key_that_a_toolkit_names_works(live: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORIES_RATE_LIMITS", "off")
    monkeypatch.setenv("MEMORIES_BASE_URL", live.base_url)
    toolkit = MemoriesToolkit()
    with pytest.raises(ConfigurationError) as caught:
        await toolkit.get_tool("list_videos").ainvoke({})
    await toolkit.aclose()
    for way in ("api_key=", "MEMORIES_API_KEY", "sandbox=True"):
        assert way in caught.value.next_step
    monkeypatch.setenv("MEMORIES_API_KEY", live.api_key)
    for repaired in (MemoriesToolkit(api_key=live.api_key), MemoriesToolkit(), MemoriesToolkit(sandbox=True)):
        message = await invoke(repaired, "list_videos", {})
        assert message.status == "success"
        await repaired.aclose()


async def test_each_way_to_the_key_of_a_run_works(live: Settings, no_limits: None) -> None:
    toolkit = MemoriesToolkit(base_url=live.base_url, per_run=True)
    tool = toolkit.get_tool("list_videos")
    with pytest.raises(ConfigurationError, match=r"config\['configurable'\]"):
        await tool.ainvoke({})
    with pytest.raises(ConfigurationError, match=r"SecretStr\(key\)"):
        await tool.ainvoke({}, {"configurable": {"memories_api_key": live.api_key}})
    secret = SecretStr(live.api_key)
    resolved = MemoriesToolkit(base_url=live.base_url, credentials=lambda _: live.api_key)

    assert "videos" in await tool.ainvoke({}, {"configurable": {"memories_api_key": secret}})
    assert "videos" in await resolved.get_tool("list_videos").ainvoke({})
    await toolkit.aclose()
    await resolved.aclose()


async def test_a_tool_that_a_toolkit_proposes_is_one_of_its_tools(account: dict[str, Any]) -> None:
    toolkit = MemoriesToolkit(**account)
    with pytest.raises(ConfigurationError) as caught:
        toolkit.get_tool("list_video")
    for name in re.findall(r"[a-z]+(?:_[a-z]+)+", caught.value.next_step):
        assert toolkit.get_tool(name).name == name


async def test_a_video_that_the_loader_refuses_is_loaded_after_the_wait_that_it_names(
    account: dict[str, Any], toolkit: MemoriesToolkit
) -> None:
    uploaded = await invoke(toolkit, "upload_video_url", {"url": "https://example.com/a.mp4"})
    number = uploaded.artifact["structured_content"]["video_no"]
    loader = MemoriesTranscriptLoader(**account, video_nos=[number, MEETING])
    with pytest.raises(NotReady, match=r"wait_until_ready") as caught:
        await loader.aload()
    for tool, named in named_calls(caught.value.next_step, {"video_nos": [number]}, ""):
        await invoke(toolkit, tool, {"video_nos": [number], **named})

    assert {document.metadata["video_no"] for document in await loader.aload()} >= {MEETING}
    await loader.aclose()
    await toolkit.aclose()
