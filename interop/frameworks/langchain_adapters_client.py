"""langchain-mcp-adapters: `MultiServerMCPClient` over stdio."""

from __future__ import annotations

import asyncio
from typing import Any

from langchain_core.tools import ToolException
from langchain_mcp_adapters.client import MultiServerMCPClient
from report import ARGUMENTS, COMMAND, INVALID, VALID, report


def tool_call(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return a call of `search_videos`, as a model makes it."""
    return {"type": "tool_call", "id": "1", "name": "search_videos", "args": arguments}


async def main() -> None:
    """Call the server and report what the client received."""
    connection = {"transport": "stdio", "command": COMMAND, "args": ARGUMENTS}
    tools = await MultiServerMCPClient({"memories": connection}).get_tools()
    search = next(tool for tool in tools if tool.name == "search_videos")
    valid = await search.ainvoke(tool_call(VALID))
    try:
        invalid = await search.ainvoke(tool_call(INVALID))
        error, is_error = str(invalid.content), invalid.status == "error"
    except ToolException as refused:
        error, is_error = str(refused), True
    report(
        tools=[tool.name for tool in tools],
        texts=[block["text"] if block["type"] == "text" else block["type"] for block in valid.content],
        structured=valid.artifact["structured_content"],
        error=error,
        is_error=is_error,
    )


asyncio.run(main())
