"""Operations that the API does not have: the moments behind an answer, and waiting until videos are ready."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from pydantic import Field, model_validator

from memories_mcp.api import without_blocking
from memories_mcp.api.endpoints import (
    LIST_VIDEOS,
    PUBLIC_DETAIL,
    PUBLIC_TRANSCRIPTS,
    SEARCH,
    SESSION_DETAIL,
    TASK_STATUS,
    TRANSCRIPTS,
    VIDEO_CAPTION,
)
from memories_mcp.context import Context
from memories_mcp.errors import FATAL_ERRORS, MemoriesError
from memories_mcp.models.base import Output, PrivateInput
from memories_mcp.models.evidence import Evidence, Ref, Reference, parse_ref
from memories_mcp.models.ids import PrivateVideoNo, SessionId, TaskId, VideoNo, show_ids
from memories_mcp.models.media import Video
from memories_mcp.models.sessions import WireSession
from memories_mcp.models.spellings import TimeInSeconds, WaitSeconds
from memories_mcp.models.tolerance import MOST_ROWS
from memories_mcp.operation import Effect
from memories_mcp.operations.common.filters import search_library, video_check
from memories_mcp.operations.common.moments import READING, Moment, read_moments, untimed_note
from memories_mcp.operations.common.paging import why_empty
from memories_mcp.operations.common.polling import (
    LONGEST_SECONDS,
    TranscriptState,
    WaitTarget,
    check_transcripts,
    wait_until_processed,
)
from memories_mcp.operations.common.search import drop_repeated
from memories_mcp.operations.common.transcripts import transcript_tool
from memories_mcp.operations.toolsets import evidence
from memories_mcp.rendering.budget import BUDGET, count_fitting, json_size
from memories_mcp.rendering.text import format_clock

MOST_REFS = 50
_BEST_HITS = 8
"""Hits of a query. Those of both tracks overlap, so that they are about half as many moments."""
_MOST_NOTES = 3


class GetEvidence(PrivateInput):
    """Arguments of `get_evidence`."""

    query: str | None = Field(default=None, max_length=2000)
    """Find and read the best moments for this question or description, in English."""
    video_nos: list[PrivateVideoNo] | None = Field(default=None, max_length=100)
    """With query: search only these videos."""
    refs: list[Ref] | None = Field(
        default=None, max_length=MOST_REFS, examples=[["VI612515093881740229#t=266,275&kind=audio"]]
    )
    """Instead of query: refs from a search, a chat or a transcript."""
    session_id: SessionId | None = None
    """Instead of query: all moments that support this conversation's answers."""
    context_seconds: TimeInSeconds = Field(default=15, ge=0, le=300)
    """Seconds to read before and after each moment."""

    @model_validator(mode="after")
    def _check_one_of(self) -> GetEvidence:
        if [bool(self.query), bool(self.refs), bool(self.session_id)].count(True) != 1:
            raise ValueError("give exactly one of query, refs and session_id")
        if self.video_nos and not self.query:
            raise ValueError("video_nos narrows a query; refs and session_id name their videos themselves")
        return self


class EvidenceReport(Output):
    """The moments; overlapping ones are merged."""

    moments: list[Moment]
    """By video, in order of time; for a query the best first."""
    unread: list[str] = []
    """References that could not be read, with the reason."""
    left_out: list[str] = []
    """References of moments left out for length: pass them as refs."""


@evidence.operation(
    title="Read evidence",
    effect=Effect.READ,
    endpoints=[SEARCH, SESSION_DETAIL, *READING],
)
async def get_evidence(context: Context, args: GetEvidence) -> EvidenceReport:
    """Find and read what your videos show and say about a question, ready to quote with times.

    With query: searches your library and reads the best moments, in one call. With refs or session_id: reads the
    moments that a search or chat returned. Each moment has its transcript lines, refs, video and link.
    """
    report = EvidenceReport(moments=[])
    cited = await _find_moments(context, args, report)
    refs = [parse_ref(ref) for ref in args.refs or []] or [moment.reference for moment in cited[:MOST_ROWS]]
    names = {moment.video_no: moment.video_name for moment in cited}
    by_video: dict[str, list[Reference]] = defaultdict(list)
    for ref in refs:
        if ref.kind == "image":
            report.unread.append(f"{ref}: an image has no transcript")
        else:
            by_video[ref.video_no].append(ref)
    next_steps: list[str] = []
    size, later = 0, list[Moment]()
    for done, (video_no, video_refs) in enumerate(by_video.items()):
        if size > BUDGET or done >= MOST_REFS:
            later.append(Moment(video_no=video_no, refs=[str(ref) for ref in video_refs]))
            continue
        await context.progress(done, len(by_video), f"Reading {show_ids([video_no], 'a video')}")
        try:
            moments = await read_moments(
                context, video_refs, args.context_seconds, unique_id=args.unique_id, video_name=names.get(video_no)
            )
            size += sum(map(json_size, moments))
            report.moments += moments
        except FATAL_ERRORS:
            raise
        except MemoriesError as error:  # a failure for one video does not lose the moments of the others
            report.unread += [f"{ref}: {error.summary} {error.words}".strip() for ref in video_refs]
            next_steps.append(error.next_step)
    if args.query:
        _rank(report.moments, cited)
    notes = [note for moment in report.moments if (note := untimed_note(moment))]
    report.add_note(" ".join(notes[:_MOST_NOTES]))
    if next_steps:
        report.add_note(f"Some refs were not read. {' '.join(list(dict.fromkeys(next_steps))[:_MOST_NOTES])}")
    if further := [moment.ref for moment in cited[MOST_ROWS:]]:
        later.append(Moment(video_no="", refs=further))
    _fit(report, later)
    return report


async def _find_moments(context: Context, args: GetEvidence, report: EvidenceReport) -> list[Evidence]:
    """Return the moments that a query finds, best first, or that a conversation cites; the note explains their absence.

    Args:
        context: The context of the call.
        args: The arguments of the operation.
        report: The result; receives the note.
    """
    if args.query:
        body = {
            "search_param": args.query,
            "search_type": "BY_CLIP",
            "top_k": _BEST_HITS,
            "video_nos": args.video_nos,
            "unique_id": args.unique_id,
        }
        checks = {"video_nos": video_check(args.video_nos)} if args.video_nos else {}
        hits, note = await search_library(context, body, checks)
        context.key_frames.record(hits, args.unique_id)  # the merged moments do not name them
        hits, _ = drop_repeated(hits)
        report.note = note if hits else why_empty(args.unique_id)
        return hits
    if args.session_id:
        query = {"sessionId": args.session_id, "unique_id": args.unique_id}
        session = await context.api.call(SESSION_DETAIL, query=query, into=WireSession)
        cited = await without_blocking(lambda: _cited_moments(session), large=session.is_large)
        report.note = None if cited else "The conversation cites no moments."
        return cited
    return []


def _cited_moments(session: WireSession) -> list[Evidence]:
    cited = {moment.ref: moment for message in session.read_messages() for moment in message.evidence()}
    return list(cited.values())


def _rank(moments: list[Moment], hits: list[Evidence]) -> None:
    """Order moments by their best hit, in place, and give each that hit's score."""
    ranks = {hit.ref: rank for rank, hit in reversed([*enumerate(hits)])}
    best = {id(moment): min(ranks[ref] for ref in moment.refs) for moment in moments}
    for moment in moments:
        moment.score = hits[best[id(moment)]].score
    moments.sort(key=lambda moment: best[id(moment)])


def _fit(report: EvidenceReport, later: list[Moment]) -> None:
    """Remove moments from the end until the report fits, and list their refs and those of `later` in `left_out`."""
    used, count = 4000, 0  # room for the refs of the removed moments
    for moment in report.moments:
        used += json_size(moment)
        if used > BUDGET and count:
            break
        if used > BUDGET:
            _trim(moment, report)
        count += 1
    left_out = report.moments[count:] + later
    if left_out:
        refs = [ref for moment in left_out for ref in moment.refs]
        report.left_out = refs[:MOST_REFS]
        report.moments = report.moments[:count]
        more = (
            f"{len(left_out)} moments were left out. Call again with the refs in left_out, or with fewer "
            "context_seconds."
        )
        if unlisted := len(refs) - len(report.left_out):
            more += f" left_out has no room for {unlisted} more refs; get_session_detail returns them."
        report.add_note(more)


def _trim(moment: Moment, report: EvidenceReport) -> None:
    """Cut the lines of a moment that is too long for one result."""
    count = count_fitting(moment.segments, BUDGET - 6000)
    left_out = moment.segments[count:]
    moment.segments = moment.segments[:count]
    if left_out:
        start = format_clock(left_out[0].start_seconds or 0)
        visual, audio = transcript_tool(moment.video_no, "visual"), transcript_tool(moment.video_no, "audio")
        trimmed = (
            f"The lines of the first moment from {start} on were left out. Call again with fewer context_seconds, or "
            f"read them with {visual} and {audio}."
        )
        report.add_note(trimmed)


class WaitUntilReady(PrivateInput):
    """Arguments of `wait_until_ready`."""

    video_nos: list[VideoNo] | None = Field(default=None, max_length=20, examples=[["VI612515093881740229"]])
    """Video numbers or names."""
    task_id: TaskId | None = None
    """Instead of video_nos: the task of an import."""
    max_seconds: WaitSeconds = Field(default=30, ge=0, le=LONGEST_SECONDS)
    """Longest wait; 0 returns the present state."""
    check_transcripts: bool = False
    """Also return which transcripts are there: two reads per video."""

    @model_validator(mode="after")
    def _check_one_of(self) -> WaitUntilReady:
        if bool(self.video_nos) == bool(self.task_id):
            raise ValueError("give either video_nos or task_id")
        return self


class Readiness(Output):
    """The progress of the processing."""

    ready: bool
    """Whether every video can be searched and asked about."""
    videos: list[Video]
    """Each with its state."""
    transcripts: list[TranscriptState] = []
    """Which transcripts are there, if that was checked."""


@evidence.operation(
    title="Wait until ready",
    effect=Effect.READ,
    endpoints=[
        LIST_VIDEOS,
        PUBLIC_DETAIL,
        TASK_STATUS,
        *TRANSCRIPTS.values(),
        VIDEO_CAPTION,
        *PUBLIC_TRANSCRIPTS.values(),
    ],
)
async def wait_until_ready(context: Context, args: WaitUntilReady) -> Readiness:
    """Wait until uploaded videos, or the videos of an import, are processed; at most 45 seconds per call.

    Returns their present state; if some are still processing, call it again. A minute of video takes about half a
    minute, an hour of video ten minutes.
    """
    awaited = WaitTarget(args.video_nos or (), args.task_id, args.unique_id, args.max_seconds)
    end = asyncio.get_running_loop().time() + LONGEST_SECONDS
    waited = await wait_until_processed(context, awaited)
    readiness = Readiness(ready=waited.ready, videos=waited.videos, note=waited.note)
    if args.check_transcripts:
        readiness.transcripts, note = await check_transcripts(context, waited.videos, args.unique_id, end)
        readiness.add_note(note)
    return readiness
