"""Look-ups of videos and their details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import Field, model_validator

from memories_mcp.api import Endpoint
from memories_mcp.api.endpoints import LIST_VIDEOS, PRIVATE_DETAILS, PUBLIC_DETAIL, TASK_STATUS
from memories_mcp.context import Context
from memories_mcp.errors import NotFound
from memories_mcp.models.base import Wire
from memories_mcp.models.coercions import Line, shorten, wire_list, wire_names
from memories_mcp.models.ids import is_public, show_ids
from memories_mcp.models.media import RequestedVideo, Video
from memories_mcp.models.tolerance import MOST_ROWS
from memories_mcp.rendering.text import format_clock

_LARGEST_PAGE = 200
_PAGES_SEARCHED = 5


class WireVideoPage(Wire):
    """A page of videos, as sent; some versions of the service send the whole library on it."""

    videos: Annotated[list[Video], wire_list(most=10 * MOST_ROWS)] = []


async def find_videos(context: Context, video_nos: Sequence[str], unique_id: str | None) -> list[Video]:
    """Return those of the videos that are in the namespace, in the order of `video_nos`.

    Older versions of the service ignore the filter `video_nos` or cap the size of a page: the response is filtered here
    too, and videos missing from the first pages are requested one by one.

    Args:
        context: The context of the call.
        video_nos: The videos.
        unique_id: The namespace.
    """
    requested = set(video_nos)
    videos: dict[str, Video] = {}
    filters = {"video_no": video_nos[0]} if len(requested) == 1 else {"video_nos": list(video_nos)}
    for page in range(1, _PAGES_SEARCHED + 1):
        listed = await _list_videos(context, page, filters, unique_id)
        videos |= {video.video_no: video for video in listed if video.video_no in requested}
        if len(videos) == len(requested) or len(listed) < _LARGEST_PAGE:
            break
    if len(requested) > 1:
        for video_no in requested - videos.keys():
            listed = await _list_videos(context, 1, {"video_no": video_no}, unique_id)
            videos |= {video.video_no: video for video in listed if video.video_no == video_no}
    return [videos[video_no] for video_no in video_nos if video_no in videos]


async def _list_videos(context: Context, page: int, filters: dict[str, Any], unique_id: str | None) -> list[Video]:
    body = {"page": page, "size": _LARGEST_PAGE, "unique_id": unique_id, **filters}
    listing = await context.api.call(LIST_VIDEOS, json=body, into=WireVideoPage)
    return listing.videos


RequestedT = TypeVar("RequestedT", bound=RequestedVideo)


async def fetch_details(
    context: Context, endpoint: Endpoint, query: Mapping[str, Any], into: type[RequestedT]
) -> RequestedT:
    """Return the details of one video.

    Args:
        context: The context of the call.
        endpoint: The endpoint of the details.
        query: The query, with the video as `video_no`.
        into: The type to read.
    """
    video = await context.api.call(endpoint, query=query, into=into)
    video.video_no = video.video_no or query["video_no"]
    return video


async def fetch_public_videos(context: Context, video_nos: Sequence[str]) -> list[Video]:
    """Return public videos with their states; each takes one request, under a tight rate limit."""
    return [await fetch_details(context, PUBLIC_DETAIL, {"video_no": number}, RequestedVideo) for number in video_nos]


class _TaskVideo(Video):
    """A video of a task; a bare number is a video of which nothing else is known."""

    is_bare: bool = False

    @model_validator(mode="before")
    @classmethod
    def _accept_number(cls, row: Any) -> Any:
        return {"video_no": row, "is_bare": True} if isinstance(row, str | int) else row


class _WireTask(Wire):
    videos: Annotated[list[_TaskVideo], wire_list()] = Field(
        default=[], validation_alias=wire_names("videos", "video_ids", "video_nos")
    )


async def fetch_task_videos(context: Context, task_id: str, unique_id: str | None) -> list[Video]:
    """Return the videos of a task.

    The service sends rows, and according to its documents bare numbers (API 9, 30); a bare number is looked up, and
    stays "processing" if the look-up does not find the video.

    Args:
        context: The context of the call.
        task_id: The task.
        unique_id: The namespace.
    """
    task = await context.api.call(TASK_STATUS, query={"task_id": task_id, "unique_id": unique_id}, into=_WireTask)
    videos: list[Video] = [video for video in task.videos if not video.is_bare]
    numbers = [video.video_no for video in task.videos if video.is_bare]
    private = [number for number in numbers if not is_public(number)]
    if private:
        videos += await find_videos(context, private, unique_id)
    videos += await fetch_public_videos(context, [number for number in numbers if is_public(number)])
    known = {video.video_no for video in videos}
    return videos + [Video(video_no=number, status="processing") for number in numbers if number not in known]


class _WireDetail(Wire):
    video_name: Line = ""
    video_url: Line = ""


async def fetch_name_and_link(context: Context, video_no: str, unique_id: str | None) -> tuple[str | None, str | None]:
    """Return a video's name and URL, each `None` if the API has none.

    Args:
        context: The context of the call.
        video_no: The video.
        unique_id: The namespace; ignored for public videos.
    """
    public = is_public(video_no)
    endpoint = PUBLIC_DETAIL if public else PRIVATE_DETAILS
    query = {"video_no": video_no, "unique_id": None if public else unique_id}
    detail = await context.api.call(endpoint, query=query, into=_WireDetail)
    return detail.video_name or None, detail.video_url or None


def not_in_namespace(video_nos: Sequence[str]) -> NotFound:
    """Return the error for videos that a list does not contain."""
    return NotFound(
        f"Not in this namespace: {show_ids(video_nos, 'the video')}.",
        next_step="Check the numbers with list_videos, and unique_id if they were uploaded under one.",
    )


def describe_video(video: Video) -> str:
    """Return a video as a preview shows it: number, name, length, date."""
    name = shorten(video.video_name or "")
    length = "" if video.duration_seconds is None else format_clock(video.duration_seconds)
    date = "" if video.created_at is None else f"added {video.created_at:%Y-%m-%d}"
    return ", ".join(part for part in (video.video_no, name, length, date) if part)
