"""The newest videos and conversations of a tenant, for lists and completions: looked up at most once a minute."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from memories_mcp.api import Api
from memories_mcp.api.endpoints import LIST_SESSIONS, LIST_VIDEOS
from memories_mcp.errors import MemoriesError
from memories_mcp.models.media import Video
from memories_mcp.models.sessions import SessionPage, SessionRow
from memories_mcp.operations.library import VideoPage
from memories_mcp.runner import Runner

logger = logging.getLogger(__name__)

VALID_SECONDS = 60
_FAILURE_VALID_SECONDS = 5
_LOOK_SECONDS = 5
"""A client waits for its list at start; what the service has not said by then is left out."""
_VIDEOS = 200
_SIZES_KEPT = 1000

PageT = TypeVar("PageT", VideoPage, SessionPage)


@dataclass(frozen=True)
class Newest:
    """What was found; empty where the service said nothing.

    Attributes:
        videos: At most 200, newest first.
        sessions: At most 20, newest first.
        more_videos: Whether the library has more than these.
    """

    videos: list[Video] = field(default_factory=list[Video])
    sessions: list[SessionRow] = field(default_factory=list[SessionRow])
    more_videos: bool = False


class RecentItems:
    """One tenant's; `newest` never fails and makes at most one request for videos and one for sessions."""

    def __init__(self, runner: Runner) -> None:
        self._caller = runner
        self._looking = asyncio.Lock()
        self._found = Newest()
        self._until = 0.0
        self._changes = 0
        self._sizes: OrderedDict[str, int] = OrderedDict()

    def forget(self) -> None:
        """Look again next time, also if a look is under way."""
        self._until = 0.0
        self._changes += 1

    def note_size(self, uri: str, size: int) -> None:
        """Remember how many bytes a resource had when it was read."""
        self._sizes[uri] = size
        while len(self._sizes) > _SIZES_KEPT:
            self._sizes.popitem(last=False)

    def size(self, uri: str) -> int | None:
        """The bytes of a resource, as far as it was read before."""
        return self._sizes.get(uri)

    async def newest(self) -> Newest:
        """The newest videos and conversations, at most a minute old."""
        now = asyncio.get_running_loop().time
        async with self._looking:
            if now() >= self._until:
                before = self._changes
                videos, sessions = await asyncio.gather(self._videos(size=_VIDEOS), self._sessions())
                whole = videos is not None and sessions is not None
                rows = videos.videos if videos else []
                total = videos.total or 0 if videos else 0
                self._found = Newest(rows, sessions.sessions if sessions else [], total > len(rows))
                valid = VALID_SECONDS if whole else _FAILURE_VALID_SECONDS
                self._until = now() + valid if before == self._changes else 0.0
            return self._found

    async def named(self, words: str) -> list[Video]:
        """Videos of the whole library whose name contains the words; none where the service says nothing."""
        page = await self._videos(size=100, video_name=words)
        return page.videos if page else []

    async def _videos(self, **filters: object) -> VideoPage | None:
        body = {"page": 1, "unique_id": self._caller.settings.unique_id or None, **filters}
        return await self._asked("list_videos", VideoPage, lambda api: api.call(LIST_VIDEOS, json=body, into=VideoPage))

    async def _sessions(self) -> SessionPage | None:
        query = {"page": 1, "unique_id": self._caller.settings.unique_id or None}
        return await self._asked(
            "list_sessions", SessionPage, lambda api: api.call(LIST_SESSIONS, query=query, into=SessionPage)
        )

    async def _asked(self, tool: str, page: type[PageT], ask: Callable[[Api], Awaitable[PageT]]) -> PageT | None:
        """A page; an empty one where there is no key or the operator does not offer it, `None` on a failure."""
        if tool not in self._caller.operations or not self._caller.settings.api_key:
            return page()
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                return await ask(self._caller.api)
        except (MemoriesError, TimeoutError) as error:
            summary = error.summary if isinstance(error, MemoriesError) else "no answer in time"
            logger.warning("the list of resources lacks what %s gives: %s", tool, summary)
            return None
