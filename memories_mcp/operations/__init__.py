"""All operations, and the selection of those that a server offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from memories_mcp.errors import ConfigurationError
from memories_mcp.operation import Effect, Operation
from memories_mcp.operations import (
    captions,
    chat,
    chatgpt,
    evidence,
    folders,
    frames,
    library,
    library_changes,
    local_files,
    public,
    public_upload,
    search,
    sessions,
    transcripts,
    upload,
)
from memories_mcp.operations.toolsets import TOOLSETS

MODULES = (
    search,
    chat,
    transcripts,
    library,
    library_changes,
    sessions,
    upload,
    local_files,
    public,
    public_upload,
    captions,
    evidence,
    folders,
    chatgpt,
    frames,
)
"""The modules of operations; importing them fills the toolsets."""
OPERATIONS: tuple[Operation[Any, Any], ...] = tuple(
    operation for toolset in TOOLSETS for operation in toolset.operations
)


def select(
    toolsets: Sequence[str] | None = None,
    read_only: bool = False,
    exclude_tools: Sequence[str] = (),
    tools: Sequence[str] | None = None,
) -> tuple[Operation[Any, Any], ...]:
    """Return the operations to offer, in a fixed order; `read_only` and `exclude_tools` win over the rest.

    Args:
        toolsets: Names of toolsets, `default` or `all`; `None` means `default`, unless `tools` is given.
        read_only: Offer only operations that change nothing.
        exclude_tools: Names of single operations to leave out.
        tools: Names of single operations to offer in addition to the toolsets. An empty sequence adds nothing: with
            no names in `toolsets` and `tools`, no operation is offered.

    Raises:
        ConfigurationError: A name is unknown; the text lists the known names.
    """
    by_name = {toolset.name: toolset for toolset in TOOLSETS}
    if toolsets is None:
        toolsets = ("default",) if tools is None else ()
    tools = tools or ()
    if unknown := [name for name in toolsets if name not in {*by_name, "default", "all"}]:
        raise ConfigurationError(
            f"Unknown toolset: {', '.join(unknown)}.", next_step=f"There are: default, all, {', '.join(by_name)}."
        )
    operation_names = {operation.name for operation in OPERATIONS}
    if unknown := [name for name in (*exclude_tools, *tools) if name not in operation_names]:
        raise ConfigurationError(
            f"Unknown tool: {', '.join(unknown)}.", next_step="List the names with `memories-mcp --toolsets all tools`."
        )
    chosen = {
        name
        for name, toolset in by_name.items()
        if name in toolsets or "all" in toolsets or ("default" in toolsets and toolset.default)
    }
    return tuple(
        operation
        for operation in OPERATIONS
        if (operation.toolset in chosen or operation.name in tools)
        and operation.name not in exclude_tools
        and not (read_only and operation.effect is not Effect.READ)
    )
