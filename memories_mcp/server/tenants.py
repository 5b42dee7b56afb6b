"""Whose call it is: a key and a namespace, with all that is kept for them and nobody else."""

from __future__ import annotations

import time
import weakref
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from mcp.server import ServerRequestContext

from memories_mcp.api import Api
from memories_mcp.api.rate_limits import Limits
from memories_mcp.operations import select
from memories_mcp.pool import Pool
from memories_mcp.runner import AnyOperation, Runner, backed, limits_of
from memories_mcp.server.http.credentials import Credentials, RequestUser
from memories_mcp.server.recent import RecentItems
from memories_mcp.server.subscriptions import Subscriptions
from memories_mcp.settings import Settings

_MOST_TENANTS = 1000


class TenantKey(NamedTuple):
    """What one tenant is told from another by; secret."""

    api_key: str
    caption_key: str
    unique_id: str
    files: bool

    def __repr__(self) -> str:
        return "Identity(…)"  # never a key in a traceback


class Tenant:
    """One key and namespace: its client, what was looked up for it, and who listens to its changes."""

    def __init__(
        self, settings: Settings, limits: Limits, updates: Subscriptions, api: Api | None, also: Sequence[AnyOperation]
    ) -> None:
        self.updates = updates
        own = api or Api(
            settings.api_key,
            settings.base_url,
            caption_key=settings.caption_api_key,
            caption_base_url=settings.caption_base_url,
            rates=limits,
            on_answer=updates.saw,
        )
        self.runner = Runner(settings, api=own, also=also)
        self.runner.changed = updates.changed
        self.recent = RecentItems(self.runner)
        updates.on_change(self.recent.forget)

    async def aclose(self) -> None:
        """Close its connections."""
        await self.runner.aclose()


@dataclass(frozen=True)
class RequestScope:
    """One request of a tenant, with what this request may use.

    Attributes:
        tenant: Whose request it is.
        caller: The tenant's caller, narrowed to what the request asked for.
        private: Whether what is listed depends on the request's headers.
    """

    tenant: Tenant
    runner: Runner
    private: bool


class Tenants:
    """All tenants of one server; those longest unused are let go.

    Args:
        settings: The operator's; its key serves callers in process, and HTTP requests that carry the token.
        api: Used by every tenant in place of a client of its own.
        also: Operations to offer besides those that the settings choose.
        over_http: Whether every request must come with a visitor; one without is served as a stranger.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        api: Api | None = None,
        also: Sequence[AnyOperation] = (),
        over_http: bool = False,
    ) -> None:
        self.settings = settings
        self.offered = Runner(settings, api=api, also=also)
        """What the operator offers; it serves lists and makes no request."""
        self.active = 0
        """Requests under way."""
        self.closing = False
        """Whether the server stops: what runs goes on, no new call begins."""
        self.patience = 0.0
        """Until when, on the monotonic clock, a server that stops waits for what runs."""
        self._backed = settings
        self._api = api
        self._also = also
        self._over_http = over_http
        self._tenants: Pool[TenantKey, Tenant] = Pool(_MOST_TENANTS, Tenant.aclose)
        # Kept for as long as some tenant has them: a key's limits, and the changes of a key's namespace.
        self._limits: weakref.WeakValueDictionary[str, Limits] = weakref.WeakValueDictionary()
        self._updates: weakref.WeakValueDictionary[tuple[str, str], Subscriptions] = weakref.WeakValueDictionary()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Tenants, None]:
        """Serve until the body ends; with `sandbox` the offline twin runs beside it."""
        async with backed(self.settings, api=self._api) as self._backed:
            try:
                yield self
            finally:
                self.end_streams()
                await self._tenants.aclose(at_once=True)

    def __len__(self) -> int:
        return len(self._tenants)

    def principal(self, ctx: ServerRequestContext[Any, Any]) -> str:
        """Who calls, for what must not pass from one caller to another; secret."""
        return "\n".join(map(str, self._identity(self._credentials(ctx))))

    @asynccontextmanager
    async def request_scope(self, ctx: ServerRequestContext[Any, Any]) -> AsyncGenerator[RequestScope, None]:
        """The tenant of a request, kept while the body runs."""
        credentials = self._credentials(ctx)
        identity = self._identity(credentials)
        async with self._tenants.use(identity, partial(self._new, identity)) as tenant:
            yield RequestScope(tenant, *self._narrowed(tenant.runner, credentials))

    @contextmanager
    def work(self) -> Generator[None, None, None]:
        """Count a request as under way, so that a server that stops waits for it."""
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1

    def stop(self, seconds: float) -> None:
        """Begin to stop; what runs gets so many seconds."""
        self.closing = True
        self.patience = time.monotonic() + seconds

    def end_streams(self) -> None:
        """Tell everybody who listens that the server stops."""
        for each in self._tenants.values:
            each.updates.close()

    def _credentials(self, ctx: ServerRequestContext[Any, Any]) -> Credentials | None:
        """What came with the request; `None` in process, where the server's own key is meant."""
        if ctx.request is None:
            return Credentials() if self._over_http else None
        user = ctx.request.scope.get("user")
        return user.credentials if isinstance(user, RequestUser) else Credentials()

    def _identity(self, credentials: Credentials | None) -> TenantKey:
        own = self._backed
        if credentials is None:
            return TenantKey(own.api_key, own.caption_api_key, own.unique_id, files=True)
        key, caption_key = credentials.api_key, credentials.caption_key
        if credentials.holds_token and not key:
            key, caption_key = own.api_key, caption_key or own.caption_api_key
        if own.sandbox and self._api is None:
            from memories_mcp.sandbox import DEMO_KEY

            key = key or DEMO_KEY  # an account that everybody shares, as it is for trying
            caption_key = caption_key or key
        # The files are the operator's: where there is a token, only who holds it is theirs too.
        files = own.http_files and (credentials.holds_token or not own.http_token)
        return TenantKey(key, caption_key, own.unique_id or credentials.unique_id, files)

    def _new(self, identity: TenantKey) -> Tenant:
        settings = replace(
            self._backed,
            api_key=identity.api_key,
            caption_api_key=identity.caption_key,
            unique_id=identity.unique_id,
            files_root=self._backed.files_root if identity.files else None,
        )
        limits = self._limits.setdefault(identity.api_key, limits_of(settings))
        updates = self._updates.setdefault((identity.api_key, identity.unique_id), Subscriptions())
        return Tenant(settings, limits, updates, self._api, self._also)

    def _narrowed(self, runner: Runner, credentials: Credentials | None) -> tuple[Runner, bool]:
        if credentials is None:
            return runner, False
        kept = select(credentials.toolsets or ("all",), credentials.read_only)
        narrows = bool(credentials.toolsets or credentials.read_only)
        names = {each.name for each in kept}
        files = self._identity(credentials).files

        def offered(each: AnyOperation) -> bool:
            return (files or not each.uses_files) and (not narrows or each.name in names)

        varies = narrows or bool(credentials.unique_id) or (self.settings.http_files and bool(self.settings.http_token))
        return runner.narrowed(offered), varies
