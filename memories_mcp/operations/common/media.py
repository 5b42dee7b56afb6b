"""Pictures and clips of moments: the service's key frames, and what is cut from downloaded videos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, NamedTuple, NoReturn, ParamSpec, TypeVar

from memories_mcp.api import Target
from memories_mcp.api.endpoints import DOWNLOAD, LIST_VIDEOS, METADATA, PRIVATE_DETAILS, PUBLIC_DETAIL, STORED_FILE
from memories_mcp.context import Context
from memories_mcp.errors import FATAL_ERRORS, MediaUnavailable, MemoriesError, NotFound, NotReady
from memories_mcp.media.cache import OnBytes, VideoSource
from memories_mcp.media.pictures import Still, cut_frame, scale_picture
from memories_mcp.media.threads import Stop, in_thread, is_installed, require_av
from memories_mcp.media_types import media_type_of
from memories_mcp.models.evidence import Reference
from memories_mcp.models.ids import is_public
from memories_mcp.models.media import RequestedVideo
from memories_mcp.models.platforms import timed_link
from memories_mcp.operations.common.lookups import fetch_private_details
from memories_mcp.operations.common.moments import read_facts
from memories_mcp.operations.common.transfers import byte_progress

T = TypeVar("T")
P = ParamSpec("P")

MEDIA = (STORED_FILE, DOWNLOAD, PRIVATE_DETAILS, METADATA, LIST_VIDEOS, PUBLIC_DETAIL)
"""The endpoints that a picture or a clip of a moment may need."""
MOST_BYTES = 375_000
"""Bytes of media in one result, which are 500,000 characters of base64."""
LONGEST_SIDE = 768
"""Most pixels of a picture's width and height."""
MOST_CLIP_SECONDS = 10.0
"""The length of a clip of a moment whose end is not known, and the most that the viewer plays."""
_LARGEST_STORED_PICTURE = 20 * 1024**2
"""The largest image that the service takes (API 2.11)."""


class Shot(NamedTuple):
    """A picture of a moment.

    Attributes:
        data: The picture.
        mime_type: Its type.
        seconds: Its time in the video; `None` for an image, and where the service does not tell.
        width: Its width in pixels, if it is known.
        height: Its height in pixels, if it is known.
        video_seconds: The length of the video, if the file states it.
    """

    data: bytes
    mime_type: str
    seconds: float | None = None
    width: int | None = None
    height: int | None = None
    video_seconds: float | None = None


async def read_video(context: Context, video_no: str, unique_id: str | None) -> RequestedVideo:
    """Return a video of the caller's own, read with the caller's key: what is kept of a video rests on this right.

    Args:
        context: The context of the call.
        video_no: The video.
        unique_id: The namespace.

    Raises:
        NotFound: The caller has no such video; what was kept of it is gone.
        NotReady: It is still being processed.
    """
    try:
        video = await fetch_private_details(context, {"video_no": video_no, "unique_id": unique_id}, RequestedVideo)
    except NotFound:
        context.videos.forget(video_no, unique_id)
        raise
    if video.status == "processing" and video.raw_status:
        raise NotReady(
            "The video is not ready: it is still being processed.",
            next_step=f"Call wait_until_ready with video_nos={video_no}, then try again.",
        )
    return video


async def fetch_stored_picture(context: Context, reference: Reference, unique_id: str | None) -> Shot | None:
    """Return the image, or the key frame that the service stores of a moment; `None` if no search has named one.

    Args:
        context: The context of the call.
        reference: The moment or the image.
        unique_id: The namespace.

    Raises:
        MemoriesError: The service does not deliver the picture.
    """
    stored = context.key_frames.find(reference, unique_id)
    if stored is None:
        return None
    data = await context.api.download_picture(
        STORED_FILE, query={"bucket": stored.bucket, "blob": stored.blob}, max_bytes=_LARGEST_STORED_PICTURE
    )
    scaled = await in_thread(scale_picture, data, longest_side=LONGEST_SIDE) if is_installed() else None
    if scaled is not None:
        return _shot(scaled)._replace(seconds=stored.seconds, video_seconds=None)
    if len(data) > MOST_BYTES:
        require_av()
    return Shot(data, media_type_of(data[:16], "image") or "image/jpeg", stored.seconds)


async def try_stored_picture(context: Context, reference: Reference, unique_id: str | None) -> Shot | None:
    """Return what `fetch_stored_picture` returns, or `None` if it fails and the video may serve instead.

    Args:
        context: The context of the call.
        reference: The moment.
        unique_id: The namespace.
    """
    try:
        return await fetch_stored_picture(context, reference, unique_id)
    except FATAL_ERRORS:
        raise
    except MemoriesError:
        return None


async def use_video(
    context: Context, video: RequestedVideo, unique_id: str | None,
    function: Callable[Concatenate[Stop, Path, Path, P], T], *args: P.args, **options: P.kwargs,
) -> T:  # fmt: skip
    """Run a function on the file of a video, which is downloaded unless it is kept.

    Args:
        context: The context of the call.
        video: The video, as `read_video` returned it just before.
        unique_id: The namespace.
        function: Takes when to give up, the video's file and a path for a file of its own, which is removed.
        args: Its further arguments.
        options: Its arguments by name.
    """
    body = {"video_no": video.video_no, "unique_id": unique_id}

    async def download(target: Target, on_bytes: OnBytes) -> int:
        return await context.api.download(DOWNLOAD, json=body, target=target, on_bytes=on_bytes)

    on_bytes = byte_progress(context, "received") if context.reports_progress else None
    source = VideoSource(video.size_bytes, download, on_bytes)
    return await context.videos.use(video.video_no, unique_id, source, function, *args, **options)


def cut_shot(stop: Stop, path: Path, scratch: Path, seconds: float) -> Shot:
    """Return the picture of a video at a time.

    Args:
        stop: When to give up.
        path: The video file.
        scratch: Not used.
        seconds: The time.
    """
    return _shot(cut_frame(stop, path, seconds, longest_side=LONGEST_SIDE))


def _shot(still: Still) -> Shot:
    return Shot(still.data, "image/jpeg", still.seconds, still.width, still.height, still.video_seconds)


def moment_range(reference: Reference) -> tuple[float, float]:
    """Return start and end of a moment; without an end it lasts ten seconds."""
    start = reference.start or 0.0
    return start, start + MOST_CLIP_SECONDS if reference.end is None else reference.end


async def refuse_download(context: Context, reference: Reference) -> NoReturn:
    """Say why there are no media of an image or a public video without a stored picture; the text names its link.

    Args:
        context: The context of the call.
        reference: The image, or a moment of the public video.

    Raises:
        MediaUnavailable: In every case.
    """
    if reference.kind == "image":
        raise MediaUnavailable(
            "The place of the image is not known here: no search has returned it yet.",
            next_step="Find it with search_videos and search_type BY_IMAGE, then try again.",
        )
    facts = await read_facts(context, reference.video_no, None)
    link = facts.video_url and timed_link(facts.video_url, reference.start)
    raise MediaUnavailable(
        "The service does not let public videos be downloaded, so there is no picture and no clip of them.",
        next_step=f"Watch the video at its site: {link}" if link else "Watch the video at its site.",
    )


def is_downloadable(reference: Reference) -> bool:
    """Return whether a moment is part of a video of the caller's own, which the service lets them download."""
    return reference.kind != "image" and not is_public(reference.video_no)
