"""What the evidence viewer inside a chat asks for."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, WithJsonSchema

from memories_mcp.context import Context
from memories_mcp.errors import MediaUnavailable
from memories_mcp.media.clips import Clip, cut_small_clip
from memories_mcp.media.threads import Stop, is_installed
from memories_mcp.media_types import media_type_of
from memories_mcp.models.base import NotInText, Output, PrivateInput
from memories_mcp.models.coercions import Seconds
from memories_mcp.models.evidence import Ref, Reference, parse_ref
from memories_mcp.models.media import RequestedVideo
from memories_mcp.operation import Effect
from memories_mcp.operations.common.media import (
    MEDIA,
    MOST_BYTES,
    MOST_CLIP_SECONDS,
    Shot,
    cut_shot,
    fetch_stored_picture,
    is_downloadable,
    moment_range,
    read_video,
    refuse_download,
    try_stored_picture,
    use_video,
)
from memories_mcp.operations.toolsets import viewer
from memories_mcp.rendering.text import format_size

_LEAST_CLIP_SECONDS = 3.0
_LARGEST_WHOLE_FILE = 20_000_000
"""Bytes of the largest video that is sent whole where clips cannot be cut."""
_PLAYABLE = {"video/mp4": "video/mp4", "video/quicktime": "video/mp4", "video/x-matroska": "video/webm"}
"""The media type under which browsers may play a video, by that of its file."""
_INSTALL = "The operator can install the extra that cuts pictures and clips: pip install 'memories-mcp[media]'."

Base64 = Annotated[
    bytes,
    PlainSerializer(lambda data: base64.b64encode(data).decode(), return_type=str),
    WithJsonSchema({"type": "string"}),
]
"""Bytes that structured content holds as base64."""


class GetMomentMedia(PrivateInput):
    """Arguments of `get_moment_media`."""

    ref: Ref = Field(examples=["VI612515093881740229#t=3,5&kind=visual"])
    """An evidence ref."""
    kind: Literal["frame", "clip"]
    """A picture, or a clip to play."""
    download: bool = False
    """A person asked for it: the video may be downloaded, which is billed."""
    offset: int = Field(default=0, ge=0)
    """Where the next part of a large file begins."""


class MomentMedia(Output):
    """A picture or a clip of a moment, or the reason why there is none."""

    ref: str
    kind: Annotated[Literal["frame", "clip"], NotInText()]
    mime_type: Annotated[str | None, NotInText()] = None
    data: Annotated[Base64 | None, NotInText()] = None
    """The media as base64, or a part of them."""
    start_seconds: Annotated[Seconds, NotInText()] = None
    """What the media cover in the video: the time of a picture, the range of a clip."""
    end_seconds: Annotated[Seconds, NotInText()] = None
    next_offset: Annotated[int | None, NotInText()] = None
    """There is more: call again with this offset and join the decoded bytes."""
    total_bytes: Annotated[int | None, NotInText()] = None
    duration_seconds: Annotated[Seconds, NotInText()] = None
    """The length of the video."""
    width: Annotated[int | None, NotInText()] = None
    height: Annotated[int | None, NotInText()] = None
    reason: str | None = None
    """Why there are no media, and what to do."""
    download_bytes: Annotated[int | None, NotInText()] = None
    """The size of the video, if a download of it is all that is missing; 0 if the size is not known."""


@viewer.operation(title="Show a moment", effect=Effect.READ, endpoints=MEDIA)
async def get_moment_media(context: Context, args: GetMomentMedia) -> MomentMedia:
    """Return a picture or a short clip of a moment, for the evidence viewer; not for models."""
    media = MomentMedia(ref=args.ref, kind=args.kind)
    try:
        await _find_media(context, args, parse_ref(args.ref), media)
    except MediaUnavailable as error:
        media.reason = str(error)
    return media


async def _find_media(context: Context, args: GetMomentMedia, reference: Reference, media: MomentMedia) -> None:
    """Fill in the media or the reason.

    Args:
        context: The context of the call.
        args: The arguments of the operation.
        reference: The moment.
        media: The result.
    """
    if not is_downloadable(reference):
        shot = await fetch_stored_picture(context, reference, args.unique_id) if args.kind == "frame" else None
        if shot is None:
            await refuse_download(context, reference)
        _add_shot(media, shot)
        return
    video = await read_video(context, reference.video_no, args.unique_id)
    media.duration_seconds = video.duration_seconds
    if args.kind == "frame" and (shot := await try_stored_picture(context, reference, args.unique_id)):
        _add_shot(media, shot)
        return
    if not is_installed() and (reason := _why_not_whole(args.kind, video, kept=context.videos.stay)):
        media.reason = f"{reason} {_INSTALL}"
        return
    if not (args.download or context.videos.holds(video.video_no, args.unique_id)):
        size = format_size(video.size_bytes) if video.size_bytes else "its size is not known"
        media.reason = f"This needs a download of the video ({size}), which is billed."
        media.download_bytes = video.size_bytes or 0
        return
    if args.kind == "frame":
        _add_shot(media, await use_video(context, video, args.unique_id, cut_shot, reference.start or 0.0))
    elif is_installed():
        start, end = moment_range(reference)
        end = start + min(max(end - start, _LEAST_CLIP_SECONDS), MOST_CLIP_SECONDS)
        clip, data = await use_video(context, video, args.unique_id, _cut_clip, start, end)
        media.data, media.mime_type, media.total_bytes = data, "video/mp4", len(data)
        media.start_seconds, media.end_seconds = clip.start, clip.end
        media.width, media.height = clip.width, clip.height
        media.duration_seconds = clip.video_seconds or media.duration_seconds
    else:
        await _add_part(context, args, video, media)


def _cut_clip(stop: Stop, path: Path, scratch: Path, start: float, end: float) -> tuple[Clip, bytes]:
    return cut_small_clip(stop, path, scratch, start, end, max_bytes=MOST_BYTES)


def _add_shot(media: MomentMedia, shot: Shot) -> None:
    if len(shot.data) > MOST_BYTES:
        raise MediaUnavailable(f"The picture is too large to be shown: {format_size(len(shot.data))}.")
    media.data, media.mime_type, media.total_bytes = shot.data, shot.mime_type, len(shot.data)
    media.start_seconds = media.end_seconds = shot.seconds
    media.width, media.height = shot.width, shot.height
    media.duration_seconds = shot.video_seconds or media.duration_seconds


# Without PyAV a small video is sent whole, in parts.


def _why_not_whole(kind: str, video: RequestedVideo, *, kept: bool) -> str | None:
    """Return why a video cannot be sent whole in place of a picture or a clip; `None` if it can.

    Args:
        kind: What was asked for.
        video: The video.
        kept: Whether the video is kept from one part to the next: otherwise each part would cost a download.
    """
    if kind == "frame":
        return "The service has no key frame of this moment, and the server cannot cut pictures from videos."
    if video.size_bytes is None or video.size_bytes > _LARGEST_WHOLE_FILE:
        return (
            f"The server cannot cut clips, and only videos of up to {format_size(_LARGEST_WHOLE_FILE)} are sent whole."
        )
    if not kept and video.size_bytes > MOST_BYTES:
        return "The server cannot cut clips, and keeps no videos to send them whole."
    return None


async def _add_part(context: Context, args: GetMomentMedia, video: RequestedVideo, media: MomentMedia) -> None:
    media.mime_type, data, total = await use_video(context, video, args.unique_id, _read_part, args.offset)
    media.data, media.total_bytes = data, total
    media.start_seconds, media.end_seconds = 0.0, video.duration_seconds
    if args.offset + len(data) < total:
        media.next_offset = args.offset + len(data)


def _read_part(stop: Stop, path: Path, scratch: Path, offset: int) -> tuple[str, bytes, int]:
    total = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(16)
        file.seek(offset)
        data = file.read(MOST_BYTES)
    mime_type = _PLAYABLE.get(media_type_of(start, "video") or "")
    if mime_type is None:
        raise MediaUnavailable("Browsers do not play the format of this video.", next_step=_INSTALL)
    if not data:
        raise MediaUnavailable(f"The video has only {total} bytes.", next_step="Begin again at offset 0.")
    return mime_type, data, total
