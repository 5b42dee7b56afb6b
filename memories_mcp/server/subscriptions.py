"""Telling subscribers that a resource changed, in both protocol eras. Nothing is polled for it."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
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

from memories_mcp.models.base import parts
from memories_mcp.models.media import StatusFields
from memories_mcp.models.uris import VIDEOS, belongs_to, video_uri

logger = logging.getLogger(__name__)

_MOST_SUBSCRIPTIONS = 1000
_MOST_STATES = 10_000
_SEND_SECONDS = 5


class Subscriptions:
    """Who wants to hear of one tenant's changes, and the states its videos were last seen in."""

    def __init__(self) -> None:
        self._bus = InMemorySubscriptionBus()
        self._listen = ListenHandler(self._bus)
        self._listened: Counter[str] = Counter()
        # By connection and URI. A connection that left is not told of: the oldest make room.
        self._subscribed: OrderedDict[tuple[int, str], ServerSession] = OrderedDict()
        self._states: OrderedDict[str, str] = OrderedDict()
        self._hears: list[weakref.WeakMethod[Callable[[], None]]] = []
        self._telling: set[asyncio.Task[None]] = set()

    def on_change(self, hears: Callable[[], None]) -> None:
        """Have a method called at each change, for as long as its object is there."""
        self._hears = [each for each in self._hears if each()] + [weakref.WeakMethod(hears)]

    def subscribe(self, session: ServerSession, uri: str) -> None:
        """Remember a subscription of the handshake era."""
        self._subscribed[id(session.client_params), uri] = session
        while len(self._subscribed) > _MOST_SUBSCRIPTIONS:
            self._subscribed.popitem(last=False)

    def unsubscribe(self, session: ServerSession, uri: str) -> None:
        """Forget it."""
        self._subscribed.pop((id(session.client_params), uri), None)

    async def listen(
        self, ctx: ServerRequestContext[Any, Any], params: t.SubscriptionsListenRequestParams
    ) -> t.SubscriptionsListenResult:
        """Serve one stream of `subscriptions/listen`."""
        uris = [str(each) for each in params.notifications.resource_subscriptions or []]
        self._listened.update(uris)
        try:
            return await self._listen(ctx, params)
        finally:
            self._listened -= Counter(uris)

    def saw(self, answer: object) -> None:
        """Compare the videos of an answer with what was known of them."""
        if not isinstance(answer, BaseModel):
            return
        changed: list[str] = []
        for each in parts(answer, StatusFields):
            video_no = str(getattr(each, "video_no", ""))
            known = self._states.get(video_no)
            if video_no and known != each.status:
                self._states[video_no] = each.status
                changed += [video_uri(video_no)] if known else []
        while len(self._states) > _MOST_STATES:
            self._states.popitem(last=False)
        if changed:
            self.changed([VIDEOS, *changed])

    def changed(self, uris: Iterable[str]) -> None:
        """Tell whoever subscribed to one of these resources, or to a part or window of it."""
        bases = [*uris]
        for each in self._hears:
            if hears := each():
                hears()
        wanted = {*self._listened, *(uri for _, uri in self._subscribed)}
        hit = [uri for uri in sorted(wanted) if any(belongs_to(uri, base) for base in bases)]
        telling = asyncio.ensure_future(self._tell(hit, VIDEOS in bases))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _tell(self, uris: list[str], list_changed: bool) -> None:
        for uri in uris:
            await self._bus.publish(ResourceUpdated(uri=uri))
        if list_changed:
            await self._bus.publish(ResourcesListChanged())
        hit = {*uris}
        subscribed = [(session, uri) for (_, uri), session in self._subscribed.items() if uri in hit]
        await asyncio.gather(*(_sent(session, uri) for session, uri in subscribed))

    def close(self) -> None:
        """End the streams that listen; each gets its last word."""
        self._listen.close()


async def _sent(session: ServerSession, uri: str) -> None:
    try:
        async with asyncio.timeout(_SEND_SECONDS):  # a client that does not read holds nobody up
            await session.send_resource_updated(uri)
    except Exception:  # whatever became of that client, the others are told
        logger.debug("a subscriber could not be told", exc_info=True)
