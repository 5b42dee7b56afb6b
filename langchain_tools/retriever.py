"""A retriever whose documents are moments of videos."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.runnables.config import set_config_context
from langchain_core.runnables.utils import coro_with_context
from pydantic import BaseModel, ConfigDict, Field

from langchain_tools.base import MemoriesComponent
from langchain_tools.bridge import bridge
from langchain_tools.documents import document, text_of, tracks_of, within
from langchain_tools.lifetime import RunCredentials, SharedClients, turns_of
from langchain_tools.run_context import Run, inherited
from memories_mcp.context import Context
from memories_mcp.errors import InvalidArguments, NotFound, NotReady, UnexpectedResponse
from memories_mcp.models.evidence import Evidence, Track
from memories_mcp.models.transcripts import Segments
from memories_mcp.operations.common.transcripts import fetch_transcript
from memories_mcp.operations.public import Platform, SearchPublicVideos, public_hits
from memories_mcp.operations.search import MOST_CAPTIONS, SearchVideos, search_hits
from memories_mcp.runner import Runner
from memories_mcp.validation import validate

_LARGEST = 1000
"""Of what one search returns."""


class Query(BaseModel):
    """What is searched and how much of it comes back; each may be given to the constructor and to each call."""

    model_config = ConfigDict(extra="forbid")

    k: Annotated[int, Field(ge=1, le=_LARGEST)] = 4
    """How many documents, counted after merging."""
    search_type: Literal["BY_CLIP", "BY_VIDEO", "BY_AUDIO", "BY_CAPTION", "BY_IMAGE"] | None = None
    """As `search_videos` has it: BY_CLIP (the default) by what is seen or said, BY_AUDIO by speech, BY_CAPTION by scene
    descriptions, BY_VIDEO whole videos (the default in public), BY_IMAGE uploaded images."""
    platform: Platform | None = None
    """Search the public library of this platform in place of your own."""
    video_nos: Sequence[str] | None = None
    """Only these videos."""
    tag: str | None = None
    """Only videos with this tag."""
    filtering_level: Literal["low", "medium", "high"] | None = None
    """How good a hit must be: low keeps nearly all."""
    context_seconds: Annotated[float, Field(ge=0, le=300)] = 0
    """How much of what is seen and said before and after each moment is taken into its text."""
    merge_overlaps: bool = True
    """Make one document of moments that overlap, with the times of all of them."""


class MemoriesRetriever(Query, MemoriesComponent, BaseRetriever):
    """Finds moments in videos: one `Document` each, its text what is seen or said there.

    `Document.id` is the evidence `ref`; the metadata have `source`, `video_no`, `video_name`, `kind`, `start_seconds`,
    `end_seconds`, `score` and `uri`, as far as they are known. Errors are `memories_mcp.errors.MemoriesError`.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    per_run: bool = False
    """Each run brings its own key and namespace, as with `MemoriesToolkit`."""

    def model_post_init(self, context: Any, /) -> None:
        """Read the settings; nothing is connected yet."""
        self._connection = SharedClients(self._settings(per_run=self.per_run), per_run=self.per_run)

    # `_get_relevant_documents` does not see the run's configuration otherwise.
    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        """Find documents; `k` and everything else of `Query` may be given for this call."""
        config = ensure_config(inherited(config))
        with set_config_context(config) as context:
            return context.run(super().invoke, input, config, **kwargs)

    async def ainvoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        """The same from async code."""
        config = ensure_config(inherited(config))
        with set_config_context(config) as context:
            return await coro_with_context(super().ainvoke(input, config, **kwargs), context)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **more: Any
    ) -> list[Document]:
        identity = self._connection.identity(Run())
        return bridge.wait(lambda _: self._found(query, self._query(more), identity))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **more: Any
    ) -> list[Document]:
        identity = self._connection.identity(Run())
        return await bridge.run(lambda _: self._found(query, self._query(more), identity))

    def _query(self, more: dict[str, Any]) -> Query:
        return validate(Query, {**{name: getattr(self, name) for name in Query.model_fields}, **more})

    async def _found(self, text: str, query: Query, identity: RunCredentials | None) -> list[Document]:
        async with self._connection.runner(identity) as runner:
            context = runner.context()
            merged = await _merged(runner, context, text, query)
            return await _documents(runner, context, merged, query.context_seconds)


Group = list[Evidence]
"""Hits that make one document, best first."""


async def _merged(runner: Runner, context: Context, text: str, query: Query) -> list[Group]:
    """`k` groups, or as many as there are: more hits are asked for than documents."""
    most = MOST_CAPTIONS if query.search_type == "BY_CAPTION" else _LARGEST
    if not query.merge_overlaps:
        return [[each] for each in await _search(runner, context, text, query, min(most, query.k))]
    asked = min(most, max(2 * query.k, query.k + 5))
    while True:
        found = await _search(runner, context, text, query, asked)
        groups = _groups(found, query.k)
        if len(groups) == query.k or len(found) < asked or asked == most:
            return groups
        asked = min(most, 4 * asked)


async def _search(runner: Runner, context: Context, text: str, query: Query, top_k: int) -> list[Evidence]:
    wanted: dict[str, Any] = {
        "query": text,
        "top_k": top_k,
        "search_type": query.search_type,
        "filtering_level": query.filtering_level,
    }
    if query.platform is None:
        pinned = {"unique_id": runner.settings.unique_id or None}
        own = {"video_nos": list(query.video_nos) if query.video_nos else None, "tag": query.tag}
        return await search_hits(context, validate(SearchVideos, {**wanted, **own, **pinned}))
    if query.video_nos or query.tag:
        raise InvalidArguments(["platform: the public library cannot be searched by video_nos or tag."])
    return await public_hits(context, validate(SearchPublicVideos, {**wanted, "platform": query.platform}))


def _groups(found: Sequence[Evidence], most: int) -> list[Group]:
    """Hits that overlap as one group, in the order of their best hits.

    It ends where another group would begin, so that how many hits were asked for changes nothing.
    """
    groups: list[Group] = []
    for hit in found:
        touched = [each for each in groups if any(_overlap(hit, other) for other in each)]
        if not touched and len(groups) == most:
            break
        if not touched:
            groups.append([hit])
            continue
        touched[0].extend([*(each for group in touched[1:] for each in group), hit])
        groups = [each for each in groups if not any(each is other for other in touched[1:])]
    return groups


def _overlap(one: Evidence, other: Evidence) -> bool:
    """Whether they share time; those that only touch do not, as a video's clips follow each other without a gap."""
    if one.video_no != other.video_no or one.start_seconds is None or other.start_seconds is None:
        return False
    return _start(one) == _start(other) or (_start(one) < _end(other) and _start(other) < _end(one))


def _start(moment: Evidence) -> float:
    return moment.start_seconds or 0.0


def _end(moment: Evidence) -> float:
    return _start(moment) if moment.end_seconds is None else moment.end_seconds


async def _documents(runner: Runner, context: Context, groups: list[Group], margin: float) -> list[Document]:
    """The groups with their texts; each transcript is read once, and none where the hits tell all themselves."""
    needed: set[tuple[str, Track]] = {
        (group[0].video_no, track)
        for group in groups
        if group[0].video_no and group[0].start_seconds is not None and not _tells_all(group, margin)
        for track in tracks_of(group[0].kind)
    }
    transcripts: dict[tuple[str, Track], Segments] = {}

    async def fetch(video_no: str, track: Track) -> None:
        async with turns_of(runner):
            try:
                transcripts[video_no, track] = await fetch_transcript(
                    context, video_no, track, runner.settings.unique_id or None
                )
            except (NotFound, NotReady, UnexpectedResponse):  # there is none: the moment's own words must do
                return

    await asyncio.gather(*(fetch(video_no, track) for video_no, track in sorted(needed)))
    return [_document(group, transcripts, margin) for group in groups]


def _tells_all(group: Group, margin: float) -> bool:
    return margin == 0 and all(each.text for each in group)


def _document(group: Group, transcripts: dict[tuple[str, Track], Segments], margin: float) -> Document:
    best = group[0]
    start, end = best.start_seconds, best.end_seconds
    if start is not None and best.video_no:
        start, end = min(map(_start, group)), max(map(_end, group))
        end = None if end == start else end
    moment = Evidence.at(
        best.video_no or best.ref.removeprefix("image:"),
        best.kind,
        start,
        end,
        video_name=best.video_name,
        score=max((each.score for each in group if each.score is not None), default=None),
    )
    text = "\n".join(dict.fromkeys(each.text for each in sorted(group, key=_start) if each.text))
    if start is not None and not _tells_all(group, margin):
        tracks = [transcripts[key] for track in get_args(Track) if (key := (best.video_no or "", track)) in transcripts]
        last = (start if end is None else end) + margin
        text = text_of(within(tracks, max(0.0, start - margin), last)) or text
    return document(moment, text or best.video_name or best.ref)
