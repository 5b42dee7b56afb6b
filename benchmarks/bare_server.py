"""The reference for calls: a low-level server with one tool, which forwards a search and returns the API's JSON.

    python benchmarks/bare_server.py stdio | python benchmarks/bare_server.py PORT

The URL and the key of the API come from MEMORIES_BASE_URL and MEMORIES_API_KEY, as for the measured server.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import httpx2
import mcp_types as t
from mcp.server import Server
from mcp.server.stdio import stdio_server

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"query": {"type": "string"}, "top_k": {"type": "integer"}},
    "required": ["query"],
}
TOOL = t.Tool(name="search_videos", description="Find moments.", input_schema=SCHEMA)
api = httpx2.AsyncClient(
    base_url=os.environ["MEMORIES_BASE_URL"],
    headers={"Authorization": os.environ["MEMORIES_API_KEY"]},
    trust_env=False,
    verify=False,
    limits=httpx2.Limits(max_connections=32, max_keepalive_connections=16),
    timeout=60,
)


async def list_tools(ctx: Any, params: Any) -> t.ListToolsResult:
    """Return the one tool."""
    return t.ListToolsResult(tools=[TOOL])


async def call_tool(ctx: Any, params: t.CallToolRequestParams) -> t.CallToolResult:
    """Send the request that `search_videos` sends, and return the answer without parsing it."""
    arguments = params.arguments or {}
    body = {"search_param": arguments["query"], "search_type": "BY_CLIP", "top_k": arguments.get("top_k", 10)}
    response = await api.post("/serve/api/v1/search", json=body)
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
