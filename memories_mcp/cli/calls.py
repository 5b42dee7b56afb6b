"""Calls of tools by the commands for people, and what these print alike."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from memories_mcp.cli.progress import ProgressBar
from memories_mcp.errors import ConfigurationError, FileRefused
from memories_mcp.models.evidence import Evidence
from memories_mcp.operations import select
from memories_mcp.rendering.text import format_ref, format_span
from memories_mcp.runner import AnyOperation, Runner, RunResult
from memories_mcp.settings import Settings


async def call_tool(runner: Runner, name: str, /, bar: ProgressBar | None = None, **arguments: Any) -> RunResult[Any]:
    """Call a tool and return its result.

    Args:
        runner: The runner.
        name: The tool, of any toolset.
        bar: The bar that shows the progress; it also asks for confirmation where it can.
        arguments: The arguments of the tool; those that are `None` are left out.
    """
    follow = bar.follow if bar and bar.visible else None
    values = {argument: value for argument, value in arguments.items() if value is not None}
    return await runner.run(allowed_operation(runner.settings, name), values, on_progress=follow)


def allowed_operation(settings: Settings, name: str) -> AnyOperation:
    """Return an operation of any toolset: `--toolsets` limits what models see, not these commands.

    Raises:
        ConfigurationError: The operator excluded the tool, or allows only tools that change nothing.
    """
    for operation in select(("all",), settings.read_only, settings.exclude_tools):
        if operation.name == name:
            return operation
    raise ConfigurationError(
        f"This command needs the tool {name}, which is not offered with these settings.",
        next_step="Change --exclude-tools or --read-only.",
    )


def print_moment(moment: Evidence, lines: Iterable[str]) -> None:
    """Print a moment: its time, its video and its ref, and below them the lines."""
    time = format_span(moment.start_seconds, moment.end_seconds)
    print("  " + "  ".join(part for part in (time, moment.video_name, short_ref(moment)) if part))
    for line in lines:
        print(f"      {line}")


def short_ref(moment: Evidence) -> str:
    """Return a moment's ref, without a kind whose `&` a shell would take for the end of the command."""
    reference = moment.reference
    return format_ref(reference if reference.start is None else reference._replace(kind="clip"))


def print_note(answer: RunResult[Any]) -> None:
    """Print the note of a result on stderr."""
    for sentence in [*answer.output.quotations, *filter(None, [answer.output.note])]:
        print(sentence, file=sys.stderr)


async def find_number(runner: Runner, video: str) -> str:
    """Return the number of a video that is given by its number or name; print which one a name stands for."""
    [video_no], sentences = await runner.stand_ins.find_numbers([video], runner.settings.unique_id or None)
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    return video_no


def with_files_root(runner: Runner, folder: Path) -> Runner:
    """Return a runner with the same connections that reads and writes files in `folder`."""
    if not folder.is_dir():
        raise FileRefused(f"{folder} is not a folder.", next_step="Check the path.")
    return Runner(runner.settings.change(files_root=resolve_path(folder)), api=runner.api)


def resolve_path(path: Path) -> Path:
    """Return a path with its symbolic links resolved."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # the current folder was deleted, or links form a circle
        raise FileRefused(f"{path} leads nowhere.", next_step="Check the path and the current folder.") from None
