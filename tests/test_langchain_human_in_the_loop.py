"""Interrupts carry LangChain's human-in-the-loop request, and take its answers."""

# Several of LangGraph's own signatures are only partly typed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from agents import graph, numbers, thread
from conftest import BIKE, MEETING
from langchain.agents import create_agent
from langchain.agents.middleware.human_in_the_loop import HITLRequest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import SecretStr, TypeAdapter
from scripted import ScriptedModel, calls

from langchain_tools import MemoriesToolkit
from memories_mcp.errors import ConfigurationError
from memories_mcp.settings import Settings

pytestmark = pytest.mark.usefixtures("no_limits")

DELETE = {"video_nos": [BIKE]}
SAME = {"name": "delete_videos", "args": DELETE}
OTHER = {"name": "delete_videos", "args": {"video_nos": [MEETING]}}
REJECTION = {"type": "reject", "message": "wrong video"}

GoOn = Callable[[Any], dict[str, Any]]
"""Runs a graph from an input or a command to its next pause."""


@pytest.fixture
def kit(live: Settings) -> MemoriesToolkit:
    return MemoriesToolkit(api_key=SecretStr(live.api_key), base_url=live.base_url, confirm="interrupt")


def paused_agent(kit: MemoriesToolkit, *tool_calls: dict[str, Any]) -> tuple[Any, RunnableConfig, list[Any]]:
    """Return an agent that waits for answers about deletions, its thread and its interrupts."""
    turn = AIMessage("", tool_calls=[calls("delete_videos", call).tool_calls[0] for call in tool_calls])
    agent = create_agent(ScriptedModel.replying(turn, AIMessage("done")), kit.get_tools(), checkpointer=InMemorySaver())
    config = thread()
    return agent, config, agent.invoke({"messages": [HumanMessage("?")]}, config)["__interrupt__"]


def paused_graph(kit: MemoriesToolkit, way: str) -> tuple[GoOn, Any]:
    """Return a bare graph that waits for an answer about a deletion, and its interrupt."""
    deleting, config = graph(kit, "delete_videos", InMemorySaver(), **DELETE), thread()

    def go_on(graph_input: Any) -> dict[str, Any]:
        if way == "sync":
            return deleting.invoke(graph_input, config)
        return asyncio.run(deleting.ainvoke(graph_input, config))

    [interrupt] = go_on({"messages": []})["__interrupt__"]
    return go_on, interrupt


def test_an_interrupt_is_langchains_request_of_one_action(kit: MemoriesToolkit) -> None:
    _, _, [interrupt] = paused_agent(kit, DELETE)
    request = TypeAdapter(HITLRequest).validate_python(interrupt.value)

    [action] = request["action_requests"]
    assert (action["name"], action["args"]) == ("delete_videos", DELETE)
    assert "Delete 1 video for good." in action.get("description", "")
    assert BIKE in action.get("description", "")
    assert request["review_configs"] == [{"action_name": "delete_videos", "allowed_decisions": ["approve", "reject"]}]


@pytest.mark.parametrize(
    "answer",
    [
        {"decisions": [{"type": "approve"}]},
        {"decisions": [{"type": "edit", "edited_action": SAME}]},
        {"type": "approve"},
        [{"type": "accept", "args": None}],
        True,
        "yes",
        " Approve",
    ],
    ids=str,
)
def test_an_approval_deletes(kit: MemoriesToolkit, answer: Any) -> None:
    agent, config, _ = paused_agent(kit, DELETE)
    messages = agent.invoke(Command(resume=answer), config)["messages"]

    assert messages[-2].artifact == {"structured_content": {"deleted": [BIKE]}}
    assert BIKE not in numbers(kit)


@pytest.mark.parametrize(
    "answer", [{"decisions": [{"type": "reject"}]}, {"type": "reject", "message": " "}, False, "no", "NO"], ids=str
)
def test_a_rejection_deletes_nothing(kit: MemoriesToolkit, answer: Any) -> None:
    go_on, interrupt = paused_graph(kit, "sync")
    message = go_on(Command(resume={interrupt.id: answer}))["messages"][-1]

    assert "The user declined; nothing was changed." in message.content
    assert "reason" not in message.content
    assert BIKE in numbers(kit)


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("answer", [{"decisions": [REJECTION]}, REJECTION], ids=["response", "decision"])
def test_the_message_of_a_rejection_reaches_the_model(kit: MemoriesToolkit, way: str, answer: Any) -> None:
    go_on, _ = paused_graph(kit, way)
    message = go_on(Command(resume=answer))["messages"][-1]

    assert message.status == "error"
    assert "The user declined; nothing was changed. The user's reason: wrong video" in message.content
    assert "untrusted" not in message.content
    assert BIKE in numbers(kit)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        1,
        0,
        "",
        "maybe",
        {},
        [],
        {"decisions": []},
        {"decisions": None},
        {"decisions": "approve me"},
        {"decisions": [{"type": "approve"}, {"type": "approve"}]},
        {"decisions": [{"type": "respond", "message": "done already"}]},
        {"decisions": [[{"type": "approve"}]]},
        {"type": None},
        {"type": ["approve"]},
        {"approved": True},
    ],
    ids=str,
)
def test_an_answer_that_cannot_be_read_is_an_error_and_may_be_corrected(kit: MemoriesToolkit, answer: Any) -> None:
    go_on, interrupt = paused_graph(kit, "sync")
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        go_on(Command(resume={interrupt.id: answer}))

    assert '{"decisions": [{"type": "approve"}]}' in str(caught.value)
    assert BIKE in numbers(kit)
    go_on(Command(resume={interrupt.id: {"decisions": [{"type": "approve"}]}}))
    assert BIKE not in numbers(kit)


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_plain_answer_that_cannot_be_read_may_be_corrected_too(kit: MemoriesToolkit, way: str) -> None:
    go_on, _ = paused_graph(kit, way)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        go_on(Command(resume="perhaps"))

    go_on(Command(resume=True))
    assert BIKE not in numbers(kit)


@pytest.mark.parametrize("edited", [OTHER, {"name": "list_videos", "args": DELETE}, None])
def test_an_edit_cannot_change_what_the_preview_showed(kit: MemoriesToolkit, edited: Any) -> None:
    go_on, _ = paused_graph(kit, "sync")
    with pytest.raises(ConfigurationError, match="Edit of delete_videos refused"):
        go_on(Command(resume={"decisions": [{"type": "edit", "edited_action": edited}]}))

    assert {BIKE, MEETING} <= set(numbers(kit).split())


def test_each_of_several_interrupts_of_a_step_gets_its_own_answer(kit: MemoriesToolkit) -> None:
    agent, config, interrupts = paused_agent(kit, DELETE, {"video_nos": [MEETING]})
    answers = {
        interrupt.id: {
            "decisions": [
                {"type": "approve"}
                if interrupt.value["action_requests"][0]["args"] == DELETE
                else {"type": "reject", "message": "we need the meeting"}
            ]
        }
        for interrupt in interrupts
    }
    messages = agent.invoke(Command(resume=answers), config)["messages"]

    assert len(interrupts) == 2
    assert messages[-1].content == "done"
    assert sum("The user's reason: we need the meeting" in message.content for message in messages) == 1
    assert (BIKE in numbers(kit), MEETING in numbers(kit)) == (False, True)


def test_an_older_langgraph_that_checks_no_answers_gets_the_same_error(
    kit: MemoriesToolkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    from langgraph import types

    current = types.interrupt

    def interrupt_without_schema(value: Any) -> Any:
        return current(value)

    monkeypatch.setattr(types, "interrupt", interrupt_without_schema)
    go_on, interrupt = paused_graph(kit, "sync")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        go_on(Command(resume={interrupt.id: "perhaps"}))

    assert BIKE in numbers(kit)
