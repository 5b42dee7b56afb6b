"""Uploads of videos and images to the caller's own library."""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import Field, RootModel

from memories_mcp.api.endpoints import (
    LIST_VIDEOS,
    SCRAPE_CREATOR,
    SCRAPE_HASHTAG,
    SCRAPE_URLS,
    UPLOAD,
    UPLOAD_IMAGES,
    UPLOAD_URL,
)
from memories_mcp.context import Context
from memories_mcp.errors import MemoriesError
from memories_mcp.file_access import LocalPath
from memories_mcp.models.base import Output, PrivateInput, Wire
from memories_mcp.models.coercions import DateFromMillis, Id, OptionalLine, wire_list, wire_names
from memories_mcp.models.ids import FolderId, show_ids
from memories_mcp.models.media import StatusFields
from memories_mcp.models.recordings import Place, RecordingDate
from memories_mcp.models.spellings import LABELS, PATHS
from memories_mcp.models.uris import VIDEOS
from memories_mcp.operation import Effect
from memories_mcp.operations.common.imports import (
    TASK_ENDPOINTS,
    CreatorImport,
    DirectLink,
    HashtagImport,
    ImportResult,
    UrlImport,
    start_import,
)
from memories_mcp.operations.common.lookups import find_same_named
from memories_mcp.operations.common.polling import LONGEST_SECONDS, WaitArguments, WaitTarget, wait_until_processed
from memories_mcp.operations.common.search import MAX_IMAGE_BYTES
from memories_mcp.operations.common.transfers import byte_progress
from memories_mcp.operations.toolsets import upload

_NAME_SECONDS = 3
"""How long an upload that waits looks for videos of the same name."""
_MOST_SAME_NAMED = 5

MAX_VIDEO_BYTES = 3 * 1024**3
"""The largest video file that the API accepts (API 2.11)."""

Tag = Annotated[str, Field(min_length=1, max_length=100), LABELS]


class CaptureDetails(Place, PrivateInput):
    """Place, time and camera of a recording."""

    tags: list[Tag] | None = Field(default=None, max_length=20)
    """Labels."""
    datetime_taken: RecordingDate | None = None
    """Time of recording, such as 2025-10-03T14:30Z."""
    camera_model: str | None = Field(default=None, max_length=200)
    """Camera model."""


class InFolder(PrivateInput):
    """The folder of new videos; the documents give none for images."""

    folder_id: FolderId | None = None
    """Default folder if left out."""


class VideoUpload(CaptureDetails, InFolder, WaitArguments):
    """Arguments that both ways of uploading a video share."""

    video_transcription_prompt: str | None = Field(default=None, max_length=2000)
    """What the scene descriptions should focus on."""
    retain_original_video: bool | None = None
    """Keep the file for download; true by default."""


class UploadVideoFile(VideoUpload):
    """Arguments of `upload_video_file`."""

    path: LocalPath = Field(exclude=True, examples=["talk.mp4"])
    """The video file, below the files root; mp4, mov, avi or mkv, at most 3 GB."""


class UploadVideoUrl(VideoUpload):
    """Arguments of `upload_video_url`."""

    url: DirectLink = Field(examples=["https://example.com/talk.mp4"])
    """Direct, publicly reachable link to a video file, at most 1 GB."""


class Uploaded(Output, StatusFields):
    """An accepted video and its processing state."""

    video_no: Id
    video_name: OptionalLine = None
    uploaded_at: DateFromMillis = Field(default=None, validation_alias=wire_names("upload_time"))
    tags: list[str] = []
    """The tags that were sent."""


@upload.operation(title="Upload a video file", effect=Effect.WRITE, endpoints=[UPLOAD, LIST_VIDEOS])
async def upload_video_file(context: Context, args: UploadVideoFile) -> Uploaded:
    """Add a video file from the files root, where list_local_files finds it, to your own library.

    Returns the video_no once the file is sent; processing then takes minutes.
    """
    form = args.wire() | {"callback": context.callback_url}
    with context.files.open_media("video", [args.path], largest=MAX_VIDEO_BYTES) as [video]:
        uploaded = await context.api.call(
            UPLOAD, form=form, files=[video.part("file")], on_bytes=byte_progress(context, "sent"), into=Uploaded
        )
    context.changed(VIDEOS)
    return await _wait_for_processing(context, uploaded, args, after=video.size)


@upload.operation(title="Upload a video by URL", effect=Effect.WRITE, endpoints=[UPLOAD_URL, LIST_VIDEOS])
async def upload_video_url(context: Context, args: UploadVideoUrl) -> Uploaded:
    """Add a video from a direct media link to your own library.

    For pages of YouTube, TikTok or Instagram, use upload_platform_urls. Returns the video_no immediately; processing
    takes minutes.
    """
    form = args.wire() | {"callback": context.callback_url}
    uploaded = await context.api.call(UPLOAD_URL, form=form, into=Uploaded)
    context.changed(VIDEOS)
    return await _wait_for_processing(context, uploaded, args)


async def _wait_for_processing(
    context: Context, uploaded: Uploaded, args: VideoUpload, *, after: float = 0
) -> Uploaded:
    """Return the upload after waiting up to `args.wait_seconds` for its processing.

    Args:
        context: The context of the operation.
        uploaded: The upload; its state and note are updated.
        args: The arguments of the upload.
        after: The progress that the upload itself has reported, in bytes.
    """
    uploaded.note = (
        f"The video is being processed. Call wait_until_ready with video_nos={uploaded.video_no} before using it."
    )
    uploaded.tags = args.tags or []
    if not args.wait_seconds:
        return uploaded
    now = asyncio.get_running_loop().time
    end = now() + LONGEST_SECONDS
    same_named = await _find_same_named(context, uploaded, args.unique_id)
    seconds = min(args.wait_seconds, round(end - now(), 1))
    awaited = WaitTarget([uploaded.video_no], unique_id=args.unique_id, seconds=seconds, after=after)
    try:
        waited = await wait_until_processed(context, awaited)
    except MemoriesError as error:  # the upload succeeded, so its video_no must reach the caller
        uploaded.note = (
            f"The video was uploaded, but its state could not be read: {error.summary} Then {awaited.next_call}."
        )
        return uploaded
    for video in waited.videos:
        uploaded.status, uploaded.raw_status, uploaded.cause = video.status, video.raw_status, video.cause
    uploaded.note = waited.note
    if same_named:
        uploaded.add_note(
            f"The name is also that of {show_ids(same_named[:_MOST_SAME_NAMED], 'another video')}. If it is the same "
            "recording, offer to remove one with delete_videos."
        )
    return uploaded


async def _find_same_named(context: Context, uploaded: Uploaded, unique_id: str | None) -> list[str]:
    """Return the other videos of the uploaded one's name; none if they cannot be listed quickly."""
    if not uploaded.video_name:
        return []
    try:
        async with asyncio.timeout(_NAME_SECONDS):
            return await find_same_named(context, uploaded.video_no, uploaded.video_name, unique_id)
    except (MemoriesError, TimeoutError):
        return []


class UploadPlatformUrls(UrlImport, InFolder):
    """Arguments of `upload_platform_urls`."""


@upload.operation(title="Import posts", effect=Effect.WRITE, endpoints=[SCRAPE_URLS, *TASK_ENDPOINTS])
async def upload_platform_urls(context: Context, args: UploadPlatformUrls) -> ImportResult:
    """Import videos from post links of one platform (YouTube, TikTok, Instagram) into your own library.

    Returns a task_id; wait_until_ready or get_task_status returns the videos it brings.
    """
    return await start_import(context, SCRAPE_URLS, args, "callback_url")


class UploadCreator(CreatorImport, InFolder):
    """Arguments of `upload_creator`."""


@upload.operation(title="Import a creator", effect=Effect.WRITE, endpoints=[SCRAPE_CREATOR, *TASK_ENDPOINTS])
async def upload_creator(context: Context, args: UploadCreator) -> ImportResult:
    """Import a creator's latest videos into your own library. Returns a task_id."""
    return await start_import(context, SCRAPE_CREATOR, args, "callback_url")


class UploadHashtag(HashtagImport, InFolder):
    """Arguments of `upload_hashtag`."""


@upload.operation(title="Import hashtags", effect=Effect.WRITE, endpoints=[SCRAPE_HASHTAG, *TASK_ENDPOINTS])
async def upload_hashtag(context: Context, args: UploadHashtag) -> ImportResult:
    """Import TikTok videos that have given hashtags into your own library. Returns a task_id."""
    return await start_import(context, SCRAPE_HASHTAG, args, "callback")


class UploadImages(CaptureDetails):
    """Arguments of `upload_images`."""

    paths: list[Annotated[LocalPath, PATHS]] = Field(
        min_length=1, max_length=50, exclude=True, examples=[["bicycle.jpg"]]
    )
    """The image files, below the files root; at most 20 MB each. If one is not an image, none is sent."""


class UploadedImages(Output):
    """The accepted images."""

    image_ids: list[str]
    """In the order of `paths`."""
    tags: list[str] = []
    """The tags that were sent."""


class _ImageId(Wire):
    id: Id = Field(validation_alias=wire_names("id", "image_no"))


class _ImageIds(RootModel[Annotated[list[_ImageId], wire_list("images", "items", "item")]]):
    pass


@upload.operation(title="Upload images", effect=Effect.WRITE, endpoints=[UPLOAD_IMAGES])
async def upload_images(context: Context, args: UploadImages) -> UploadedImages:
    """Add image files from the files root to your own library.

    To find them later, use search_videos with search_type BY_IMAGE, or list_images.
    """
    with context.files.open_media("image", args.paths, largest=MAX_IMAGE_BYTES) as images:
        parts = [image.part("files") for image in images]
        image_ids = await context.api.call(
            UPLOAD_IMAGES, form=args.wire(), files=parts, on_bytes=byte_progress(context, "sent"), into=_ImageIds
        )
    return UploadedImages(image_ids=[image.id for image in image_ids.root], tags=args.tags or [])
