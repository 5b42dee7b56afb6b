"""Downloads and deletions of the caller's own videos."""

from __future__ import annotations

from pydantic import Field

from memories_mcp.api.endpoints import DELETE_VIDEOS, DOWNLOAD, LIST_VIDEOS
from memories_mcp.context import CONFIRMATION_NEEDED, Context, Pending, Preview
from memories_mcp.errors import ApiError, MemoriesError
from memories_mcp.file_access import LocalPath
from memories_mcp.models.base import ConfirmableInput, Output, PrivateInput
from memories_mcp.models.ids import PrivateVideoNo
from memories_mcp.models.uris import VIDEOS, video_uri
from memories_mcp.operation import Effect
from memories_mcp.operations.common.lookups import describe_video, find_videos, perhaps_skipped
from memories_mcp.operations.common.transfers import byte_progress
from memories_mcp.operations.toolsets import library


class DownloadVideo(PrivateInput):
    """Arguments of `download_video`."""

    video_no: PrivateVideoNo = Field(examples=["VI612515093881740229"])
    """Video number or name."""
    path: LocalPath = Field(exclude=True, examples=["planning.mp4"])
    """Path of the new file, below the files root."""
    overwrite: bool = Field(default=False, exclude=True)
    """Replace an existing file."""


class Downloaded(Output):
    """A file that was written."""

    video_no: str
    path: str
    """Below the files root."""
    size_bytes: int


@library.operation(title="Download a video", effect=Effect.WRITE, endpoints=[DOWNLOAD])
async def download_video(context: Context, args: DownloadVideo) -> Downloaded:
    """Download the original file of a video in your own library to the files root.

    Billed by the gigabyte. A failed download writes no file.
    """
    target = context.files.writable(args.path, overwrite=args.overwrite)
    size = await context.api.download(
        DOWNLOAD,
        json=args.wire(),
        target=target,
        on_bytes=byte_progress(context, "received"),
    )
    return Downloaded(video_no=args.video_no, path="/".join(target.names), size_bytes=size)


class DeleteVideos(PrivateInput, ConfirmableInput):
    """Arguments of `delete_videos`."""

    video_nos: list[PrivateVideoNo] = Field(min_length=1, max_length=100, examples=[["VI611702946038315594"]])
    """Video numbers or names, at most 100."""


class Deleted(Output):
    """The outcome for each video, checked by listing the videos afterwards."""

    deleted: list[str] = []
    """No longer listed."""
    not_found: list[str] = []
    """Not in this namespace before the request; nothing was done."""
    still_there: list[str] = []
    """Still listed after the request."""
    confirmation: Pending | None = None
    """Present when nothing was done yet and the user must agree first."""


@library.operation(
    title="Delete videos", effect=Effect.DESTRUCTIVE, endpoints=[DELETE_VIDEOS, LIST_VIDEOS], idempotent=True
)
async def delete_videos(context: Context, args: DeleteVideos) -> Deleted:
    """Delete videos of your own library permanently, with everything made from them. There is no undo.

    Unless the user is asked directly, the first call only returns a preview and a token.
    """
    requested = list(dict.fromkeys(args.video_nos))
    videos = await find_videos(context, requested, args.unique_id)
    existing = [video.video_no for video in videos]
    missing = [video_no for video_no in requested if video_no not in existing]
    outcome = Deleted(not_found=missing)
    if not existing:
        outcome.add_note(
            "Nothing was deleted: none of these videos is in this namespace. Check the numbers with list_videos, and "
            "unique_id."
        )
    if missing:
        outcome.add_note(perhaps_skipped())
    if not existing:
        return outcome
    count = "1 video" if len(existing) == 1 else f"{len(existing)} videos"
    preview = Preview(action=f"Delete {count} for good.", items=[describe_video(video) for video in videos])
    if pending := await context.confirm(preview):
        outcome.confirmation = pending
        outcome.add_note(CONFIRMATION_NEEDED)
        return outcome
    await _delete(context, existing, args.unique_id)
    context.changed(VIDEOS, *(video_uri(video_no) for video_no in existing))
    try:
        remaining = {video.video_no for video in await find_videos(context, existing, args.unique_id)}
    except MemoriesError as error:
        outcome.deleted = existing
        outcome.add_note(
            f"The API accepted the request, but listing the videos afterwards failed: {error.summary} Check with "
            "list_videos that they are gone."
        )
        return outcome
    outcome.deleted = [video_no for video_no in existing if video_no not in remaining]
    outcome.still_there = [video_no for video_no in existing if video_no in remaining]
    if remaining:
        outcome.add_note("Some videos are still listed. Check list_videos in a minute.")
    return outcome


async def _delete(context: Context, video_nos: list[str], unique_id: str | None) -> None:
    try:
        await context.api.call(DELETE_VIDEOS, json=video_nos, query={"unique_id": unique_id}, into=object)
    except ApiError as error:
        if error.code != "0409":  # "already deleted" is the desired state
            raise
