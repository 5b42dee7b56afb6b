"""Tenants: one API key, namespace and person each, with the client and caches that belong to them alone."""

from __future__ import annotations

import hashlib
import json
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from mcp.server import ServerRequestContext

from memories_mcp.api import Api
from memories_mcp.api.rate_limits import RateLimiter
from memories_mcp.api.spending import Spending
from memories_mcp.media.cache import VideoCache
from memories_mcp.pool import Pool
from memories_mcp.runner import AnyOperation, Runner, make_api, rate_limits_of, use_sandbox, with_sandbox
from memories_mcp.server.extension import Extension
from memories_mcp.server.http.credentials import Credentials, RequestUser
from memories_mcp.server.narrowing import Narrowing, viewer_operations
from memories_mcp.server.oversight import Oversight, describe_caller
from memories_mcp.server.recent import RecentItems
from memories_mcp.server.subscriptions import Subscriptions
from memories_mcp.settings import Settings
from memories_mcp.sign_in_values import ONLY_KEYS
from memories_mcp.transcript_cache import TranscriptCache

_MAX_TENANTS = 1000
_MAX_NARROWINGS = 16
_HTTP_KEY_HINT = (
    "Send a key with each request: Authorization: Bearer or X-Memories-Api-Key, for captions "
    "X-Memories-Caption-Api-Key. The operator's own key, MEMORIES_API_KEY, serves requests with MEMORIES_HTTP_TOKEN."
)
_SIGN_IN_KEY_HINT = "The operator sets it, for captions `caption_key`, in the file of MEMORIES_OAUTH_MAP."


class TenantKey(NamedTuple):
    """Identifies a tenant; holds secrets."""

    api_key: str
    caption_key: str
    unique_id: str
    files: bool
    subject: str = ""

    def __repr__(self) -> str:
        return "TenantKey(…)"  # keeps keys out of tracebacks


def _principal(key: TenantKey) -> str:
    return "\n".join(map(str, key))


class Tenant:
    """One API key and namespace.

    Args:
        settings: The operator's settings with the tenant's key and namespace.
        limits: The rate limits of the key.
        subscriptions: The subscribers of the key's namespace.
        transcripts: The kept transcripts of all tenants.
        videos: The kept videos of all tenants.
        api: Used in place of a client made from the settings.
        operations: Offered besides those that the settings choose.
        key_hint: Where a caller sets a missing key.
        principal: What confirmation tokens are bound to; by default the key.
        oversight: Watches and limits what the tenant does.
        spending: Counts the tenant's requests that cost money.

    Attributes:
        runner: Runs operations with the key.
        recent: The newest videos and sessions.
        subscriptions: The subscribers to changes.
    """

    def __init__(
        self,
        settings: Settings,
        limits: RateLimiter,
        subscriptions: Subscriptions,
        transcripts: TranscriptCache,
        videos: VideoCache,
        api: Api | None,
        operations: Sequence[AnyOperation],
        key_hint: str,
        principal: str,
        oversight: Oversight,
        spending: Spending,
    ) -> None:
        self.subscriptions = subscriptions
        client = api or make_api(
            settings,
            limits,
            key_hint=key_hint,
            on_result=subscriptions.record_response,
            observer=oversight.observer,
            spending=spending,
        )
        self.runner = Runner(settings, api=client, transcripts=transcripts, videos=videos, extra_operations=operations)
        self.runner.principal = principal or self.runner.principal
        self.runner.changed = subscriptions.notify
        self._narrowed: dict[Narrowing, Runner] = {}
        self.runner.observer = oversight.observer
        self.recent = RecentItems(self.runner)
        subscriptions.add_listener(self.recent.invalidate)

    def narrowed(self, narrowing: Narrowing) -> Runner:
        """Return the runner as a request narrows it; requests that narrow it alike share one."""
        if narrowing not in self._narrowed:
            if len(self._narrowed) == _MAX_NARROWINGS:
                self._narrowed.clear()
            self._narrowed[narrowing] = narrowing.narrow(self.runner)
        return self._narrowed[narrowing]

    async def aclose(self) -> None:
        """Close the connections."""
        await self.runner.aclose()


@dataclass(frozen=True)
class RequestScope:
    """One request, with all that it may use.

    Attributes:
        tenant: The tenant of the request.
        runner: The tenant's runner, narrowed by the request's headers.
        private: Whether lists depend on the request's headers, so that shared caches must not keep them.
    """

    tenant: Tenant
    runner: Runner
    private: bool


class Tenants:
    """All tenants of one server, in a pool that drops those unused for longest.

    Args:
        settings: The operator's. Their key serves callers in this process, and HTTP requests that carry the token.
        api: Used by every tenant in place of a client of its own.
        over_http: Whether a request without an HTTP context is served without the operator's key.
        extension: What the server offers besides the package's own tools, resources and prompts.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        api: Api | None = None,
        over_http: bool = False,
        extension: Extension | None = None,
    ) -> None:
        self.settings = settings
        self.extension = extension or Extension()
        """Additions to the server."""
        self._operations = (*self.extension.operations, *viewer_operations(settings))
        self.operator_runner = Runner(settings, api=api, extra_operations=self._operations)
        """All that the operator offers; makes no requests."""
        self.oversight = Oversight(settings, self.operator_runner.operations, over_http=over_http)
        """What the operator watches and limits."""
        self.active_requests = 0
        """The number of requests under way."""
        self.ready = True
        """Whether a proxy may send new clients: the server has not begun to stop."""
        self.drain_deadline = 0.0
        """The time on the monotonic clock up to which a stopping server waits for requests under way."""
        self.publish: Callable[[str, Sequence[str]], None] | None = None
        """Makes a change known to other processes: takes the digest of a tenant, and URIs for their `receive`."""
        self._refusing_from = float("inf")
        self._backed_settings = settings
        self._api = api
        self._over_http = over_http
        self._tenants: Pool[TenantKey, Tenant] = Pool(_MAX_TENANTS, Tenant.aclose)
        self._transcripts = TranscriptCache()
        self._videos = VideoCache(settings.media_cache_mib)
        # Shared by tenants and dropped with the last of them: limits per key, subscriptions per key and namespace.
        self._limits: weakref.WeakValueDictionary[str, RateLimiter] = weakref.WeakValueDictionary()
        self._subscriptions: weakref.WeakValueDictionary[tuple[str, str], Subscriptions] = weakref.WeakValueDictionary()

    @asynccontextmanager
    async def open(self, *, sandbox_url: str = "") -> AsyncGenerator[Tenants, None]:
        """Serve tenants until the body ends; if the settings choose the sandbox, run it too, or use one that runs."""
        running = nullcontext(use_sandbox(self.settings, sandbox_url)) if sandbox_url else None
        async with running or with_sandbox(self.settings, api=self._api) as self._backed_settings:
            try:
                yield self
            finally:
                self.end_streams()
                await self._tenants.aclose(force=True)
                await self._videos.aclose()

    def __len__(self) -> int:
        return len(self._tenants)

    def principal(self, ctx: ServerRequestContext[Any, Any]) -> str:
        """Return the identity of a request's caller, to which sealed state is bound; secret."""
        return _principal(self._tenant_key(self._credentials(ctx)))

    def caller(self, ctx: ServerRequestContext[Any, Any]) -> str:
        """Return a name for a request's caller without secrets."""
        return describe_caller(self._credentials(ctx))

    def is_verified(self, credentials: Credentials) -> bool:
        """Return whether credentials are more than claimed: token or sign-in, or the service answered their key."""
        key = self._tenant_key(credentials)
        subscriptions = self._subscriptions.get((key.api_key, key.unique_id))
        known = credentials.holds_token or bool(credentials.subject)
        return known or (subscriptions is not None and subscriptions.answered)

    @asynccontextmanager
    async def request_scope(self, ctx: ServerRequestContext[Any, Any]) -> AsyncGenerator[RequestScope, None]:
        """Enter the scope of a request; its tenant stays open while the body runs."""
        credentials = self._credentials(ctx)
        key = self._tenant_key(credentials)
        async with self._tenants.use(key, partial(self._make_tenant, key)) as tenant:
            if credentials is None:
                yield RequestScope(tenant, tenant.runner, private=False)
            else:
                calls = ctx.method == "tools/call"
                yield self._scope(tenant, credentials, files=key.files, writes=credentials.may_write or not calls)

    @contextmanager
    def count_request(self) -> Generator[None, None, None]:
        """Count a request as under way while the body runs, so that a stopping server waits for it."""
        self.active_requests += 1
        try:
            yield
        finally:
            self.active_requests -= 1

    @property
    def stopping(self) -> bool:
        """Whether the server refuses new calls; those under way continue."""
        return time.monotonic() >= self._refusing_from

    def stop(self) -> None:
        """Begin to stop: be not ready, then refuse new calls, then end; the settings say how long each takes."""
        self.ready = False
        self._refusing_from = time.monotonic() + self.settings.stop_delay
        self.drain_deadline = self._refusing_from + self.settings.drain_seconds

    def receive(self, digest: str, uris: Sequence[str]) -> None:
        """Take note of a change that another process published."""
        for key, subscriptions in self._subscriptions.items():
            if _digest(key) != digest:
                continue
            for tenant in self._tenants.values:
                if tenant.subscriptions is subscriptions:
                    tenant.runner.transcripts.drop(uris)
            subscriptions.deliver(uris)

    def end_streams(self) -> None:
        """End every stream of `subscriptions/listen`."""
        for tenant in self._tenants.values:
            tenant.subscriptions.close()

    def _credentials(self, ctx: ServerRequestContext[Any, Any]) -> Credentials | None:
        """Return the credentials of a request; `None` in this process, where the operator's key serves it."""
        if ctx.request is None:
            return Credentials() if self._over_http else None
        user = ctx.request.scope.get("user")
        return user.credentials if isinstance(user, RequestUser) else Credentials()

    def _tenant_key(self, credentials: Credentials | None) -> TenantKey:
        own = self._backed_settings
        if credentials is None:
            return TenantKey(own.api_key, own.caption_api_key, own.unique_id, files=True)
        api_key, caption_key = credentials.api_key, credentials.caption_key
        if (credentials.holds_token or credentials.operator_key) and not api_key:
            api_key, caption_key = own.api_key, caption_key or own.caption_api_key
        if own.sandbox and self._api is None:
            from memories_mcp.sandbox import DEMO_KEY

            api_key = api_key or DEMO_KEY  # one account for all callers without a key, to try the server
            caption_key = caption_key or api_key
        # The files belong to the operator: if requests must authenticate, only the holders of the token may use them.
        files = own.http_files and (credentials.holds_token or own.ways == ONLY_KEYS)
        unique_id = own.unique_id or credentials.unique_id
        return TenantKey(api_key, caption_key, unique_id, files, credentials.subject)

    def _make_tenant(self, key: TenantKey) -> Tenant:
        settings = replace(
            self._backed_settings,
            api_key=key.api_key,
            caption_api_key=key.caption_key,
            unique_id=key.unique_id,
            files_root=self._backed_settings.files_root if key.files else None,
        )
        limits = self._limits.setdefault(key.api_key, rate_limits_of(settings))
        account = (key.api_key, key.unique_id)

        def publish(uris: Sequence[str]) -> None:
            if self.publish:
                self.publish(_digest(account), uris)

        subscriptions = self._subscriptions.setdefault(account, Subscriptions(publish))
        key_hint = _HTTP_KEY_HINT if self._over_http else ""
        principal = ""
        if key.subject:
            # Two people with one key and namespace must not confirm for each other.
            key_hint, principal = _SIGN_IN_KEY_HINT, _principal(key)
        return Tenant(
            settings,
            limits,
            subscriptions,
            self._transcripts,
            self._videos,
            self._api,
            self._operations,
            key_hint,
            principal,
            self.oversight,
            self.oversight.spending(key.subject, key.api_key or key.caption_key),
        )

    def _scope(self, tenant: Tenant, credentials: Credentials, *, files: bool, writes: bool) -> RequestScope:
        """Return the scope of an HTTP request, as its headers narrow it.

        Args:
            tenant: The tenant of the request.
            credentials: The credentials and restrictions of the request.
            files: Whether file tools are offered.
            writes: Whether tools that change something are offered.
        """
        narrowing = Narrowing(credentials.toolsets, credentials.read_only, files, writes)
        files_vary = self.settings.http_files and "token" in self.settings.ways
        narrows = credentials.toolsets is not None or credentials.read_only
        private = narrows or bool(credentials.unique_id or credentials.subject) or files_vary
        return RequestScope(tenant, tenant.narrowed(narrowing), private)


def _digest(account: tuple[str, str]) -> str:
    """Return a name of a key and namespace that shows neither."""
    return hashlib.sha256(json.dumps(account).encode()).hexdigest()
