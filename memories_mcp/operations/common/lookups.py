"""Look-ups of videos and their details."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import Field, model_validator

from memories_mcp.api import Endpoint
from memories_mcp.api.endpoints import (
    LIST_VIDEOS,
    METADATA,
    PRIVATE_DETAILS,
    PUBLIC_DETAIL,
    TASK_STATUS,
    VIDEO_CAPTION,
)
from memories_mcp.context import Context
from memories_mcp.errors import ApiError, MemoriesError, NotFound, Unauthorized
from memories_mcp.models.base import Wire
from memories_mcp.models.coercions import Count, OptionalLine, shorten, wire_list, wire_names
from memories_mcp.models.ids import is_public, show_ids
from memories_mcp.models.media import RequestedVideo, Video
from memories_mcp.models.tolerance import MOST_ROWS, count_skipped_in_call
from memories_mcp.rendering.text import format_clock

_LARGEST_PAGE = 200
_PAGES_SEARCHED = 5


class WireVideoPage(Wire):
    """A page of videos, as sent; some versions of the service send the whole library on it."""

    videos: Annotated[list[Video], wire_list(most=10 * MOST_ROWS)] = []
    total: Count = Field(default=None, validation_alias=wire_names("total_count", "total"))


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


async def find_same_named(context: Context, video_no: str, name: str, unique_id: str | None) -> list[str]:
    """Return the other videos of the namespace that have exactly this name, as far as one request shows them.

    Args:
        context: The context of the call.
        video_no: The video that has the name.
        name: The name.
        unique_id: The namespace.
    """
    listed = await _list_videos(context, 1, {"video_name": name}, unique_id)
    return [video.video_no for video in listed if video.video_name == name and video.video_no != video_no]


async def _list_videos(context: Context, page: int, filters: dict[str, Any], unique_id: str | None) -> list[Video]:
    body = {"page": page, "size": _LARGEST_PAGE, "unique_id": unique_id, **filters}
    listing = await context.api.call(LIST_VIDEOS, json=body, into=WireVideoPage)
    return listing.videos


T = TypeVar("T")
RequestedT = TypeVar("RequestedT", bound=RequestedVideo)

_NOT_OFFERED = re.compile(r"no static resource|not supported|unsupported|no longer|deprecated|not implemented")
_NOT_OFFERED_STATUS = frozenset({404, 405, 410, 501})
_WITHOUT_NAMESPACE = frozenset({METADATA, VIDEO_CAPTION})
"""Endpoints whose documents name no `unique_id`: they may answer for a video of another namespace."""


async def call_either(
    context: Context, first: Endpoint, second: Endpoint, *, query: Mapping[str, Any], into: type[T]
) -> T:
    """Return the answer of one of two endpoints, of which an account may have only one.

    The second one is called if the first is not offered or finds nothing.

    Args:
        context: The context of the call.
        first: The endpoint to call.
        second: The endpoint that answers the same on other accounts.
        query: The query of both, with the video as `video_no`.
        into: The type to read.

    Raises:
        MemoriesError: Neither answered; the text names both.
    """
    try:
        return await _call_in_namespace(context, first, query, into)
    except ApiError as error:
        if not isinstance(error, NotFound) and not _is_not_offered(error):
            raise
        first_error = error
    try:
        return await _call_in_namespace(context, second, query, into)
    except MemoriesError as error:
        final: MemoriesError = error
        # That nothing is found says more than that the other path does not exist, or that the key may not use it.
        if _is_not_offered(error) or (isinstance(error, Unauthorized) and isinstance(first_error, NotFound)):
            final = first_error
        final.summary = f"{final.summary} Tried {first.path} and {second.path}."
        raise final from None


async def _call_in_namespace(context: Context, endpoint: Endpoint, query: Mapping[str, Any], into: type[T]) -> T:
    video_no, unique_id = query["video_no"], query.get("unique_id")
    if unique_id and endpoint in _WITHOUT_NAMESPACE and not await find_videos(context, [video_no], unique_id):
        raise not_in_namespace([video_no])
    return await context.api.call(endpoint, query=query, into=into)


def _is_not_offered(error: MemoriesError) -> bool:
    """Return whether an error says that the service has no such path for the account (API 2.4)."""
    return isinstance(error, ApiError) and (
        error.status in _NOT_OFFERED_STATUS or _NOT_OFFERED.search(error.words.lower()) is not None
    )


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


async def fetch_private_details(
    context: Context, query: Mapping[str, Any], into: type[RequestedT], *, newer_first: bool = False
) -> RequestedT:
    """Return the details of a video in the caller's own library, from the path that the account has.

    Args:
        context: The context of the call.
        query: The query, with the video as `video_no`.
        into: The type to read.
        newer_first: Whether the path of newer accounts is tried first.
    """
    first, second = (METADATA, PRIVATE_DETAILS) if newer_first else (PRIVATE_DETAILS, METADATA)
    video = await call_either(context, first, second, query=query, into=into)
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


class VideoFacts(Wire):
    """What a result says about a video beside its moments."""

    video_name: OptionalLine = None
    video_url: OptionalLine = None
    creator: OptionalLine = Field(default=None, validation_alias=wire_names("blogger_id"))
    view_count: Count = None


async def fetch_facts(context: Context, video_no: str, unique_id: str | None) -> VideoFacts:
    """Return a video's name and URL, of a public video the creator and views too, as far as the API has them.

    Args:
        context: The context of the call.
        video_no: The video.
        unique_id: The namespace; ignored for public videos.
    """
    if is_public(video_no):
        return await context.api.call(PUBLIC_DETAIL, query={"video_no": video_no}, into=VideoFacts)
    query = {"video_no": video_no, "unique_id": unique_id}
    return await call_either(context, PRIVATE_DETAILS, METADATA, query=query, into=VideoFacts)


def not_in_namespace(video_nos: Sequence[str]) -> NotFound:
    """Return the error for videos that a list does not contain."""
    return NotFound(
        " ".join(filter(None, [f"Not in this namespace: {show_ids(video_nos, 'the video')}.", perhaps_skipped()])),
        next_step="Check the numbers with list_videos, and unique_id if they were uploaded under one.",
    )


def perhaps_skipped() -> str:
    """Return a sentence on rows that could not be read, if there are any, for a video that a list does not contain."""
    rows = count_skipped_in_call()
    if rows == 1:
        return "1 row of the list could not be read; it may be the video."
    return f"{rows} rows of the list could not be read; the video may be among them." if rows else ""


def describe_video(video: Video) -> str:
    """Return a video as a preview shows it: number, name, length, date."""
    name = shorten(video.video_name or "")
    length = "" if video.duration_seconds is None else format_clock(video.duration_seconds)
    date = "" if video.created_at is None else f"added {video.created_at:%Y-%m-%d}"
    return ", ".join(part for part in (video.video_no, name, length, date) if part)
