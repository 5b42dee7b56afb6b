"""The toolkit: settings in, tools out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from langchain_core.tools import BaseTool, BaseToolkit, ToolException
from pydantic import ConfigDict, PrivateAttr

from langchain_tools.base import MemoriesComponent, parsed
from langchain_tools.lifetime import SharedClients
from langchain_tools.tools import MemoriesTool
from memories_mcp.runner import Runner

Confirm = Literal["token", "interrupt", "off"]
"""How is asked before what cannot be undone."""


class MemoriesToolkit(MemoriesComponent, BaseToolkit):
    """Tools over one account of Memories.ai, or over many with `per_run`.

    What is not given comes from the environment (`MEMORIES_API_KEY` and its kind); read-only and exclusions can only
    narrow what it allows. Closing is optional: `with`, `async with`, or nothing at all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)  # the tools are made once

    toolsets: Sequence[str] | None = None
    """Names of toolsets, `default` or `all`."""
    tools: Sequence[str] | None = None
    """Names of single tools, besides the toolsets or in their place."""
    exclude_tools: Sequence[str] = ()
    """Names of tools to leave out."""
    read_only: bool = False
    """Leave out whatever changes something."""
    files_root: Path | None = None
    """The one folder that file tools may read and write."""
    confirm: Confirm | None = None
    """Before what cannot be undone: `token` (the default) returns a preview and a token that a second call carries,
    which a model can do by itself; `interrupt` pauses a LangGraph run until a person has answered; `off` asks nobody,
    for `HumanInTheLoopMiddleware`."""
    handle_tool_error: bool | str | Callable[[ToolException], str] = True
    """Give the model the text of errors it can act on, in place of raising them; as `BaseTool` has it."""
    per_run: bool = False
    """Each run brings its own `memories_api_key`, a `SecretStr`, and `memories_unique_id`, in LangGraph's context or
    in `config["configurable"]`; neither the environment's key nor its files are used; file tools
    need `files_root`."""

    _tools: list[BaseTool] = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Read the settings and make the tools; nothing is connected yet."""
        settings = self._settings(per_run=self.per_run)
        chosen = self.toolsets is not None or self.tools is not None
        settings = settings.change(
            toolsets=tuple(self.toolsets or ()) if chosen else None,
            tools=tuple(self.tools or ()) if chosen else None,
            exclude_tools=(*settings.exclude_tools, *self.exclude_tools),
            read_only=settings.read_only or self.read_only,
            files_root=parsed("files_root", str(self.files_root) if self.files_root else None),
            confirm=None if self.confirm is None else self.confirm != "off",
        )
        self._connection = SharedClients(settings, per_run=self.per_run)
        offered = Runner(settings, fixed_namespace=self.per_run)
        self._tools = [
            MemoriesTool.of(
                operation,
                self._connection,
                offered.pinned,
                handle_tool_error=self.handle_tool_error,
                interrupts=self.confirm == "interrupt",
            )
            for operation in offered.operations.values()
            if settings.files_root or not (self.per_run and operation.uses_files)
        ]

    def get_tools(self) -> list[BaseTool]:
        """The tools, in a fixed order."""
        return list(self._tools)
