"""What a request may use of a tenant's tools, as its headers and its sign-in narrow them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from memories_mcp.operation import Effect
from memories_mcp.operations import select
from memories_mcp.operations.viewer import viewer
from memories_mcp.runner import AnyOperation, Runner
from memories_mcp.server.apps import SHOWN_TOOLS
from memories_mcp.settings import Settings


class Narrowing(NamedTuple):
    """What the headers of a request leave of a tenant's tools.

    Attributes:
        toolsets: The toolsets to restrict to; `None` for all that the operator offers.
        read_only: Whether to offer only tools that change nothing.
        files: Whether file tools are offered.
        writes: Whether tools that change something are offered.
    """

    toolsets: tuple[str, ...] | None
    read_only: bool
    files: bool
    writes: bool

    def narrow(self, runner: Runner) -> Runner:
        """Return a runner that shares everything with this one but offers only what is left."""
        toolsets = ("all",) if self.toolsets is None else self.toolsets
        selected = {operation.name for operation in select(toolsets, self.read_only)}
        if selected & SHOWN_TOOLS:
            selected |= {operation.name for operation in viewer.operations}

        def is_offered(operation: AnyOperation) -> bool:
            if operation.uses_files and not self.files:
                return False
            if operation.effect is not Effect.READ and not self.writes:
                return False
            return (self.toolsets is None and not self.read_only) or operation.name in selected

        return runner.restrict(is_offered, read_only=self.read_only)


def viewer_operations(settings: Settings) -> Sequence[AnyOperation]:
    """Return the operations of the viewer, if the settings offer it and a tool whose results it shows."""
    selected = select(settings.toolsets, settings.read_only, settings.exclude_tools, settings.tools)
    if not settings.viewer or not any(operation.name in SHOWN_TOOLS for operation in selected):
        return ()
    return viewer.operations
