"""The reference documents, made from the registry; the example answers come from the sandbox."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from memories_mcp.operation import Effect, Operation
from memories_mcp.operations import OPERATIONS, TOOLSETS
from memories_mcp.runner import Runner, connected
from memories_mcp.sandbox import demo_data
from memories_mcp.settings import Settings

AnyOperation = Operation[Any, Any]
HEAD = "<!-- written by make docs -->\n"
SHOWN_LINES = 14
SAMPLES = {"talk.mp4": "quarterly-planning.mp4", "bicycle.jpg": "red-door.jpg"}
"""The files that the operations' examples name, and what they are copies of."""
EFFECTS = {Effect.READ: "changes nothing", Effect.WRITE: "adds something", Effect.DESTRUCTIVE: "cannot be undone"}
OURS = "ours, over several"


def tools() -> Iterator[str]:
    """Every tool: what it does, its arguments, an example call and the answer to it."""
    yield f"{HEAD}# Tools\n"
    yield (
        "The same over MCP and in LangChain. `unique_id` leaves the arguments where `MEMORIES_UNIQUE_ID` fixes it. The "
        "answers are the text of the offline sandbox; each also comes as structured content. What lies between "
        "`<untrusted-…>` comes from videos and the network.\n"
    )
    answers = asyncio.run(_answers())
    for toolset in TOOLSETS:
        off = "" if toolset.default else " Off unless named."
        yield f"## {toolset.name}\n\n{toolset.about}{off}\n"
        for each in toolset.operations:
            yield from _tool(each, answers[each.name])


def _tool(operation: AnyOperation, answer: str) -> Iterator[str]:
    yield f"### {operation.name}\n\n*{operation.title}; {EFFECTS[operation.effect]}.* {operation.description}\n"
    schema = operation.input_schema
    if schema["properties"]:
        yield "| Argument | Type | Meaning |\n| --- | --- | --- |"
        for name, each in schema["properties"].items():
            needed = " **required**" if name in schema.get("required", ()) else ""
            default = f" Default: `{json.dumps(each['default'])}`." if "default" in each else ""
            about = " ".join(each.get("description", "").split()).replace("|", "\\|")
            yield f"| `{name}`{needed} | {_type(each)} | {about}{default} |"
        yield ""
    yield f"```json\n{json.dumps(operation.example, ensure_ascii=False)}\n```\n"
    lines = answer.splitlines()
    more = [f"… ({len(lines) - SHOWN_LINES} more lines)"] if len(lines) > SHOWN_LINES else []
    yield "```text\n" + "\n".join([*(_cut(line) for line in lines[:SHOWN_LINES]), *more]) + "\n```\n"


def _cut(line: str) -> str:
    return line if len(line) <= 160 else f"{line[:159]}…"


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    low, high = schema.get("minimum"), schema.get("maximum")
    limits = "" if low is high is None else f", at least {low}" if high is None else f", {low or 0} to {high}"
    return schema.get("type", "object") + limits


async def _answers() -> dict[str, str]:
    """The text of each tool's example, every tool on an account of its own."""
    with tempfile.TemporaryDirectory() as folder:
        for name, source in SAMPLES.items():
            shutil.copy(demo_data.MEDIA / source, Path(folder) / name)
        settings = Settings(
            sandbox=True,
            toolsets=("all",),
            files_root=Path(folder),
            callback_url="https://example.com/callback",
            api_key="sk-docs",
        )
        async with connected(settings) as runner:
            return {each.name: await _answer(runner, each) for each in OPERATIONS}


async def _answer(runner: Runner, operation: AnyOperation) -> str:
    here = runner.settings.change(api_key=f"sk-docs-{operation.name}", caption_api_key="sk-docs")
    own = Runner(here)
    try:
        answer = await own.run(operation, operation.example, nonce="0f3a9c41")
    finally:
        await own.aclose()
    return _steady(answer.text)


_KNOWN = {
    number
    for path in demo_data.FOLDER.rglob("*.toml")
    for number in re.findall(r"(?:VI|PI-|\b)6\d{17}\b", path.read_text(encoding="utf-8"))
}


def _steady(text: str) -> str:
    """The text with what differs from run to run (new numbers, the present day, tokens) replaced."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}_[0-9a-f]{32}", "31b0fccb-d6f9-4135-922d-1e8828499812_84f9d9b4b6e5", text)
    text = re.sub(r"\b[0-9a-f]{32}\.[\w-]+\.[\w-]+", "9f86d081884c7d659a2feaa0c55ad015.Z4wXQg.sealed", text)
    text = re.sub(r"(VI|PI-|\b)6\d{17}\b", lambda found: found[0] if found[0] in _KNOWN else f"{found[1]}6…", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8080", text)
    for day in (datetime.now(UTC), datetime.now(UTC) - timedelta(days=1)):
        text = re.sub(rf"{day:%Y-%m-%d}([T ])\d\d:\d\d(:\d\dZ)?", r"2026-11-25\g<1>08:30\2", text)
    return text


def coverage() -> Iterator[str]:
    """Each operation of the API with its endpoints and tools."""
    yield f"{HEAD}# Coverage\n"
    yield (
        "Every operation of the API v1.2 is a tool, under the same name over MCP and in LangChain. A plain endpoint "
        "and its streaming twin are one operation.\n"
    )
    yield "| API operation | Endpoints | MCP tool | LangChain tool | Toolset |\n| --- | --- | --- | --- | --- |"
    for each in OPERATIONS:
        own = OURS if each.toolset == "evidence" else f"`{each.endpoints[0].path}`"
        endpoints = "<br>".join(f"`{endpoint}`" for endpoint in each.endpoints)
        yield f"| {own} | {endpoints} | [`{each.name}`](tools.md#{each.name}) | `{each.name}` | {each.toolset} |"


def configuration(options: dict[str, str]) -> Iterator[str]:
    """Each setting in full."""
    yield f"{HEAD}# Configuration\n"
    yield (
        "Options win over variables. A value that makes no sense stops the start and is named. LangChain's toolkit "
        "takes the same settings as arguments ([langchain.md](langchain.md)); over HTTP some come with each request "
        "([serving.md](serving.md)).\n"
    )
    for each in fields(Settings):
        name = each.metadata["variable"]
        default = "" if each.metadata["secret"] else _default(each.default)
        option = f" Option: {options[each.name]}." if each.name in options else ""
        yield f"- **`{name}`** {each.metadata['help']}.{option}{default}"


def _default(value: Any) -> str:
    if value in (None, "", ()):
        return ""
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return f" Default: `{shown}`."
