"""Adding videos and images to the caller's own library."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, RootModel, model_validator

from memories_mcp.api import Part
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
from memories_mcp.models.coercions import FromMillis, Id, OptionalLine, names, rows
from memories_mcp.models.media import StatusFields
from memories_mcp.models.uris import VIDEOS
from memories_mcp.operation import Effect
from memories_mcp.operations.common.imports import (
    TASK,
    CreatorImport,
    DirectLink,
    HashtagImport,
    Imported,
    UrlImport,
    started,
)
from memories_mcp.operations.common.polling import Awaited, Waits, wait
from memories_mcp.operations.common.search import IMAGE_BYTES
from memories_mcp.operations.toolsets import upload
from memories_mcp.rendering.text import megabytes

VIDEO_BYTES = 3 * 1024**3
"""The largest video file the service takes (API 2.11)."""

Tag = Annotated[str, Field(min_length=1, max_length=100)]


class Circumstances(PrivateInput):
    """Where, when and with what something was filmed."""

    tags: list[Tag] | None = Field(default=None, max_length=20)
    """Labels to filter searches by."""
    datetime_taken: str | None = Field(default=None, min_length=19, max_length=19)
    """When it was taken, YYYY-MM-DD HH:MM:SS."""
    camera_model: str | None = Field(default=None, max_length=200)
    """The camera."""
    latitude: float | None = Field(default=None, ge=-90, le=90)
    """Where; goes with longitude."""
    longitude: float | None = Field(default=None, ge=-180, le=180)
    """Where; goes with latitude."""

    @model_validator(mode="after")
    def _both_or_neither(self) -> Circumstances:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude go together")
        return self


class VideoUpload(Circumstances, Waits):
    """What both ways of uploading a video take."""

    video_transcription_prompt: str | None = Field(default=None, max_length=2000)
    """What the scene descriptions should attend to."""
    retain_original_video: bool | None = None
    """Whether the file is kept for download; it is unless false."""


class UploadVideoFile(VideoUpload):
    """Arguments of `upload_video_file`."""

    path: LocalPath = Field(exclude=True, examples=["talk.mp4"])
    """The video file, below the files root; mp4, mov, avi or mkv, at most 3 GB."""


class UploadVideoUrl(VideoUpload):
    """Arguments of `upload_video_url`."""

    url: DirectLink = Field(examples=["https://example.com/talk.mp4"])
    """Direct link to a video file that anybody can fetch, at most 1 GB."""


class Uploaded(Output, StatusFields):
    """A video that was taken in and is being processed."""

    video_no: Id
    video_name: OptionalLine = None
    uploaded_at: FromMillis = Field(default=None, validation_alias=names("upload_time"))


_PROCESSING = "It is being processed; call wait_until_ready with its video_no before using it."


@upload.operation(title="Upload a video file", effect=Effect.WRITE, endpoints=[UPLOAD, LIST_VIDEOS])
async def upload_video_file(context: Context, args: UploadVideoFile) -> Uploaded:
    """Add a video file from the files root to your own library.

    Returns its video_no when the file is sent; processing takes minutes more.
    """
    path, media_type = context.files.media(args.path, "video", largest=VIDEO_BYTES)

    size = path.stat().st_size

    async def told(done: int, total: int | None) -> None:
        await context.progress(done, total, f"{megabytes(done)} sent")

    part = Part("file", path.name, media_type, path)
    form = args.wire() | {"callback": context.callback_url}
    uploaded = await context.api.call(UPLOAD, form=form, files=[part], on_bytes=told, into=Uploaded)
    context.changed(VIDEOS)
    return await _processed(context, uploaded, args, after=size)


@upload.operation(title="Upload a video by URL", effect=Effect.WRITE, endpoints=[UPLOAD_URL, LIST_VIDEOS])
async def upload_video_url(context: Context, args: UploadVideoUrl) -> Uploaded:
    """Add a video from a direct media link to your own library.

    Pages of YouTube, TikTok or Instagram belong to upload_platform_urls. Returns its video_no at once; processing
    takes minutes.
    """
    form = args.wire() | {"callback": context.callback_url}
    uploaded = await context.api.call(UPLOAD_URL, form=form, into=Uploaded)
    context.changed(VIDEOS)
    return await _processed(context, uploaded, args)


async def _processed(context: Context, uploaded: Uploaded, args: VideoUpload, *, after: float = 0) -> Uploaded:
    """The upload, after waiting for its processing as long as was asked."""
    uploaded.note = _PROCESSING
    if not args.wait_seconds:
        return uploaded
    awaited = Awaited([uploaded.video_no], unique_id=args.unique_id, seconds=args.wait_seconds, after=after)
    try:
        waited = await wait(context, awaited)
    except MemoriesError as error:  # the video was taken in all the same: its number is not lost
        uploaded.note = f"It was uploaded, but looking at it failed: {error.summary} Then {awaited.again}."
        return uploaded
    for video in waited.videos:
        uploaded.status, uploaded.raw_status, uploaded.cause = video.status, video.raw_status, video.cause
    uploaded.note = waited.note
    return uploaded


class UploadPlatformUrls(UrlImport, PrivateInput):
    """Arguments of `upload_platform_urls`."""


@upload.operation(title="Import posts", effect=Effect.WRITE, endpoints=[SCRAPE_URLS, *TASK])
async def upload_platform_urls(context: Context, args: UploadPlatformUrls) -> Imported:
    """Import videos from post links of one platform (YouTube, TikTok, Instagram) into your own library.

    Returns a task_id; wait_until_ready or get_task_status tells which videos it brings.
    """
    return await started(context, SCRAPE_URLS, args, "callback_url")


class UploadCreator(CreatorImport, PrivateInput):
    """Arguments of `upload_creator`."""


@upload.operation(title="Import a creator", effect=Effect.WRITE, endpoints=[SCRAPE_CREATOR, *TASK])
async def upload_creator(context: Context, args: UploadCreator) -> Imported:
    """Import a creator's latest videos into your own library. Returns a task_id."""
    return await started(context, SCRAPE_CREATOR, args, "callback_url")


class UploadHashtag(HashtagImport, PrivateInput):
    """Arguments of `upload_hashtag`."""


@upload.operation(title="Import hashtags", effect=Effect.WRITE, endpoints=[SCRAPE_HASHTAG, *TASK])
async def upload_hashtag(context: Context, args: UploadHashtag) -> Imported:
    """Import TikTok videos with given hashtags into your own library. Returns a task_id."""
    return await started(context, SCRAPE_HASHTAG, args, "callback")


class UploadImages(Circumstances):
    """Arguments of `upload_images`."""

    paths: list[LocalPath] = Field(min_length=1, max_length=50, exclude=True, examples=[["bicycle.jpg"]])
    """The image files, below the files root; at most 20 MB each. One that is no image stops all."""


class UploadedImages(Output):
    """Images that were taken in."""

    image_ids: list[str]
    """In the order sent."""


class _ImageId(Wire):
    id: Id = Field(validation_alias=names("id", "image_no"))


class _ImageIds(RootModel[Annotated[list[_ImageId], rows("images", "items", "item")]]):
    pass


@upload.operation(title="Upload images", effect=Effect.WRITE, endpoints=[UPLOAD_IMAGES])
async def upload_images(context: Context, args: UploadImages) -> UploadedImages:
    """Add image files from the files root to your own library.

    Find them with search_videos and search_type BY_IMAGE, or with list_images.
    """
    checked = [context.files.media(path, "image", largest=IMAGE_BYTES) for path in args.paths]
    parts = [Part("files", path.name, media_type, path) for path, media_type in checked]

    async def told(done: int, total: int | None) -> None:
        await context.progress(done, total, f"{megabytes(done)} sent")

    sent = await context.api.call(UPLOAD_IMAGES, form=args.wire(), files=parts, on_bytes=told, into=_ImageIds)
    return UploadedImages(image_ids=[each.id for each in sent.root])
