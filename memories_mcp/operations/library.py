"""The caller's own library: its videos and conversations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from memories_mcp.api.endpoints import (
    DELETE_VIDEOS,
    DOWNLOAD,
    LIST_IMAGES,
    LIST_VIDEOS,
    PRIVATE_DETAILS,
    PUBLIC_DETAIL,
    TASK_STATUS,
)
from memories_mcp.context import NOT_YET, Context, Pending, Preview
from memories_mcp.errors import ApiError, MemoriesError
from memories_mcp.file_access import LocalPath
from memories_mcp.models.base import ConfirmableInput, Output, Page, PrivateInput, Row
from memories_mcp.models.coercions import Count, Degrees, FromMillis, Id, Line, OptionalLine, Score, names, rows
from memories_mcp.models.ids import TaskId, private_only
from memories_mcp.models.media import Video
from memories_mcp.models.uris import VIDEOS, video_uri
from memories_mcp.operation import Effect
from memories_mcp.operations.common.lookups import find_videos, shown_video, task_videos
from memories_mcp.operations.common.paging import page_of, why_empty
from memories_mcp.operations.toolsets import library

OwnVideoNo = Annotated[str, Field(min_length=1, max_length=64), private_only("get_public_video_detail")]


class ListVideos(PrivateInput):
    """Arguments of `list_videos`."""

    page: int = Field(default=1, ge=1)
    """Which page."""
    size: int = Field(default=20, ge=1, le=200)
    """Videos a page."""
    video_name: str | None = Field(default=None, max_length=300)
    """Only videos whose name contains this."""
    video_no: OwnVideoNo | None = None
    """Only this video."""
    status: Literal["ready", "processing", "failed"] | None = None
    """Only videos in this state."""


class VideoPage(Page):
    """A page of videos."""

    videos: Annotated[list[Video], rows()] = []
    """Newest first."""


# Documents say FAILED, the wire has FAIL (API 9, 5); the second word is tried where the first finds nothing.
_STATUS_WORDS = {"ready": ["PARSE"], "processing": ["UNPARSE"], "failed": ["FAIL", "FAILED"], None: [None]}


@library.operation(title="List videos", effect=Effect.READ, endpoints=[LIST_VIDEOS])
async def list_videos(context: Context, args: ListVideos) -> VideoPage:
    """List the videos of your own library with their state, length and date.

    Use it to find a video_no by name and to see what is still being processed.
    """
    found = VideoPage()
    for word in _STATUS_WORDS[args.status]:
        found = await context.api.call(LIST_VIDEOS, json=args.wire() | {"status": word}, into=VideoPage)
        if found.videos:
            break
    empty = f"No video is {args.status}." if args.status else why_empty(args.unique_id)
    videos, note = page_of(found.videos, args.page, args.size, empty=empty, total=found.total)
    return VideoPage(videos=videos, page=args.page, total=found.total, note=note)


class GetPrivateVideoDetails(PrivateInput):
    """Arguments of `get_private_video_details`."""

    video_no: OwnVideoNo = Field(examples=["VI612515093881740229"])
    """A video of your library."""


class PrivateVideo(Output, Video):
    """A video of the own library in full."""

    fps: Score = None
    width: Count = None
    height: Count = None
    resolution: Line = Field(default="", validation_alias=names("resolution_label"))


@library.operation(title="Look up a video", effect=Effect.READ, endpoints=[PRIVATE_DETAILS])
async def get_private_video_details(context: Context, args: GetPrivateVideoDetails) -> PrivateVideo:
    """Look up one video of your own library: state, length, size, resolution, source link."""
    return await context.api.call(PRIVATE_DETAILS, query=args.wire(), into=PrivateVideo)


class ListImages(PrivateInput):
    """Arguments of `list_images`."""

    page: int = Field(default=1, ge=1)
    """Which page."""
    page_size: int = Field(default=20, ge=1, le=100)
    """Images a page."""


class ImageRow(Row):
    """An image of the library."""

    image_id: Id = Field(validation_alias=names("image_no", "id"))
    name: OptionalLine = Field(default=None, validation_alias=names("image_name", "name"))
    state: OptionalLine = Field(default=None, validation_alias=names("status", "upload_status"))
    url: OptionalLine = Field(default=None, validation_alias=names("img_url", "image_url"))
    uploaded_at: FromMillis = Field(default=None, validation_alias=names("upload_time"))
    taken_at: FromMillis = Field(default=None, validation_alias=names("datetime_taken"))
    camera: OptionalLine = Field(default=None, validation_alias=names("camera_model"))
    latitude: Degrees = None
    longitude: Degrees = None


class ImagePage(Page):
    """A page of images."""

    # No answer was ever recorded; its sibling, image search, has `item` (API 3.5, 35).
    images: Annotated[list[ImageRow], rows()] = Field(default=[], validation_alias=names("images", "item", "items"))


@library.operation(title="List images", effect=Effect.READ, endpoints=[LIST_IMAGES])
async def list_images(context: Context, args: ListImages) -> ImagePage:
    """List the images of your own library. Find images by content with search_videos and search_type BY_IMAGE."""
    found = await context.api.call(LIST_IMAGES, json=args.wire(), into=ImagePage)
    images, note = page_of(
        found.images,
        args.page,
        args.page_size,
        empty=why_empty(args.unique_id),
        total=found.total,
        size_argument="page_size",
    )
    return ImagePage(images=images, page=args.page, total=found.total, note=note)


class GetTaskStatus(PrivateInput):
    """Arguments of `get_task_status`."""

    task_id: TaskId = Field(examples=["31b0fccb-d6f9-4135-922d-1e8828499812_84f9d9b4b6e5940b67e67e2d17ef1f97"])
    """The task, as an import from a platform returned it."""


class TaskStatus(Output):
    """The videos that an import brought so far."""

    task_id: str
    videos: list[Video]
    """Each with its state; empty while the downloads run."""


@library.operation(title="Look up an import", effect=Effect.READ, endpoints=[TASK_STATUS, LIST_VIDEOS, PUBLIC_DETAIL])
async def get_task_status(context: Context, args: GetTaskStatus) -> TaskStatus:
    """Look up which videos an import from a platform (a task) has brought, and their state."""
    videos = await task_videos(context, args.task_id, args.unique_id)
    note = None
    if not videos:
        note = "Still downloading, or failed: the service does not tell which. Look again in a minute or two."
    return TaskStatus(task_id=args.task_id, videos=videos, note=note)


class DownloadVideo(PrivateInput):
    """Arguments of `download_video`."""

    video_no: OwnVideoNo = Field(examples=["VI612515093881740229"])
    """A video of your library."""
    path: LocalPath = Field(exclude=True, examples=["planning.mp4"])
    """Where to put it, below the files root."""
    overwrite: bool = Field(default=False, exclude=True)
    """Replace a file that is there already."""


class Downloaded(Output):
    """A file that was written."""

    video_no: str
    path: str
    """Below the files root."""
    size_bytes: int


@library.operation(title="Download a video", effect=Effect.WRITE, endpoints=[DOWNLOAD])
async def download_video(context: Context, args: DownloadVideo) -> Downloaded:
    """Download the original file of a video of your own library into the files root.

    Costs by the gigabyte. A failure leaves no file behind.
    """
    target = context.files.writable(args.path, overwrite=args.overwrite)

    async def told(done: int, total: int | None) -> None:
        await context.progress(done, total, f"{done / 1e6:.1f} MB")

    size = await context.api.download(
        DOWNLOAD, json=args.wire(), target=target, overwrite=args.overwrite, on_bytes=told
    )
    return Downloaded(video_no=args.video_no, path=context.files.shown(target), size_bytes=size)


class DeleteVideos(PrivateInput, ConfirmableInput):
    """Arguments of `delete_videos`."""

    video_nos: list[OwnVideoNo] = Field(min_length=1, max_length=100, examples=[["VI611702946038315594"]])
    """The videos to delete, at most 100."""


class Deleted(Output):
    """What became of each video, checked by listing afterwards."""

    deleted: list[str] = []
    """Gone for good."""
    not_found: list[str] = []
    """Never were in this namespace, so nothing was done."""
    still_there: list[str] = []
    """Listed even after the request."""
    confirmation: Pending | None = None
    """Present when nothing was done yet and the user must agree first."""


@library.operation(title="Delete videos", effect=Effect.DESTRUCTIVE, endpoints=[DELETE_VIDEOS, LIST_VIDEOS])
async def delete_videos(context: Context, args: DeleteVideos) -> Deleted:
    """Delete videos of your own library for good, with all that was made from them. There is no undo.

    The first call shows what would be lost and returns a confirmation_token unless the user was asked directly.
    """
    asked = list(dict.fromkeys(args.video_nos))
    before = await find_videos(context, asked, args.unique_id)
    there = [each.video_no for each in before]
    missing = [each for each in asked if each not in there]
    if not there:
        note = "Nothing was deleted: none of these is in this namespace. Check them with list_videos, and unique_id."
        return Deleted(not_found=missing, note=note)
    preview = Preview(
        action=f"Delete {len(there)} video{'s' * (len(there) != 1)} for good.",
        items=[shown_video(each) for each in before],
    )
    if pending := await context.confirm(preview):
        return Deleted(
            not_found=missing,
            confirmation=pending,
            note=NOT_YET,
        )
    await _delete(context, there, args.unique_id)
    context.changed(VIDEOS, *(video_uri(each) for each in there))
    try:
        left = {each.video_no for each in await find_videos(context, there, args.unique_id)}
    except MemoriesError as error:
        note = f"The API accepted the request, but listing afterwards failed: {error.summary}"
        return Deleted(deleted=there, not_found=missing, note=note)
    return Deleted(
        deleted=[each for each in there if each not in left],
        not_found=missing,
        still_there=[each for each in there if each in left],
        note="Some are still listed; look again in a minute." if left else None,
    )


async def _delete(context: Context, video_nos: list[str], unique_id: str | None) -> None:
    try:
        await context.api.call(DELETE_VIDEOS, json=video_nos, query={"unique_id": unique_id}, into=object)
    except ApiError as error:
        if error.code != "0409":  # "already deleted" is what was wanted
            raise
