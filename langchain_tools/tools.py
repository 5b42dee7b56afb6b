"""One LangChain tool an operation: the same name, schema, text, structured content and errors as over MCP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from langchain_core.messages import ToolCall
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, ToolException
from pydantic import PrivateAttr
from pydantic.alias_generators import to_snake

from langchain_tools.bridge import Back, bridge
from langchain_tools.lifetime import RunCredentials, SharedClients
from langchain_tools.run_context import Run, inherited
from memories_mcp.context import Preview, Progress
from memories_mcp.errors import FATAL_ERRORS, MemoriesError
from memories_mcp.operation import Operation
from memories_mcp.rendering.fence import make_nonce
from memories_mcp.rendering.text import render_error
from memories_mcp.runner import ConfirmationHandler, ProgressHandler

Result = tuple[str, dict[str, Any]]
"""Content and artifact."""


class MemoriesTool(BaseTool):
    """An operation as a tool; made by `MemoriesToolkit`."""

    _operation: Operation[Any, Any] = PrivateAttr()
    _connection: SharedClients = PrivateAttr()
    _interrupts: bool = PrivateAttr()

    @classmethod
    def of(
        cls,
        operation: Operation[Any, Any],
        connection: SharedClients,
        pinned: Mapping[str, Any],
        *,
        handle_tool_error: bool | str | Callable[[ToolException], str],
        interrupts: bool,
    ) -> MemoriesTool:
        """The tool for an operation, over a connection that it shares."""
        definition = operation.definition_without(pinned)
        # LangChain passes a dict on unchanged; it would rebuild a pydantic class, with `anyOf null` and open schemas.
        annotations = {to_snake(name): value for name, value in definition["annotations"].items()}
        tool = cls(
            name=operation.name,
            description=definition["description"],
            args_schema=definition["inputSchema"],
            response_format="content_and_artifact",
            handle_tool_error=handle_tool_error,
            metadata={"mcp": {"tool": {"title": definition["title"], "annotations": annotations}}},
        )
        tool._operation = operation
        tool._connection = connection
        tool._interrupts = interrupts
        return tool

    def invoke(
        self, input: str | dict[str, Any] | ToolCall, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """Call the tool; what the step around it was configured with holds, beneath `config`."""
        return super().invoke(input, inherited(config), **kwargs)

    async def ainvoke(
        self, input: str | dict[str, Any] | ToolCall, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """The same from async code."""
        return await super().ainvoke(input, inherited(config), **kwargs)

    # No parameter but the arguments: one named `config` would swallow what a model sent under that name.
    def _run(self, /, **arguments: Any) -> Result:
        run, nonce = Run(self.name), make_nonce()
        with self._for_the_model(nonce):
            identity = self._connection.identity(run)
            return bridge.wait(lambda back: self._answer(back, arguments, identity, nonce, run, run.tell, run.ask))

    async def _arun(self, /, **arguments: Any) -> Result:
        run, nonce = Run(self.name), make_nonce()
        with self._for_the_model(nonce):
            identity = self._connection.identity(run)
            return await bridge.run(
                lambda back: self._answer(back, arguments, identity, nonce, run, run.atell, run.aask)
            )

    async def _answer(
        self,
        back: Back,
        arguments: dict[str, Any],
        identity: RunCredentials | None,
        nonce: str,
        run: Run,
        tell: Callable[[Progress], Awaitable[None] | None],
        ask: Callable[[Preview], Awaitable[bool | None] | bool | None],
    ) -> Result:
        async def follow(progress: Progress) -> None:
            await back(lambda: tell(progress))

        async def asked(preview: Preview) -> bool | None:
            return await back(lambda: ask(preview))

        following: ProgressHandler | None = follow if run.followed else None
        asking: ConfirmationHandler | None = asked if self._interrupts else None
        async with self._connection.runner(identity) as runner:
            answer = await runner.run(self._operation, arguments, follow=following, ask=asking, nonce=nonce)
        return answer.text, {"structured_content": answer.structured}

    @contextmanager
    def _for_the_model(self, nonce: str) -> Generator[None, None, None]:
        try:
            yield
        except FATAL_ERRORS:  # an agent would only try again
            raise
        except MemoriesError as error:
            raise ToolException(render_error(self.name, error, nonce)) from None
