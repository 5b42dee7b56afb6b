"""Operations as tools: listed and called."""

from __future__ import annotations

import difflib
import logging
import math
from collections.abc import Callable
from typing import Any

import mcp_types as t
from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp_types.version import is_version_at_least

from memories_mcp.context import Progress
from memories_mcp.errors import MemoriesError
from memories_mcp.logs import request_id
from memories_mcp.operations import OPERATIONS
from memories_mcp.rendering.budget import BUDGET
from memories_mcp.rendering.fence import make_nonce
from memories_mcp.rendering.text import render_error
from memories_mcp.runner import AnyOperation, Follow, Runner
from memories_mcp.server.elicitation import Elicitation, NeedsInput
from memories_mcp.server.resource_links import links
from memories_mcp.server.resources import Resources
from memories_mcp.server.tenants import RequestScope

logger = logging.getLogger(__name__)

_LINKS_SINCE = "2025-06-18"


class Tools:
    """Lists and calls tools for one visit at a time.

    Args:
        resources: What results link to.
        nonce: Names each result's fence; fixed in tests.
    """

    def __init__(self, resources: Resources, nonce: Callable[[], str] = make_nonce) -> None:
        self._resources = resources
        self._nonce = nonce
        self._made: dict[tuple[str, bool], t.Tool] = {}

    def listed(self, runner: Runner) -> list[t.Tool]:
        """The tools of a caller, the same bytes each time."""
        return [self._tool(operation, runner.pinned) for operation in runner.operations.values()]

    def _tool(self, operation: AnyOperation, pinned: dict[str, Any]) -> t.Tool:
        key = operation.name, bool(pinned)
        if key not in self._made:
            self._made[key] = t.Tool.model_validate(operation.definition_without(pinned))
        return self._made[key]

    async def call(
        self, ctx: ServerRequestContext[Any, Any], params: t.CallToolRequestParams, scope: RequestScope
    ) -> t.CallToolResult | t.InputRequiredResult:
        """Call one tool; what a model can act on is a result, also where it failed.

        Raises:
            MCPError: This caller has no such tool.
        """
        operation = scope.runner.operations.get(params.name)
        if operation is None:
            raise MCPError(code=t.INVALID_PARAMS, message=_unknown(params.name, scope.runner))
        fence = self._nonce()
        try:
            ask = Elicitation(ctx, params).confirm
            answer = await scope.runner.run(operation, params.arguments, follow=_follow(ctx), ask=ask, nonce=fence)
        except NeedsInput as needed:
            return needed.result
        except MemoriesError as error:
            logger.info("refused", extra={"tool": operation.name, "reason": type(error).__name__})
            return _failure(render_error(operation.name, error, fence))
        except Exception:  # a bug of ours: the SDK would send its words to older clients
            logger.exception("%s failed on a bug", operation.name)
            found = f" under request {request_id()}" if request_id() else ""
            return _failure(f"{operation.name} failed on a bug in the server; its log has the details{found}.")
        content: list[t.ContentBlock] = [t.TextContent(text=answer.text)]
        if is_version_at_least(ctx.protocol_version, _LINKS_SINCE):
            unique_id = str((params.arguments or {}).get("unique_id") or "")
            content += links(answer.output, scope, self._resources, unique_id, BUDGET - len(answer.text))
        return t.CallToolResult(content=content, structured_content=answer.structured)


def _unknown(name: str, runner: Runner) -> str:
    if any(each.name == name for each in OPERATIONS):
        return f"Unknown tool: {name} is not offered with the settings and headers of this server."
    near = difflib.get_close_matches(name, runner.operations, 1)
    return f"Unknown tool: {name[:80]}" + (f"; did you mean {near[0]}?" if near else "")


def _follow(ctx: ServerRequestContext[Any, Any]) -> Follow | None:
    """Who asked for progress, if anybody did; it only ever grows, as the protocol wants it."""
    if not ctx.meta or "progress_token" not in ctx.meta:
        return None
    last = float("-inf")

    async def follow(progress: Progress) -> None:
        nonlocal last
        # No message is lost, and it still grows.
        last = progress.done if progress.done > last else math.nextafter(last, math.inf)
        line = " ".join(progress.message.split())  # hosts show it on one line
        shown = line if len(line) <= _SHOWN_CHARACTERS else f"…{line[-_SHOWN_CHARACTERS:]}"
        await ctx.session.report_progress(last, progress.total, shown)

    return follow


_SHOWN_CHARACTERS = 500
"""Enough to see an answer grow; the whole of it is the result."""


def _failure(text: str) -> t.CallToolResult:
    return t.CallToolResult(content=[t.TextContent(text=text)], is_error=True)
