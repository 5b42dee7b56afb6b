"""Which videos of a question an answer does not cover: the service ignores numbers that it does not know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from memories_mcp.context import Context
from memories_mcp.models.evidence import Evidence
from memories_mcp.models.ids import is_public
from memories_mcp.models.media import Video
from memories_mcp.operations.common.lookups import find_videos

_LOOKUP_SECONDS = 5.0
"""How long a finished answer waits for the look-up of its videos."""
_VIDEOS_NAMED = 5
_NOTES = {
    "unknown": "Not in this namespace, so not covered by the answer: {}. Check the numbers with list_videos.",
    "failed": "Not covered by the answer, because the processing failed: {}.",
    "processing": "Perhaps not covered by the answer, because still being processed: {}; wait_until_ready waits.",
    "public": "No moment of these supports the answer: {}. get_public_video_detail shows whether a video exists.",
}
"""What to say about videos, by the reason why the answer does not refer to them."""

CoverageNotes = Callable[[Sequence[Evidence]], Awaitable[list[str]]]
"""Takes the moments that an answer refers to; returns a sentence for each reason why it does not cover some videos."""


@asynccontextmanager
async def look_up_coverage(
    context: Context, video_nos: Sequence[str], unique_id: str | None
) -> AsyncGenerator[CoverageNotes, None]:
    """Look up the videos of a question while the body asks it; a look-up that fails is no failure of the body.

    A single video is not looked up, because the service refuses a question about none that it knows. Public videos are
    not looked up, because each takes a request under a tight rate limit.

    Args:
        context: The context of the call.
        video_nos: The videos that the question names.
        unique_id: The namespace.
    """
    numbers = list(dict.fromkeys(video_nos))
    private = [video_no for video_no in numbers if not is_public(video_no)]
    if len(numbers) < 2:
        numbers = private = []

    async def look_up() -> list[Video] | None:
        return await find_videos(context, private, unique_id) if private else None

    async def notes(evidence: Sequence[Evidence]) -> list[str]:
        await asyncio.wait({task}, timeout=_LOOKUP_SECONDS)
        videos = task.result() if task.done() and not task.exception() else None
        return _notes(numbers, videos, evidence)

    task = asyncio.create_task(look_up())
    try:
        yield notes
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _notes(video_nos: Sequence[str], videos: Sequence[Video] | None, evidence: Sequence[Evidence]) -> list[str]:
    cited = {moment.video_no for moment in evidence}
    states = {video.video_no: video.status for video in videos or ()}
    by_reason: dict[str, list[str]] = {}
    for video_no in video_nos:
        if video_no in cited:
            continue
        if not is_public(video_no):
            reason = "" if videos is None else states.get(video_no, "unknown")
        else:
            reason = "public" if cited else ""  # the service sends some answers without any reference
        by_reason.setdefault(reason, []).append(video_no)
    return [note.format(_name_some(by_reason[reason])) for reason, note in _NOTES.items() if reason in by_reason]


def _name_some(video_nos: Sequence[str]) -> str:
    more = f" and {len(video_nos) - _VIDEOS_NAMED} more" if len(video_nos) > _VIDEOS_NAMED else ""
    return ", ".join(video_nos[:_VIDEOS_NAMED]) + more
