"""Requests that operations of several toolsets make."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from pydantic import BaseModel, Field

from memories_mcp.api import ChatEvent
from memories_mcp.api.endpoint import Endpoint, read
from memories_mcp.ids import is_public
from memories_mcp.models import ChatAnswer, Evidence, Track, Video, WireMessage
from memories_mcp.operation import Context
from memories_mcp.wire import Line, OptionalText, Seconds, Wire, names, rows

LIST_VIDEOS = read("list_videos", "list", method="POST")
PRIVATE_DETAILS = read("get_private_video_details", "list")
SESSION_DETAIL = read("get_session_detail", "list")
PUBLIC_DETAIL = read("get_public_video_detail", "detail")
TRANSCRIPTS: dict[Track, Endpoint] = {
    "visual": read("get_video_transcription", "read"),
    "audio": read("get_audio_transcription", "read"),
}
PUBLIC_TRANSCRIPTS: dict[Track, Endpoint] = {
    "visual": read("get_public_video_transcription", "read"),
    "audio": read("get_public_audio_transcription", "read"),
}

_LARGEST_PAGE = 200
_PAGES_SEARCHED = 5


class VideoRows(Wire):
    """A page of videos as sent."""

    videos: Annotated[list[Video], rows()] = []
    current_page: int = 1
    total_count: int | None = None


async def find_videos(context: Context, video_nos: Sequence[str], unique_id: str | None) -> list[Video]:
    """Those of the videos that are in the namespace, in the order asked for.

    `video_nos` is a newer filter that an older service ignores, so what comes back is filtered here too.
    """
    wanted = set(video_nos)
    found: dict[str, Video] = {}
    for page in range(1, _PAGES_SEARCHED + 1):
        body: dict[str, Any] = {"page": page, "size": _LARGEST_PAGE, "unique_id": unique_id}
        body |= {"video_no": video_nos[0]} if len(wanted) == 1 else {"video_nos": list(video_nos)}
        listed = await context.api.call(LIST_VIDEOS, json=body, into=VideoRows)
        found |= {each.video_no: each for each in listed.videos if each.video_no in wanted}
        if len(found) == len(wanted) or len(listed.videos) < _LARGEST_PAGE:
            break
    return [found[each] for each in video_nos if each in found]


class WireSession(Wire):
    """A conversation as sent."""

    title: Line = ""
    messages: Annotated[list[WireMessage], rows()] = []


class _RawTranscript(Wire):
    segments: Annotated[list[dict[str, Any]], rows()] = Field(
        default=[], validation_alias=names("transcriptions", "transcription", "segments")
    )


class _Segment(Wire):
    start: Seconds = Field(default=None, validation_alias=names("start_time", "start"))
    end: Seconds = Field(default=None, validation_alias=names("end_time", "end"))
    text: OptionalText = Field(default=None, validation_alias=names("content", "text"))


class Segments:
    """One track of a video; only the segments that are asked for are read closely."""

    def __init__(self, video_no: str, track: Track, raw: list[dict[str, Any]]) -> None:
        self.video_no = video_no
        self.track: Track = track
        self._raw = raw

    def __len__(self) -> int:
        return len(self._raw)

    def between(self, start: float, end: float | None) -> Iterator[Evidence]:
        """The segments that overlap a window, in the order sent; `end` of `None` is the end of the video."""
        for raw in self._raw:
            began, ended = _quick_times(raw)
            if ended < start or (ended == start and began < start) or (end is not None and began > end):
                continue
            segment = _Segment.model_validate(raw)
            if segment.text:
                yield Evidence.at(self.video_no, self.track, segment.start, segment.end, text=segment.text)


def _quick_times(raw: dict[str, Any]) -> tuple[float, float]:
    try:
        began = float(raw.get("startTime", raw.get("start_time", raw.get("start", 0))))
        ended = float(raw.get("endTime", raw.get("end_time", raw.get("end", began))))
    except (TypeError, ValueError):  # "null": let the model read it closely
        return 0.0, float("inf")
    return began, max(began, ended)


async def fetch_transcript(context: Context, video_no: str, track: Track, unique_id: str | None) -> Segments:
    """One track of a private or public video; no segments where nothing is said, seen or ready."""
    public = is_public(video_no)
    endpoint = (PUBLIC_TRANSCRIPTS if public else TRANSCRIPTS)[track]
    query = {"video_no": video_no, "unique_id": None if public else unique_id}
    raw = await context.api.call(endpoint, query=query, into=_RawTranscript)
    return Segments(video_no, track, raw.segments)


class _Detail(Wire):
    video_name: Line = ""
    video_url: Line = ""


async def name_and_link(context: Context, video_no: str, unique_id: str | None) -> tuple[str | None, str | None]:
    """A video's name and URL, as far as the API has them."""
    public = is_public(video_no)
    query = {"video_no": video_no, "unique_id": None if public else unique_id}
    detail = await context.api.call(PUBLIC_DETAIL if public else PRIVATE_DETAILS, query=query, into=_Detail)
    return detail.video_name or None, detail.video_url or None


async def ask(
    context: Context, plain: Endpoint, streaming: Endpoint, body: dict[str, Any], *, include_thinkings: bool
) -> ChatAnswer:
    """Ask one of the chats; it streams where somebody follows, and the answer is the same."""
    said = 0

    async def tell(event: ChatEvent) -> None:
        nonlocal said
        said += len(event.text)
        await context.progress(said, None, event.text)

    if context.follows:
        message = await context.api.chat(streaming, json=body, into=WireMessage, on_event=tell)
    else:
        message = await context.api.chat(plain, json=body, into=WireMessage)
    kept = message.content[:_ANSWER_CHARACTERS]
    notes = [
        "" if message.complete else "The answer broke off; get_session_detail may have all of it.",
        f"{len(message.content) - len(kept)} characters of the answer were left out; get_session_detail has them."
        if kept != message.content
        else "",
    ]
    evidence = message.evidence()
    shown = evidence[:_ANSWER_EVIDENCE]
    if len(shown) < len(evidence):
        notes.append(f"{len(evidence) - len(shown)} more moments were left out; get_evidence takes the session_id.")
    return ChatAnswer(
        answer=kept,
        evidence=shown,
        session_id=message.session_id,
        complete=message.complete,
        thinkings=message.steps() if include_thinkings else [],
        note=" ".join(note for note in notes if note) or None,
    )


_ANSWER_CHARACTERS = 10_000
_ANSWER_EVIDENCE = 40


@asynccontextmanager
async def heartbeat(context: Context, message: str, every: float = 5.0) -> AsyncGenerator[None, None]:
    """Say that it is still running while the body waits for one long answer."""

    async def beat() -> None:
        waited = 0.0
        while True:
            await context.progress(waited, None, message)
            await asyncio.sleep(every)
            waited += every

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()


def why_empty(unique_id: str | None) -> str:
    """Why a list or a search can be empty, and what to do (API 2.5)."""
    namespace = f"namespace {unique_id!r}" if unique_id else "the default namespace"
    return (
        f"Nothing came back from {namespace}. Either nothing matches (try other or fewer words), the videos were "
        "uploaded under another unique_id, or they are still being processed (list_videos shows their status)."
    )


def within(page_rows: Sequence[BaseModel], size: int, page: int, budget: int) -> tuple[int, str | None]:
    """How many rows of a page to show, and how to go on where not all fit into `budget` characters.

    The number divides what came before, so that the rest is on whole pages of that size.
    """
    used, count = 400, 0
    for row in page_rows:
        used += len(row.model_dump_json(exclude_defaults=True)) + 1
        if used > budget:
            break
        count += 1
    if count == len(page_rows):
        return count, None
    before = (page - 1) * size
    shown = next(number for number in range(max(count, 1), 0, -1) if before % number == 0)
    next_page = before // shown + 2
    return shown, f"The first {shown} of this page fit here; go on with page={next_page} and size={shown}."
