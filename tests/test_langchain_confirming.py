"""Confirmation of irreversible actions: LangGraph's interrupts, tokens, and none."""

# Several of LangGraph's own signatures are only partly typed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agents import State, graph, numbers, thread, tool
from conftest import BIKE, MEETING
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph  # pyright: ignore[reportMissingTypeStubs] -- no stubs exist
from langgraph.prebuilt import ToolNode
from langgraph.types import Command
from pydantic import SecretStr
from scripted import ScriptedModel, calls

from langchain_tools import MemoriesToolkit
from memories_mcp.errors import ConfigurationError
from memories_mcp.settings import Settings

pytestmark = pytest.mark.usefixtures("no_limits")

DELETE = {"video_nos": [BIKE]}
OTHER = ("delete_videos", {"video_nos": [MEETING]})


def interrupting(live: Settings) -> MemoriesToolkit:
    return MemoriesToolkit(api_key=SecretStr(live.api_key), base_url=live.base_url, confirm="interrupt")


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
    model = ScriptedModel.replying(calls("delete_videos", DELETE), AIMessage("done"))
    agent = create_agent(model, kit.get_tools(), checkpointer=InMemorySaver())
    paused = await agent.ainvoke({"messages": [HumanMessage("?")]}, config)
    assert paused["__interrupt__"][0].value["action"] == "Delete 1 video for good."

    done = await agent.ainvoke(Command(resume={"type": "approve"}), config)

    assert done["messages"][-1].content == "done"
    assert BIKE not in await tool(kit, "list_videos").ainvoke({})


@pytest.mark.parametrize("way", ["sync", "async"])
def test_items_that_changed_since_the_person_agreed_are_not_deleted(live: Settings, way: str) -> None:
    kit, config, arguments = interrupting(live), thread(), {"video_nos": [BIKE, MEETING]}
    deleting = graph(kit, "delete_videos", InMemorySaver(), **arguments)

    def go_on(graph_input: Any) -> Any:
        if way == "sync":
            return deleting.invoke(graph_input, config)
        return asyncio.run(deleting.ainvoke(graph_input, config))

    go_on({"messages": []})
    with MemoriesToolkit(api_key=SecretStr(live.api_key), base_url=live.base_url, confirm="off") as unconfirmed:
        tool(unconfirmed, "delete_videos").invoke({"video_nos": [MEETING]})
    done = go_on(Command(resume=True))

    assert "Nothing was done: the items have changed since the user agreed" in done["messages"][-1].content
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
@pytest.mark.parametrize("repetition", range(4))
def test_an_answer_never_goes_to_another_question_of_the_same_turn(live: Settings, way: str, repetition: int) -> None:
    kit, config = interrupting(live), thread()
    two = AIMessage("", tool_calls=[*calls("delete_videos", DELETE).tool_calls, *calls(*OTHER).tool_calls])
    node = ToolNode(kit.get_tools(), handle_tool_errors=False)
    compiled = StateGraph(State).add_node("tools", node).add_edge(START, "tools").compile(checkpointer=InMemorySaver())
    agrees = {BIKE: repetition % 2 == 0, MEETING: repetition % 2 == 1}

    def go_on(graph_input: Any) -> Any:
        if way == "sync":
            return compiled.invoke(graph_input, config)
        return asyncio.run(compiled.ainvoke(graph_input, config))

    state = go_on({"messages": [two]})
    for _ in range(30):  # a question may come again, but its answer never applies to another question
        if not state.get("__interrupt__"):
            break
        question = state["__interrupt__"][0]
        video_no = BIKE if BIKE in question.value["items"][0] else MEETING
        state = go_on(Command(resume={question.id: agrees[video_no]}))

    assert "__interrupt__" not in state
    left = numbers(kit)
    assert (BIKE not in left, MEETING not in left) == (agrees[BIKE], agrees[MEETING])


def test_off_works_with_the_middleware_that_asks_by_itself(live: Settings) -> None:
    kit = MemoriesToolkit(api_key=SecretStr(live.api_key), base_url=live.base_url, confirm="off")
    model = ScriptedModel.replying(calls("delete_videos", DELETE), AIMessage("done"))
    middleware = HumanInTheLoopMiddleware(interrupt_on={"delete_videos": True})
    agent = create_agent(model, kit.get_tools(), middleware=[middleware], checkpointer=InMemorySaver())
    config = thread()

    assert agent.invoke({"messages": [HumanMessage("?")]}, config)["__interrupt__"]
    assert BIKE in numbers(kit)
    agent.invoke(Command(resume={"decisions": [{"type": "approve"}]}), config)
    assert BIKE not in numbers(kit)


def test_off_deletes_without_confirmation(live: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with MemoriesToolkit(api_key=SecretStr(live.api_key), base_url=live.base_url, confirm="off") as kit:
        tool(kit, "delete_videos").invoke(DELETE)
        assert BIKE not in numbers(kit)
    monkeypatch.setenv("MEMORIES_CONFIRM", "off")
    with MemoriesToolkit(api_key=SecretStr(live.api_key), base_url=live.base_url, confirm="token") as kit:
        assert "confirmation_token" in tool(kit, "delete_videos").invoke({"video_nos": [MEETING]})
