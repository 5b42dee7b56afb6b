"""The least that a call can cost: a low-level server with one tool, which forwards a search and returns the API's JSON.

python benchmarks/bare_server.py stdio | python benchmarks/bare_server.py PORT
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import mcp_types as t
from mcp.server import Server
from mcp.server.stdio import stdio_server
from search_job import request_search

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"query": {"type": "string"}, "top_k": {"type": "integer"}},
    "required": ["query"],
}
TOOL = t.Tool(name="search_videos", description="Find moments.", input_schema=SCHEMA)


async def list_tools(ctx: Any, params: Any) -> t.ListToolsResult:
    """Return the one tool."""
    return t.ListToolsResult(tools=[TOOL])


async def call_tool(ctx: Any, params: t.CallToolRequestParams) -> t.CallToolResult:
    """Return the answer without parsing it."""
    arguments = params.arguments or {}
    response = await request_search(arguments["query"], arguments.get("top_k", 10))
    return t.CallToolResult(content=[t.TextContent(text=response.text)])


server = Server("bare", version="1", on_list_tools=list_tools, on_call_tool=call_tool)


async def stdio() -> None:
    """Serve one client over stdin and stdout."""
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        asyncio.run(stdio())
    else:
        import uvicorn

        uvicorn.run(server.streamable_http_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
