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
from langchain_tools.credentials import RunCredentials
from langchain_tools.documents import join_text, segments_between, to_document, tracks_for
from langchain_tools.lifetime import fetch_semaphore
from langchain_tools.run_context import CurrentRun, merge_parent_config
from memories_mcp.api import without_blocking
from memories_mcp.context import Context
from memories_mcp.errors import InvalidArguments, NotFound, NotReady, UnexpectedResponse
from memories_mcp.models.evidence import Evidence, Track
from memories_mcp.models.transcripts import Segments
from memories_mcp.operations.common.transcripts import fetch_transcript
from memories_mcp.operations.public import Platform, SearchPublicVideos, public_hits
from memories_mcp.operations.search import MOST_CAPTIONS, SearchVideos, search_hits
from memories_mcp.runner import Runner
from memories_mcp.validation import validate

_MAX_HITS = 1000
"""The most hits that one search returns."""
_MAX_VIDEO_CHARACTERS = 4000
"""The most text of a document that is a whole video."""


class Query(BaseModel):
    """Parameters of a search; the constructor and each call take them."""

    model_config = ConfigDict(extra="forbid")

    k: Annotated[int, Field(ge=1, le=_MAX_HITS)] = 4
    """Number of documents to return, counted after merging."""
    search_type: Literal["BY_CLIP", "BY_VIDEO", "BY_AUDIO", "BY_CAPTION", "BY_IMAGE"] | None = None
    """As in `search_videos`: BY_CLIP (the default) searches what is seen or said, BY_AUDIO speech, BY_CAPTION scene
    descriptions, BY_VIDEO whole videos (the default for public videos), BY_IMAGE uploaded images."""
    platform: Platform | None = None
    """Search the public library of this platform instead of your own."""
    video_nos: Sequence[str] | None = None
    """Search only these videos, given by number or name; an empty sequence finds nothing."""
    tag: str | None = None
    """Search only videos with this tag."""
    filtering_level: Literal["low", "medium", "high"] | None = None
    """How relevant a hit must be: low keeps nearly all."""
    context_seconds: Annotated[float, Field(ge=0, le=300)] = 0
    """Seconds before and after each moment whose transcript is added to the document's text."""
    merge_overlaps: bool = True
    """Merge overlapping moments into one document, which spans all of them."""


class MemoriesRetriever(Query, MemoriesComponent, BaseRetriever):
    """Retriever of moments in videos: each `Document` is one moment, with what is seen or said there as its text.

    `Document.id` is the evidence `ref`; the metadata hold `source`, `video_no`, `video_name`, `kind`, `start_seconds`,
    `end_seconds`, `score`, `uri`, and of public videos `creator`, `view_count` and `video_url`, each if known. Errors
    are `memories_mcp.errors.MemoriesError`.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    def model_post_init(self, context: Any, /) -> None:
        """Read the settings; opens no connection."""
        self._clients = self._make_clients(self._read_settings())

    # `BaseRetriever.invoke` does not set the context variable from which `CurrentRun` reads the configuration.
    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        """Return the documents for a query.

        Args:
            input: The query.
            config: The configuration of this call, on top of that of the step around it.
            **kwargs: Fields of `Query` for this call only, such as `k`.
        """
        config = ensure_config(merge_parent_config(config))
        with set_config_context(config) as context:
            return context.run(super().invoke, input, config, **kwargs)

    async def ainvoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        """Return the documents for a query, from async code.

        Args:
            input: The query.
            config: The configuration of this call, on top of that of the step around it.
            **kwargs: Fields of `Query` for this call only, such as `k`.
        """
        config = ensure_config(merge_parent_config(config))
        with set_config_context(config) as context:
            return await coro_with_context(super().ainvoke(input, config, **kwargs), context)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **overrides: Any
    ) -> list[Document]:
        credentials = self._clients.credentials(CurrentRun())
        return bridge.run(lambda _: self._retrieve(query, self._query(overrides), credentials))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **overrides: Any
    ) -> list[Document]:
        credentials = await self._clients.acredentials(CurrentRun())
        return await bridge.arun(lambda _: self._retrieve(query, self._query(overrides), credentials))

    def _query(self, overrides: dict[str, Any]) -> Query:
        fields = {name: getattr(self, name) for name in Query.model_fields}
        return validate(Query, {**fields, **overrides})

    async def _retrieve(self, text: str, query: Query, credentials: RunCredentials | None) -> list[Document]:
        async with self._clients.runner(credentials) as runner:
            context = runner.context()
            groups = await _search_groups(runner, context, text, query)
            return await _fetch_documents(runner, context, groups, query.context_seconds)


Group = list[Evidence]
"""Hits that make one document, best first."""


async def _search_groups(runner: Runner, context: Context, text: str, query: Query) -> list[Group]:
    """Return `k` groups, or fewer if there are fewer hits; requests more hits until the groups suffice."""
    if query.video_nos is not None and not query.video_nos:
        return []
    max_hits = MOST_CAPTIONS if query.search_type == "BY_CAPTION" else _MAX_HITS
    if not query.merge_overlaps:
        return [[hit] for hit in await _search(runner, context, text, query, min(max_hits, query.k))]
    top_k = min(max_hits, max(2 * query.k, query.k + 5))
    while True:
        results = await _search(runner, context, text, query, top_k)
        groups = _group_overlaps(results, query.k)
        if len(groups) == query.k or len(results) < top_k or top_k == max_hits:
            return groups
        top_k = min(max_hits, 4 * top_k)


async def _search(runner: Runner, context: Context, text: str, query: Query, top_k: int) -> list[Evidence]:
    arguments: dict[str, Any] = {
        "query": text,
        "top_k": top_k,
        "search_type": query.search_type,
        "filtering_level": query.filtering_level,
    }
    if query.platform is None:
        arguments["video_nos"] = list(query.video_nos) if query.video_nos else None
        arguments["tag"] = query.tag
        arguments["unique_id"] = runner.settings.unique_id or None
        args, _ = await runner.stand_ins.resolve(validate(SearchVideos, arguments))
        return await search_hits(context, args)
    if query.video_nos or query.tag:
        raise InvalidArguments(["platform: the public library cannot be searched by video_nos or tag."])
    arguments["platform"] = query.platform
    return await public_hits(context, validate(SearchPublicVideos, arguments))


def _group_overlaps(results: Sequence[Evidence], max_groups: int) -> list[Group]:
    """Group overlapping hits, in the order of the best hit of each group.

    Stops before the first hit that needs a group too many, so that the result does not depend on the number of hits
    that were requested.
    """
    groups: list[Group] = []
    for hit in results:
        overlapping = [group for group in groups if any(_overlap(hit, other) for other in group)]
        if overlapping:
            first, *others = overlapping
            for other in others:
                first.extend(other)
            first.append(hit)
            groups = [group for group in groups if not any(group is other for other in others)]
        elif len(groups) < max_groups:
            groups.append([hit])
        else:
            break
    return groups


def _overlap(one: Evidence, other: Evidence) -> bool:
    """Return whether two moments share time; adjacent clips, which follow without a gap, do not."""
    if one.video_no != other.video_no or one.start_seconds is None or other.start_seconds is None:
        return False
    return _start(one) == _start(other) or (_start(one) < _end(other) and _start(other) < _end(one))


def _start(moment: Evidence) -> float:
    return moment.start_seconds or 0.0


def _end(moment: Evidence) -> float:
    return _start(moment) if moment.end_seconds is None else moment.end_seconds


async def _fetch_documents(runner: Runner, context: Context, groups: list[Group], margin: float) -> list[Document]:
    """Return the groups as documents; fetches each transcript once, and none for groups whose hits hold the text."""
    needed: set[tuple[str, Track]] = {
        (group[0].video_no, track)
        for group in groups
        if group[0].video_no and not _has_full_text(group, margin)
        for track in tracks_for(group[0].kind)
    }
    transcripts: dict[tuple[str, Track], Segments] = {}

    async def fetch(video_no: str, track: Track) -> None:
        async with fetch_semaphore(runner):
            try:
                transcripts[video_no, track] = await fetch_transcript(
                    context, video_no, track, runner.settings.unique_id or None
                )
            except (NotFound, NotReady, UnexpectedResponse):  # without a transcript, the hit's own text is used
                return

    await asyncio.gather(*(fetch(video_no, track) for video_no, track in sorted(needed)))
    large = any(transcript.is_large for transcript in transcripts.values())
    return await without_blocking(lambda: [_merge_group(group, transcripts, margin) for group in groups], large=large)


def _has_full_text(group: Group, margin: float) -> bool:
    has_context = margin == 0 or group[0].start_seconds is None
    return has_context and all(hit.text for hit in group)


def _merge_group(group: Group, transcripts: dict[tuple[str, Track], Segments], margin: float) -> Document:
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
        score=max((hit.score for hit in group if hit.score is not None), default=None),
        creator=best.creator,
        view_count=best.view_count,
        video_url=best.video_url,
    )
    # A dict removes repeated texts and keeps their order.
    text = "\n".join(dict.fromkeys(hit.text for hit in sorted(group, key=_start) if hit.text))
    if not _has_full_text(group, margin):
        keys = [(best.video_no or "", track) for track in get_args(Track)]
        tracks = [transcripts[key] for key in keys if key in transcripts]
        if start is None:
            text = text or _first_lines(join_text(segments_between(tracks, 0.0, None)))
        else:
            last = (start if end is None else end) + margin
            text = join_text(segments_between(tracks, max(0.0, start - margin), last)) or text
    return to_document(moment, text or best.video_name or best.ref)


def _first_lines(text: str) -> str:
    """Return the first lines that fit into `_MAX_VIDEO_CHARACTERS`, or the start of a longer first line."""
    if len(text) <= _MAX_VIDEO_CHARACTERS:
        return text
    end = text.rfind("\n", 0, _MAX_VIDEO_CHARACTERS + 1)
    return text[: end if end > 0 else _MAX_VIDEO_CHARACTERS]
