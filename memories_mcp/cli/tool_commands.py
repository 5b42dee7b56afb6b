"""The commands that show and call tools as an MCP client does: `tools` and `call`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any, cast

from memories_mcp.cli.progress import ConfirmingProgress
from memories_mcp.context import Preview
from memories_mcp.errors import ConfigurationError
from memories_mcp.operations import OPERATIONS
from memories_mcp.runner import AnyOperation, Runner, open_runner
from memories_mcp.settings import Settings

_PIPE_COLUMNS = 200
"""The width of the table where stdout is no terminal: wide enough for one line a tool."""
_LEAST_COLUMNS = 80
"""The least width of the table; a narrower one would cut the names of tools."""


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run `tools` or `call` and return the exit code."""
    if options.command == "tools":
        _print_tools(settings, as_json=options.json)
        return 0
    return asyncio.run(_call(settings, options.name, options.arguments, as_json=options.json, yes=options.yes))


def _print_tools(settings: Settings, *, as_json: bool) -> None:
    runner = Runner(settings)
    if as_json:
        operations = runner.operations.values()
        definitions = [operation.definition_without(runner.withheld(operation)) for operation in operations]
        print(json.dumps(definitions, indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("toolset", "tool", "effect"):
        table.add_column(title, no_wrap=True)
    table.add_column("description", overflow="fold")
    for operation in runner.operations.values():
        summary = operation.description.split("\n\n")[0].replace("\n", " ")
        table.add_row(operation.toolset, operation.name, operation.effect.value, summary)
    console = Console()
    console.width = max(console.width, _LEAST_COLUMNS) if console.is_terminal else _PIPE_COLUMNS
    console.print(table)


async def _call(settings: Settings, name: str, arguments: str, *, as_json: bool, yes: bool) -> int:
    values = _parse_arguments(arguments)
    operation = _offered_operation(settings, name)
    ask = _agree if yes else None
    async with open_runner(settings) as runner:
        if sys.stdin.isatty() and sys.stderr.isatty():
            with ConfirmingProgress() as progress:
                ask = ask or progress.confirm
                answer = await runner.run(operation, values, on_progress=progress.follow, on_confirm=ask)
        else:
            answer = await runner.run(operation, values, on_confirm=ask)
    if "confirmation" in answer.structured and not yes:
        print("Nothing was changed. To run the action without confirmation, add --yes.", file=sys.stderr)
    print(json.dumps(answer.structured, indent=2, ensure_ascii=False) if as_json else answer.text)
    return 0


def _parse_arguments(text: str) -> dict[str, Any]:
    try:
        arguments: Any = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(
            f"The arguments are not JSON: {error}.", next_step='Write an object such as {"name": "value"}.'
        ) from None
    if not isinstance(arguments, dict):
        raise ConfigurationError(
            "The arguments must be a JSON object.", next_step='Write an object such as {"name": "value"}.'
        )
    return cast(dict[str, Any], arguments)


def _offered_operation(settings: Settings, name: str) -> AnyOperation:
    operation = Runner(settings).operations.get(name)
    if operation is not None:
        return operation
    if any(operation.name == name for operation in OPERATIONS):
        raise ConfigurationError(
            f"The tool {name} is not offered with these settings.",
            next_step="Change --toolsets, --tools, --exclude-tools or --read-only.",
        )
    raise ConfigurationError(
        f"Unknown tool: {name}.", next_step="Run `memories-mcp --toolsets all tools` to list all tools."
    )


async def _agree(preview: Preview) -> bool:
    return True
