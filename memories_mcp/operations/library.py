"""The caller's own library: videos, images and imports."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from memories_mcp.api.endpoints import (
    LIST_IMAGES,
    LIST_VIDEOS,
    METADATA,
    PRIVATE_DETAILS,
    PUBLIC_DETAIL,
    TASK_STATUS,
)
from memories_mcp.context import Context
from memories_mcp.models.base import Output, Page, PrivateInput, Row
from memories_mcp.models.coercions import (
    STATUS_WORDS,
    Count,
    DateFromMillis,
    Degrees,
    Id,
    Line,
    OptionalLine,
    Score,
    Status,
    wire_list,
    wire_names,
)
from memories_mcp.models.ids import PrivateVideoNo, TaskId
from memories_mcp.models.media import RequestedVideo, Video
from memories_mcp.models.recordings import DateFilterInMillis, Latitude
from memories_mcp.models.spellings import OtherWords
from memories_mcp.operation import Effect
from memories_mcp.operations.common.filters import (
    FilteredRows,
    RecordingFilters,
    RowCheck,
    camera_check,
    date_check,
    filter_rows,
    video_check,
)
from memories_mcp.operations.common.lookups import (
    fetch_private_details,
    fetch_task_videos,
)
from memories_mcp.operations.common.paging import fit_page, why_empty
from memories_mcp.operations.toolsets import library


class _VideoQuery(PrivateInput):
    """Which videos to list; a base class, so that its arguments come before those of the filters."""

    page: int = Field(default=1, ge=1)
    """Page number."""
    size: int = Field(default=20, ge=1, le=200)
    """Videos per page."""
    video_name: str | None = Field(default=None, max_length=300)
    """Only with this in the name."""
    video_no: PrivateVideoNo | None = None
    """Only this video."""
    video_nos: list[PrivateVideoNo] | None = Field(default=None, max_length=200)
    """Only these."""
    status: Annotated[Status, OtherWords(STATUS_WORDS)] | None = None
    """Only in this state."""


class ListVideos(RecordingFilters, _VideoQuery):
    """Arguments of `list_videos`."""

    camera_model: str | None = Field(default=None, max_length=200)
    """Only from this camera."""
    datetime_taken: DateFilterInMillis | None = None
    """Recorded since, such as 2025-10-03 or 2025-10-03T14:30Z."""
    latitude: Latitude | None = None
    """Within about 20 km; with longitude."""

    def row_checks(self) -> dict[str, RowCheck]:
        """Return the check of each filter that is set, by the name of its argument."""
        checks = super().row_checks()
        if numbers := [video_no for video_no in (self.video_no, *(self.video_nos or ())) if video_no]:
            checks["video_nos" if self.video_nos else "video_no"] = video_check(numbers)
        if self.status == "failed":  # of its two words the service may know one, and ignore a filter by the other
            checks["status"] = lambda row: isinstance(row, Video) and row.status == "failed"
        if self.camera_model:
            checks["camera_model"] = camera_check(self.camera_model)
        if self.datetime_taken:
            checks["datetime_taken"] = date_check(self.datetime_taken)
        return checks


class VideoPage(Page):
    """A page of videos."""

    videos: Annotated[list[Video], wire_list()] = []
    """Newest first."""


# The documents say FAILED, the API sends FAIL (API 9, 5). The second word is tried if the first matches nothing.
_STATUS_WORDS = {"ready": ["PARSE"], "processing": ["UNPARSE"], "failed": ["FAIL", "FAILED"], None: [None]}


@library.operation(title="List videos", effect=Effect.READ, endpoints=[LIST_VIDEOS])
async def list_videos(context: Context, args: ListVideos) -> VideoPage:
    """List the videos of your own library with their state, length and date.

    Use it to find a video_no by name or to see which videos are still being processed.
    """
    page, filtered = VideoPage(), FilteredRows[Video]([], 0, None)
    for word in _STATUS_WORDS[args.status]:
        page = await context.api.call(LIST_VIDEOS, json=args.wire() | {"status": word}, into=VideoPage)
        filtered = filter_rows(page.videos, args.row_checks())
        if filtered.rows:
            break
    if filtered.left_out:
        result = VideoPage(videos=filtered.rows, page=args.page, note=filtered.note)
        if len(page.videos) >= args.size:
            result.add_note(f"There may be more; go on with page={args.page + 1}.")
        return result
    filters = args.row_checks().keys() - {"video_no", "status"}
    empty = why_empty(args.unique_id, "fewer filters") if filters else why_empty(args.unique_id)
    if args.status and not filters:
        empty = f"No video is {args.status}."
    videos, note = fit_page(filtered.rows, args.page, args.size, empty=empty, total=page.total)
    result = VideoPage(videos=videos, page=args.page, total=page.total, note=note)
    result.add_note(filtered.note)
    return result


class GetPrivateVideoDetails(PrivateInput):
    """Arguments of `get_private_video_details`."""

    video_no: PrivateVideoNo = Field(examples=["VI612515093881740229"])
    """Video number or name."""


class PrivateVideo(Output, Video):
    """All details of a video in the caller's own library."""

    fps: Score = None
    width: Count = None
    height: Count = None
    resolution: Line = Field(default="", validation_alias=wire_names("resolution_label"))


class _RequestedPrivateVideo(RequestedVideo, PrivateVideo):
    pass


@library.operation(title="Look up a video", effect=Effect.READ, endpoints=[PRIVATE_DETAILS, METADATA, LIST_VIDEOS])
async def get_private_video_details(context: Context, args: GetPrivateVideoDetails) -> PrivateVideo:
    """Look up one video of your own library: state, length, size, resolution, source link."""
    return await fetch_private_details(context, args.wire(), _RequestedPrivateVideo)


class GetMetadata(GetPrivateVideoDetails):
    """Arguments of `get_metadata`."""


@library.operation(title="Read metadata", effect=Effect.READ, endpoints=[METADATA, PRIVATE_DETAILS, LIST_VIDEOS])
async def get_metadata(context: Context, args: GetMetadata) -> PrivateVideo:
    """Look up one video of your own library, with the date, place and camera of its recording, and its tags."""
    return await fetch_private_details(context, args.wire(), _RequestedPrivateVideo, newer_first=True)


class ListImages(PrivateInput):
    """Arguments of `list_images`."""

    page: int = Field(default=1, ge=1)
    """Page number."""
    page_size: int = Field(default=20, ge=1, le=100)
    """Images per page."""


class ImageRow(Row):
    """An image of the library."""

    image_id: Id = Field(validation_alias=wire_names("image_no", "id"))
    name: OptionalLine = Field(default=None, validation_alias=wire_names("image_name", "name"))
    state: OptionalLine = Field(default=None, validation_alias=wire_names("status", "upload_status"))
    url: OptionalLine = Field(default=None, validation_alias=wire_names("img_url", "image_url"))
    uploaded_at: DateFromMillis = Field(default=None, validation_alias=wire_names("upload_time"))
    taken_at: DateFromMillis = Field(default=None, validation_alias=wire_names("datetime_taken"))
    camera: OptionalLine = Field(default=None, validation_alias=wire_names("camera_model"))
    latitude: Degrees = None
    longitude: Degrees = None


class ImagePage(Page):
    """A page of images."""

    # No response was ever recorded. Image search, the nearest endpoint, sends `item` (API 3.5, 35).
    images: Annotated[list[ImageRow], wire_list()] = Field(
        default=[], validation_alias=wire_names("images", "item", "items")
    )


@library.operation(title="List images", effect=Effect.READ, endpoints=[LIST_IMAGES])
async def list_images(context: Context, args: ListImages) -> ImagePage:
    """List the images of your own library. To find images by content, use search_videos with search_type BY_IMAGE."""
    page = await context.api.call(LIST_IMAGES, json=args.wire(), into=ImagePage)
    images, note = fit_page(
        page.images,
        args.page,
        args.page_size,
        empty=why_empty(args.unique_id),
        total=page.total,
        size_argument="page_size",
    )
    return ImagePage(images=images, page=args.page, total=page.total, note=note)


class GetTaskStatus(PrivateInput):
    """Arguments of `get_task_status`."""

    task_id: TaskId = Field(examples=["31b0fccb-d6f9-4135-922d-1e8828499812_84f9d9b4b6e5940b67e67e2d17ef1f97"])
    """The task_id that an import from a platform returned; not a video_no."""


class TaskStatus(Output):
    """The videos that an import has brought so far."""

    task_id: str
    videos: list[Video]
    """Each with its state; empty while the downloads run."""


@library.operation(title="Look up an import", effect=Effect.READ, endpoints=[TASK_STATUS, LIST_VIDEOS, PUBLIC_DETAIL])
async def get_task_status(context: Context, args: GetTaskStatus) -> TaskStatus:
    """List the videos that an import from a platform (a task) has brought so far, with their state."""
    videos = await fetch_task_videos(context, args.task_id, args.unique_id)
    note = None
    if not videos:
        note = "Still downloading, or failed: the service does not report which. Call again in a minute or two."
    return TaskStatus(task_id=args.task_id, videos=videos, note=note)
