"""Operations, resources and prompts as an MCP server; the SDK's low-level one serves our schemas as they are."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TypeVar

import mcp_types as t
from mcp import MCPError
from mcp.server import Server, ServerRequestContext
from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity

from memories_mcp.api import Api
from memories_mcp.confirmation import VALID_SECONDS
from memories_mcp.logs import begin_request
from memories_mcp.operations import TOOLSETS
from memories_mcp.rendering.fence import FENCE_MEANING, make_nonce
from memories_mcp.runner import AnyOperation, Runner
from memories_mcp.server.completions import completed
from memories_mcp.server.icon import ICON
from memories_mcp.server.prompts import PROMPTS, Prompt, Prompts
from memories_mcp.server.resource_types import KINDS, ResourceKind
from memories_mcp.server.resources import Resources
from memories_mcp.server.tenants import Tenants
from memories_mcp.server.tools import Tools
from memories_mcp.settings import Settings

logger = logging.getLogger(__name__)

Ctx = ServerRequestContext[Tenants]

_LIST_VALID_MS = 3_600_000
_RESOURCES_VALID_MS = 60_000
_STOPPING = -32000
"""JSON-RPC leaves it to servers."""
_WEBSITE = "https://memories.ai"


@dataclass(frozen=True, kw_only=True)
class Surface:
    """What a server offers besides the tools that the settings choose."""

    operations: Sequence[AnyOperation] = ()
    resources: Sequence[ResourceKind[Any]] = KINDS
    prompts: Sequence[Prompt] = PROMPTS


def make_server(
    settings: Settings,
    *,
    api: Api | None = None,
    nonce: Callable[[], str] = make_nonce,
    surface: Surface | None = None,
    tenants: Tenants | None = None,
) -> Server[Tenants]:
    """The server for one operator's settings; nothing is connected before the first call needs it.

    Args:
        settings: With `sandbox`, the server runs the offline twin beside itself.
        api: Used in place of a client made from the settings.
        nonce: Names each result's fence; fixed in tests.
        surface: What is offered in place of the product's own resources and prompts.
        tenants: Opened already by a transport that serves several connections at once.
    """
    surface = surface or Surface()
    shared = Tenants(settings, api=api, also=surface.operations) if tenants is None else tenants
    resources, prompts = Resources(surface.resources), Prompts(surface.prompts)
    tools = Tools(resources, nonce)

    @asynccontextmanager
    async def lifespan(_: Server[Tenants]) -> AsyncGenerator[Tenants, None]:
        if tenants is not None:
            yield tenants
            return
        async with shared.open():
            yield shared

    async def list_tools(ctx: Ctx, _: t.PaginatedRequestParams | None) -> t.ListToolsResult:
        async with shared.request_scope(ctx) as scope:
            return _scoped(t.ListToolsResult(tools=tools.listed(scope.runner)), scope.private)

    async def call_tool(ctx: Ctx, params: t.CallToolRequestParams) -> t.CallToolResult | t.InputRequiredResult:
        async with shared.request_scope(ctx) as scope:
            return await tools.call(ctx, params, scope)

    async def list_resources(ctx: Ctx, params: t.PaginatedRequestParams | None) -> t.ListResourcesResult:
        async with shared.request_scope(ctx) as scope:
            return await resources.page(scope, params.cursor if params else None)

    async def list_templates(ctx: Ctx, _: t.PaginatedRequestParams | None) -> t.ListResourceTemplatesResult:
        async with shared.request_scope(ctx) as scope:
            templates = resources.templates(scope.runner)
            return _scoped(t.ListResourceTemplatesResult(resource_templates=templates), scope.private)

    async def read_resource(ctx: Ctx, params: t.ReadResourceRequestParams) -> t.ReadResourceResult:
        async with shared.request_scope(ctx) as scope:
            return await resources.read(scope, str(params.uri))

    async def subscribe(ctx: Ctx, params: t.SubscribeRequestParams) -> t.EmptyResult:
        async with shared.request_scope(ctx) as scope:
            resources.kind_of(scope.runner, str(params.uri))
            scope.tenant.updates.subscribe(ctx.session, str(params.uri))
            return t.EmptyResult()

    async def unsubscribe(ctx: Ctx, params: t.UnsubscribeRequestParams) -> t.EmptyResult:
        async with shared.request_scope(ctx) as scope:
            scope.tenant.updates.unsubscribe(ctx.session, str(params.uri))
            return t.EmptyResult()

    async def listen(ctx: Ctx, params: t.SubscriptionsListenRequestParams) -> t.SubscriptionsListenResult:
        async with shared.request_scope(ctx) as scope:
            return await scope.tenant.updates.listen(ctx, params)

    async def list_prompts(ctx: Ctx, _: t.PaginatedRequestParams | None) -> t.ListPromptsResult:
        async with shared.request_scope(ctx) as scope:
            return _scoped(t.ListPromptsResult(prompts=prompts.listed(scope.runner)), scope.private)

    async def get_prompt(ctx: Ctx, params: t.GetPromptRequestParams) -> t.GetPromptResult:
        async with shared.request_scope(ctx) as scope:
            return prompts.written(scope.runner, params.name, params.arguments)

    async def complete(ctx: Ctx, params: t.CompleteRequestParams) -> t.CompleteResult:
        async with shared.request_scope(ctx) as scope:
            return await completed(scope, params, prompts, resources)

    listed = CacheHint(ttl_ms=_LIST_VALID_MS, scope="public")
    server = Server(
        "memories-mcp-sandbox" if settings.sandbox else "memories-mcp",
        version=version("memories-mcp"),
        title="Memories.ai (sandbox)" if settings.sandbox else "Memories.ai",
        description="Search, ask about and read videos, with the moments each answer rests on.",
        instructions=_instructions(shared.offered),
        website_url=_WEBSITE,
        icons=[t.Icon(src=ICON, mime_type="image/svg+xml", sizes=["any"])],
        cache_hints={
            "tools/list": listed,
            "prompts/list": listed,
            "resources/templates/list": listed,
            "resources/list": CacheHint(ttl_ms=_RESOURCES_VALID_MS, scope="private"),
        },
        lifespan=lifespan,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_subscribe_resource=subscribe,
        on_unsubscribe_resource=unsubscribe,
        on_subscriptions_listen=listen,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
    )
    server.middleware += [_Requests(shared), _sealing(settings, shared, server.name)]
    return server


class _Requests:
    """Logs and counts requests: a server that stops waits for those under way, and takes no new calls."""

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.request_id is None or ctx.method == "subscriptions/listen":
            return await call_next(ctx)
        if self._tenants.closing and ctx.method == "tools/call":
            raise MCPError(code=_STOPPING, message="The server is stopping; call again in a moment.")
        begin_request()
        begun, outcome = time.perf_counter(), "failed"
        try:
            with self._tenants.work():
                result = await call_next(ctx)
            refused = isinstance(result, dict) and result.get("isError") is True
            outcome = "tool error" if refused else "ok"
            return result
        except MCPError as error:
            outcome = f"{error.error.code}: {error.error.message[:200]}"
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            spent = round((time.perf_counter() - begun) * 1000)
            params = ctx.params or {}
            target = str(params.get("name") or params.get("uri") or "")[:200]
            logger.info("request", extra={"method": ctx.method, "target": target, "outcome": outcome, "ms": spent})


ListT = TypeVar("ListT", t.ListToolsResult, t.ListPromptsResult, t.ListResourceTemplatesResult)


def _scoped(result: ListT, private: bool) -> ListT:
    """The list, kept from shared caches where it was made for this request alone."""
    if private:
        result.cache_scope = "private"
    return result


def _sealing(settings: Settings, tenants: Tenants, audience: str) -> RequestStateBoundary:
    """Seals what clients carry between two rounds of a call; the low-level server does not do it by itself."""
    key = settings.secret or secrets.token_bytes(32)
    security = RequestStateSecurity(keys=[key], ttl=VALID_SECONDS, bind_principal=tenants.principal)
    return RequestStateBoundary(security, default_audience=audience)


def _instructions(runner: Runner) -> str:
    offered = {operation.toolset for operation in runner.operations.values()}
    parts = [
        "Tools over a library of videos. Search for moments, ask videos questions, read what is seen and said, "
        "and support what you say with evidence: quote moments with their video and time.",
        *(f"- {each.name}: {each.about}" for each in TOOLSETS if each.name in offered),
        FENCE_MEANING,
    ]
    if runner.settings.sandbox:
        parts.insert(0, "This is a SANDBOX: an offline twin with a small demo library, not the real service.")
    return "\n".join(parts)
