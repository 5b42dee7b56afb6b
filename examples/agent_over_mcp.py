"""An agent over the MCP server, whose tools have the names, schemas and results of the native LangChain tools.

    python examples/agent_over_mcp.py
    MEMORIES_API_KEY=… OPENAI_API_KEY=… python examples/agent_over_mcp.py openai:gpt-5 "What is the new price?"

Needs `pip install memories-mcp "langchain[mcp]"`, and the model's package, here `langchain-openai`. Without arguments,
a scripted model runs offline on the sandbox.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain.mcp import MCPAdapter
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from offline import ScriptedModel, read_arguments


def server(**variables: str) -> dict[str, Any]:
    """Return the entry of the server, as in a desktop assistant's file; `variables` are its whole environment."""
    command = {"command": sys.executable, "args": ["-m", "memories_mcp", "--read-only"]}
    return {"mcpServers": {"memories": {**command, "env": variables}}}


async def ask(model: BaseChatModel, target: dict[str, Any] | str, question: str) -> str:
    """Start the server of an entry, or connect to that of a URL, and return the answer of an agent with its tools."""
    async with MCPAdapter(target) as adapter:
        agent = create_agent(model, await adapter.list_tools())
        state = await agent.ainvoke({"messages": [HumanMessage(question)]})
    return state["messages"][-1].text


if __name__ == "__main__":
    question = "What does the Team plan cost?"
    model: BaseChatModel = ScriptedModel(calls=[("search_videos", {"query": question, "top_k": 3})])
    if arguments := read_arguments(init_chat_model):
        model, question = arguments
    variables = {name: value for name, value in os.environ.items() if name.startswith("MEMORIES_")}
    print(asyncio.run(ask(model, server(**variables), question)))
