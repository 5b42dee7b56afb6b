"""Imports from platforms: the same arguments for the own and for the public library."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from memories_mcp.api import Endpoint
from memories_mcp.api.endpoints import LIST_VIDEOS, PUBLIC_DETAIL, TASK_STATUS
from memories_mcp.context import Context, Pending
from memories_mcp.errors import MemoriesError
from memories_mcp.models.base import Output
from memories_mcp.models.coercions import Id
from memories_mcp.models.media import Video
from memories_mcp.operations.common.polling import Awaited, Waits, wait

_HOSTS = {"youtube.com": "YouTube", "youtu.be": "YouTube", "tiktok.com": "TikTok", "instagram.com": "Instagram"}


def _platform(url: str) -> str | None:
    host = (urlsplit(url).hostname or "").lower()
    return next((name for each, name in _HOSTS.items() if host == each or host.endswith(f".{each}")), None)


def _profile(url: str) -> bool:
    """Whether a platform's link names a creator, not a post."""
    parts = [part for part in urlsplit(url).path.split("/") if part]
    if _platform(url) == "Instagram":
        return len(parts) == 1 and parts[0] not in {"p", "reel", "reels", "tv", "explore"}
    if _platform(url) == "YouTube":
        return bool(parts) and (parts[0].startswith("@") or parts[0] in {"c", "channel", "user"})
    return len(parts) == 1 and parts[0].startswith("@")


def _link(url: str) -> str:
    url = url.strip()
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("not an http or https URL")
    return url


def _direct(url: str) -> str:
    url = _link(url)
    if _platform(url):
        tool = "upload_creator" if _profile(url) else "upload_platform_urls"
        raise ValueError(f"a page of {_platform(url)}, not a media file; {tool} takes it")
    return url


def _post(url: str) -> str:
    url = _link(url)
    if not _platform(url):
        raise ValueError(
            "not a post of YouTube, TikTok or Instagram; upload_video_url takes direct links to media files"
        )
    if _profile(url):
        raise ValueError("a creator's profile, not a post; upload_creator takes it")
    return url


def _creator(url: str) -> str:
    url = _link(url)
    if not _platform(url):
        raise ValueError("not a profile of YouTube, TikTok or Instagram")
    if not _profile(url):
        raise ValueError("a post, not a creator's profile; upload_platform_urls takes it")
    return url


def _one_platform(urls: list[str]) -> list[str]:
    platforms = sorted({_platform(url) or "" for url in urls})
    if len(platforms) > 1:
        raise ValueError(f"links of one platform only, these are of {' and '.join(platforms)}; call once for each")
    return urls


def _hashtag(tag: str) -> str:
    tag = tag.strip().removeprefix("#")
    if "://" in tag:
        raise ValueError("a link, not a hashtag; upload_platform_urls takes posts, upload_creator profiles")
    if not tag or not tag.replace("_", "").isalnum():
        raise ValueError("one hashtag without # and without blanks")
    return tag


_url = Field(min_length=1, max_length=2000)

DirectLink = Annotated[str, _url, AfterValidator(_direct)]
"""A link to a media file itself."""
PostLink = Annotated[str, _url, AfterValidator(_post)]
ProfileLink = Annotated[str, _url, AfterValidator(_creator)]
Hashtag = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_hashtag)]


class UrlImport(Waits):
    """What an import of posts takes."""

    video_urls: Annotated[list[PostLink], AfterValidator(_one_platform)] = Field(
        min_length=1, max_length=50, examples=[["https://www.youtube.com/watch?v=dQw4w9WgXcQ"]]
    )
    """Links to posts, all of one platform, at most 50."""
    quality: Literal[1080, 720, 480, 360] | None = None
    """Lines of the picture; YouTube only."""


class CreatorImport(Waits):
    """What an import of a creator's videos takes."""

    profile_url: ProfileLink = Field(serialization_alias="username", examples=["https://www.tiktok.com/@cutshall73"])
    """The creator's profile page."""
    count: int = Field(default=4, ge=1, le=100, serialization_alias="scraper_cnt")
    """How many of the latest videos."""


class HashtagImport(Waits):
    """What an import by hashtags takes."""

    hashtags: list[Hashtag] = Field(min_length=1, max_length=20, serialization_alias="hash_tags", examples=[["nba"]])
    """Hashtags of TikTok, without #."""
    count: int = Field(default=2, ge=1, le=100, serialization_alias="scraper_cnt")
    """How many videos of each."""


TASK = (TASK_STATUS, LIST_VIDEOS, PUBLIC_DETAIL)
"""Where an import is followed."""


class Imported(Output):
    """An import that was ordered."""

    task_id: Id | None = None
    """Not a video number: wait_until_ready and get_task_status take it."""
    videos: list[Video] = []
    """What arrived while it waited, each with its state."""
    confirmation: Pending | None = None
    """Present when nothing was done yet and the user must agree first."""


async def started(
    context: Context, endpoint: Endpoint, args: UrlImport | CreatorImport | HashtagImport, callback: str
) -> Imported:
    """Order an import, and wait for it as long as was asked; the callback's name differs by endpoint (API 9, 26)."""
    body = args.wire() | {callback: context.callback_url}
    body.pop("confirmation_token", None)
    imported = await context.api.call(endpoint, json=body, into=Imported)
    imported.note = "The downloads run; call wait_until_ready with the task_id."
    if args.wait_seconds and imported.task_id:
        unique_id: str | None = getattr(args, "unique_id", None)
        awaited = Awaited(task_id=imported.task_id, unique_id=unique_id, seconds=args.wait_seconds)
        try:
            waited = await wait(context, awaited)
        except MemoriesError as error:  # the import was ordered all the same: its task_id is not lost
            imported.note = f"The import runs, but looking at it failed: {error.summary} Then {awaited.again}."
        else:
            imported.videos, imported.note = waited.videos, waited.note
    return imported
