"""The reference documents, generated from the registry; the example answers come from the sandbox."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memories_mcp import sandbox
from memories_mcp.context import Pending
from memories_mcp.models.base import iter_parts
from memories_mcp.operation import Effect, Operation
from memories_mcp.operations import OPERATIONS, TOOLSETS
from memories_mcp.runner import Runner, use_sandbox
from memories_mcp.sandbox import demo_data
from memories_mcp.setting_values import FILE_SUFFIX
from memories_mcp.settings import Settings

AnyOperation = Operation[Any, Any]
HEAD = "<!-- written by make docs -->\n"
MAX_LINES = 14
MAX_CHARACTERS = 160
SAMPLES = {"talk.mp4": "quarterly-planning.mp4", "bicycle.jpg": "red-door.jpg"}
"""The files that the operations' examples name, and the demo files that they are copies of."""
COMPOSITES = {"evidence", "chatgpt", "frames"}
"""The toolsets of operations that the API does not have."""
EFFECTS = {Effect.READ: "read-only", Effect.WRITE: "adds data", Effect.DESTRUCTIVE: "irreversible"}

# The examples run with fixed ids, times and addresses, so that the documents change only with the code.
SEED = 1
NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC).timestamp()
NONCE = "0f3a9c41"
URL = "http://127.0.0.1:8080"
CONFIRMATION_TOKEN = "9f86d081884c7d659a2feaa0c55ad015.Z4wXQg.sealed"


def tools() -> Iterator[str]:
    """Describe every tool: effect, arguments, an example call and its answer."""
    yield f"{HEAD}# Tools\n"
    yield (
        "The tools are the same over MCP and in LangChain. Setting `MEMORIES_UNIQUE_ID` removes the argument "
        "`unique_id` from every tool. The answers are the text that the offline sandbox returns; each answer also "
        "comes as structured content. Text between `<untrusted-…>` tags comes from videos and the network.\n"
    )
    answers = asyncio.run(_answers())
    for toolset in TOOLSETS:
        availability = "" if toolset.default else " Off by default."
        yield f"## {toolset.name}\n\n{toolset.about}{availability}\n"
        for operation in toolset.operations:
            yield from _tool(operation, answers[operation.name])


def _tool(operation: AnyOperation, answer: str) -> Iterator[str]:
    yield f"### {operation.name}\n\n*{operation.title}; {EFFECTS[operation.effect]}.* {operation.description}\n"
    schema = operation.input_schema
    if schema["properties"]:
        yield "| Argument | Type | Meaning |\n| --- | --- | --- |"
        for name, argument in schema["properties"].items():
            required = " **required**" if name in schema.get("required", ()) else ""
            meaning = " ".join(argument.get("description", "").split()).replace("|", "\\|")
            default = f" Default: `{json.dumps(argument['default'])}`." if "default" in argument else ""
            yield f"| `{name}`{required} | {_type(argument)} | {meaning}{default} |"
        yield ""
    yield f"```json\n{json.dumps(operation.example, ensure_ascii=False)}\n```\n"
    lines = [_shorten(line) for line in answer.splitlines()]
    if len(lines) > MAX_LINES:
        lines[MAX_LINES:] = [f"… ({len(lines) - MAX_LINES} more lines)"]
    yield "```text\n" + "\n".join(lines) + "\n```\n"


def _shorten(line: str) -> str:
    return line if len(line) <= MAX_CHARACTERS else f"{line[: MAX_CHARACTERS - 1]}…"


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    name, minimum, maximum = schema.get("type", "object"), schema.get("minimum"), schema.get("maximum")
    if maximum is not None:
        return f"{name}, {minimum} to {maximum}" if minimum is not None else f"{name}, at most {maximum}"
    return name if minimum is None else f"{name}, at least {minimum}"


async def _answers() -> dict[str, str]:
    """Run every tool's example, each with its own account, and return the texts."""
    with tempfile.TemporaryDirectory() as folder:
        for name, source in SAMPLES.items():
            shutil.copy(demo_data.MEDIA / source, Path(folder) / name)
        settings = Settings(
            sandbox=True,
            toolsets=("all",),
            files_root=Path(folder),
            callback_url="https://example.com/callback",
        )
        async with sandbox.run_sandbox(seed=SEED, clock=lambda: NOW) as url:
            texts: dict[str, str] = {}
            for operation in OPERATIONS:
                for path in Path(folder).iterdir():
                    os.utime(path, (NOW, NOW))
                account = settings.change(api_key=f"sk-docs-{operation.name}")
                text = await _answer(use_sandbox(account, url), operation)
                texts[operation.name] = text.replace(url, URL)  # the port differs from run to run
            return texts


async def _answer(settings: Settings, operation: AnyOperation) -> str:
    runner = Runner(settings)
    try:
        answer = await runner.run(operation, operation.example, nonce=NONCE)
    finally:
        await runner.aclose()
    text = answer.text
    for pending in iter_parts(answer.output, Pending):  # a token carries the time at which it was made
        text = text.replace(pending.confirmation_token, CONFIRMATION_TOKEN)
    return text


NEWER_PARTS = """
## Newer than v1.2

These parts rest on documents that are newer than v1.2. No answer of the service to them was ever recorded.

| Part | Source | Certainty |
| --- | --- | --- |
| `get_metadata` | the service's OpenAPI document of July 2026 | path and fields are documented. It and \
`get_private_video_details` replace each other where an account lacks one, or where one finds nothing |
| `get_video_caption` | the same | path and parameter are documented, the answer is not: it is read like a \
transcription. Not a tool of its own: `get_video_transcription`, `get_evidence` and the transcript resources use it \
where an account lacks the path of v1.2 |
| `uploadSync`, `uploadFileSync` | the service's pages on captions, not the OpenAPI document | paths and answer are \
documented; the request is taken to be that of `upload` and `uploadFile` without `callback` |
| filters of `search_videos` and `list_videos` | the OpenAPI document | names and types are documented. Lists \
compare `datetime_taken` with *not before*; for searches the comparison is not documented, and the same is assumed. \
Older versions of the service ignore filters: rows that do not fit are left out here, and a note names the filters \
that rows do not show |
| `folder_id` of uploads and imports | the OpenAPI document | documented for videos and imports, not for images. Not \
offered in a fixed namespace: a folder belongs to the account |
| the toolset `folders` | the OpenAPI document | paths, encodings and limits are documented. Assumed: an unknown video \
number in a move is ignored (the result is checked by listing the folder), and videos that are not ready stay in the \
library when their folder is deleted |
| the time zone of `datetime_taken` | none | no document names one. UTC is assumed: the one pair of examples of an \
image, `2025-09-07 22:52:00` on upload and `1757285520000` in a search, agrees with it |

`get_metadata` and `get_video_caption` take no `unique_id`. If a call has one, a list shows first that the video is \
in that
namespace."""


def coverage() -> Iterator[str]:
    """List each operation of the API with its endpoints and its tool."""
    yield f"{HEAD}# Coverage\n"
    yield (
        "Every operation of the API v1.2 is a tool, with the same name over MCP and in LangChain. An endpoint and its "
        "streaming variant are one operation.\n"
    )
    yield "| API operation | Endpoints | MCP tool | LangChain tool | Toolset |\n| --- | --- | --- | --- | --- |"
    for operation in OPERATIONS:
        name, toolset = operation.name, operation.toolset
        if not operation.endpoints:
            api_operation = "none: local files"
        else:
            api_operation = "composite of several" if toolset in COMPOSITES else f"`{operation.endpoints[0].path}`"
        endpoints = "<br>".join(f"`{endpoint}`" for endpoint in operation.endpoints)
        yield f"| {api_operation} | {endpoints} | [`{name}`](tools.md#{name}) | `{name}` | {toolset} |"
    yield NEWER_PARTS


def configuration(options: dict[str, str]) -> Iterator[str]:
    """Describe each setting.

    Args:
        options: The command-line option by the name of its setting.
    """
    yield f"{HEAD}# Configuration\n"
    yield (
        "Command-line options override variables. The server does not start with an invalid value, and reports "
        "the variable. LangChain's toolkit takes the same settings as arguments ([langchain.md](langchain.md)); over "
        "HTTP, each request can carry some of them ([serving.md](serving.md)).\n"
    )
    for field in fields(Settings):
        variable, description = field.metadata["variable"], field.metadata["help"]
        option = f" Option: {options[field.name]}." if field.name in options else ""
        default = _default(field.default)
        if field.metadata["secret"]:
            default = f" A file can hold it: set `{variable}{FILE_SUFFIX}` to its path instead."
        yield f"- **`{variable}`** {description}.{option}{default}"


def _default(value: Any) -> str:
    if value in (None, "", ()):
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f" Default: `{text}`."
