"""Imports from platforms, into the caller's own or the public library: links, arguments, result."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PlainSerializer

from memories_mcp.api import Endpoint
from memories_mcp.api.endpoints import LIST_VIDEOS, PUBLIC_DETAIL, TASK_STATUS
from memories_mcp.context import Context, Pending
from memories_mcp.errors import MemoriesError
from memories_mcp.models.base import Output
from memories_mcp.models.coercions import Id
from memories_mcp.models.ids import has_id_form
from memories_mcp.models.media import Video
from memories_mcp.models.platforms import is_profile, platform_of
from memories_mcp.models.spellings import HASHTAGS, URLS, OtherWords
from memories_mcp.operations.common.polling import WaitArguments, WaitTarget, wait_until_processed


def _check_url(url: str) -> str:
    url = url.strip()
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("not an http or https URL")
    return url


def _check_direct_link(url: str) -> str:
    url = _check_url(url)
    if platform_of(url):
        tool = (
            "upload_creator takes it as profile_url"
            if is_profile(url)
            else "upload_platform_urls takes it as video_urls"
        )
        raise ValueError(f"a page of {platform_of(url)}, not a media file; {tool}")
    return url


def _check_post(url: str) -> str:
    url = _check_url(url)
    if not platform_of(url):
        raise ValueError(
            "not a post of YouTube, TikTok or Instagram; upload_video_url takes direct links to media files"
        )
    if is_profile(url):
        raise ValueError("a creator's profile, not a post; upload_creator takes it as profile_url")
    return url


def _check_profile(url: str) -> str:
    url = _check_url(url)
    if not platform_of(url):
        raise ValueError("not a profile of YouTube, TikTok or Instagram")
    if not is_profile(url):
        raise ValueError("a post, not a creator's profile; upload_platform_urls takes it as video_urls")
    return url


def _check_one_platform(urls: list[str]) -> list[str]:
    platforms = sorted({platform_of(url) or "" for url in urls})
    if len(platforms) > 1:
        raise ValueError(f"links of one platform only, these are of {' and '.join(platforms)}; call once for each")
    return urls


def _check_hashtag(tag: str) -> str:
    tag = tag.strip().removeprefix("#")
    if "://" in tag:
        raise ValueError("a link, not a hashtag; upload_platform_urls takes posts, upload_creator profiles")
    if not tag or not tag.replace("_", "").isalnum():
        raise ValueError("one hashtag without # and without blanks")
    return tag


_URL_LENGTH = Field(min_length=1, max_length=2000)

DirectLink = Annotated[str, _URL_LENGTH, AfterValidator(_check_direct_link)]
"""A link to a media file itself."""
PostLink = Annotated[str, _URL_LENGTH, AfterValidator(_check_post), URLS]
"""A link to a post on a platform."""
ProfileLink = Annotated[str, _URL_LENGTH, AfterValidator(_check_profile)]
"""A link to a creator's page on a platform."""
Hashtag = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_check_hashtag), HASHTAGS]
"""A hashtag without #."""
Quality = Annotated[
    Literal["1080", "720", "480", "360"],
    OtherWords({f"{lines}p": lines for lines in ("1080", "720", "480", "360")}),
    PlainSerializer(int, return_type=int),
]
"""Lines of a picture: words in the schema, as Gemini accepts enumerations of strings only, and numbers on the wire."""


class UrlImport(WaitArguments):
    """Arguments of an import of posts."""

    video_urls: Annotated[list[PostLink], AfterValidator(_check_one_platform)] = Field(
        min_length=1, max_length=50, examples=[["https://www.youtube.com/watch?v=dQw4w9WgXcQ"]]
    )
    """Links to posts of one platform, at most 50."""
    quality: Quality | None = None
    """For YouTube only."""


class CreatorImport(WaitArguments):
    """Arguments of an import of a creator's videos."""

    profile_url: ProfileLink = Field(serialization_alias="username", examples=["https://www.tiktok.com/@cutshall73"])
    """The creator's profile page."""
    count: int = Field(default=4, ge=1, le=100, serialization_alias="scraper_cnt")
    """How many."""


class HashtagImport(WaitArguments):
    """Arguments of an import by hashtags."""

    hashtags: list[Hashtag] = Field(min_length=1, max_length=20, serialization_alias="hash_tags", examples=[["nba"]])
    """Without #."""
    count: int = Field(default=2, ge=1, le=100, serialization_alias="scraper_cnt")
    """How many videos of each."""


TASK_ENDPOINTS = (TASK_STATUS, LIST_VIDEOS, PUBLIC_DETAIL)
"""The endpoints that report the progress of an import."""


class ImportResult(Output):
    """An import that was ordered."""

    task_id: Id | None = None
    """Not a video number: wait_until_ready and get_task_status take it."""
    videos: list[Video] = []
    """The videos that arrived during the wait, with their states."""
    confirmation: Pending | None = None
    """Present when nothing was done yet and the user must agree first."""


async def start_import(
    context: Context, endpoint: Endpoint, args: UrlImport | CreatorImport | HashtagImport, callback: str
) -> ImportResult:
    """Order an import, and wait for its videos as long as the arguments request.

    Args:
        context: The context of the call.
        endpoint: The endpoint of the import.
        args: The arguments of the operation.
        callback: The name of the endpoint's field for the callback, which differs between endpoints (API 9, 26).
    """
    body = args.wire() | {callback: context.callback_url}
    result = await context.api.call(endpoint, json=body, into=ImportResult)
    task = f"task_id={result.task_id}" if has_id_form(result.task_id or "") else "the task_id"
    result.note = f"The downloads run; call wait_until_ready with {task}."
    if not result.task_id:
        result.note = "The import was ordered, but the answer has no task_id to follow it by. Do not order it again."
    elif args.wait_seconds:
        unique_id: str | None = getattr(args, "unique_id", None)
        awaited = WaitTarget(task_id=result.task_id, unique_id=unique_id, seconds=args.wait_seconds)
        try:
            state = await wait_until_processed(context, awaited)
        except MemoriesError as error:  # the import was ordered nevertheless: its task_id must not be lost
            result.note = f"The import runs, but reading its state failed: {error.summary} Then {awaited.next_call}."
        else:
            result.videos, result.note = state.videos, state.note
    return result
