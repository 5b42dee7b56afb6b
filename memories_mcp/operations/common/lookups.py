"""Look-ups of videos that several operations need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from memories_mcp.api.endpoints import LIST_VIDEOS, PRIVATE_DETAILS, PUBLIC_DETAIL, TASK_STATUS
from memories_mcp.context import Context
from memories_mcp.errors import NotFound
from memories_mcp.models.base import Wire
from memories_mcp.models.coercions import Id, Line, names, rows
from memories_mcp.models.ids import is_public
from memories_mcp.models.media import Video
from memories_mcp.rendering.text import clock

_LARGEST_PAGE = 200


_PAGES_SEARCHED = 5


class VideoRows(Wire):
    """A page of videos as sent."""

    videos: Annotated[list[Video], rows()] = []


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
    if len(wanted) > 1:
        for video_no in wanted - found.keys():  # an older service ignores the filter, or caps the size
            body = {"page": 1, "size": _LARGEST_PAGE, "video_no": video_no, "unique_id": unique_id}
            listed = await context.api.call(LIST_VIDEOS, json=body, into=VideoRows)
            found |= {each.video_no: each for each in listed.videos if each.video_no == video_no}
    return [found[each] for each in video_nos if each in found]


async def public_videos(context: Context, video_nos: Sequence[str]) -> list[Video]:
    """The states of public videos; one request each, under a tight limit."""
    return [await context.api.call(PUBLIC_DETAIL, query={"video_no": each}, into=Video) for each in video_nos]


class _Task(Wire):
    videos: Annotated[list[Video | Id], rows()] = Field(
        default=[], validation_alias=names("videos", "video_ids", "video_nos")
    )


async def task_videos(context: Context, task_id: str, unique_id: str | None) -> list[Video]:
    """The videos of a task: rows, as the wire has them, or bare numbers, as the documents say (API 9, 30)."""
    task = await context.api.call(TASK_STATUS, query={"task_id": task_id, "unique_id": unique_id}, into=_Task)
    videos = [each for each in task.videos if isinstance(each, Video)]
    bare = [each for each in task.videos if isinstance(each, str)]
    private = [each for each in bare if not is_public(each)]
    videos += await find_videos(context, private, unique_id) if private else []
    videos += await public_videos(context, [each for each in bare if is_public(each)])
    unknown = set(bare) - {each.video_no for each in videos}
    return videos + [Video(video_no=each, status="processing") for each in bare if each in unknown]


class _Detail(Wire):
    video_name: Line = ""
    video_url: Line = ""


async def name_and_link(context: Context, video_no: str, unique_id: str | None) -> tuple[str | None, str | None]:
    """A video's name and URL, as far as the API has them."""
    public = is_public(video_no)
    query = {"video_no": video_no, "unique_id": None if public else unique_id}
    detail = await context.api.call(PUBLIC_DETAIL if public else PRIVATE_DETAILS, query=query, into=_Detail)
    return detail.video_name or None, detail.video_url or None


def not_in_namespace(video_nos: Sequence[str]) -> NotFound:
    """The error for videos that a list does not have."""
    return NotFound(
        f"Not in this namespace: {', '.join(video_nos)}.",
        next_step="Check the numbers with list_videos, and unique_id if they were uploaded under one.",
    )


def shown_video(video: Video) -> str:
    """A video as a preview shows it: number, name, length, date."""
    length = "" if video.duration_seconds is None else clock(video.duration_seconds)
    date = "" if video.created_at is None else f"added {video.created_at:%Y-%m-%d}"
    return ", ".join(part for part in (video.video_no, video.video_name, length, date) if part)
