"""One LangChain tool per operation, with the name, schema, text, structured content and errors of the MCP tool."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Collection, Generator
from contextlib import contextmanager
from typing import Any

from langchain_core.messages import ToolCall
from langchain_core.messages.content import ContentBlock, create_image_block, create_text_block
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, ToolException
from pydantic import PrivateAttr
from pydantic.alias_generators import to_snake

from langchain_tools.bridge import CallerExecutor, bridge
from langchain_tools.credentials import RunCredentials
from langchain_tools.lifetime import SharedClients
from langchain_tools.run_context import CurrentRun, merge_parent_config
from memories_mcp.context import Preview, Progress
from memories_mcp.errors import FATAL_ERRORS, MemoriesError
from memories_mcp.operation import Operation
from memories_mcp.rendering.fence import make_nonce
from memories_mcp.rendering.text import render_error
from memories_mcp.runner import ConfirmationHandler, ProgressHandler, RunResult

Content = str | list[ContentBlock]
"""The text of a result, or its text and its pictures as standard content blocks."""
Result = tuple[Content, dict[str, Any]]
"""Content and artifact."""


class MemoriesTool(BaseTool):
    """An operation as a LangChain tool; built by `MemoriesToolkit`."""

    _operation: Operation[Any, Any] = PrivateAttr()
    _clients: SharedClients = PrivateAttr()
    _interrupts: bool = PrivateAttr()

    @classmethod
    def from_operation(
        cls,
        operation: Operation[Any, Any],
        clients: SharedClients,
        withheld: Collection[str],
        *,
        handle_tool_error: bool | str | Callable[[ToolException], str],
        interrupts: bool,
    ) -> MemoriesTool:
        """Build the tool of an operation.

        Args:
            operation: The operation to run.
            clients: The runners that all tools of the toolkit share.
            withheld: Arguments that a caller cannot set, which the tool's schema leaves out.
            handle_tool_error: As in `BaseTool`.
            interrupts: Whether irreversible actions pause the LangGraph run.
        """
        definition = operation.definition_without(withheld)
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
        tool._clients = clients
        tool._interrupts = interrupts
        return tool

    def invoke(
        self, input: str | dict[str, Any] | ToolCall, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """Call the tool with `config` on top of the configuration of the step around the call.

        Args:
            input: The arguments, or a tool call of a model.
            config: The configuration of this call.
            **kwargs: Passed on to `BaseTool.invoke`.
        """
        return super().invoke(input, merge_parent_config(config), **kwargs)

    async def ainvoke(
        self, input: str | dict[str, Any] | ToolCall, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """Call the tool from async code.

        Args:
            input: The arguments, or a tool call of a model.
            config: The configuration of this call.
            **kwargs: Passed on to `BaseTool.ainvoke`.
        """
        return await super().ainvoke(input, merge_parent_config(config), **kwargs)

    # The arguments are the only parameters: a parameter named `config` would take an argument of that name.
    def _run(self, /, **arguments: Any) -> Result:
        run, nonce = CurrentRun(self.name, arguments), make_nonce()
        with self._as_tool_exceptions(nonce):
            credentials = self._clients.credentials(run)

            async def work(caller: CallerExecutor) -> Result:
                follow, ask = self._callbacks(caller, run, run.report_progress, run.confirm)
                return await self._run_operation(arguments, credentials, nonce, follow, ask)

            return bridge.run(work)

    async def _arun(self, /, **arguments: Any) -> Result:
        run, nonce = CurrentRun(self.name, arguments), make_nonce()
        with self._as_tool_exceptions(nonce):
            credentials = await self._clients.acredentials(run)

            async def work(caller: CallerExecutor) -> Result:
                follow, ask = self._callbacks(caller, run, run.areport_progress, run.aconfirm)
                return await self._run_operation(arguments, credentials, nonce, follow, ask)

            return await bridge.arun(work)

    def _callbacks(
        self,
        caller: CallerExecutor,
        run: CurrentRun,
        report: Callable[[Progress], Awaitable[None] | None],
        confirm: Callable[[Preview], Awaitable[bool | None] | bool | None],
    ) -> tuple[ProgressHandler | None, ConfirmationHandler | None]:
        """Return the runner's callbacks for progress and confirmation, which run in the caller."""

        async def follow(progress: Progress) -> None:
            await caller.run(lambda: report(progress))

        async def ask(preview: Preview) -> bool | None:
            return await caller.run(lambda: confirm(preview))

        return follow if run.has_listeners else None, ask if self._interrupts else None

    async def _run_operation(
        self,
        arguments: dict[str, Any],
        credentials: RunCredentials | None,
        nonce: str,
        follow: ProgressHandler | None,
        ask: ConfirmationHandler | None,
    ) -> Result:
        async with self._clients.runner(credentials) as runner:
            answer = await runner.run(self._operation, arguments, on_progress=follow, on_confirm=ask, nonce=nonce)
        return _content(answer), {"structured_content": answer.structured}

    @contextmanager
    def _as_tool_exceptions(self, nonce: str) -> Generator[None, None, None]:
        """Convert errors that the model can act on to `ToolException`."""
        try:
            yield
        except FATAL_ERRORS:  # the model cannot correct these, and an agent would only repeat the call
            raise
        except MemoriesError as error:
            raise ToolException(render_error(self.name, error, nonce)) from None


def _content(answer: RunResult[Any]) -> Content:
    """Return the text of a result; with pictures, blocks that every chat model for pictures takes."""
    if not answer.output.pictures:
        return answer.text
    pictures = (
        create_image_block(base64=base64.b64encode(picture.data).decode(), mime_type=picture.mime_type)
        for picture in answer.output.pictures
    )
    return [create_text_block(answer.text), *pictures]
