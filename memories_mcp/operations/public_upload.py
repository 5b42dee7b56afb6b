"""Imports into the public library: visible to every customer, and permanent."""

from __future__ import annotations

from collections.abc import Sequence

from memories_mcp.api import Endpoint
from memories_mcp.api.endpoints import SCRAPE_CREATOR_PUBLIC, SCRAPE_HASHTAG_PUBLIC, SCRAPE_URLS_PUBLIC
from memories_mcp.context import CONFIRMATION_NEEDED, Context, Preview
from memories_mcp.models.base import ConfirmableInput
from memories_mcp.operation import Effect
from memories_mcp.operations.common.imports import (
    TASK_ENDPOINTS,
    CreatorImport,
    HashtagImport,
    ImportResult,
    UrlImport,
    start_import,
)
from memories_mcp.operations.toolsets import public_upload


async def _confirm_and_import(
    context: Context,
    args: UploadPlatformUrlsPublic | UploadCreatorPublic | UploadHashtagPublic,
    endpoint: Endpoint,
    items: Sequence[str],
    callback: str,
) -> ImportResult:
    """Start a public import once the user has agreed.

    Args:
        context: The context of the operation.
        args: The arguments of the import.
        endpoint: The endpoint that starts the import.
        items: The lines of the preview.
        callback: The endpoint's name for the callback URL.
    """
    action = "Publish to every customer, permanently: a public video cannot be deleted."
    preview = Preview(action=action, items=list(items))
    if pending := await context.confirm(preview):
        return ImportResult(confirmation=pending, note=CONFIRMATION_NEEDED)
    return await start_import(context, endpoint, args, callback)


class UploadPlatformUrlsPublic(UrlImport, ConfirmableInput):
    """Arguments of `upload_platform_urls_public`."""


@public_upload.operation(
    title="Publish posts", effect=Effect.DESTRUCTIVE, endpoints=[SCRAPE_URLS_PUBLIC, *TASK_ENDPOINTS]
)
async def upload_platform_urls_public(context: Context, args: UploadPlatformUrlsPublic) -> ImportResult:
    """Import posts into the PUBLIC library: visible to every customer; cannot be deleted.

    Unless the user is asked directly, the first call only returns a preview and a token.
    """
    return await _confirm_and_import(context, args, SCRAPE_URLS_PUBLIC, args.video_urls, "callback_url")


class UploadCreatorPublic(CreatorImport, ConfirmableInput):
    """Arguments of `upload_creator_public`."""


@public_upload.operation(
    title="Publish a creator", effect=Effect.DESTRUCTIVE, endpoints=[SCRAPE_CREATOR_PUBLIC, *TASK_ENDPOINTS]
)
async def upload_creator_public(context: Context, args: UploadCreatorPublic) -> ImportResult:
    """Import a creator's latest videos into the PUBLIC library: visible to every customer; cannot be deleted.

    Unless the user is asked directly, the first call only returns a preview and a token.
    """
    items = [f"the latest {args.count} videos of {args.profile_url}"]
    return await _confirm_and_import(context, args, SCRAPE_CREATOR_PUBLIC, items, "callback_url")


class UploadHashtagPublic(HashtagImport, ConfirmableInput):
    """Arguments of `upload_hashtag_public`."""


@public_upload.operation(
    title="Publish hashtags", effect=Effect.DESTRUCTIVE, endpoints=[SCRAPE_HASHTAG_PUBLIC, *TASK_ENDPOINTS]
)
async def upload_hashtag_public(context: Context, args: UploadHashtagPublic) -> ImportResult:
    """Import TikTok videos by hashtag into the PUBLIC library: visible to every customer; cannot be deleted.

    Unless the user is asked directly, the first call only returns a preview and a token.
    """
    items = [f"{args.count} videos of #{tag}" for tag in args.hashtags]
    return await _confirm_and_import(context, args, SCRAPE_HASHTAG_PUBLIC, items, "callback")
