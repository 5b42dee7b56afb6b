"""The toolkit, which turns settings into LangChain tools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from langchain_core.tools import BaseTool, BaseToolkit, ToolException
from pydantic import ConfigDict, PrivateAttr

from langchain_tools.base import MemoriesComponent, parse_argument
from langchain_tools.tools import MemoriesTool
from memories_mcp.errors import ConfigurationError
from memories_mcp.operations import OPERATIONS
from memories_mcp.runner import Runner

Confirm = Literal["token", "interrupt", "off"]
"""How irreversible actions are confirmed."""


class MemoriesToolkit(MemoriesComponent, BaseToolkit):
    """Tools for one Memories.ai account, or with `per_run` for the account of each run.

    A field without a value takes the environment's (`MEMORIES_API_KEY` and the like); `read_only` and `exclude_tools`
    can only narrow what the environment allows. Closing is optional; `with` and `async with` close the connections at
    their end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)  # the tools are built only once

    toolsets: Sequence[str] | None = None
    """Names of toolsets, `default` or `all`; an empty sequence offers none."""
    tools: Sequence[str] | None = None
    """Names of single tools, in addition to the toolsets or in place of them."""
    exclude_tools: Sequence[str] = ()
    """Names of tools to leave out."""
    read_only: bool = False
    """Leave out every tool that changes data."""
    files_root: Path | None = None
    """The only folder that file tools may read and write."""
    confirm: Confirm | None = None
    """How to confirm irreversible actions: `token` (the default) returns a preview and a token that a second call
    carries, which a model can do by itself; `interrupt` pauses a LangGraph run until a person has answered; `off`
    confirms nothing, for `HumanInTheLoopMiddleware`."""
    handle_tool_error: bool | str | Callable[[ToolException], str] = True
    """Return the text of errors that the model can act on, instead of raising them; as in `BaseTool`."""

    _tools: dict[str, MemoriesTool] = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Read the settings and build the tools; opens no connection."""
        settings = self._read_settings()
        has_selection = self.toolsets is not None or self.tools is not None
        settings = settings.change(
            toolsets=tuple(self.toolsets or ()) if has_selection else None,
            tools=tuple(self.tools or ()) if has_selection else None,
            exclude_tools=(*settings.exclude_tools, *self.exclude_tools),
            read_only=settings.read_only or self.read_only,
            files_root=parse_argument("files_root", str(self.files_root) if self.files_root else None),
            confirm=None if self.confirm is None else self.confirm != "off",
        )
        self._clients = self._make_clients(settings)
        runner = Runner(settings, fixed_namespace=self._is_per_run)
        self._tools = {
            operation.name: MemoriesTool.from_operation(
                operation,
                self._clients,
                runner.withheld(operation),
                handle_tool_error=self.handle_tool_error,
                interrupts=self.confirm == "interrupt",
            )
            for operation in runner.operations.values()
            if settings.files_root or not (self._is_per_run and operation.uses_files)
        }

    def get_tools(self) -> list[BaseTool]:
        """Return the tools, always in the same order."""
        return list(self._tools.values())

    def get_tool(self, name: str) -> MemoriesTool:
        """Return the tool of this name.

        Raises:
            ConfigurationError: The toolkit offers no such tool; the text names similar ones.
        """
        if tool := self._tools.get(name):
            return tool
        if name in {operation.name for operation in OPERATIONS}:
            raise ConfigurationError(
                f"Tool not offered: the settings of the toolkit leave {name} out.",
                next_step="Change toolsets, tools, exclude_tools or read_only, or their variables; with per_run, file "
                "tools need files_root.",
            )
        similar = get_close_matches(name, self._tools, n=3) or self._tools or ["none"]
        raise ConfigurationError(f"Unknown tool: {name}.", next_step=f"The toolkit offers: {', '.join(similar)}.")
