"""Operations that the API does not have: the moments behind an answer, and waiting until videos are ready."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import Annotated, get_args

from pydantic import AfterValidator, Field, model_validator

from memories_mcp.api import without_blocking
from memories_mcp.api.endpoints import (
    LIST_VIDEOS,
    PRIVATE_DETAILS,
    PUBLIC_DETAIL,
    PUBLIC_TRANSCRIPTS,
    SESSION_DETAIL,
    TASK_STATUS,
    TRANSCRIPTS,
)
from memories_mcp.context import Context
from memories_mcp.errors import (
    FATAL_ERRORS,
    MemoriesError,
    NotReady,
    RateLimited,
    UnexpectedResponse,
)
from memories_mcp.models.base import Output, PrivateInput, Row
from memories_mcp.models.coercions import OptionalLine, Seconds
from memories_mcp.models.evidence import Evidence, Reference, Track, parse_ref
from memories_mcp.models.ids import SessionId, TaskId, VideoNo, show_ids
from memories_mcp.models.media import Video
from memories_mcp.models.sessions import WireSession
from memories_mcp.models.spellings import REFS, TimeInSeconds, WaitSeconds
from memories_mcp.models.tolerance import MOST_ROWS
from memories_mcp.models.transcripts import Segments
from memories_mcp.operation import Effect
from memories_mcp.operations.common.lookups import fetch_name_and_link
from memories_mcp.operations.common.polling import LONGEST_SECONDS, WaitTarget, wait_until_processed
from memories_mcp.operations.common.transcripts import fetch_transcript, read_lines, transcript_tool
from memories_mcp.operations.toolsets import evidence
from memories_mcp.rendering.budget import BUDGET, count_fitting, json_size
from memories_mcp.rendering.text import format_clock, format_span, render_row


def _normalize_ref(ref: str) -> str:
    return str(parse_ref(ref))


Ref = Annotated[str, Field(max_length=200), AfterValidator(_normalize_ref), REFS]

_MOST_REFS = 50
_OPENING_SEGMENTS = 12
"""The segments of each track that a ref without times gives."""
_MOST_NOTES = 3


class GetEvidence(PrivateInput):
    """Arguments of `get_evidence`."""

    refs: list[Ref] | None = Field(
        default=None, max_length=_MOST_REFS, examples=[["VI612515093881740229#t=266,275&kind=audio"]]
    )
    """Evidence refs from a search, a chat or a transcript."""
    session_id: SessionId | None = None
    """Instead of refs: all moments that support this conversation's answers."""
    context_seconds: TimeInSeconds = Field(default=15, ge=0, le=300)
    """Seconds to read before and after each moment."""

    @model_validator(mode="after")
    def _check_one_of(self) -> GetEvidence:
        if bool(self.refs) == bool(self.session_id):
            raise ValueError("give either refs or session_id")
        return self


class Moment(Row):
    """A stretch of video around one or more references."""

    video_no: str
    video_name: OptionalLine = None
    video_url: OptionalLine = None
    start_seconds: Seconds = None
    end_seconds: Seconds = None
    refs: list[str]
    """The references inside this stretch."""
    segments: list[Evidence] = []
    """What is seen (visual) and said (audio), in order of time."""


@render_row.register
def _(moment: Moment) -> str:
    head = (format_span(moment.start_seconds, moment.end_seconds), moment.video_no, moment.video_name, moment.video_url)
    return " ".join(part for part in head if part) + f"; refs: {', '.join(moment.refs)}"


class EvidenceReport(Output):
    """The moments; overlapping ones are merged."""

    moments: list[Moment]
    """By video, in order of time."""
    unread: list[str] = []
    """References that could not be read, with the reason."""
    left_out: list[str] = []
    """References of moments left out for length: pass them as refs."""


@evidence.operation(
    title="Read evidence",
    effect=Effect.READ,
    endpoints=[
        *TRANSCRIPTS.values(),
        *PUBLIC_TRANSCRIPTS.values(),
        SESSION_DETAIL,
        PRIVATE_DETAILS,
        PUBLIC_DETAIL,
    ],
)
async def get_evidence(context: Context, args: GetEvidence) -> EvidenceReport:
    """Read what is seen and said around the moments that support an answer or that a search returned.

    Pass refs (from any result) or a session_id. Returns each moment with its transcript lines, video name and link;
    overlapping moments are merged. Quote from it with times.
    """
    refs, further = [parse_ref(ref) for ref in args.refs or []], list[str]()
    if args.session_id:
        query = {"sessionId": args.session_id, "unique_id": args.unique_id}
        session = await context.api.call(SESSION_DETAIL, query=query, into=WireSession)
        cited = await without_blocking(lambda: _cited_moments(session), large=session.is_large)
        refs = list(islice(cited.values(), MOST_ROWS))
        further = list(cited)[MOST_ROWS:]
    report = EvidenceReport(moments=[])
    by_video: dict[str, list[Reference]] = defaultdict(list)
    for ref in refs:
        if ref.kind == "image":
            report.unread.append(f"{ref}: an image has no transcript")
        else:
            by_video[ref.video_no].append(ref)
    size, later = 0, list[Moment]()
    for done, (video_no, video_refs) in enumerate(by_video.items()):
        if size > BUDGET or done >= _MOST_REFS:
            later.append(Moment(video_no=video_no, refs=[str(ref) for ref in video_refs]))
            continue
        await context.progress(done, len(by_video), f"Reading {show_ids([video_no], 'a video')}")
        try:
            moments = await _moments(context, video_no, video_refs, args)
            size += sum(map(json_size, moments))
            report.moments += moments
        except FATAL_ERRORS:
            raise
        except MemoriesError as error:  # a failure for one video does not lose the moments of the others
            report.unread += [f"{ref}: {error.summary} {error.words}".strip() for ref in video_refs]
    if not refs:
        report.note = "The conversation cites no moments."
    notes = [note for moment in report.moments if (note := _untimed_note(moment))]
    if notes:
        report.note = " ".join(notes[:_MOST_NOTES])
    if further:
        later.append(Moment(video_no="", refs=further))
    _fit(report, later)
    return report


def _cited_moments(session: WireSession) -> dict[str, Reference]:
    moments = (moment for message in session.read_messages() for moment in message.evidence())
    return {moment.ref: moment.reference for moment in moments}


async def _moments(context: Context, video_no: str, refs: list[Reference], args: GetEvidence) -> list[Moment]:
    """Return the moments of one video, with one request per transcript however many refs there are."""
    name, link = await _name_and_link(context, video_no, args.unique_id)
    timed = sorted((ref for ref in refs if ref.start is not None), key=lambda ref: ref.start or 0)
    moments: list[Moment] = []
    if described := [str(ref) for ref in refs if ref.start is None and ref.kind == "metadata"]:
        moments.append(Moment(video_no=video_no, video_name=name, video_url=link, refs=described))
    untimed = [str(ref) for ref in refs if ref.start is None and ref.kind != "metadata"]
    if not timed and not untimed:
        return moments
    tracks: list[Segments] = [
        await fetch_transcript(context, video_no, track, args.unique_id) for track in get_args(Track)
    ]
    if untimed:
        opening = _opening(tracks)
        moments.append(
            Moment(
                video_no=video_no,
                video_name=name,
                video_url=link,
                start_seconds=min((segment.start_seconds or 0 for segment in opening), default=None),
                end_seconds=max((segment.end_seconds or 0 for segment in opening), default=None),
                refs=untimed,
                segments=opening,
            )
        )
    for start, end, merged in merge(timed, args.context_seconds):
        segments = await read_lines(tracks, start, end)
        moments.append(
            Moment(
                video_no=video_no,
                video_name=name,
                video_url=link,
                start_seconds=start,
                end_seconds=end,
                refs=[str(ref) for ref in merged],
                segments=segments,
            )
        )
    return moments


def _opening(tracks: list[Segments]) -> list[Evidence]:
    """Return the first segments of every track, in order of time."""
    segments = [segment for track in tracks for _, segment in track.evidence(range(min(len(track), _OPENING_SEGMENTS)))]
    return sorted(segments, key=lambda segment: segment.start_seconds or 0)


def _untimed_note(moment: Moment) -> str | None:
    """Return the note on refs without times: where their transcript continues, or why there is none."""
    if all("#t=" in ref or ref.endswith("kind=metadata") for ref in moment.refs):
        return None
    if not moment.segments:
        return (
            f"{moment.video_no} has no transcript, or it is not ready yet: wait_until_ready with "
            f"video_nos={moment.video_no} shows its state."
        )
    visual, audio = transcript_tool(moment.video_no, "visual"), transcript_tool(moment.video_no, "audio")
    return (
        f"A ref without times gives the start of the video: {visual} and {audio} with video_no={moment.video_no} "
        "read on."
    )


async def _name_and_link(context: Context, video_no: str, unique_id: str | None) -> tuple[str | None, str | None]:
    """Return a video's name and link, as far as they can be read: moments without them are better than an error."""
    try:
        return await fetch_name_and_link(context, video_no, unique_id)
    except (NotReady, RateLimited, UnexpectedResponse):
        return None, None


def merge(refs: list[Reference], margin: float) -> list[tuple[float, float, list[Reference]]]:
    """Return windows of time around references; overlapping windows become one.

    Args:
        refs: References with a start, in order of time.
        margin: Seconds to add on both sides.

    Returns:
        Start, end and references of each window, in order of time.
    """
    windows: list[tuple[float, float, list[Reference]]] = []
    for ref in refs:
        ref_start = ref.start or 0.0
        ref_end = ref_start if ref.end is None else ref.end
        start, end = max(0.0, ref_start - margin), ref_end + margin
        if windows and start <= windows[-1][1]:
            first, last, merged = windows[-1]
            merged.append(ref)
            windows[-1] = (first, max(last, end), merged)
        else:
            windows.append((start, end, [ref]))
    return windows


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
        report.left_out = refs[:_MOST_REFS]
        report.moments = report.moments[:count]
        more = (
            f"{len(left_out)} moments were left out. Call again with the refs in left_out, or with fewer "
            "context_seconds."
        )
        if unlisted := len(refs) - len(report.left_out):
            more += f" left_out has no room for {unlisted} more refs; get_session_detail returns them."
        report.note = " ".join(part for part in (report.note, more) if part)


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
        report.note = f"{report.note} {trimmed}" if report.note else trimmed


class WaitUntilReady(PrivateInput):
    """Arguments of `wait_until_ready`."""

    video_nos: list[VideoNo] | None = Field(default=None, max_length=20, examples=[["VI612515093881740229"]])
    """The videos to wait for."""
    task_id: TaskId | None = None
    """Instead of video_nos: the task of an import."""
    max_seconds: WaitSeconds = Field(default=30, ge=0, le=LONGEST_SECONDS)
    """Longest wait; 0 returns the present state."""

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


@evidence.operation(title="Wait until ready", effect=Effect.READ, endpoints=[LIST_VIDEOS, PUBLIC_DETAIL, TASK_STATUS])
async def wait_until_ready(context: Context, args: WaitUntilReady) -> Readiness:
    """Wait until uploaded videos, or the videos of an import, are processed; at most 45 seconds per call.

    Returns their present state; if some are still processing, call it again. A minute of video takes about half a
    minute, an hour of video ten minutes.
    """
    awaited = WaitTarget(args.video_nos or (), args.task_id, args.unique_id, args.max_seconds)
    waited = await wait_until_processed(context, awaited)
    return Readiness(ready=waited.ready, videos=waited.videos, note=waited.note)
