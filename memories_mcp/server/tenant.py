"""A tenant: one API key, namespace and person, with the client and caches that belong to it alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from memories_mcp.api import Api
from memories_mcp.api.rate_limits import RateLimiter
from memories_mcp.api.spending import Spending
from memories_mcp.media.cache import VideoCache
from memories_mcp.runner import AnyOperation, Runner, make_api
from memories_mcp.server.narrowing import Narrowing
from memories_mcp.server.oversight import Oversight
from memories_mcp.server.recent import RecentItems
from memories_mcp.server.subscriptions import Subscriptions
from memories_mcp.settings import Settings
from memories_mcp.transcript_cache import TranscriptCache

_MAX_NARROWINGS = 16


class TenantKey(NamedTuple):
    """Identifies a tenant; holds secrets."""

    api_key: str
    caption_key: str
    unique_id: str
    files: bool
    subject: str = ""

    def __repr__(self) -> str:
        return "TenantKey(…)"  # keeps keys out of tracebacks


def principal_of(key: TenantKey) -> str:
    """Return the identity of a tenant, to which confirmations and sealed state are bound; secret."""
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
