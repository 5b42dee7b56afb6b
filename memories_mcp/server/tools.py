"""Operations as MCP tools."""

from __future__ import annotations

import base64
import difflib
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import mcp_types as t
from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp_types.version import is_version_at_least

from memories_mcp.audit import current_call, record_confirmation
from memories_mcp.context import Progress
from memories_mcp.errors import MemoriesError
from memories_mcp.logs import request_id
from memories_mcp.operations import OPERATIONS
from memories_mcp.rendering.budget import BUDGET
from memories_mcp.rendering.fence import make_nonce
from memories_mcp.rendering.text import render_error
from memories_mcp.runner import AnyOperation, ProgressHandler, Runner
from memories_mcp.server.apps import MEDIA_TOOL, tool_meta
from memories_mcp.server.elicitation import Elicitation, InputRequired
from memories_mcp.server.resource_links import make_links
from memories_mcp.server.resources import Resources
from memories_mcp.server.tenants import RequestScope

logger = logging.getLogger(__name__)

_LINKS_SINCE = "2025-06-18"
"""The first protocol version with resource links."""
_MAX_NAME_CHARACTERS = 80
_MAX_PROGRESS_CHARACTERS = 500
"""Enough to follow a growing answer; the result holds all of it."""


class Tools:
    """Lists and calls tools, for one request scope at a time.

    Args:
        resources: The resources that results link to.
        nonce: Returns the name of each result's fence; fixed in tests.
        viewer: Whether definitions name the page that shows a tool's result.
    """

    def __init__(self, resources: Resources, nonce: Callable[[], str] = make_nonce, *, viewer: bool = False) -> None:
        self._resources = resources
        self._nonce = nonce
        self._viewer = viewer
        self._definitions: dict[tuple[str, frozenset[str]], t.Tool] = {}

    def list_tools(self, runner: Runner, *, with_media: bool = False) -> list[t.Tool]:
        """Return the tools of a caller, identical in every request; the page's own tool only `with_media`."""
        return [
            self._definition(operation, frozenset(runner.withheld(operation)))
            for operation in runner.operations.values()
            if with_media or operation.name != MEDIA_TOOL
        ]

    def _definition(self, operation: AnyOperation, withheld: frozenset[str]) -> t.Tool:
        key = operation.name, withheld
        if key not in self._definitions:
            tool = t.Tool.model_validate(operation.definition_without(withheld))
            tool.meta = tool_meta(operation.name) if self._viewer else None
            self._definitions[key] = tool
        return self._definitions[key]

    async def call(
        self, ctx: ServerRequestContext[Any, Any], params: t.CallToolRequestParams, scope: RequestScope
    ) -> t.CallToolResult | t.InputRequiredResult:
        """Call a tool. An error that a model can act on is a result with `is_error`.

        Args:
            ctx: The context of the request.
            params: The name and the raw arguments.
            scope: The request's tenant and runner.

        Raises:
            MCPError: This caller has no such tool.
        """
        operation = scope.runner.operations.get(params.name)
        if operation is None:
            raise MCPError(code=t.INVALID_PARAMS, message=_unknown_tool_message(params.name, scope.runner))
        nonce = self._nonce()
        on_ask = partial(record_confirmation, scope.runner.observer, operation.name, "asked")
        try:
            answer = await scope.runner.run(
                operation,
                params.arguments,
                on_progress=_progress_reporter(ctx),
                on_confirm=Elicitation(ctx, params, on_ask=on_ask).confirm,
                nonce=nonce,
            )
        except InputRequired as required:
            return required.result
        except MemoriesError as error:
            logger.info("refused", extra={"tool": operation.name, "reason": type(error).__name__})
            if call := current_call():
                call.error = type(error).__name__
            return _error_result(render_error(operation.name, error, nonce))
        except Exception:  # a bug; without this the SDK would send the exception's text to older clients
            logger.exception("%s failed with a bug", operation.name)
            reference = f" under request {request_id()}" if request_id() else ""
            return _error_result(
                f"{operation.name} failed: a bug in the server. Report it to the operator; the server's log has the "
                f"details{reference}."
            )
        content: list[t.ContentBlock] = [t.TextContent(text=answer.text)]
        content += [
            t.ImageContent(data=base64.b64encode(picture.data).decode(), mime_type=picture.mime_type)
            for picture in answer.output.pictures
        ]
        if scope.runner.settings.links and is_version_at_least(ctx.protocol_version, _LINKS_SINCE):
            content += make_links(answer.output, scope, self._resources, answer.unique_id, BUDGET - len(answer.text))
        return t.CallToolResult(content=content, structured_content=answer.structured)


def _unknown_tool_message(name: str, runner: Runner) -> str:
    name = name[:_MAX_NAME_CHARACTERS]  # comparing takes a time that grows with the name
    if any(operation.name == name for operation in OPERATIONS):
        return f"Unknown tool: {name} is not offered with this server's settings and the headers of this request."
    similar = difflib.get_close_matches(name[:80], runner.operations, 1)
    suggestion = f"; did you mean {similar[0]}?" if similar else ""
    return f"Unknown tool: {name}{suggestion}"


def _progress_reporter(ctx: ServerRequestContext[Any, Any]) -> ProgressHandler | None:
    """Return a function that sends progress to the client; `None` if the client sent no progress token."""
    if not ctx.meta or "progress_token" not in ctx.meta:
        return None
    last = float("-inf")

    async def report(progress: Progress) -> None:
        nonlocal last
        # The protocol requires growing values: a message without progress is worth one unit, and if that is more than
        # all the work, the total no longer holds.
        last = progress.done if progress.done > last else last + 1
        total = None if progress.total is not None and last > progress.total else progress.total
        line = " ".join(progress.message.split())  # clients show progress on one line
        if len(line) > _MAX_PROGRESS_CHARACTERS:
            line = f"…{line[-_MAX_PROGRESS_CHARACTERS:]}"
        await ctx.session.report_progress(last, total, line)

    return report


def _error_result(text: str) -> t.CallToolResult:
    return t.CallToolResult(content=[t.TextContent(text=text)], is_error=True)
