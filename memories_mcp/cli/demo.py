"""The command `demo`: the steps of an agent on the sandbox, from a question to an answer and its evidence."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from mcp import Client, StdioServerParameters
from mcp_types import TextContent
from rich.console import Console
from rich.markup import escape

from memories_mcp.errors import MemoriesError
from memories_mcp.rendering.text import format_span

_QUESTION = "What is the price of the Team plan?"
_MOST_CITATIONS = 5


class _PipeConsole(Console):
    """A console that reports a closed pipe as an error instead of ending the process inside the tasks of the demo."""

    def on_broken_pipe(self) -> None:
        """Raise `BrokenPipeError`."""
        raise BrokenPipeError


class _StepPrinter:
    """Prints numbered steps: with colours on a terminal, plain in a pipe."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or _PipeConsole(highlight=False, soft_wrap=not sys.stdout.isatty())
        self._steps = 0

    def step(self, title: str, call: str) -> None:
        self._steps += 1
        self._console.print(f"\n[bold]{self._steps}. {escape(title)}[/bold]  [dim]{escape(call)}[/dim]")

    def line(self, text: str, style: str = "") -> None:
        self._console.print(escape(text), style=style or None)

    def citations(self, moments: Sequence[dict[str, Any]]) -> None:
        for number, moment in enumerate(moments[:_MOST_CITATIONS], 1):
            time = format_span(moment.get("start_seconds"), moment.get("end_seconds"))
            parts = [moment["video_name"]] if moment.get("video_name") else []
            if moment.get("text"):
                parts.append(f"“{moment['text']}”")
            kind = escape(moment["kind"])
            self._console.print(f"  [cyan]\\[{number}] {time}[/cyan] {escape(': '.join(parts))} [dim]({kind})[/dim]")


async def demo(console: Console | None = None, command: str = "") -> int:
    """Run the demo against its own server, a subprocess over stdio, and return the exit code.

    Args:
        console: Where to print; by default stdout, with colours on a terminal.
        command: How this command is called in the last lines; by default as a shell finds it.

    Raises:
        MemoriesError: A tool call failed.
    """
    printer = _StepPrinter(console)
    printer.line("memories-mcp: what an agent does with the tools, on the offline sandbox.", "bold")
    # Without the operator's settings, so that the demo is the same on every machine.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MEMORIES_")}
    server = StdioServerParameters(command=sys.executable, args=["-m", "memories_mcp", "--sandbox"], env=env)
    failure: Exception | None = None
    async with Client(server) as client:
        try:
            await _use_mcp_tools(client, printer)
        except (MemoriesError, OSError) as error:  # raised below, where the MCP client's task group cannot wrap it
            failure = error
    if failure:
        raise failure
    await _use_langchain_tool(printer)
    printer.line(f"\nSee the moments: {command or _own_command()} --sandbox search '{_QUESTION}' --show", "bold")
    printer.line("Done. README.md shows how to add these tools to your assistant.", "bold")
    return 0


async def _use_mcp_tools(client: Client, printer: _StepPrinter) -> None:
    printer.step("List the tools", "tools/list")
    tools = (await client.list_tools()).tools
    printer.line(f"  {len(tools)} tools: {', '.join(tool.name for tool in tools)}")

    printer.step("Search the library", f"search_videos: {_QUESTION!r}")
    hits = await _call(client, "search_videos", query=_QUESTION, top_k=3)
    printer.citations(hits["moments"])

    best = hits["moments"][0]
    printer.step(f"Ask the video of the best hit, {best['video_name']!r}", f"chat_with_videos: {_QUESTION!r}")
    answer = await _call(client, "chat_with_videos", prompt=_QUESTION, video_nos=[best["video_no"]])
    printer.line(answer["answer"], "green")
    printer.line(f"  Evidence, {len(answer['evidence'])} moments:")
    printer.citations(answer["evidence"])

    printer.step("Read the saved conversation", f"get_session_detail: {answer['session_id']}")
    session = await _call(client, "get_session_detail", session_id=answer["session_id"])
    for message in session["messages"]:
        lines = message["content"].splitlines()
        more = f" (and {len(lines) - 1} more lines)" if len(lines) > 1 else ""
        printer.line(f"  {message['role']}: {lines[0]}{more}")

    printer.step("Check the evidence: what is seen and said around the first moment", "get_evidence")
    refs = [answer["evidence"][0]["ref"]]
    report = await _call(client, "get_evidence", refs=refs, context_seconds=20)
    for moment in report["moments"]:
        printer.line(f"  {moment['video_name']}, {format_span(moment['start_seconds'], moment['end_seconds'])}")
        printer.citations(moment["segments"])


async def _call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool and return its structured result.

    Raises:
        MemoriesError: The call failed, or its result is not structured.
    """
    result = await client.call_tool(tool, arguments)
    structured: object = result.structured_content
    if result.is_error or not isinstance(structured, dict):
        texts = [block.text for block in result.content if isinstance(block, TextContent)]
        raise MemoriesError(f"The demo failed at {tool}: {' '.join(texts) or 'no structured result'}")
    return cast(dict[str, Any], structured)


async def _use_langchain_tool(printer: _StepPrinter) -> None:
    printer.step("Run the same search as a LangChain tool, without a server", "MemoriesToolkit(sandbox=True)")
    try:
        from langchain_tools import MemoriesToolkit
    except ImportError as error:
        printer.line(f"  Skipped: {error}")
        return
    async with MemoriesToolkit(sandbox=True, toolsets=["search"]) as toolkit:
        tool = next(tool for tool in toolkit.get_tools() if tool.name == "search_videos")
        printer.line(str(await tool.ainvoke({"query": _QUESTION, "top_k": 3})))


def _own_command() -> str:
    """Return this command as a shell finds it: by its name, or by its path where the name is not on the search path."""
    command = Path(sys.argv[0])
    if command.name == "__main__.py":
        return f"{Path(sys.executable).name} -m memories_mcp"
    return command.name if shutil.which(command.name) else str(command)
