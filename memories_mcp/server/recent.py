"""The newest videos and sessions of a tenant, for lists and completions; requested at most once a minute."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from memories_mcp.api.endpoints import LIST_SESSIONS
from memories_mcp.errors import MemoriesError
from memories_mcp.models.ids import has_id_form
from memories_mcp.models.media import Video
from memories_mcp.models.sessions import SessionPage, SessionRow
from memories_mcp.models.uris import SESSIONS, VIDEOS
from memories_mcp.operations.common.newest import CACHE_SECONDS, Cached, VideoListing
from memories_mcp.runner import Runner

logger = logging.getLogger(__name__)

_FAILURE_VALID_SECONDS = 5
_TIMEOUT_SECONDS = 5
"""Clients request the list of resources at start and wait for it, so a slow request is given up."""
_MAX_SIZES = 1000

ItemsT = TypeVar("ItemsT", VideoListing, SessionPage)


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
    """The newest videos and sessions of one tenant, and the sizes of its resources.

    Args:
        runner: The tenant's.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._failed_videos = Cached[VideoListing | None]()
        self._sessions = Cached[SessionPage | None]()
        self._sizes: OrderedDict[str, int] = OrderedDict()

    def invalidate(self, uris: Sequence[str]) -> None:
        """Request the lists of changed resources again next time; a result under way counts as outdated."""
        if any(uri.startswith(VIDEOS) for uri in uris):
            self._runner.newest_videos.invalidate()
            self._failed_videos.invalidate()
        if any(uri.startswith(SESSIONS) for uri in uris):
            self._sessions.invalidate()

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
        # The runner keeps the videos; only a failure is kept here.
        videos, sessions = await asyncio.gather(
            self._failed_videos.get(
                self._list_videos, lambda listing: _FAILURE_VALID_SECONDS if listing is None else 0
            ),
            self._sessions.get(
                self._list_sessions, lambda page: _FAILURE_VALID_SECONDS if page is None else CACHE_SECONDS
            ),
        )
        return NewestItems(
            videos=[video for video in videos.videos if has_id_form(video.video_no)] if videos else [],
            sessions=[row for row in sessions.sessions if has_id_form(row.session_id)] if sessions else [],
            more_videos=videos is not None and videos.more,
        )

    async def find_videos(self, words: str) -> list[Video]:
        """Return the videos of the whole library whose name contains the words; none if the request fails."""
        unique_id = self._runner.settings.unique_id or None
        listing = await self._request(
            "list_videos", VideoListing, lambda: self._runner.newest_videos.search(words, unique_id)
        )
        return [video for video in listing.videos if has_id_form(video.video_no)] if listing else []

    async def _list_videos(self) -> VideoListing | None:
        unique_id = self._runner.settings.unique_id or None
        return await self._request("list_videos", VideoListing, lambda: self._runner.newest_videos.newest(unique_id))

    async def _list_sessions(self) -> SessionPage | None:
        query = {"page": 1, "unique_id": self._runner.settings.unique_id or None}
        return await self._request(
            "list_sessions",
            SessionPage,
            lambda: self._runner.api.call(LIST_SESSIONS, query=query, into=SessionPage),
        )

    async def _request(
        self, tool: str, items_type: type[ItemsT], send: Callable[[], Awaitable[ItemsT]]
    ) -> ItemsT | None:
        """Return items: none without a key or without the tool, `None` on a failure."""
        if tool not in self._runner.operations or not self._runner.settings.api_key:
            return items_type()
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                return await send()
        except (MemoriesError, TimeoutError) as error:
            reason = error.summary if isinstance(error, MemoriesError) else f"no answer in {_TIMEOUT_SECONDS} seconds"
            logger.warning("the list of resources is incomplete: %s failed: %s", tool, reason)
            return None
