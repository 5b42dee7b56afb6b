"""LlamaIndex: `BasicMCPClient` and `McpToolSpec` over stdio."""

from __future__ import annotations

import asyncio

from llama_index.tools.mcp import BasicMCPClient, McpToolSpec
from report import ARGUMENTS, COMMAND, INVALID, VALID, content_texts, report


async def main() -> None:
    """Call the server and report what the client received."""
    tools = await McpToolSpec(BasicMCPClient(COMMAND, args=ARGUMENTS)).to_tool_list_async()
    search = next(tool for tool in tools if tool.metadata.name == "search_videos")
    valid = (await search.acall(**VALID)).raw_output
    invalid = (await search.acall(**INVALID)).raw_output
    report(
        tools=[tool.metadata.name for tool in tools],
        texts=content_texts(valid.content),
        structured=valid.structured_content,
        error=invalid.content[0].text,
        is_error=bool(invalid.is_error),
    )


asyncio.run(main())
