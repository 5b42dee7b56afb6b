"""The reference for calls: a low-level server whose one tool forwards a search and returns the API's JSON as it came.

    python benchmarks/bare_server.py stdio | python benchmarks/bare_server.py PORT

The API's address and key come from MEMORIES_BASE_URL and MEMORIES_API_KEY, as for the server that is measured.
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
    """The one tool."""
    return t.ListToolsResult(tools=[TOOL])


async def call_tool(ctx: Any, params: t.CallToolRequestParams) -> t.CallToolResult:
    """Forward the request that `search_videos` makes, and hand on the answer unread."""
    given = params.arguments or {}
    body = {"search_param": given["query"], "search_type": "BY_CLIP", "top_k": given.get("top_k", 10)}
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
