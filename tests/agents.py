"""Helpers for the tests of the LangChain side: tools by name, graphs of one tool call, checkpoint threads."""

# Several of LangGraph's own signatures are only partly typed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import uuid
from typing import Any, TypedDict

from langchain_core.documents import Document
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langgraph.graph import START, StateGraph  # pyright: ignore[reportMissingTypeStubs] -- no stubs exist
from langgraph.prebuilt import ToolNode
from pydantic import SecretStr
from scripted import calls

from langchain_tools import MemoriesToolkit
from memories_mcp.models.evidence import parse_ref
from memories_mcp.settings import Settings


def tool(kit: MemoriesToolkit, name: str) -> BaseTool:
    return next(tool for tool in kit.get_tools() if tool.name == name)


def numbers(kit: MemoriesToolkit, config: RunnableConfig | None = None) -> str:
    return tool(kit, "list_videos").invoke({}, config)


class State(TypedDict):
    messages: list[Any]


def graph(kit: MemoriesToolkit, name: str, checkpointer: Any = None, **arguments: Any) -> Any:
    """Build a graph that calls one tool."""
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


def toolkit(settings: Settings, **arguments: Any) -> MemoriesToolkit:
    key = SecretStr(settings.api_key)
    return MemoriesToolkit(api_key=key, base_url=settings.base_url, toolsets=["all"], **arguments)


def check_document(document: Document) -> None:
    """Check a moment: its id is a valid ref, its metadata are flat scalars, its text is clean."""
    assert document.id is not None
    assert str(parse_ref(document.id)) == document.id == document.metadata["ref"]
    assert all(isinstance(value, str | int | float) for value in document.metadata.values())
    assert "untrusted" not in document.page_content
    assert document.page_content.strip()
