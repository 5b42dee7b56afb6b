"""Running an operation for one caller: validate, call, render; the same on every surface."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from memories_mcp.api import Api
from memories_mcp.api.rate_limits import NO_LIMITS, Limits
from memories_mcp.confirmation import TOKEN_ARGUMENT, ConfirmationTokens
from memories_mcp.context import Context, Pending, Preview, Progress, ProgressKind
from memories_mcp.errors import Declined
from memories_mcp.file_access import Files
from memories_mcp.models.base import Output, parts
from memories_mcp.models.evidence import Evidence
from memories_mcp.models.ids import is_public
from memories_mcp.models.uris import in_namespace
from memories_mcp.operation import Operation
from memories_mcp.operations import select
from memories_mcp.rendering.budget import fit
from memories_mcp.rendering.fence import make_nonce
from memories_mcp.rendering.text import render
from memories_mcp.settings import Settings

Follow = Callable[[Progress], Awaitable[None]]
"""Hears how far an operation is while it runs."""
Ask = Callable[[Preview], Awaitable[bool | None]]
"""Shows a person what would be lost and says whether they agreed; `None` where nobody could be asked."""
Changed = Callable[[Iterable[str]], None]
"""Hears the URIs of resources that are no longer what they were."""

Out = TypeVar("Out", bound=Output)
AnyOperation = Operation[Any, Any]


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
class _RunContext:
    """The `Context` of one call; a surface gives it who follows and who is asked."""

    runner: Runner
    operation: str
    arguments: Mapping[str, Any]
    follow: Follow | None
    ask: Ask | None

    @property
    def api(self) -> Api:
        return self.runner.api

    @property
    def files(self) -> Files:
        return self.runner.files

    @property
    def callback_url(self) -> str | None:
        return self.runner.settings.callback_url or None

    @property
    def follows(self) -> bool:
        return self.follow is not None

    async def progress(self, done: float, total: float | None, message: str, kind: ProgressKind = "status") -> None:
        if self.follow is not None:
            await self.follow(Progress(done, total, message, kind))

    def changed(self, *uris: str) -> None:
        if self.runner.changed:
            self.runner.changed(uris)

    async def confirm(self, preview: Preview) -> Pending | None:
        settings = self.runner.settings
        if not settings.confirm:
            return None
        agreed = await self.ask(preview) if self.ask else None
        if agreed:
            return None
        if agreed is False:
            raise Declined(
                "The user declined; nothing was changed.", next_step="Do not try again unless the user requests it."
            )
        tokens = ConfirmationTokens(settings.secret)
        token = self.arguments.get(TOKEN_ARGUMENT)
        if not token:
            return tokens.issue(self.operation, self.arguments, settings.api_key, preview)
        tokens.verify(self.operation, self.arguments, settings.api_key, str(token))
        return None


@asynccontextmanager
async def connected(settings: Settings, *, api: Api | None = None) -> AsyncGenerator[Runner, None]:
    """A caller that is closed at the end; with `sandbox` the offline twin runs beside it."""
    async with AsyncExitStack() as stack:
        runner = Runner(await stack.enter_async_context(backed(settings, api=api)), api=api)
        stack.push_async_callback(runner.aclose)
        yield runner


@asynccontextmanager
async def backed(settings: Settings, *, api: Api | None = None) -> AsyncGenerator[Settings, None]:
    """The settings with a service behind them: with `sandbox` the offline twin, for as long as the body runs."""
    if not settings.sandbox or api is not None:
        yield settings
        return
    from memories_mcp import sandbox

    async with sandbox.running() as url:
        yield at_sandbox(settings, url)


def at_sandbox(settings: Settings, url: str) -> Settings:
    """The settings with a twin that runs already as the service; without a key it is the demo account."""
    from memories_mcp.sandbox import DEMO_KEY

    key = settings.api_key or DEMO_KEY
    return settings.change(base_url=url, api_key=key, caption_base_url=url, caption_api_key=key)


class Runner:
    """Whoever calls: a key, a namespace, a choice of operations and the connections that serve them.

    Args:
        settings: Key, host, namespace, toolsets and switches.
        api: Used in place of a client made from the settings.
        limits: How fast may be asked; made from the settings where nobody shares theirs.
        also: Operations to offer besides those that the settings choose.
        fixed_namespace: Whether the namespace is fixed even where the settings name none.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        api: Api | None = None,
        limits: Limits | None = None,
        also: Sequence[AnyOperation] = (),
        fixed_namespace: bool = False,
    ) -> None:
        self.settings = settings
        chosen = select(settings.toolsets, settings.read_only, settings.exclude_tools, settings.tools)
        self.operations: dict[str, AnyOperation] = {each.name: each for each in (*chosen, *also)}
        fixed = fixed_namespace or bool(settings.unique_id)
        self.pinned: dict[str, Any] = {"unique_id": settings.unique_id or None} if fixed else {}
        self.changed: Changed | None = None
        self.api = api or Api(
            settings.api_key,
            settings.base_url,
            caption_key=settings.caption_api_key,
            caption_base_url=settings.caption_base_url,
            rates=limits or limits_of(settings),
        )
        self.files = Files(settings.files_root)

    def narrowed(self, offered: Callable[[AnyOperation], bool]) -> Runner:
        """The same caller with fewer operations."""
        narrow = copy.copy(self)
        narrow.operations = {name: each for name, each in self.operations.items() if offered(each)}
        return narrow

    def context(
        self,
        operation: str = "",
        arguments: Mapping[str, Any] | None = None,
        *,
        follow: Follow | None = None,
        ask: Ask | None = None,
    ) -> Context:
        """What an operation gets from this caller."""
        return _RunContext(self, operation, arguments or {}, follow, ask)

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
        context = self.context(operation.name, dict(args), follow=follow, ask=ask)
        output = await operation.function(context, args)
        self.locate(output, getattr(args, "unique_id", None))
        fit(output)
        return Answer(render(output, nonce or make_nonce()), output.structured(), output)

    def locate(self, output: Output, unique_id: str | None) -> None:
        """Have every link of a result say its namespace, so that it can be followed."""
        if not unique_id:
            return
        for each in parts(output, Evidence):
            if each.uri:
                each.uri = self.located(each.uri, unique_id, each.video_no or "")

    def located(self, uri: str, unique_id: str | None, video_no: str = "") -> str:
        """The URI with the namespace, where that is not this caller's own; public videos are in none."""
        if not unique_id or unique_id == self.pinned.get("unique_id") or is_public(video_no):
            return uri
        return in_namespace(uri, unique_id)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.api.aclose()


def limits_of(settings: Settings) -> Limits:
    """How fast may be asked; the sandbox knows no limits."""
    return Limits(NO_LIMITS if settings.sandbox else settings.rate_limits)
