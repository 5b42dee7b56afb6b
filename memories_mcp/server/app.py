"""Operations as MCP tools, on the SDK's low-level server, which serves our schemas as they are."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import mcp_types as t
from mcp import MCPError
from mcp.server import Server, ServerRequestContext
from mcp.server.caching import CacheHint

from memories_mcp.api import Api
from memories_mcp.call import Caller, Follow, connected
from memories_mcp.errors import MemoriesError
from memories_mcp.operation import Operation
from memories_mcp.operations import TOOLSETS
from memories_mcp.render import FENCE_MEANING, make_nonce, render_error
from memories_mcp.settings import Settings

logger = logging.getLogger("memories_mcp")

_LIST_VALID_MS = 3_600_000


def make_server(settings: Settings, *, api: Api | None = None, nonce: Callable[[], str] = make_nonce) -> Server[Caller]:
    """The server for one operator's settings; nothing is connected before the first call needs it.

    Args:
        settings: With `sandbox`, the server runs the offline twin beside itself.
        api: Used in place of a client made from the settings.
        nonce: Names each result's fence; fixed in tests.
    """
    offered = Caller(settings, api=api)
    tools = [_tool(operation, offered.pinned) for operation in offered.operations.values()]

    @asynccontextmanager
    async def lifespan(_: Server[Caller]) -> AsyncGenerator[Caller, None]:
        async with connected(settings, api=api) as caller:
            yield caller

    async def list_tools(_: ServerRequestContext[Caller], __: t.PaginatedRequestParams | None) -> t.ListToolsResult:
        return t.ListToolsResult(tools=tools)

    async def call_tool(ctx: ServerRequestContext[Caller], params: t.CallToolRequestParams) -> t.CallToolResult:
        caller = ctx.lifespan_context
        operation = caller.operations.get(params.name)
        if operation is None:
            raise MCPError(code=t.INVALID_PARAMS, message=f"Unknown tool: {params.name[:80]}")
        fence = nonce()
        try:
            answer = await caller.run(operation, params.arguments, follow=_follow(ctx), nonce=fence)
        except MemoriesError as error:
            return _failure(render_error(operation.name, error, fence))
        except Exception:  # a bug of ours: the SDK would send its words to older clients
            logger.exception("%s failed on a bug", operation.name)
            return _failure(f"{operation.name} failed on a bug in the server; its log has the details.")
        return t.CallToolResult(content=[t.TextContent(text=answer.text)], structured_content=answer.structured)

    return Server(
        "memories-mcp-sandbox" if settings.sandbox else "memories-mcp",
        version=version("memories-mcp"),
        title="Memories.ai (sandbox)" if settings.sandbox else "Memories.ai",
        description="Search, ask about and read videos, with the moments each answer rests on.",
        instructions=_instructions(offered),
        cache_hints={"tools/list": CacheHint(ttl_ms=_LIST_VALID_MS, scope="public")},
        lifespan=lifespan,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _tool(operation: Operation[Any, Any], pinned: dict[str, Any]) -> t.Tool:
    return t.Tool(
        name=operation.name,
        title=operation.title,
        description=operation.description,
        input_schema=operation.schema_without(pinned),
        output_schema=operation.output_schema,
        annotations=t.ToolAnnotations.model_validate(operation.effect.hints),
    )


def _follow(ctx: ServerRequestContext[Caller]) -> Follow | None:
    """Who asked for progress, if anybody did."""
    if not ctx.meta or "progress_token" not in ctx.meta:
        return None
    return ctx.session.report_progress


def _failure(text: str) -> t.CallToolResult:
    return t.CallToolResult(content=[t.TextContent(text=text)], is_error=True)


def _instructions(caller: Caller) -> str:
    offered = {operation.toolset for operation in caller.operations.values()}
    parts = [
        "Tools over a library of videos. Search for moments, ask videos questions, read what is seen and said, "
        "and support what you say with evidence: quote moments with their video and time.",
        *(f"- {each.name}: {each.about}" for each in TOOLSETS if each.name in offered),
        FENCE_MEANING,
    ]
    if caller.settings.sandbox:
        parts.insert(0, "This is a SANDBOX: an offline twin with a small demo library, not the real service.")
    return "\n".join(parts)
