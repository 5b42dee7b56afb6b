"""What the tests of the LangChain side share: a tool by its name, a graph of one step, a thread of its own."""

# Several of LangGraph's own signatures are only partly typed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import uuid
from typing import Any, TypedDict

from langchain_core.documents import Document
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langgraph.graph import START, StateGraph  # pyright: ignore[reportMissingTypeStubs] -- none are found
from langgraph.prebuilt import ToolNode
from pydantic import SecretStr
from scripted import calls

from langchain_tools import MemoriesToolkit
from memories_mcp.models.evidence import parse_ref
from memories_mcp.settings import Settings


def tool(kit: MemoriesToolkit, name: str) -> BaseTool:
    return next(each for each in kit.get_tools() if each.name == name)


def numbers(kit: MemoriesToolkit, config: RunnableConfig | None = None) -> str:
    return tool(kit, "list_videos").invoke({}, config)


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


def thread() -> RunnableConfig:
    return {"configurable": {"thread_id": uuid.uuid4().hex}}


def toolkit(settings: Settings, **more: Any) -> MemoriesToolkit:
    key = SecretStr(settings.api_key)
    return MemoriesToolkit(api_key=key, base_url=settings.base_url, toolsets=["all"], **more)


def check_document(document: Document) -> None:
    """A moment: its id is a ref that can be passed back, its metadata are flat scalars, its text is clean."""
    assert document.id is not None
    assert str(parse_ref(document.id)) == document.id == document.metadata["ref"]
    assert all(isinstance(each, str | int | float) for each in document.metadata.values())
    assert "untrusted" not in document.page_content
    assert document.page_content.strip()
