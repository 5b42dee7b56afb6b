"""The toolkit: settings in, tools out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from langchain_core.tools import BaseTool, BaseToolkit
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr

from langchain_tools.bridge import bridge
from langchain_tools.connection import Connection
from langchain_tools.tools import MemoriesTool
from memories_mcp.call import Caller
from memories_mcp.settings import Settings, parse_setting


def _parsed(name: str, text: str | None) -> Any:
    """An argument read like the variable of the same setting, with the same refusals."""
    return None if text is None else parse_setting(name, text.strip(), f"{name}=")


class MemoriesToolkit(BaseToolkit):
    """Tools over one account of Memories.ai.

    What is not given comes from the environment (`MEMORIES_API_KEY` and its kind); read-only and exclusions can only
    narrow what it allows. Closing is optional: `with`, `async with`, or nothing at all.
    """

    model_config = ConfigDict(extra="forbid")

    api_key: SecretStr | None = Field(default=None)
    """Key of the account."""
    base_url: str | None = None
    """Where the API is."""
    unique_id: str | None = None
    """Fixes the namespace; the argument then leaves the tools."""
    toolsets: Sequence[str] | None = None
    """Names of toolsets, `default` or `all`."""
    exclude_tools: Sequence[str] = ()
    """Names of tools to leave out."""
    read_only: bool = False
    """Leave out whatever changes something."""
    files_root: Path | None = None
    """The one folder that file tools may read and write."""
    sandbox: bool | None = None
    """Use the offline twin."""
    handle_tool_error: bool = True
    """Give the model the text of errors it can act on, in place of raising them."""

    _connection: Connection = PrivateAttr()
    _tools: list[BaseTool] = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Read the settings and make the tools; nothing is connected yet."""
        environment = Settings.from_environment()
        settings = environment.change(
            api_key=_parsed("api_key", self.api_key.get_secret_value() if self.api_key else None),
            base_url=_parsed("base_url", self.base_url),
            unique_id=_parsed("unique_id", self.unique_id),
            toolsets=tuple(self.toolsets) if self.toolsets is not None else None,
            exclude_tools=(*environment.exclude_tools, *self.exclude_tools),
            read_only=environment.read_only or self.read_only,
            files_root=_parsed("files_root", str(self.files_root) if self.files_root else None),
            sandbox=self.sandbox,
        )
        self._connection = Connection(settings)
        offered = Caller(settings)
        self._tools = [
            MemoriesTool.of(operation, self._connection, offered.pinned, self.handle_tool_error)
            for operation in offered.operations.values()
        ]

    def get_tools(self) -> list[BaseTool]:
        """The tools, in a fixed order."""
        return list(self._tools)

    def close(self) -> None:
        """Close the connections; a later call opens them again."""
        bridge.wait(self._connection.aclose())

    async def aclose(self) -> None:
        """The same from async code."""
        await bridge.run(self._connection.aclose())

    def __enter__(self) -> MemoriesToolkit:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> MemoriesToolkit:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()
