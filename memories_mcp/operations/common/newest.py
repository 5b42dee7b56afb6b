"""The newest videos of each namespace, requested at most once a minute: for names in arguments, lists, completions."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from memories_mcp.api import Api
from memories_mcp.api.endpoints import LIST_VIDEOS
from memories_mcp.models.media import Video
from memories_mcp.operations.common.lookups import WireVideoPage

CACHE_SECONDS = 60
PAGE_SIZE = 200
"""The largest page of the service."""
_MAX_NAMESPACES = 8
_MAX_SEARCHES = 50

T = TypeVar("T")


class Cached(Generic[T]):
    """A value that is requested again when it is a minute old; callers at the same time share one request."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._values: list[T] = []
        self._valid_until = 0.0
        self._invalidations = 0

    def invalidate(self) -> None:
        """Request the value again next time; the result of a request under way counts as outdated."""
        self._valid_until = 0.0
        self._invalidations += 1

    async def get(self, request: Callable[[], Awaitable[T]], seconds: Callable[[T], float] | None = None) -> T:
        """Return the value.

        Args:
            request: Requests the value; what it raises is raised here, and not kept.
            seconds: Returns how long a value is valid; by default a minute.
        """
        now = asyncio.get_running_loop().time
        async with self._lock:
            if now() >= self._valid_until:
                invalidations = self._invalidations
                self._values = [await request()]
                if invalidations == self._invalidations:
                    self._valid_until = now() + (seconds(self._values[0]) if seconds else CACHE_SECONDS)
            return self._values[0]


@dataclass(frozen=True)
class VideoListing:
    """The first page of a list of videos.

    Attributes:
        videos: At most 200, newest first.
        more: Whether the list has more than these.
    """

    videos: list[Video] = field(default_factory=list[Video])
    more: bool = False


class _Namespace:
    def __init__(self) -> None:
        self.newest = Cached[VideoListing]()
        self.searches: OrderedDict[str, Cached[VideoListing]] = OrderedDict()


class NewestVideos:
    """Cache of the newest videos and of searches by name, for one API key.

    Args:
        api: The API client with the key.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._namespaces: OrderedDict[str | None, _Namespace] = OrderedDict()

    def invalidate(self) -> None:
        """Request everything again next time."""
        for namespace in self._namespaces.values():
            namespace.newest.invalidate()
            namespace.searches.clear()

    async def newest(self, unique_id: str | None) -> VideoListing:
        """Return the newest videos of a namespace, at most a minute old."""
        return await self._namespace(unique_id).newest.get(lambda: self._list(unique_id, None))

    async def search(self, name: str, unique_id: str | None) -> VideoListing:
        """Return the videos that the service finds by a name, at most a minute old.

        The service's filter compares exactly or in part, depending on its version, and some versions ignore it (API
        3.5, 29): the caller compares the names.

        Args:
            name: The name, or a part of it.
            unique_id: The namespace.
        """
        searches = self._namespace(unique_id).searches
        cached = searches.setdefault(name, Cached[VideoListing]())
        while len(searches) > _MAX_SEARCHES:
            searches.popitem(last=False)
        return await cached.get(lambda: self._list(unique_id, name))

    def _namespace(self, unique_id: str | None) -> _Namespace:
        namespace = self._namespaces.setdefault(unique_id, _Namespace())
        self._namespaces.move_to_end(unique_id)
        while len(self._namespaces) > _MAX_NAMESPACES:
            self._namespaces.popitem(last=False)
        return namespace

    async def _list(self, unique_id: str | None, name: str | None) -> VideoListing:
        filters = {"video_name": name} if name else {}
        body = {"page": 1, "size": PAGE_SIZE, "unique_id": unique_id, **filters}
        page = await self._api.call(LIST_VIDEOS, json=body, into=WireVideoPage)
        count = len(page.videos)
        return VideoListing(page.videos, more=count >= PAGE_SIZE if page.total is None else page.total > count)
