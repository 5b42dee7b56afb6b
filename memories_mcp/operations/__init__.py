"""All operations, and choosing among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from memories_mcp.errors import ConfigurationError
from memories_mcp.operation import Effect, Operation
from memories_mcp.operations import (
    captions,
    chat,
    evidence,
    library,
    public,
    public_upload,
    search,
    sessions,
    transcripts,
    upload,
)
from memories_mcp.operations.toolsets import TOOLSETS

MODULES = (search, chat, transcripts, library, sessions, upload, public, public_upload, captions, evidence)
"""Importing them fills the toolsets."""
OPERATIONS: tuple[Operation[Any, Any], ...] = tuple(each for toolset in TOOLSETS for each in toolset.operations)


def select(
    toolsets: Sequence[str] = (),
    read_only: bool = False,
    exclude_tools: Sequence[str] = (),
    tools: Sequence[str] = (),
) -> tuple[Operation[Any, Any], ...]:
    """The operations that are offered, in a fixed order; `read_only` and exclusions only ever narrow.

    Args:
        toolsets: Names of toolsets, `default` or `all`; nothing is `default`, unless `tools` names some.
        read_only: Leave out whatever changes something.
        exclude_tools: Names of single operations to leave out.
        tools: Names of single operations to offer besides the toolsets.

    Raises:
        ConfigurationError: A name is unknown; the text lists those there are.
    """
    known = {toolset.name: toolset for toolset in TOOLSETS}
    toolsets = toolsets or (() if tools else ("default",))
    if unknown := [name for name in toolsets if name not in {*known, "default", "all"}]:
        raise ConfigurationError(
            f"Unknown toolset: {', '.join(unknown)}.", next_step=f"There are: default, all, {', '.join(known)}."
        )
    operations = {each.name for each in OPERATIONS}
    if unknown := [name for name in (*exclude_tools, *tools) if name not in operations]:
        raise ConfigurationError(
            f"Unknown tool: {', '.join(unknown)}.", next_step="`memories-mcp --toolsets all tools` lists the names."
        )
    chosen = {
        name
        for name, toolset in known.items()
        if name in toolsets or "all" in toolsets or ("default" in toolsets and toolset.default)
    }
    return tuple(
        each
        for each in OPERATIONS
        if (each.toolset in chosen or each.name in tools)
        and each.name not in exclude_tools
        and not (read_only and each.effect is not Effect.READ)
    )
