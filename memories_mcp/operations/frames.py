"""Moments of the caller's own videos as pictures and as clips."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from memories_mcp.api import Target, atomic_write
from memories_mcp.context import Context
from memories_mcp.errors import FileRefused, InvalidArguments
from memories_mcp.file_access import LocalPath
from memories_mcp.media.clips import Clip, cut_clip
from memories_mcp.media.threads import Stop, require_av
from memories_mcp.models.base import Output, Picture, PrivateInput
from memories_mcp.models.coercions import OptionalLine, Seconds
from memories_mcp.models.evidence import Ref, parse_ref
from memories_mcp.operation import Effect
from memories_mcp.operations.common.media import (
    MEDIA,
    cut_shot,
    fetch_stored_picture,
    is_downloadable,
    moment_range,
    read_video,
    refuse_download,
    try_stored_picture,
    use_video,
)
from memories_mcp.operations.toolsets import frames
from memories_mcp.rendering.text import format_clock

_MARGIN_SECONDS = 2.0
_LONGEST_CLIP_SECONDS = 120.0
_CHUNK = 1024 * 1024


class GetFrame(PrivateInput):
    """Arguments of `get_frame`."""

    ref: Ref = Field(examples=["VI612515093881740229#t=3,5&kind=visual"])
    """From a search, chat or transcript."""


class Frame(Output):
    """A picture of a moment; it follows the text."""

    ref: str
    video_no: str | None = None
    video_name: OptionalLine = None
    time_seconds: Seconds = None
    """The picture's time in the video."""
    width: int | None = None
    height: int | None = None
    source: Literal["key frame", "video", "image"]
    """The service's own key frame, the video itself, or an image of the library."""


@frames.operation(title="See a moment", effect=Effect.READ, endpoints=MEDIA)
async def get_frame(context: Context, args: GetFrame) -> Frame:
    """See a moment of your own video, or an image, as a picture.

    May download the video, billed by the gigabyte; its next pictures are then free.
    """
    reference = parse_ref(args.ref)
    if not is_downloadable(reference):
        shot = await fetch_stored_picture(context, reference, args.unique_id)
        if shot is None:
            await refuse_download(context, reference)
        frame = Frame(ref=args.ref, source="image" if reference.kind == "image" else "key frame")
        if reference.kind != "image":
            frame.video_no = reference.video_no
    else:
        video = await read_video(context, reference.video_no, args.unique_id)
        frame = Frame(ref=args.ref, video_no=video.video_no, video_name=video.video_name, source="key frame")
        shot = await try_stored_picture(context, reference, args.unique_id)
        if shot is None:
            require_av()
            shot = await use_video(context, video, args.unique_id, cut_shot, reference.start or 0.0)
            frame.source = "video"
    frame.time_seconds, frame.width, frame.height = shot.seconds, shot.width, shot.height
    frame.pictures.append(Picture(shot.data, shot.mime_type))
    return frame


class DownloadClip(GetFrame):
    """Arguments of `download_clip`."""

    path: LocalPath = Field(examples=["moment.mp4"])
    """New .mp4 below the files root."""
    overwrite: bool = False
    """Replace an existing file."""


class SavedClip(Output):
    """A clip that was written."""

    ref: str
    video_no: str
    path: str
    """Below the files root."""
    size_bytes: int
    start_seconds: Seconds
    """Where it starts in the video."""
    end_seconds: Seconds


@frames.operation(title="Save a clip", effect=Effect.WRITE, endpoints=MEDIA)
async def download_clip(context: Context, args: DownloadClip) -> SavedClip:
    """Save a moment of your own video, with 2 seconds around it, as a clip.

    May download the video, billed by the gigabyte.
    """
    reference = parse_ref(args.ref)
    start, end = moment_range(reference)
    start, end = max(0.0, start - _MARGIN_SECONDS), end + _MARGIN_SECONDS
    if end - start > _LONGEST_CLIP_SECONDS:
        longest = format_clock(_LONGEST_CLIP_SECONDS)
        raise InvalidArguments([f"ref: the clip would be {format_clock(end - start)} long; the longest is {longest}"])
    if not args.path.lower().endswith(".mp4"):
        raise FileRefused(f"{args.path} cannot be written: a clip is an MP4 file.", next_step="End the name in .mp4.")
    target = context.files.writable(args.path, overwrite=args.overwrite)
    if not is_downloadable(reference):
        await refuse_download(context, reference)
    require_av()
    video = await read_video(context, reference.video_no, args.unique_id)
    clip, size = await use_video(context, video, args.unique_id, _save_clip, start, end, target)
    return SavedClip(
        ref=args.ref,
        video_no=video.video_no,
        path="/".join(target.names),
        size_bytes=size,
        start_seconds=clip.start,
        end_seconds=clip.end,
    )


def _save_clip(stop: Stop, path: Path, scratch: Path, start: float, end: float, target: Target) -> tuple[Clip, int]:
    clip = cut_clip(stop, path, scratch, start, end)
    size = 0
    with atomic_write(target) as write, scratch.open("rb") as file:
        while chunk := file.read(_CHUNK):
            stop.check()
            write(chunk)
            size += len(chunk)
    return clip, size
