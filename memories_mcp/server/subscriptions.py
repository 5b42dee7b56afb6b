"""Subscriptions to changes of resources, in both protocol eras. Changes are noticed in responses; nothing is polled."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import mcp_types as t
from mcp.server import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    ResourcesListChanged,
    ResourceUpdated,
)
from pydantic import BaseModel

from memories_mcp.models.base import iter_parts
from memories_mcp.models.media import StatusFields
from memories_mcp.models.uris import SESSIONS, VIDEOS, belongs_to, video_uri

logger = logging.getLogger(__name__)

_MAX_SUBSCRIPTIONS = 1000
_MAX_STATUSES = 10_000
_SEND_TIMEOUT_SECONDS = 5


class Subscriptions:
    """The subscribers of one tenant, and the last known status of each of its videos.

    Args:
        publish: Makes a change that this process notices known to other processes.
    """

    def __init__(self, publish: Callable[[Sequence[str]], None] | None = None) -> None:
        self.answered = False
        """Whether the service has answered a request of the tenant, and so accepted its key."""
        self._publish_elsewhere = publish
        self._bus = InMemorySubscriptionBus()
        self._handler = ListenHandler(self._bus)
        self._stream_uris: Counter[str] = Counter()
        # By connection and URI. Nothing reports that a connection has closed, so the oldest entries make room.
        self._sessions: OrderedDict[tuple[int, str], ServerSession] = OrderedDict()
        self._statuses: OrderedDict[str, str] = OrderedDict()
        self._listeners: list[weakref.WeakMethod[Callable[[Sequence[str]], None]]] = []
        self._publishing: set[asyncio.Task[None]] = set()

    def add_listener(self, listener: Callable[[Sequence[str]], None]) -> None:
        """Call a bound method with the URIs of each change, for as long as its object exists."""
        self._listeners = [reference for reference in self._listeners if reference()]
        self._listeners.append(weakref.WeakMethod(listener))

    def subscribe(self, session: ServerSession, uri: str) -> None:
        """Add a subscription of the handshake era."""
        self._sessions[id(session.client_params), uri] = session
        while len(self._sessions) > _MAX_SUBSCRIPTIONS:
            self._sessions.popitem(last=False)

    def unsubscribe(self, session: ServerSession, uri: str) -> None:
        """Remove a subscription of the handshake era."""
        self._sessions.pop((id(session.client_params), uri), None)

    async def listen(
        self, ctx: ServerRequestContext[Any, Any], params: t.SubscriptionsListenRequestParams
    ) -> t.SubscriptionsListenResult:
        """Serve one stream of `subscriptions/listen`."""
        uris = [str(uri) for uri in params.notifications.resource_subscriptions or []]
        self._stream_uris.update(uris)
        try:
            return await self._handler(ctx, params)
        finally:
            self._stream_uris -= Counter(uris)

    def record_response(self, response: object) -> None:
        """Record the statuses of the videos in a response, and notify subscribers of those that changed."""
        self.answered = True
        if not isinstance(response, BaseModel):
            return
        changed: list[str] = []
        for video in iter_parts(response, StatusFields):
            video_no = str(getattr(video, "video_no", ""))
            if not video_no:
                continue
            known = self._statuses.get(video_no)
            if known == video.status:
                continue
            self._statuses[video_no] = video.status
            if known is not None:
                changed.append(video_uri(video_no))
        while len(self._statuses) > _MAX_STATUSES:
            self._statuses.popitem(last=False)
        if changed:
            self.notify([VIDEOS, *changed])

    def notify(self, uris: Iterable[str]) -> None:
        """Notify the subscribers of these resources, and of their parts and windows, here and in other processes."""
        changed = [*uris]
        self.deliver(changed)
        if self._publish_elsewhere:
            self._publish_elsewhere(changed)

    def deliver(self, changed: Sequence[str]) -> None:
        """Notify the subscribers of this process."""
        for reference in self._listeners:
            if listener := reference():
                listener(changed)
        subscribed = {*self._stream_uris, *(uri for _, uri in self._sessions)}
        matches = [uri for uri in sorted(subscribed) if any(belongs_to(uri, base) for base in changed)]
        task = asyncio.ensure_future(self._publish(matches, VIDEOS in changed))
        self._publishing.add(task)  # the event loop holds tasks by weak references only
        task.add_done_callback(self._publishing.discard)

    def deliver_all(self) -> None:
        """Notify all subscribers of this process, after changes that it may have missed."""
        self.deliver([VIDEOS, SESSIONS, *self._stream_uris, *(uri for _, uri in self._sessions)])

    async def _publish(self, uris: list[str], list_changed: bool) -> None:
        for uri in uris:
            await self._bus.publish(ResourceUpdated(uri=uri))
        if list_changed:
            await self._bus.publish(ResourcesListChanged())
        updates = [(session, uri) for (_, uri), session in self._sessions.items() if uri in uris]
        await asyncio.gather(*(_send_update(session, uri) for session, uri in updates))

    def close(self) -> None:
        """End the streams of `subscriptions/listen`, each with its final result."""
        self._handler.close()


async def _send_update(session: ServerSession, uri: str) -> None:
    try:
        async with asyncio.timeout(_SEND_TIMEOUT_SECONDS):  # a client that does not read must not block the others
            await session.send_resource_updated(uri)
    except Exception:  # one client's failure must not keep the update from the others
        logger.debug("a resource update could not be sent", exc_info=True)
