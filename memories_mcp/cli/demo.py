"""What an agent does, shown step by step: a question, an answer, and the moments it rests on. Needs no key."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, cast

from mcp import Client, StdioServerParameters
from mcp_types import TextContent
from rich.console import Console
from rich.markup import escape

from memories_mcp.errors import MemoriesError
from memories_mcp.rendering.text import span

_QUESTION = "What is the price of the Team plan?"
_MOST_CITATIONS = 5


class _Story:
    """Prints the steps: colourful on a terminal, plain in a pipe."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
        self.steps = 0

    def step(self, title: str, tool: str) -> None:
        self.steps += 1
        self.console.print(f"\n[bold]{self.steps}. {escape(title)}[/bold]  [dim]{escape(tool)}[/dim]")

    def say(self, text: str, style: str = "") -> None:
        self.console.print(escape(text), style=style or None)

    def cite(self, evidence: Sequence[dict[str, Any]]) -> None:
        for number, each in enumerate(evidence[:_MOST_CITATIONS], 1):
            when = span(each.get("start_seconds"), each.get("end_seconds"))
            text = f": “{each['text']}”" if each.get("text") else ""
            told = f"{each.get('video_name', '')}{text}".removeprefix(": ")
            self.console.print(f"  [cyan]\\[{number}] {when}[/cyan] {escape(told)} [dim]({each['kind']})[/dim]")


async def _call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    structured: object = result.structured_content
    if result.is_error or not isinstance(structured, dict):
        texts = [each.text for each in result.content if isinstance(each, TextContent)]
        raise MemoriesError(f"The demo stopped at {tool}: {' '.join(texts) or 'no structured result'}")
    return cast(dict[str, Any], structured)


async def demo() -> int:
    """Run the demo against a server of its own, a real subprocess over stdio, on the sandbox."""
    story = _Story()
    story.say("memories-mcp: a server that lets an agent work with video, shown on the offline sandbox.", "bold")
    # The demo is the same on every machine: nothing of the operator's settings takes part.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MEMORIES_")}
    server = StdioServerParameters(command=sys.executable, args=["-m", "memories_mcp", "--sandbox"], env=clean)
    async with Client(server) as client:
        try:
            await _agent(client, story)
        except MemoriesError as error:  # raised again outside, where the client's task group cannot wrap it
            failure = error
        else:
            failure = None
    if failure:
        raise failure
    await _langchain(story)
    story.say("\nDone. README.md tells how to give your assistant these tools.", "bold")
    return 0


async def _agent(client: Client, story: _Story) -> None:
    story.step("The agent asks what the server can do", "tools/list")
    tools = (await client.list_tools()).tools
    story.say(f"  {len(tools)} tools: {', '.join(tool.name for tool in tools)}")

    story.step("It searches the library for a moment", f"search_videos: {_QUESTION!r}")
    found = await _call(client, "search_videos", query=_QUESTION, top_k=3)
    story.cite(found["moments"])

    first = found["moments"][0]
    story.step(f"It asks the video it found, {first['video_name']!r}", f"chat_with_videos: {_QUESTION!r}")
    answer = await _call(client, "chat_with_videos", prompt=_QUESTION, video_nos=[first["video_no"]])
    story.say(answer["answer"], "green")
    story.say(f"  It rests on {len(answer['evidence'])} moments:")
    story.cite(answer["evidence"])

    story.step("The conversation was kept: it reads it back", f"get_session_detail: {answer['session_id']}")
    session = await _call(client, "get_session_detail", session_id=answer["session_id"])
    for message in session["messages"]:
        lines = message["content"].splitlines()
        more = f" (and {len(lines) - 1} more lines)" if len(lines) > 1 else ""
        story.say(f"  {message['role']}: {lines[0]}{more}")

    story.step("It checks the evidence: what is seen and said around the answer", "get_evidence")
    refs = [each["ref"] for each in answer["evidence"][:1]]
    report = await _call(client, "get_evidence", refs=refs, context_seconds=20)
    for moment in report["moments"]:
        story.say(f"  {moment['video_name']}, {span(moment['start_seconds'], moment['end_seconds'])}")
        story.cite(moment["segments"])


async def _langchain(story: _Story) -> None:
    story.step("The same search as a LangChain tool, without a server", "MemoriesToolkit(sandbox=True)")
    try:
        from langchain_tools import MemoriesToolkit
    except ImportError as error:
        story.say(f"  Left out: {error}")
        return
    async with MemoriesToolkit(sandbox=True, toolsets=["search"]) as toolkit:
        tool = next(each for each in toolkit.get_tools() if each.name == "search_videos")
        story.say(str(await tool.ainvoke({"query": _QUESTION, "top_k": 3})))
