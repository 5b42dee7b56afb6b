"""A loader of transcripts, cut by time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated, Any, NamedTuple

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document
from pydantic import Field

from langchain_tools.base import MemoriesComponent
from langchain_tools.bridge import bridge
from langchain_tools.documents import document, text_of
from langchain_tools.lifetime import SharedClients, turns_of
from memories_mcp.api.endpoints import LIST_VIDEOS
from memories_mcp.context import Context
from memories_mcp.errors import NotFound, NotReady
from memories_mcp.models.evidence import Evidence, Track
from memories_mcp.models.ids import is_public
from memories_mcp.operations.common.lookups import WireVideoPage, fetch_name_and_link, find_videos, not_in_namespace
from memories_mcp.operations.common.transcripts import fetch_transcript

_PAGE = 20
"""Videos whose transcripts are held at once."""


class _Page(NamedTuple):
    documents: list[Document]
    videos: tuple[str, ...]
    """What the page was made of; the same again, or nothing, is the end."""


class _Named(NamedTuple):
    video_no: str
    name: str | None


class MemoriesTranscriptLoader(MemoriesComponent, BaseLoader):
    """Loads what is seen and said in videos: one `Document` a window of time.

    Windows lie on a grid of `chunk_seconds` from the video's start, and a line belongs to the window in which it
    begins. So `Document.id`, the evidence `ref` of the window, stays the same when it is loaded again, and an index
    that knows ids replaces in place of doubling. Errors are `memories_mcp.errors.MemoriesError`.
    """

    video_nos: Sequence[str] | None = None
    """The videos, own or public; `None` for every ready video of the library."""
    tracks: Annotated[Sequence[Track], Field(min_length=1)] = ("audio", "visual")
    """`audio` is what is said, `visual` what is seen; where both are asked for, each line says which it is."""
    chunk_seconds: Annotated[float, Field(ge=1, le=86_400)] = 60
    """How long a window is, to the millisecond."""

    def model_post_init(self, context: Any, /) -> None:
        """Read the settings; nothing is connected yet."""
        self._connection = SharedClients(self._settings())

    def lazy_load(self) -> Iterator[Document]:
        """Load a page of videos at a time; memory stays flat however large the library is."""
        number, before = 1, tuple[str, ...]()
        while (page := bridge.wait(lambda _, at=number: self._page(at))).videos not in {before, ()}:
            yield from page.documents
            number, before = number + 1, page.videos

    async def alazy_load(self) -> AsyncIterator[Document]:
        """The same from async code."""
        number, before = 1, tuple[str, ...]()
        while (page := await bridge.run(lambda _, at=number: self._page(at))).videos not in {before, ()}:
            for each in page.documents:
                yield each
            number, before = number + 1, page.videos

    async def _page(self, number: int) -> _Page:
        async with self._connection.runner(None) as runner:
            context, unique_id = runner.context(), runner.settings.unique_id or None
            if self.video_nos is None:
                seen, videos = await _listed(context, number, unique_id)
            else:
                seen = tuple(dict.fromkeys(self.video_nos))[(number - 1) * _PAGE : number * _PAGE]
                videos = await _named(context, seen, unique_id)
            turns = turns_of(runner)

            async def load(video: _Named) -> list[Document]:
                async with turns:
                    return await self._windows(context, video, unique_id)

            loaded = await asyncio.gather(*map(load, videos))
        return _Page([document for of_video in loaded for document in of_video], seen)

    async def _windows(self, context: Context, video: _Named, unique_id: str | None) -> list[Document]:
        tracks: list[Track] = list(dict.fromkeys(self.tracks))
        windows: dict[int | None, list[Evidence]] = defaultdict(list)
        length = round(self.chunk_seconds * 1000)
        for track in tracks:
            try:
                found = await fetch_transcript(context, video.video_no, track, unique_id)
            except NotFound:
                if self.video_nos is not None:
                    raise
                return []  # deleted while the library was read
            for _, segment in found.evidence(range(len(found))):
                start = segment.start_seconds
                windows[None if start is None else round(start * 1000) // length].append(segment)
        kind = tracks[0] if len(tracks) == 1 else "clip"
        documents: list[Document] = []
        for number in sorted(windows, key=lambda each: -1 if each is None else each):
            start, end = (None, None) if number is None else (number * length / 1000, (number + 1) * length / 1000)
            moment = Evidence.at(video.video_no, kind, start, end, video_name=video.name)
            documents.append(document(moment, text_of(windows[number])))
        return documents


async def _listed(context: Context, number: int, unique_id: str | None) -> tuple[tuple[str, ...], list[_Named]]:
    """A page of the library: what was listed, and those of them that are ready."""
    body = {"page": number, "size": _PAGE, "status": "PARSE", "unique_id": unique_id}
    listed = (await context.api.call(LIST_VIDEOS, json=body, into=WireVideoPage)).videos
    ready = [_Named(each.video_no, each.video_name) for each in listed if each.status == "ready"]
    return tuple(each.video_no for each in listed), ready


async def _named(context: Context, video_nos: Sequence[str], unique_id: str | None) -> list[_Named]:
    """Those videos with their names.

    Raises:
        NotFound: Some are not in this namespace.
        NotReady: Some are not processed yet.
    """
    own = [each for each in video_nos if not is_public(each)]
    found = {each.video_no: each for each in await find_videos(context, own, unique_id)} if own else {}
    if missing := [each for each in own if each not in found]:
        raise not_in_namespace(missing)
    if unready := [each.video_no for each in found.values() if each.status != "ready"]:
        raise NotReady(
            f"Not processed yet, or failed: {', '.join(unready)}.",
            next_step="wait_until_ready tells their state; load them when they are ready.",
        )
    names = {each.video_no: each.video_name for each in found.values()}
    for each in video_nos:
        if each not in names:
            names[each], _ = await fetch_name_and_link(context, each, None)
    return [_Named(each, names[each]) for each in video_nos]
