"""What a LangChain or LangGraph run sees of the tools: progress, keys of its own, questions to a person."""

# Several of LangGraph's own signatures are only partly typed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypedDict, cast

import pytest
from conftest import BIKE, MEETING
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langchain_core.tracers import BaseTracer
from langchain_core.tracers.schemas import Run
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph  # pyright: ignore[reportMissingTypeStubs] -- none are found
from langgraph.prebuilt import ToolNode
from langgraph.types import Command
from pydantic import SecretStr
from scripted import ScriptedModel, calls

from langchain_tools import MemoriesToolkit
from memories_mcp.errors import ConfigurationError
from memories_mcp.settings import Settings

ASK: dict[str, Any] = {"prompt": "What does the Team plan cost?", "video_nos": [MEETING]}


@pytest.fixture
def kit(live: Settings, monkeypatch: pytest.MonkeyPatch) -> MemoriesToolkit:
    monkeypatch.setenv("MEMORIES_RATE_LIMITS", "off")
    return MemoriesToolkit(api_key=SecretStr(live.api_key), base_url=live.base_url)


def tool(kit: MemoriesToolkit, name: str) -> BaseTool:
    return next(each for each in kit.get_tools() if each.name == name)


def numbers(kit: MemoriesToolkit, config: RunnableConfig | None = None) -> str:
    return tool(kit, "list_videos").invoke({}, config)


# ---- callbacks


class Heard(BaseCallbackHandler):
    def __init__(self) -> None:
        self.events = list[tuple[str, Any, list[str] | None, dict[str, Any] | None]]()
        self.starts = list[tuple[list[str] | None, dict[str, Any] | None]]()

    def on_tool_start(self, serialized: Any, input_str: str, **more: Any) -> None:
        self.starts.append((more.get("tags"), more.get("metadata")))

    def on_custom_event(self, name: str, data: Any, **more: Any) -> None:
        self.events.append((name, data, more.get("tags"), more.get("metadata")))


def test_the_developers_callbacks_tags_and_metadata_are_kept(kit: MemoriesToolkit) -> None:
    own, of_the_run = Heard(), Heard()
    chat = tool(kit, "chat_with_videos")
    chat.callbacks, chat.tags = [own], ["mine"]
    assert chat.metadata is not None
    chat.metadata["team"] = "sales"
    chat.invoke(ASK, {"callbacks": [of_the_run], "tags": ["run"], "metadata": {"user": 7}})

    for heard in (own, of_the_run):
        [(tags, metadata)] = heard.starts
        assert set(tags or ()) == {"mine", "run"}
        assert metadata is not None
        assert (metadata["team"], metadata["user"]) == ("sales", 7)
        assert metadata["mcp"]["tool"]["annotations"]["read_only_hint"] is True
    assert of_the_run.events


# ---- streaming


def check(events: Sequence[Any]) -> None:
    """A growing answer, whose last state is what the tool returns, after the titles of thoughts."""
    assert {each["type"] for each in events} == {"memories_progress"}
    assert {each["tool"] for each in events} == {"chat_with_videos"}
    assert [each["done"] for each in events] == sorted(each["done"] for each in events)
    answers = [each["message"] for each in events if each["kind"] == "answer"]
    assert "twenty-four euros" in answers[-1]
    assert all(later.startswith(earlier) for earlier, later in pairwise(answers))
    assert [each["message"] for each in events if each["kind"] == "thinking"]
    assert events[0]["kind"] == "status"


def test_a_growing_answer_reaches_callbacks_in_sync_code(kit: MemoriesToolkit) -> None:
    heard = Heard()
    tool(kit, "chat_with_videos").invoke(ASK, {"callbacks": [heard]})

    check([data for _, data, _, _ in heard.events])


@pytest.mark.anyio
async def test_a_growing_answer_reaches_astream_events(kit: MemoriesToolkit) -> None:
    events = [each async for each in tool(kit, "chat_with_videos").astream_events(ASK, version="v2")]

    check([each["data"] for each in events if each["event"] == "on_custom_event"])
    assert {each["name"] for each in events if each["event"] == "on_custom_event"} == {"memories_progress"}


@pytest.mark.anyio
async def test_async_callbacks_hear_it_in_the_loop_of_the_caller(kit: MemoriesToolkit) -> None:
    loops = set[Any]()

    class Here(AsyncCallbackHandler):
        async def on_custom_event(self, name: str, data: Any, **more: Any) -> None:
            loops.add(asyncio.get_running_loop())

    await tool(kit, "chat_with_videos").ainvoke(ASK, {"callbacks": [Here()]})

    assert loops == {asyncio.get_running_loop()}


class State(TypedDict):
    messages: list[Any]


def graph(kit: MemoriesToolkit, name: str, checkpointer: Any = None, **arguments: Any) -> Any:
    """A graph of one step, which calls one tool."""
    node = ToolNode([tool(kit, name)], handle_tool_errors=False)

    def ask(state: State) -> State:
        return {"messages": [calls(name, arguments)]}

    return (
        StateGraph(State)
        .add_node("ask", ask)
        .add_node("tools", node)
        .add_edge(START, "ask")
        .add_edge("ask", "tools")
        .compile(checkpointer=checkpointer)
    )


def test_a_growing_answer_reaches_the_stream_writer_in_sync_code(kit: MemoriesToolkit) -> None:
    check(list(graph(kit, "chat_with_videos", **ASK).stream({"messages": []}, stream_mode="custom")))


@pytest.mark.anyio
async def test_a_growing_answer_reaches_the_stream_writer_in_async_code(kit: MemoriesToolkit) -> None:
    stream = graph(kit, "chat_with_videos", **ASK).astream({"messages": []}, stream_mode="custom")

    check([each async for each in stream])


def test_nobody_who_listens_means_no_streaming_and_the_same_answer(kit: MemoriesToolkit) -> None:
    message = calls("chat_with_videos", ASK).tool_calls[0]
    plain = tool(kit, "chat_with_videos").invoke({**message, "type": "tool_call"})
    heard = tool(kit, "chat_with_videos").invoke({**message, "type": "tool_call"}, {"callbacks": [Heard()]})

    def told(message: ToolMessage) -> dict[str, Any]:
        structured = message.artifact["structured_content"]
        return {name: value for name, value in structured.items() if name != "session_id"}

    assert told(plain) == told(heard)


def test_a_callback_that_raises_on_purpose_ends_the_call(kit: MemoriesToolkit) -> None:
    class Stop(BaseCallbackHandler):
        raise_error = True

        def on_custom_event(self, name: str, data: Any, **more: Any) -> None:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        tool(kit, "chat_with_videos").invoke(ASK, {"callbacks": [Stop()]})
    assert MEETING in numbers(kit)


# ---- many users


@pytest.fixture
def shared(live: Settings, monkeypatch: pytest.MonkeyPatch) -> MemoriesToolkit:
    """A toolkit for everybody; the operator's own key is in the environment and must stay there."""
    monkeypatch.setenv("MEMORIES_RATE_LIMITS", "off")
    monkeypatch.setenv("MEMORIES_API_KEY", "sk-of-the-operator")
    return MemoriesToolkit(base_url=live.base_url, per_run=True)


def user(name: str, **more: Any) -> RunnableConfig:
    key = SecretStr(f"sk-user-{name}-{uuid.uuid4().hex}")
    return {"configurable": {"memories_api_key": key, **more}}


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

    assert all("holiday-of-0" in each and "holiday-of-1" not in each for each in ann)
    assert all("holiday-of-1" in each and "holiday-of-0" not in each for each in bob)


@dataclass
class Context:
    memories_api_key: SecretStr
    memories_unique_id: str = ""


def test_the_key_may_come_with_langgraphs_context(shared: MemoriesToolkit) -> None:
    config = user("ann")
    tool(shared, "upload_video_url").invoke({"url": "https://media.example/mine.mp4"}, config)
    context = Context(SecretStr(key_of(config)))
    node = ToolNode(shared.get_tools())
    builder = StateGraph(State, context_schema=Context).add_node("tools", node).add_edge(START, "tools")
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
    with pytest.raises(ConfigurationError, match="not the unique_id that was fixed"):
        numbers(fixed, user("ann", memories_unique_id="other"))


def test_the_namespace_is_the_runs_and_no_argument(shared: MemoriesToolkit) -> None:
    listing = tool(shared, "list_videos")
    one = user("ann", memories_unique_id="team-1")
    other = {"configurable": {**one.get("configurable", {}), "memories_unique_id": "team-2"}}
    tool(shared, "upload_video_url").invoke({"url": "https://media.example/of-team-1.mp4"}, one)

    assert "unique_id" not in listing.args
    assert "of-team-1" in listing.invoke({}, one)
    assert "of-team-1" not in listing.invoke({}, cast(RunnableConfig, other))
    assert "unique_id: unknown argument" in listing.invoke({"unique_id": "team-1"}, cast(RunnableConfig, other))


@pytest.mark.parametrize(
    ("configurable", "words"),
    [
        ({}, "brings no key"),
        ({"memories_api_key": None}, "brings no key"),
        ({"memories_api_key": SecretStr("")}, "brings no key"),
        ({"memories_api_key": "sk-plain"}, "no SecretStr"),
        ({"memories_api_key": SecretStr("sk wrong")}, "characters that no key has"),
    ],
    ids=["none", "null", "empty", "plain", "broken"],
)
def test_a_run_without_a_proper_key_is_refused_and_never_served_with_the_environments(
    shared: MemoriesToolkit, configurable: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        numbers(shared, {"configurable": configurable})

    assert "sk-" not in str(caught.value)


def test_what_belongs_to_the_operator_alone_is_not_opened_to_users(
    live: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORIES_FILES_ROOT", str(tmp_path))
    monkeypatch.setenv("MEMORIES_CAPTION_API_KEY", "sk-of-the-operator")
    with MemoriesToolkit(base_url=live.base_url, toolsets=["all"], per_run=True) as kit:
        assert not {"upload_video_file", "download_video"} & {each.name for each in kit.get_tools()}
        with pytest.raises(ConfigurationError, match="no API key"):
            tool(kit, "caption_image_url").invoke({"url": "https://a.example/b.jpg", "user_prompt": "?"}, user("ann"))
    opened = MemoriesToolkit(base_url=live.base_url, per_run=True, files_root=tmp_path)
    assert {"upload_video_file", "download_video"} <= {each.name for each in opened.get_tools()}
    with pytest.raises(ConfigurationError, match="leave api_key out"):
        MemoriesToolkit(api_key=SecretStr("sk-1"), per_run=True)


class Recorder(BaseTracer):
    """Keeps whole runs, as an exporter of traces would send them."""

    def __init__(self) -> None:
        super().__init__()
        self.written = list[str]()

    def _persist_run(self, run: Run) -> None:
        self.written.append(run.model_dump_json() if hasattr(run, "model_dump_json") else repr(run))


class Everything(BaseCallbackHandler):
    """Writes down whatever any callback gets to see."""

    def __init__(self) -> None:
        self.written = list[str]()

    def on_chain_start(self, *given: Any, **more: Any) -> None:
        self.written.append(repr((given, more)))

    on_chain_end = on_tool_start = on_tool_end = on_tool_error = on_custom_event = on_chain_start
    on_retriever_start = on_retriever_end = on_chat_model_start = on_llm_end = on_chain_start


@pytest.mark.anyio
async def test_no_key_is_in_checkpoints_callbacks_traces_or_events(shared: MemoriesToolkit) -> None:
    saver, tracer, everything = InMemorySaver(), Recorder(), Everything()
    agent = create_agent(
        ScriptedModel.saying(calls("chat_with_videos", ASK), AIMessage("twenty-four euros")),
        shared.get_tools(),
        checkpointer=saver,
    )
    config = user("ann", thread_id="1")
    key = key_of(config)
    config["callbacks"] = [tracer, everything]
    seen = [repr(each) async for each in agent.astream_events({"messages": [HumanMessage("?")]}, config, version="v2")]
    checkpoints = [repr(each) for each in saver.list(config)]
    stored = [repr(saver.storage), repr(saver.writes), repr(saver.blobs)]

    assert checkpoints
    assert tracer.written
    assert len(everything.written) > 5
    assert any("twenty-four euros" in each for each in seen)
    for each in (*seen, *checkpoints, *stored, *tracer.written, *everything.written, repr(shared)):
        assert key not in each


# ---- asking a person


DELETE = {"video_nos": [BIKE]}
OTHER = ("delete_videos", {"video_nos": [MEETING]})


def interrupting(live: Settings) -> MemoriesToolkit:
    return MemoriesToolkit(api_key=SecretStr(live.api_key), base_url=live.base_url, confirm="interrupt")


def thread() -> RunnableConfig:
    return {"configurable": {"thread_id": uuid.uuid4().hex}}


def test_an_interrupt_shows_what_would_be_lost_and_a_yes_deletes(live: Settings) -> None:
    kit, config = interrupting(live), thread()
    deleting = graph(kit, "delete_videos", InMemorySaver(), **DELETE)
    [interrupt] = deleting.invoke({"messages": []}, config)["__interrupt__"]

    assert interrupt.value["type"] == "memories_confirmation"
    assert interrupt.value["tool"] == "delete_videos"
    assert interrupt.value["action"] == "Delete 1 video for good."
    assert BIKE in interrupt.value["items"][0]
    assert BIKE in numbers(kit)

    done = deleting.invoke(Command(resume=True), config)

    assert done["messages"][-1].artifact == {"structured_content": {"deleted": [BIKE]}}
    assert BIKE not in numbers(kit)


@pytest.mark.anyio
async def test_an_agent_is_interrupted_in_async_code_too(live: Settings) -> None:
    kit, config = interrupting(live), thread()
    model = ScriptedModel.saying(calls("delete_videos", DELETE), AIMessage("done"))
    agent = create_agent(model, kit.get_tools(), checkpointer=InMemorySaver())
    paused = await agent.ainvoke({"messages": [HumanMessage("?")]}, config)
    assert paused["__interrupt__"][0].value["action"] == "Delete 1 video for good."

    done = await agent.ainvoke(Command(resume={"type": "approve"}), config)

    assert done["messages"][-1].content == "done"
    assert BIKE not in await tool(kit, "list_videos").ainvoke({})


@pytest.mark.parametrize("answer", [False, None, "no", "yes", 1, {"type": "reject"}, {}])
def test_anything_but_a_yes_deletes_nothing(live: Settings, answer: Any) -> None:
    kit, config = interrupting(live), thread()
    deleting = graph(kit, "delete_videos", InMemorySaver(), **DELETE)
    deleting.invoke({"messages": []}, config)
    # LangGraph takes an empty resume for none, so the person's answer goes in by the interrupt's id.
    [interrupt] = deleting.get_state(config).interrupts
    done = deleting.invoke(Command(resume={interrupt.id: answer}), config)

    assert "declined; nothing was changed" in done["messages"][-1].content
    assert BIKE in numbers(kit)


@pytest.mark.parametrize("way", ["sync", "async"])
def test_what_changed_since_the_person_agreed_is_not_deleted(live: Settings, way: str) -> None:
    kit, config, more = interrupting(live), thread(), {"video_nos": [BIKE, MEETING]}
    deleting = graph(kit, "delete_videos", InMemorySaver(), **more)

    def go_on(given: Any) -> Any:
        return deleting.invoke(given, config) if way == "sync" else asyncio.run(deleting.ainvoke(given, config))

    go_on({"messages": []})
    with MemoriesToolkit(api_key=SecretStr(live.api_key), base_url=live.base_url, confirm="off") as unasked:
        tool(unasked, "delete_videos").invoke({"video_nos": [MEETING]})
    done = go_on(Command(resume=True))

    assert "has changed since the user agreed; nothing was done" in done["messages"][-1].content
    assert BIKE in numbers(kit)


def test_outside_a_graph_an_interrupt_falls_back_to_preview_and_token(live: Settings) -> None:
    kit = interrupting(live)
    deleting = tool(kit, "delete_videos")
    preview = deleting.invoke({**calls("delete_videos", DELETE).tool_calls[0], "type": "tool_call"})
    token = preview.artifact["structured_content"]["confirmation"]["confirmation_token"]

    assert BIKE in numbers(kit)
    assert BIKE in deleting.invoke({**DELETE, "confirmation_token": token})
    assert BIKE not in numbers(kit)


@pytest.mark.anyio
async def test_a_sync_call_inside_an_async_step_cannot_be_paused_and_says_so(live: Settings) -> None:
    kit = interrupting(live)

    async def step(state: State) -> State:
        return {"messages": [tool(kit, "delete_videos").invoke(DELETE)]}

    compiled = StateGraph(State).add_node("step", step).add_edge(START, "step").compile(checkpointer=InMemorySaver())
    with pytest.raises(ConfigurationError, match="ainvoke"):
        await compiled.ainvoke({"messages": []}, thread())

    assert BIKE in await tool(kit, "list_videos").ainvoke({})


def test_a_call_with_a_configuration_of_its_own_is_interrupted_too(live: Settings) -> None:
    kit = interrupting(live)

    def step(state: State) -> State:
        return {"messages": [tool(kit, "delete_videos").invoke(DELETE, {"configurable": {"mine": 1}})]}

    compiled = StateGraph(State).add_node("step", step).add_edge(START, "step").compile(checkpointer=InMemorySaver())
    config = thread()

    assert compiled.invoke({"messages": []}, config)["__interrupt__"]
    assert BIKE in numbers(kit)
    assert BIKE in compiled.invoke(Command(resume=True), config)["messages"][0]
    assert BIKE not in numbers(kit)


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("repetition", range(6))
def test_an_answer_never_goes_to_another_question_of_the_same_turn(live: Settings, way: str, repetition: int) -> None:
    kit, config = interrupting(live), thread()
    two = AIMessage("", tool_calls=[*calls("delete_videos", DELETE).tool_calls, *calls(*OTHER).tool_calls])
    node = ToolNode(kit.get_tools(), handle_tool_errors=False)
    compiled = StateGraph(State).add_node("tools", node).add_edge(START, "tools").compile(checkpointer=InMemorySaver())
    agrees = {BIKE: repetition % 2 == 0, MEETING: repetition % 2 == 1}

    def go_on(given: Any) -> Any:
        return compiled.invoke(given, config) if way == "sync" else asyncio.run(compiled.ainvoke(given, config))

    state = go_on({"messages": [two]})
    for _ in range(30):  # a question may come again, its answer goes to no other
        if not state.get("__interrupt__"):
            break
        question = state["__interrupt__"][0]
        asked = BIKE if BIKE in question.value["items"][0] else MEETING
        state = go_on(Command(resume={question.id: agrees[asked]}))

    assert "__interrupt__" not in state
    left = numbers(kit)
    assert (BIKE not in left, MEETING not in left) == (agrees[BIKE], agrees[MEETING])


def test_the_middleware_that_asks_by_itself_works_with_off(live: Settings) -> None:
    kit = MemoriesToolkit(api_key=SecretStr(live.api_key), base_url=live.base_url, confirm="off")
    model = ScriptedModel.saying(calls("delete_videos", DELETE), AIMessage("done"))
    asks = HumanInTheLoopMiddleware(interrupt_on={"delete_videos": True})
    agent = create_agent(model, kit.get_tools(), middleware=[asks], checkpointer=InMemorySaver())
    config = thread()

    assert agent.invoke({"messages": [HumanMessage("?")]}, config)["__interrupt__"]
    assert BIKE in numbers(kit)
    agent.invoke(Command(resume={"decisions": [{"type": "approve"}]}), config)
    assert BIKE not in numbers(kit)


def test_a_token_belongs_to_its_user(shared: MemoriesToolkit) -> None:
    deleting, ann, bob = tool(shared, "delete_videos"), user("ann"), user("bob")
    preview = deleting.invoke({**calls("delete_videos", DELETE).tool_calls[0], "type": "tool_call"}, ann)
    token = preview.artifact["structured_content"]["confirmation"]["confirmation_token"]

    assert "another key" in deleting.invoke({**DELETE, "confirmation_token": token}, bob)
    assert BIKE in numbers(shared, bob)
    assert BIKE not in deleting.invoke({**DELETE, "confirmation_token": token}, ann).partition("deleted")[0]
    assert BIKE not in numbers(shared, ann)


def test_off_asks_nobody(live: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with MemoriesToolkit(api_key=SecretStr(live.api_key), base_url=live.base_url, confirm="off") as kit:
        tool(kit, "delete_videos").invoke(DELETE)
        assert BIKE not in numbers(kit)
    monkeypatch.setenv("MEMORIES_CONFIRM", "off")
    with MemoriesToolkit(api_key=SecretStr(live.api_key), base_url=live.base_url, confirm="token") as kit:
        assert "confirmation_token" in tool(kit, "delete_videos").invoke({"video_nos": [MEETING]})


# ---- handlers that take their time, and cancelling


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_handler_that_outlasts_the_call_costs_no_answer(
    kit: MemoriesToolkit, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("memories_mcp.operations.asking._HEARTBEAT_SECONDS", 0.005)
    summary, arguments = tool(kit, "generate_summary"), {"video_no": MEETING}

    class Slow(BaseCallbackHandler):
        def on_custom_event(self, name: str, data: Any, **more: Any) -> None:
            time.sleep(0.2)

    config: RunnableConfig = {"callbacks": [Slow()]}
    text = summary.invoke(arguments, config) if way == "sync" else asyncio.run(summary.ainvoke(arguments, config))

    assert "summary" in text


@pytest.mark.anyio
async def test_cancelling_half_way_through_a_chat_ends_its_request_and_leaves_the_toolkit_usable(
    kit: MemoriesToolkit,
) -> None:
    begun, gone = asyncio.Event(), asyncio.Event()

    async def answer_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        piece = b'data:{"type":"content","content":"word "}\n\n'
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await writer.drain()
        while await reader.read(1000):
            pass
        gone.set()
        writer.close()

    class Told(AsyncCallbackHandler):
        async def on_custom_event(self, name: str, data: Any, **more: Any) -> None:
            if data["kind"] == "answer":
                begun.set()

    server = await asyncio.start_server(answer_for_ever, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, MemoriesToolkit(api_key=SecretStr("sk-1"), base_url=url) as slow, asyncio.timeout(10):
        task = asyncio.create_task(tool(slow, "chat_with_videos").ainvoke(ASK, {"callbacks": [Told()]}))
        await begun.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await gone.wait()

    assert task.cancelled()
    assert MEETING in await tool(kit, "list_videos").ainvoke({})
