"""Pydantic AI: `MCPToolset` over stdio."""

from __future__ import annotations

import asyncio

from fastmcp.client import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError
from pydantic_ai.mcp import MCPToolset
from report import ARGUMENTS, COMMAND, INVALID, VALID, content_texts, report


async def main() -> None:
    """Call the server and report what the client received."""
    client = Client(StdioTransport(COMMAND, ARGUMENTS))
    toolset = MCPToolset(client, tool_error_behavior="error")
    async with toolset:
        tools = await toolset.list_tools()
        structured = await toolset.direct_call_tool("search_videos", VALID)
        content = (await toolset.client.call_tool("search_videos", VALID)).content
        try:
            await toolset.direct_call_tool("search_videos", INVALID)
            error, is_error = "", False
        except ToolError as refused:
            error, is_error = str(refused), True
    report(
        tools=[tool.name for tool in tools],
        texts=content_texts(content),
        structured=structured,
        error=error,
        is_error=is_error,
    )


asyncio.run(main())
