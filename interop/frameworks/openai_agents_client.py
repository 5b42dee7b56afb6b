"""OpenAI Agents SDK: its MCP client over stdio."""

from __future__ import annotations

import asyncio

from agents.mcp import MCPServerStdio
from report import ARGUMENTS, COMMAND, INVALID, VALID, content_texts, report


async def main() -> None:
    """Call the server and report what the client received."""
    server = MCPServerStdio(params={"command": COMMAND, "args": ARGUMENTS}, client_session_timeout_seconds=60)
    async with server:
        tools = await server.list_tools()
        valid = await server.call_tool("search_videos", VALID)
        invalid = await server.call_tool("search_videos", INVALID)
    report(
        tools=[tool.name for tool in tools],
        texts=content_texts(valid.content),
        structured=valid.structured_content,
        error=invalid.content[0].text,
        is_error=bool(invalid.is_error),
    )


asyncio.run(main())
