"""Google ADK: `McpToolset` over stdio, with the function declarations that Gemini would get."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

from google.adk.tools.mcp_tool import McpToolset, StdioConnectionParams
from mcp import StdioServerParameters
from report import ARGUMENTS, COMMAND, INVALID, VALID, report


async def main() -> None:
    """Call the server and report what the client received."""
    parameters = StdioServerParameters(command=COMMAND, args=ARGUMENTS)
    toolset = McpToolset(connection_params=StdioConnectionParams(server_params=parameters, timeout=60))
    tools = await toolset.get_tools()
    declared = [tool._get_declaration().name for tool in tools]
    search = next(tool for tool in tools if tool.name == "search_videos")
    # A call in a conversation, in which ADK shows the page that the tool names.
    context = Mock(function_call_id="call-1", state={})
    valid = await search.run_async(args=VALID, tool_context=context)
    invalid = await search.run_async(args=INVALID, tool_context=context)
    await toolset.close()
    report(
        tools=declared,
        texts=[block["text"] if block["type"] == "text" else block["type"] for block in valid["content"]],
        structured=valid["structuredContent"],
        error=invalid["content"][0]["text"],
        is_error=invalid["isError"],
    )


asyncio.run(main())
