"""Running an operation for one caller: validate, call, render; the same on every surface."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from memories_mcp.api import Api
from memories_mcp.api.limits import NO_LIMITS
from memories_mcp.confirmation import Confirmations
from memories_mcp.errors import Declined
from memories_mcp.files import Files
from memories_mcp.operation import Operation, Output, Pending, Preview
from memories_mcp.operations import select
from memories_mcp.render import fit, make_nonce, render
from memories_mcp.settings import Settings

Follow = Callable[[float, float | None, str], Awaitable[None]]
"""Hears done, total and a message while an operation runs."""
Ask = Callable[[Preview], Awaitable[bool]]
"""Shows a person what would be lost and says whether they agreed."""


Out = TypeVar("Out", bound=Output)


@dataclass(frozen=True)
class Answer(Generic[Out]):
    """A finished call.

    Attributes:
        text: The result as compact text, fenced.
        structured: The same facts as JSON data.
        output: The typed result.
    """

    text: str
    structured: dict[str, Any]
    output: Out


@dataclass(frozen=True)
class _CallContext:
    """The `Context` of one call; a surface gives it who follows and who is asked."""

    caller: Caller
    operation: str
    arguments: Mapping[str, Any]
    follow: Follow | None
    ask: Ask | None

    @property
    def api(self) -> Api:
        return self.caller.api

    @property
    def files(self) -> Files:
        return self.caller.files

    @property
    def callback_url(self) -> str | None:
        return self.caller.settings.callback_url or None

    @property
    def follows(self) -> bool:
        return self.follow is not None

    async def progress(self, done: float, total: float | None, message: str) -> None:
        if self.follow is not None:
            await self.follow(done, total, message)

    async def confirm(self, preview: Preview) -> Pending | None:
        settings = self.caller.settings
        if not settings.confirm:
            return None
        if self.ask is not None:
            if not await self.ask(preview):
                raise Declined("The user declined; nothing was changed.", next_step="Do not try again unasked.")
            return None
        confirmations = Confirmations(settings.secret)
        return confirmations.check(self.operation, self.arguments, settings.api_key, preview)


@asynccontextmanager
async def connected(settings: Settings, *, api: Api | None = None) -> AsyncGenerator[Caller, None]:
    """A caller that is closed at the end; with `sandbox` the offline twin runs beside it."""
    async with AsyncExitStack() as stack:
        if settings.sandbox and api is None:
            from memories_mcp import sandbox

            url = await stack.enter_async_context(sandbox.running())
            key = settings.api_key or sandbox.DEMO_KEY
            settings = settings.change(base_url=url, api_key=key, caption_base_url=url, caption_api_key=key)
        caller = Caller(settings, api=api)
        stack.push_async_callback(caller.aclose)
        yield caller


class Caller:
    """Whoever calls: a key, a namespace, a choice of operations and the connections that serve them.

    Args:
        settings: Key, host, namespace, toolsets and switches.
        api: Used in place of a client made from the settings.
    """

    def __init__(self, settings: Settings, *, api: Api | None = None) -> None:
        self.settings = settings
        self.operations: dict[str, Operation[Any, Any]] = {
            each.name: each for each in select(settings.toolsets, settings.read_only, settings.exclude_tools)
        }
        self.pinned: dict[str, Any] = {"unique_id": settings.unique_id} if settings.unique_id else {}
        rates = NO_LIMITS if settings.sandbox else settings.rate_limits
        self.api = api or Api(
            settings.api_key,
            settings.base_url,
            caption_key=settings.caption_api_key,
            caption_base_url=settings.caption_base_url,
            rates=rates,
        )
        self.files = Files(settings.files_root)

    async def run(
        self,
        operation: Operation[Any, Out],
        raw: Mapping[str, Any] | None,
        *,
        follow: Follow | None = None,
        ask: Ask | None = None,
        nonce: str | None = None,
    ) -> Answer[Out]:
        """Run one operation with raw arguments.

        Raises:
            MemoriesError: The arguments, the API or a file stood in the way; the text says what to do.
        """
        args = operation.validate(raw, self.pinned)
        context = _CallContext(self, operation.name, args.model_dump(mode="json"), follow, ask)
        output = await operation.function(context, args)
        fit(output)
        return Answer(render(output, nonce or make_nonce()), output.structured(), output)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.api.aclose()
