"""One LangChain tool an operation: the same name, schema, text, structured content and errors as over MCP."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from langchain_core.tools import BaseTool, ToolException
from pydantic import PrivateAttr

from langchain_tools.bridge import bridge
from langchain_tools.connection import Connection
from memories_mcp.errors import ConfigurationError, MemoriesError, OutOfCredits, Unauthorized
from memories_mcp.operation import Operation
from memories_mcp.render import make_nonce, render_error

logger = logging.getLogger("langchain_tools")

_FOR_THE_DEVELOPER = (ConfigurationError, Unauthorized, OutOfCredits)
"""Raised as they are: no model can mend them, and an agent would only try again."""


class MemoriesTool(BaseTool):
    """An operation as a tool; made by `MemoriesToolkit`."""

    _operation: Operation[Any, Any] = PrivateAttr()
    _connection: Connection = PrivateAttr()

    @classmethod
    def of(
        cls, operation: Operation[Any, Any], connection: Connection, pinned: Mapping[str, Any], handle_tool_error: bool
    ) -> MemoriesTool:
        """The tool for an operation, over a connection that it shares."""
        # A dict is served as it is; a pydantic class would be rebuilt, with `anyOf null` and open schemas.
        tool = cls(
            name=operation.name,
            description=operation.description,
            args_schema=operation.schema_without(pinned),
            response_format="content_and_artifact",
            handle_tool_error=handle_tool_error,
            metadata={"mcp": {"tool": {"title": operation.title, "annotations": operation.effect.hints}}},
        )
        tool._operation = operation
        tool._connection = connection
        return tool

    def _run(self, **arguments: Any) -> tuple[str, dict[str, Any]]:
        return bridge.wait(self._answer(arguments))

    async def _arun(self, **arguments: Any) -> tuple[str, dict[str, Any]]:
        return await bridge.run(self._answer(arguments))

    async def _answer(self, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        nonce = make_nonce()
        try:
            caller = await self._connection.caller()
            answer = await caller.run(self._operation, arguments, nonce=nonce)
        except _FOR_THE_DEVELOPER:
            raise
        except MemoriesError as error:
            raise ToolException(render_error(self.name, error, nonce)) from None
        return answer.text, {"structured_content": answer.structured}
