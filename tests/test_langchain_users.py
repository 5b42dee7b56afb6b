"""Many users of one toolkit: each run brings its own key and sees only its own."""

# Several of LangGraph's own signatures are only partly typed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from agents import State, numbers, tool
from conftest import BIKE, MEETING
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tracers import BaseTracer
from langchain_core.tracers.schemas import Run
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph  # pyright: ignore[reportMissingTypeStubs] -- no stubs exist
from langgraph.prebuilt import ToolNode
from pydantic import SecretStr
from scripted import ScriptedModel, calls

from langchain_tools import MemoriesToolkit
from memories_mcp.errors import ConfigurationError
from memories_mcp.settings import Settings

ASK: dict[str, Any] = {"prompt": "What does the Team plan cost?", "video_nos": [MEETING]}


DELETE = {"video_nos": [BIKE]}


@pytest.fixture
def shared(live: Settings, monkeypatch: pytest.MonkeyPatch) -> MemoriesToolkit:
    """A toolkit for all users; the environment holds the operator's key, which no run may use."""
    monkeypatch.setenv("MEMORIES_RATE_LIMITS", "off")
    monkeypatch.setenv("MEMORIES_API_KEY", "sk-of-the-operator")
    return MemoriesToolkit(base_url=live.base_url, per_run=True)


def user(name: str, **configurable: Any) -> RunnableConfig:
    key = SecretStr(f"sk-user-{name}-{uuid.uuid4().hex}")
    return {"configurable": {"memories_api_key": key, **configurable}}


def key_of(config: RunnableConfig) -> str:
    return config.get("configurable", {})["memories_api_key"].get_secret_value()


@pytest.mark.anyio
async def test_the_runs_of_two_users_at_once_see_only_their_own(shared: MemoriesToolkit) -> None:
    upload, listing = tool(shared, "upload_video_url"), tool(shared, "list_videos")
    users = [user("ann"), user("bob")]

    async def work(number: int) -> list[str]:
        name = f"holiday-of-{number}.mp4"
        await upload.ainvoke({"url": f"https://media.example/{name}"}, users[number])
        return [await listing.ainvoke({}, users[number]) for _ in range(5)]

    ann, bob = await asyncio.gather(work(0), work(1))

    assert all("holiday-of-0" in text and "holiday-of-1" not in text for text in ann)
    assert all("holiday-of-1" in text and "holiday-of-0" not in text for text in bob)


@dataclass
class UserContext:
    memories_api_key: SecretStr
    memories_unique_id: str = ""


def test_the_key_may_come_with_langgraphs_context(shared: MemoriesToolkit) -> None:
    config = user("ann")
    tool(shared, "upload_video_url").invoke({"url": "https://media.example/mine.mp4"}, config)
    context = UserContext(SecretStr(key_of(config)))
    node = ToolNode(shared.get_tools())
    builder = StateGraph(State, context_schema=UserContext).add_node("tools", node).add_edge(START, "tools")
    state = builder.compile().invoke({"messages": [calls("list_videos", {})]}, context=context)

    assert "mine" in state["messages"][-1].content
    as_mapping = StateGraph(State).add_node("tools", node).add_edge(START, "tools").compile()
    state = as_mapping.invoke(
        {"messages": [calls("list_videos", {})]},
        context={"memories_api_key": context.memories_api_key},  # pyright: ignore[reportArgumentType] -- no schema
    )
    assert "mine" in state["messages"][-1].content


def test_the_operators_namespace_is_not_the_users_but_a_fixed_one_is_kept(
    live: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORIES_UNIQUE_ID", "of-the-operator")
    assert MEETING in numbers(MemoriesToolkit(base_url=live.base_url, per_run=True), user("ann"))
    fixed = MemoriesToolkit(base_url=live.base_url, per_run=True, unique_id="team")
    assert "Nothing came back from namespace 'team'" in numbers(fixed, user("ann", memories_unique_id="team"))
    with pytest.raises(ConfigurationError, match="not the unique_id that is fixed"):
        numbers(fixed, user("ann", memories_unique_id="other"))


def test_the_namespace_is_the_runs_and_no_argument(shared: MemoriesToolkit) -> None:
    listing = tool(shared, "list_videos")
    first = user("ann", memories_unique_id="team-1")
    second = {"configurable": {**first.get("configurable", {}), "memories_unique_id": "team-2"}}
    tool(shared, "upload_video_url").invoke({"url": "https://media.example/of-team-1.mp4"}, first)

    assert "unique_id" not in listing.args
    assert "of-team-1" in listing.invoke({}, first)
    assert "of-team-1" not in listing.invoke({}, cast(RunnableConfig, second))
    assert "unique_id: unknown argument" in listing.invoke({"unique_id": "team-1"}, cast(RunnableConfig, second))


@pytest.mark.parametrize(
    ("configurable", "words"),
    [
        ({}, "has no API key"),
        ({"memories_api_key": None}, "has no API key"),
        ({"memories_api_key": SecretStr("")}, "has no API key"),
        ({"memories_api_key": "sk-plain"}, "not a SecretStr"),
        ({"memories_api_key": SecretStr("sk wrong")}, "use printable ASCII characters"),
    ],
    ids=["none", "null", "empty", "plain", "broken"],
)
def test_a_run_without_a_valid_key_is_refused_and_never_uses_the_environments(
    shared: MemoriesToolkit, configurable: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        numbers(shared, {"configurable": configurable})

    assert "sk-" not in str(caught.value)


def test_the_operators_files_and_caption_key_are_not_open_to_users(
    live: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORIES_FILES_ROOT", str(tmp_path))
    monkeypatch.setenv("MEMORIES_CAPTION_API_KEY", "sk-of-the-operator")
    with MemoriesToolkit(base_url=live.base_url, toolsets=["all"], per_run=True) as kit:
        assert not {"upload_video_file", "download_video"} & {tool.name for tool in kit.get_tools()}
        with pytest.raises(ConfigurationError, match="no API key"):
            tool(kit, "caption_image_url").invoke({"url": "https://a.example/b.jpg", "user_prompt": "?"}, user("ann"))
    with_files = MemoriesToolkit(base_url=live.base_url, per_run=True, files_root=tmp_path)
    assert {"upload_video_file", "download_video"} <= {tool.name for tool in with_files.get_tools()}
    with pytest.raises(ConfigurationError, match="Leave api_key out"):
        MemoriesToolkit(api_key=SecretStr("sk-1"), per_run=True)


class TraceRecorder(BaseTracer):
    """Records whole runs, as an exporter of traces sends them."""

    def __init__(self) -> None:
        super().__init__()
        self.records = list[str]()

    def _persist_run(self, run: Run) -> None:
        self.records.append(run.model_dump_json() if hasattr(run, "model_dump_json") else repr(run))


class CallbackRecorder(BaseCallbackHandler):
    """Records the arguments of every callback."""

    def __init__(self) -> None:
        self.records = list[str]()

    def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
        self.records.append(repr((args, kwargs)))

    on_chain_end = on_tool_start = on_tool_end = on_tool_error = on_custom_event = on_chain_start
    on_retriever_start = on_retriever_end = on_chat_model_start = on_llm_end = on_chain_start


@pytest.mark.anyio
async def test_no_key_is_in_checkpoints_callbacks_traces_or_events(shared: MemoriesToolkit) -> None:
    saver, tracer, callbacks = InMemorySaver(), TraceRecorder(), CallbackRecorder()
    agent = create_agent(
        ScriptedModel.replying(calls("chat_with_videos", ASK), AIMessage("twenty-four euros")),
        shared.get_tools(),
        checkpointer=saver,
    )
    config = user("ann", thread_id="1")
    key = key_of(config)
    config["callbacks"] = [tracer, callbacks]
    events = [
        repr(event) async for event in agent.astream_events({"messages": [HumanMessage("?")]}, config, version="v2")
    ]
    checkpoints = [repr(checkpoint) for checkpoint in saver.list(config)]
    stored = [repr(saver.storage), repr(saver.writes), repr(saver.blobs)]

    assert checkpoints
    assert tracer.records
    assert len(callbacks.records) > 5
    assert any("twenty-four euros" in event for event in events)
    for text in (*events, *checkpoints, *stored, *tracer.records, *callbacks.records, repr(shared)):
        assert key not in text


def test_a_token_belongs_to_its_user(shared: MemoriesToolkit) -> None:
    deleting, ann, bob = tool(shared, "delete_videos"), user("ann"), user("bob")
    preview = deleting.invoke({**calls("delete_videos", DELETE).tool_calls[0], "type": "tool_call"}, ann)
    token = preview.artifact["structured_content"]["confirmation"]["confirmation_token"]

    assert "another key" in deleting.invoke({**DELETE, "confirmation_token": token}, bob)
    assert BIKE in numbers(shared, bob)
    assert BIKE not in deleting.invoke({**DELETE, "confirmation_token": token}, ann).partition("deleted")[0]
    assert BIKE not in numbers(shared, ann)
