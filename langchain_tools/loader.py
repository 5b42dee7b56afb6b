"""A loader of transcripts, split into windows of time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document
from pydantic import Field

from langchain_tools.base import MemoriesComponent
from langchain_tools.bridge import bridge
from langchain_tools.credentials import RunCredentials
from langchain_tools.documents import join_text, to_document
from langchain_tools.lifetime import fetch_semaphore
from langchain_tools.run_context import CurrentRun
from memories_mcp.api import without_blocking
from memories_mcp.api.endpoints import LIST_VIDEOS
from memories_mcp.context import Context
from memories_mcp.errors import NotFound, NotReady
from memories_mcp.models.evidence import Evidence, Track
from memories_mcp.models.ids import is_public
from memories_mcp.models.tolerance import collect_omissions
from memories_mcp.operations.common.lookups import WireVideoPage, fetch_facts, find_videos, not_in_namespace
from memories_mcp.operations.common.transcripts import fetch_transcript

_PAGE_SIZE = 20
"""Videos whose transcripts are held in memory at a time."""


class _DocumentPage(NamedTuple):
    documents: list[Document]
    video_nos: tuple[str, ...]
    """The videos of the page; none, or those of the page before, mark the end."""
    requested: Sequence[str] | None
    """The numbers of all requested videos; `None` for the whole library."""


class _NamedVideo(NamedTuple):
    video_no: str
    name: str | None


class MemoriesTranscriptLoader(MemoriesComponent, BaseLoader):
    """Loader of what is seen and said in videos: one `Document` per window of time.

    Windows lie on a grid of `chunk_seconds` from the start of the video; a line belongs to the window in which it
    begins. `Document.id` is the evidence `ref` of the window. It is the same each time, so that an index replaces a
    document that it already holds. Errors are `memories_mcp.errors.MemoriesError`.
    """

    video_nos: Sequence[str] | None = None
    """Videos to load: numbers, own or public, and names of own videos; `None` for every ready video of the library."""
    tracks: Annotated[Sequence[Track], Field(min_length=1)] = ("audio", "visual")
    """`audio` is what is said, `visual` what is seen; with both, each line has a label."""
    chunk_seconds: Annotated[float, Field(ge=1, le=86_400)] = 60
    """Length of a window in seconds, to the millisecond."""

    def model_post_init(self, context: Any, /) -> None:
        """Read the settings; opens no connection."""
        self._clients = self._make_clients(self._read_settings())

    def lazy_load(self) -> Iterator[Document]:
        """Yield the documents; holds one page of videos in memory, however large the library is."""
        credentials = self._clients.credentials(CurrentRun())
        number, previous, requested = 1, tuple[str, ...](), self.video_nos
        while True:
            page = bridge.run(
                lambda _, number=number, requested=requested: self._load_page(number, requested, credentials)
            )
            if page.video_nos in {previous, ()}:
                return
            yield from page.documents
            number, previous, requested = number + 1, page.video_nos, page.requested

    async def alazy_load(self) -> AsyncIterator[Document]:
        """Yield the documents in async code; holds one page of videos in memory."""
        credentials = await self._clients.acredentials(CurrentRun())
        number, previous, requested = 1, tuple[str, ...](), self.video_nos
        while True:
            page = await bridge.arun(
                lambda _, number=number, requested=requested: self._load_page(number, requested, credentials)
            )
            if page.video_nos in {previous, ()}:
                return
            for document in page.documents:
                yield document
            number, previous, requested = number + 1, page.video_nos, page.requested

    async def _load_page(
        self, number: int, requested: Sequence[str] | None, credentials: RunCredentials | None
    ) -> _DocumentPage:
        async with self._clients.runner(credentials) as runner:
            context, unique_id = runner.context(), runner.settings.unique_id or None
            if requested and number == 1:
                requested, _ = await runner.stand_ins.find_numbers(requested, unique_id)
            if requested is None:
                video_nos, videos = await _list_ready_videos(context, number, unique_id)
            else:
                video_nos = tuple(requested[(number - 1) * _PAGE_SIZE : number * _PAGE_SIZE])
                videos = await _get_videos(context, video_nos, unique_id)
            semaphore = fetch_semaphore(runner)

            async def load(video: _NamedVideo) -> list[Document]:
                async with semaphore:
                    return await self._load_video(context, video, unique_id)

            documents_by_video = await asyncio.gather(*map(load, videos))
        documents = [document for documents in documents_by_video for document in documents]
        return _DocumentPage(documents, video_nos, requested)

    async def _load_video(self, context: Context, video: _NamedVideo, unique_id: str | None) -> list[Document]:
        tracks: list[Track] = list(dict.fromkeys(self.tracks))
        windows: dict[int | None, list[Evidence]] = defaultdict(list)
        length = round(self.chunk_seconds * 1000)
        for track in tracks:
            try:
                transcript = await fetch_transcript(context, video.video_no, track, unique_id, keep=False)
            except NotFound:
                if self.video_nos is not None:
                    raise
                return []  # the video was deleted after the library was listed
            read = partial(list[tuple[int, Evidence]], transcript.evidence(range(len(transcript))))
            for _, segment in await without_blocking(read, large=transcript.is_large):
                start = segment.start_seconds
                windows[None if start is None else round(start * 1000) // length].append(segment)
        kind = tracks[0] if len(tracks) == 1 else "clip"
        documents: list[Document] = []
        # Lines without a time come first.
        for number in sorted(windows, key=lambda number: -1 if number is None else number):
            start, end = (None, None) if number is None else (number * length / 1000, (number + 1) * length / 1000)
            moment = Evidence.at(video.video_no, kind, start, end, video_name=video.name)
            documents.append(to_document(moment, join_text(windows[number])))
        return documents


async def _list_ready_videos(
    context: Context, number: int, unique_id: str | None
) -> tuple[tuple[str, ...], list[_NamedVideo]]:
    """Return one page of the library: all listed video numbers, and the videos among them that are ready."""
    body = {"page": number, "size": _PAGE_SIZE, "status": "PARSE", "unique_id": unique_id}
    videos = (await context.api.call(LIST_VIDEOS, json=body, into=WireVideoPage)).videos
    ready = [_NamedVideo(video.video_no, video.video_name) for video in videos if video.status == "ready"]
    return tuple(video.video_no for video in videos), ready


async def _get_videos(context: Context, video_nos: Sequence[str], unique_id: str | None) -> list[_NamedVideo]:
    """Return these videos with their names.

    Raises:
        NotFound: Some videos are not in this namespace.
        NotReady: Some videos are not processed yet, or their processing failed.
    """
    own = [video_no for video_no in video_nos if not is_public(video_no)]
    with collect_omissions():
        videos = {video.video_no: video for video in await find_videos(context, own, unique_id)} if own else {}
        if missing := [video_no for video_no in own if video_no not in videos]:
            raise not_in_namespace(missing)
    if unready := [video.video_no for video in videos.values() if video.status != "ready"]:
        raise NotReady(
            f"Videos not loaded: {', '.join(unready)} are still processing, or failed.",
            next_step="Check their state with wait_until_ready, and load them when they are ready.",
        )
    names = {video.video_no: video.video_name for video in videos.values()}
    for video_no in video_nos:
        if video_no not in names:
            names[video_no] = (await fetch_facts(context, video_no, None)).video_name
    return [_NamedVideo(video_no, names[video_no]) for video_no in video_nos]
