"""What a call reports to a LangChain or LangGraph run (callbacks, custom events, stream writer), and how it ends."""

# Several of LangGraph's own signatures are only partly typed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from agents import graph, numbers, tool
from conftest import MEETING
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig
from pydantic import SecretStr
from scripted import calls

from langchain_tools import MemoriesToolkit
from memories_mcp.settings import Settings

ASK: dict[str, Any] = {"prompt": "What does the Team plan cost?", "video_nos": [MEETING]}


@pytest.fixture
def kit(live: Settings, monkeypatch: pytest.MonkeyPatch) -> MemoriesToolkit:
    monkeypatch.setenv("MEMORIES_RATE_LIMITS", "off")
    return MemoriesToolkit(api_key=SecretStr(live.api_key), base_url=live.base_url)


class EventRecorder(BaseCallbackHandler):
    def __init__(self) -> None:
        self.events = list[tuple[str, Any, list[str] | None, dict[str, Any] | None]]()
        self.starts = list[tuple[list[str] | None, dict[str, Any] | None]]()

    def on_tool_start(self, serialized: Any, input_str: str, **kwargs: Any) -> None:
        self.starts.append((kwargs.get("tags"), kwargs.get("metadata")))

    def on_custom_event(self, name: str, data: Any, **kwargs: Any) -> None:
        self.events.append((name, data, kwargs.get("tags"), kwargs.get("metadata")))


def test_the_developers_callbacks_tags_and_metadata_are_kept(kit: MemoriesToolkit) -> None:
    own, of_the_run = EventRecorder(), EventRecorder()
    chat = tool(kit, "chat_with_videos")
    chat.callbacks, chat.tags = [own], ["mine"]
    assert chat.metadata is not None
    chat.metadata["team"] = "sales"
    chat.invoke(ASK, {"callbacks": [of_the_run], "tags": ["run"], "metadata": {"user": 7}})

    for recorder in (own, of_the_run):
        [(tags, metadata)] = recorder.starts
        assert set(tags or ()) == {"mine", "run"}
        assert metadata is not None
        assert (metadata["team"], metadata["user"]) == ("sales", 7)
        assert metadata["mcp"]["tool"]["annotations"]["read_only_hint"] is True
    assert of_the_run.events


def check_events(events: Sequence[Any]) -> None:
    """Check for titles of reasoning steps, then an answer that grows to the one that the tool returns."""
    assert {event["type"] for event in events} == {"memories_progress"}
    assert {event["tool"] for event in events} == {"chat_with_videos"}
    assert [event["done"] for event in events] == sorted(event["done"] for event in events)
    answers = [event["message"] for event in events if event["kind"] == "answer"]
    assert "twenty-four euros" in answers[-1]
    assert all(later.startswith(earlier) for earlier, later in pairwise(answers))
    assert [event["message"] for event in events if event["kind"] == "thinking"]
    assert events[0]["kind"] == "status"


def test_a_growing_answer_reaches_callbacks_in_sync_code(kit: MemoriesToolkit) -> None:
    recorder = EventRecorder()
    tool(kit, "chat_with_videos").invoke(ASK, {"callbacks": [recorder]})

    check_events([data for _, data, _, _ in recorder.events])


@pytest.mark.anyio
async def test_a_growing_answer_reaches_astream_events(kit: MemoriesToolkit) -> None:
    events = [event async for event in tool(kit, "chat_with_videos").astream_events(ASK, version="v2")]

    check_events([event["data"] for event in events if event["event"] == "on_custom_event"])
    assert {event["name"] for event in events if event["event"] == "on_custom_event"} == {"memories_progress"}


@pytest.mark.anyio
async def test_async_callbacks_run_in_the_loop_of_the_caller(kit: MemoriesToolkit) -> None:
    loops = set[Any]()

    class LoopRecorder(AsyncCallbackHandler):
        async def on_custom_event(self, name: str, data: Any, **kwargs: Any) -> None:
            loops.add(asyncio.get_running_loop())

    await tool(kit, "chat_with_videos").ainvoke(ASK, {"callbacks": [LoopRecorder()]})

    assert loops == {asyncio.get_running_loop()}


def test_a_growing_answer_reaches_the_stream_writer_in_sync_code(kit: MemoriesToolkit) -> None:
    check_events(list(graph(kit, "chat_with_videos", **ASK).stream({"messages": []}, stream_mode="custom")))


@pytest.mark.anyio
async def test_a_growing_answer_reaches_the_stream_writer_in_async_code(kit: MemoriesToolkit) -> None:
    stream = graph(kit, "chat_with_videos", **ASK).astream({"messages": []}, stream_mode="custom")

    check_events([event async for event in stream])


def test_without_listeners_the_answer_is_the_same(kit: MemoriesToolkit) -> None:
    message = calls("chat_with_videos", ASK).tool_calls[0]
    plain = tool(kit, "chat_with_videos").invoke({**message, "type": "tool_call"})
    followed = tool(kit, "chat_with_videos").invoke({**message, "type": "tool_call"}, {"callbacks": [EventRecorder()]})

    def without_session(message: ToolMessage) -> dict[str, Any]:
        structured = message.artifact["structured_content"]
        return {name: value for name, value in structured.items() if name != "session_id"}

    assert without_session(plain) == without_session(followed)


def test_a_callback_that_raises_on_purpose_ends_the_call(kit: MemoriesToolkit) -> None:
    class Stop(BaseCallbackHandler):
        raise_error = True

        def on_custom_event(self, name: str, data: Any, **kwargs: Any) -> None:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        tool(kit, "chat_with_videos").invoke(ASK, {"callbacks": [Stop()]})
    assert MEETING in numbers(kit)


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_handler_slower_than_the_call_loses_no_answer(
    kit: MemoriesToolkit, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("memories_mcp.operations.common.chat._HEARTBEAT_SECONDS", 0.005)
    summary, arguments = tool(kit, "generate_summary"), {"video_no": MEETING}

    class Slow(BaseCallbackHandler):
        def on_custom_event(self, name: str, data: Any, **kwargs: Any) -> None:
            time.sleep(0.2)

    config: RunnableConfig = {"callbacks": [Slow()]}
    text = summary.invoke(arguments, config) if way == "sync" else asyncio.run(summary.ainvoke(arguments, config))

    assert "summary" in text


@pytest.mark.anyio
async def test_cancelling_during_a_chat_ends_its_request_and_keeps_the_toolkit_usable(
    kit: MemoriesToolkit,
) -> None:
    started, disconnected = asyncio.Event(), asyncio.Event()

    async def answer_without_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        piece = b'data:{"type":"content","content":"word "}\n\n'
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await writer.drain()
        while await reader.read(1000):
            pass
        disconnected.set()
        writer.close()

    class AnswerWatcher(AsyncCallbackHandler):
        async def on_custom_event(self, name: str, data: Any, **kwargs: Any) -> None:
            if data["kind"] == "answer":
                started.set()

    server = await asyncio.start_server(answer_without_end, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, MemoriesToolkit(api_key=SecretStr("sk-1"), base_url=url) as slow, asyncio.timeout(60):
        task = asyncio.create_task(tool(slow, "chat_with_videos").ainvoke(ASK, {"callbacks": [AnswerWatcher()]}))
        await started.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await disconnected.wait()

    assert task.cancelled()
    assert MEETING in await tool(kit, "list_videos").ainvoke({})
