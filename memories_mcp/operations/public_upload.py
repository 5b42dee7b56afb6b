"""Adding videos to the public library, where everybody sees them and nobody can delete them."""

from __future__ import annotations

from collections.abc import Sequence

from memories_mcp.api import Endpoint
from memories_mcp.api.endpoints import SCRAPE_CREATOR_PUBLIC, SCRAPE_HASHTAG_PUBLIC, SCRAPE_URLS_PUBLIC
from memories_mcp.context import NOT_YET, Context, Preview
from memories_mcp.models.base import ConfirmableInput
from memories_mcp.operation import Effect
from memories_mcp.operations.common.imports import TASK, CreatorImport, HashtagImport, Imported, UrlImport, started
from memories_mcp.operations.toolsets import public_upload


async def _published(
    context: Context,
    args: UploadPlatformUrlsPublic | UploadCreatorPublic | UploadHashtagPublic,
    endpoint: Endpoint,
    items: Sequence[str],
    callback: str,
) -> Imported:
    preview = Preview(action="Publish to everybody, for ever: it cannot be deleted.", items=list(items))
    if pending := await context.confirm(preview):
        return Imported(confirmation=pending, note=NOT_YET)
    return await started(context, endpoint, args, callback)


class UploadPlatformUrlsPublic(UrlImport, ConfirmableInput):
    """Arguments of `upload_platform_urls_public`."""


@public_upload.operation(title="Publish posts", effect=Effect.DESTRUCTIVE, endpoints=[SCRAPE_URLS_PUBLIC, *TASK])
async def upload_platform_urls_public(context: Context, args: UploadPlatformUrlsPublic) -> Imported:
    """Import posts into the PUBLIC library: visible to every customer, and never to be deleted.

    The first call shows what would be published and returns a confirmation_token unless the user was asked directly.
    """
    return await _published(context, args, SCRAPE_URLS_PUBLIC, args.video_urls, "callback_url")


class UploadCreatorPublic(CreatorImport, ConfirmableInput):
    """Arguments of `upload_creator_public`."""


@public_upload.operation(title="Publish a creator", effect=Effect.DESTRUCTIVE, endpoints=[SCRAPE_CREATOR_PUBLIC, *TASK])
async def upload_creator_public(context: Context, args: UploadCreatorPublic) -> Imported:
    """Import a creator's latest videos into the PUBLIC library: visible to every customer, and never to be deleted.

    The first call shows what would be published and returns a confirmation_token unless the user was asked directly.
    """
    items = [f"the latest {args.count} videos of {args.profile_url}"]
    return await _published(context, args, SCRAPE_CREATOR_PUBLIC, items, "callback_url")


class UploadHashtagPublic(HashtagImport, ConfirmableInput):
    """Arguments of `upload_hashtag_public`."""


@public_upload.operation(title="Publish hashtags", effect=Effect.DESTRUCTIVE, endpoints=[SCRAPE_HASHTAG_PUBLIC, *TASK])
async def upload_hashtag_public(context: Context, args: UploadHashtagPublic) -> Imported:
    """Import TikTok videos by hashtag into the PUBLIC library: visible to every customer, and never to be deleted.

    The first call shows what would be published and returns a confirmation_token unless the user was asked directly.
    """
    items = [f"{args.count} videos of #{tag}" for tag in args.hashtags]
    return await _published(context, args, SCRAPE_HASHTAG_PUBLIC, items, "callback")
