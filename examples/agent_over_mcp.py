"""The same agent over the MCP server: the tools have the same names, schemas and results, only they run elsewhere.

    MEMORIES_API_KEY=… python examples/agent_over_mcp.py openai:gpt-5 "What was decided about pricing?"

Needs `pip install "langchain[mcp]"`. Without a key, MEMORIES_SANDBOX=true asks the offline demo library.
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


def server(**variables: str) -> dict[str, Any]:
    """The entry that desktop assistants take too; the variables go to the server, and nothing else of ours does."""
    return {"mcpServers": {"memories": {"command": "memories-mcp", "args": ["--read-only"], "env": variables}}}


async def ask(model: BaseChatModel, target: dict[str, Any] | str, question: str) -> str:
    """Start or reach the server, hand its tools to an agent and return its answer."""
    async with MCPAdapter(target) as adapter:
        agent = create_agent(model, await adapter.list_tools())
        state = await agent.ainvoke({"messages": [HumanMessage(question)]})
    return state["messages"][-1].text


if __name__ == "__main__":
    _, name, question = sys.argv
    ours = {each: value for each, value in os.environ.items() if each.startswith("MEMORIES_")}
    print(asyncio.run(ask(init_chat_model(name), server(**ours), question)))
