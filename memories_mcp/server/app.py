"""The MCP server: tools, resources and prompts on the SDK's low-level server, which serves our schemas unchanged."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import version
from typing import Any, TypeVar

import mcp_types as t
from mcp import MCPError
from mcp.server import Server, ServerRequestContext
from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from pydantic import ValidationError

from memories_mcp.api import Api
from memories_mcp.audit import begin_call
from memories_mcp.confirmation import TOKEN_SECONDS
from memories_mcp.logs import begin_request
from memories_mcp.operations import TOOLSETS
from memories_mcp.rendering.fence import FENCE_MEANING, make_nonce
from memories_mcp.runner import AnyOperation, Runner
from memories_mcp.server.apps import EXTENSION, lists_media_tool, read_app
from memories_mcp.server.completions import complete_argument
from memories_mcp.server.http.shares import call_of
from memories_mcp.server.icon import ICON
from memories_mcp.server.prompts import PROMPTS, Prompts
from memories_mcp.server.protocol_errors import UNAVAILABLE, describe_refusal
from memories_mcp.server.resource_types import RESOURCE_TYPES
from memories_mcp.server.resources import Resources
from memories_mcp.server.tenants import Tenants
from memories_mcp.server.tools import Tools
from memories_mcp.settings import Settings

logger = logging.getLogger(__name__)

RequestContext = ServerRequestContext[Tenants]

_LIST_VALID_MS = 3_600_000
_RESOURCES_VALID_MS = 60_000
_MAX_LOGGED_CHARACTERS = 200
_WEBSITE = "https://memories.ai"


def make_server(
    settings: Settings,
    *,
    api: Api | None = None,
    nonce: Callable[[], str] = make_nonce,
    tenants: Tenants | None = None,
) -> Server[Tenants]:
    """Return the server for an operator's settings; no connection is opened before a call needs one.

    Args:
        settings: The operator's. With `sandbox`, the server runs the sandbox too.
        api: Used in place of a client made from the settings.
        nonce: Returns the name of each result's fence; fixed in tests.
        tenants: Tenants that the transport has opened, as it must if it serves several connections; they carry the
            server's `Extension`, if it has one.
    """
    all_tenants = Tenants(settings, api=api) if tenants is None else tenants
    extension = all_tenants.extension
    resources = Resources([*RESOURCE_TYPES, *extension.resource_types])
    prompts = Prompts([*PROMPTS, *extension.prompts])
    tools = Tools(resources, nonce, viewer=settings.viewer)

    @asynccontextmanager
    async def lifespan(_: Server[Tenants]) -> AsyncGenerator[Tenants, None]:
        if tenants is not None:
            yield tenants
            return
        async with all_tenants.open():
            yield all_tenants

    async def list_tools(ctx: RequestContext, _: t.PaginatedRequestParams | None) -> t.ListToolsResult:
        async with all_tenants.request_scope(ctx) as scope:
            with_media = settings.viewer and lists_media_tool(ctx, scope.runner.operations)
            listed = t.ListToolsResult(tools=tools.list_tools(scope.runner, with_media=with_media))
            return _set_cache_scope(listed, scope.private or with_media)

    async def call_tool(
        ctx: RequestContext, params: t.CallToolRequestParams
    ) -> t.CallToolResult | t.InputRequiredResult:
        async with all_tenants.request_scope(ctx) as scope:
            return await tools.call(ctx, params, scope)

    async def list_resources(ctx: RequestContext, params: t.PaginatedRequestParams | None) -> t.ListResourcesResult:
        async with all_tenants.request_scope(ctx) as scope:
            return await resources.list_page(scope, params.cursor if params else None)

    async def list_templates(ctx: RequestContext, _: t.PaginatedRequestParams | None) -> t.ListResourceTemplatesResult:
        async with all_tenants.request_scope(ctx) as scope:
            templates = resources.list_templates(scope.runner)
            return _set_cache_scope(t.ListResourceTemplatesResult(resource_templates=templates), scope.private)

    async def read_resource(ctx: RequestContext, params: t.ReadResourceRequestParams) -> t.ReadResourceResult:
        if settings.viewer and (app := read_app(str(params.uri), _LIST_VALID_MS)):
            return app
        async with all_tenants.request_scope(ctx) as scope:
            return await resources.read(scope, str(params.uri))

    async def subscribe(ctx: RequestContext, params: t.SubscribeRequestParams) -> t.EmptyResult:
        async with all_tenants.request_scope(ctx) as scope:
            resources.resolve(scope.runner, str(params.uri))
            scope.tenant.subscriptions.subscribe(ctx.session, str(params.uri))
            return t.EmptyResult()

    async def unsubscribe(ctx: RequestContext, params: t.UnsubscribeRequestParams) -> t.EmptyResult:
        async with all_tenants.request_scope(ctx) as scope:
            scope.tenant.subscriptions.unsubscribe(ctx.session, str(params.uri))
            return t.EmptyResult()

    async def listen(ctx: RequestContext, params: t.SubscriptionsListenRequestParams) -> t.SubscriptionsListenResult:
        async with all_tenants.request_scope(ctx) as scope:
            return await scope.tenant.subscriptions.listen(ctx, params)

    async def list_prompts(ctx: RequestContext, _: t.PaginatedRequestParams | None) -> t.ListPromptsResult:
        async with all_tenants.request_scope(ctx) as scope:
            return _set_cache_scope(t.ListPromptsResult(prompts=prompts.list_prompts(scope.runner)), scope.private)

    async def get_prompt(ctx: RequestContext, params: t.GetPromptRequestParams) -> t.GetPromptResult:
        async with all_tenants.request_scope(ctx) as scope:
            return prompts.render(scope.runner, params.name, params.arguments)

    async def complete(ctx: RequestContext, params: t.CompleteRequestParams) -> t.CompleteResult:
        async with all_tenants.request_scope(ctx) as scope:
            return await complete_argument(scope, params, prompts, resources)

    list_hint = CacheHint(ttl_ms=_LIST_VALID_MS, scope="public")
    server = Server(
        "memories-mcp-sandbox" if settings.sandbox else "memories-mcp",
        version=version("memories-mcp"),
        title="Memories.ai (sandbox)" if settings.sandbox else "Memories.ai",
        description="Search, question and read videos, with the moments behind each answer.",
        instructions=_instructions(all_tenants.operator_runner),
        website_url=_WEBSITE,
        icons=[t.Icon(src=ICON, mime_type="image/svg+xml", sizes=["any"])],
        cache_hints={
            "tools/list": list_hint,
            "prompts/list": list_hint,
            "resources/templates/list": list_hint,
            "resources/list": CacheHint(ttl_ms=_RESOURCES_VALID_MS, scope="private"),
        },
        lifespan=lifespan,
        get_tool_input_schema=partial(_header_schema, all_tenants.operator_runner),
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
    if settings.viewer:
        server.extensions[EXTENSION] = {}
    server.middleware += [_RequestMiddleware(all_tenants), _request_state(settings, all_tenants, server.name)]
    if extension.install:
        extension.install(server)
    return server


@cache
def _mentions_headers(operation: AnyOperation) -> bool:
    return "x-mcp-header" in json.dumps(operation.input_schema)


def _header_schema(runner: Runner, name: str) -> dict[str, Any] | None:
    """Return the schema of a tool whose arguments are repeated in HTTP headers; `None` for all other tools.

    Without this function the SDK lists all tools before each call of the newest protocol, to find the schema.

    Args:
        runner: Offers every tool of the server.
        name: The name of the tool.
    """
    operation = runner.operations.get(name)
    return operation.input_schema if operation and _mentions_headers(operation) else None


class _RequestMiddleware:
    """Logs and counts requests, and refuses new calls while the server stops."""

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        # Notifications have no answer to wait for, and a subscription's stream would keep a stopping server waiting.
        if ctx.request_id is None or ctx.method == "subscriptions/listen":
            return await call_next(ctx)
        if ctx.params and ctx.params.get("arguments") == []:  # how PHP and Lua write an empty object
            ctx = replace(ctx, params={**ctx.params, "arguments": {}})
        if self._tenants.stopping and ctx.method == "tools/call":
            raise MCPError(code=UNAVAILABLE, message="The server is stopping. Call again in a moment.")
        call = call_of(ctx.request.scope) if ctx.request is not None else None
        if call is not None and call.refused:
            raise MCPError(code=UNAVAILABLE, message=call.describe_refusal())
        begin_request()
        record = begin_call()
        started, outcome, error_type = time.perf_counter(), "failed", "other"
        try:
            with self._tenants.count_request(), nullcontext() if call is None else call.hold():
                result = await self._call(_read_empty_lists(ctx), call_next)
            is_tool_error = isinstance(result, dict) and result.get("isError") is True
            outcome, error_type = ("tool error", "tool_error") if is_tool_error else ("ok", "")
            return result
        except MCPError as error:
            error_type = str(error.error.code)
            outcome = f"{error_type}: {error.error.message[:_MAX_LOGGED_CHARACTERS]}"
            raise
        except asyncio.CancelledError:
            outcome = error_type = "cancelled"
            raise
        finally:
            seconds = time.perf_counter() - started
            params = ctx.params or {}
            tool = str(params.get("name") or "") if ctx.method == "tools/call" else ""
            oversight = self._tenants.oversight
            oversight.observer.record_operation(ctx.method, tool, error_type, seconds)
            who = partial(self._tenants.caller, ctx)
            oversight.log_call(record, who, ctx.method, tool, error_type or "ok")
            target = str(params.get("name") or params.get("uri") or "")[:_MAX_LOGGED_CHARACTERS]
            logger.info(
                "request",
                extra={"method": ctx.method, "target": target, "outcome": outcome, "ms": round(seconds * 1000)},
            )

    async def _call(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        try:
            return await call_next(ctx)
        except (MCPError, ValidationError) as error:
            raise describe_refusal(ctx.method, error) from None


def _read_empty_lists(ctx: ServerRequestContext[Any, Any]) -> ServerRequestContext[Any, Any]:
    """Read an empty list of arguments as no arguments: PHP writes both as `[]`."""
    if not ctx.params or ctx.params.get("arguments") != []:
        return ctx
    return replace(ctx, params={**ctx.params, "arguments": {}})


ListT = TypeVar("ListT", t.ListToolsResult, t.ListPromptsResult, t.ListResourceTemplatesResult)


def _set_cache_scope(result: ListT, private: bool) -> ListT:
    """Keep a list that depends on the request's headers or on the client out of shared caches."""
    if private:
        result.cache_scope = "private"
    return result


def _request_state(settings: Settings, tenants: Tenants, audience: str) -> RequestStateBoundary:
    """Return the middleware that seals the state between two rounds of a call; the low-level server has none."""
    key = settings.secret or secrets.token_bytes(32)
    security = RequestStateSecurity(keys=[key], ttl=TOKEN_SECONDS, bind_principal=tenants.principal)
    return RequestStateBoundary(security, default_audience=audience)


def _instructions(runner: Runner) -> str:
    """Return the text that clients pass to the model at the start of a session."""
    toolsets = {operation.toolset for operation in runner.operations.values()}
    lines = [
        "Tools for a video library: search for moments, question videos, and read what is seen and said. Support your "
        "answers with evidence: cite the video and the time of each moment.",
        *(f"- {toolset.name}: {toolset.about}" for toolset in TOOLSETS if toolset.name in toolsets),
        FENCE_MEANING,
    ]
    if runner.settings.sandbox:
        lines.insert(0, "This is a SANDBOX: an offline simulation with a small demo library, not the real service.")
    return "\n".join(lines)
