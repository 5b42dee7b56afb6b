"""CrewAI: `MCPServerAdapter` over stdio; the adapter returns text alone and reports no errors."""

from __future__ import annotations

from crewai_tools import MCPServerAdapter
from mcp import StdioServerParameters
from report import ARGUMENTS, COMMAND, INVALID, VALID, report

with MCPServerAdapter(StdioServerParameters(command=COMMAND, args=ARGUMENTS), connect_timeout=60) as tools:
    search = next(tool for tool in tools if tool.name == "search_videos")
    valid, invalid = search.run(**VALID), search.run(**INVALID)
    report(
        tools=[tool.name for tool in tools],
        texts=[valid] if isinstance(valid, str) else list(valid),
        structured=None,
        error=str(invalid),
        is_error=str(invalid).startswith("search_videos failed."),
    )
