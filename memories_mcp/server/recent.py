"""The newest videos and sessions of a tenant, for lists and completions; requested at most once a minute."""

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
from memories_mcp.models.ids import has_id_form
from memories_mcp.models.media import Video
from memories_mcp.models.sessions import SessionPage, SessionRow
from memories_mcp.operations.library import VideoPage
from memories_mcp.runner import Runner

logger = logging.getLogger(__name__)

CACHE_SECONDS = 60
_FAILURE_VALID_SECONDS = 5
_TIMEOUT_SECONDS = 5
"""Clients request the list of resources at start and wait for it, so a slow request is given up."""
_MAX_VIDEOS = 200
_MAX_MATCHES = 100
_MAX_SIZES = 1000

PageT = TypeVar("PageT", VideoPage, SessionPage)


@dataclass(frozen=True)
class NewestItems:
    """The newest items; a list is empty if its request failed.

    Attributes:
        videos: At most 200, newest first.
        sessions: At most 20, newest first.
        more_videos: Whether the library has more than these.
    """

    videos: list[Video] = field(default_factory=list[Video])
    sessions: list[SessionRow] = field(default_factory=list[SessionRow])
    more_videos: bool = False


class RecentItems:
    """Cache of the newest videos and sessions of one tenant, and of the sizes of its resources.

    Args:
        runner: The tenant's.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._lock = asyncio.Lock()
        self._newest = NewestItems()
        self._valid_until = 0.0
        self._invalidations = 0
        self._sizes: OrderedDict[str, int] = OrderedDict()

    def invalidate(self) -> None:
        """Request the items again next time; the result of a request under way counts as outdated."""
        self._valid_until = 0.0
        self._invalidations += 1

    def record_size(self, uri: str, size: int) -> None:
        """Record the size of a resource in bytes."""
        self._sizes[uri] = size
        while len(self._sizes) > _MAX_SIZES:
            self._sizes.popitem(last=False)

    def size(self, uri: str) -> int | None:
        """Return the size of a resource in bytes, or `None` if it was not read before."""
        return self._sizes.get(uri)

    async def newest(self) -> NewestItems:
        """Return the newest videos and sessions, at most a minute old.

        Makes at most one request for videos and one for sessions, and raises no error of the service.
        """
        now = asyncio.get_running_loop().time
        async with self._lock:
            if now() >= self._valid_until:
                invalidations = self._invalidations
                videos, sessions = await asyncio.gather(self._list_videos(size=_MAX_VIDEOS), self._list_sessions())
                self._newest = NewestItems(
                    videos=[video for video in videos.videos if has_id_form(video.video_no)] if videos else [],
                    sessions=[row for row in sessions.sessions if has_id_form(row.session_id)] if sessions else [],
                    more_videos=videos is not None and (videos.total or 0) > len(videos.videos),
                )
                failed = videos is None or sessions is None
                if invalidations == self._invalidations:
                    self._valid_until = now() + (_FAILURE_VALID_SECONDS if failed else CACHE_SECONDS)
            return self._newest

    async def find_videos(self, words: str) -> list[Video]:
        """Return the videos of the whole library whose name contains the words; none if the request fails."""
        page = await self._list_videos(size=_MAX_MATCHES, video_name=words)
        return [video for video in page.videos if has_id_form(video.video_no)] if page else []

    async def _list_videos(self, **filters: object) -> VideoPage | None:
        body = {"page": 1, "unique_id": self._runner.settings.unique_id or None, **filters}
        return await self._request(
            "list_videos", VideoPage, lambda api: api.call(LIST_VIDEOS, json=body, into=VideoPage)
        )

    async def _list_sessions(self) -> SessionPage | None:
        query = {"page": 1, "unique_id": self._runner.settings.unique_id or None}
        return await self._request(
            "list_sessions", SessionPage, lambda api: api.call(LIST_SESSIONS, query=query, into=SessionPage)
        )

    async def _request(
        self, tool: str, page_type: type[PageT], send: Callable[[Api], Awaitable[PageT]]
    ) -> PageT | None:
        """Return a page: empty without a key or without the tool, `None` on a failure."""
        if tool not in self._runner.operations or not self._runner.settings.api_key:
            return page_type()
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                return await send(self._runner.api)
        except (MemoriesError, TimeoutError) as error:
            reason = error.summary if isinstance(error, MemoriesError) else f"no answer in {_TIMEOUT_SECONDS} seconds"
            logger.warning("the list of resources is incomplete: %s failed: %s", tool, reason)
            return None
