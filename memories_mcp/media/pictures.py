"""Pictures out of video files, and smaller ones out of pictures."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# The stubs of PyAV leave the types of packets, planes and options open.

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from memories_mcp.media.threads import Stop
from memories_mcp.media.video_file import TICKS, damaged, open_video

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


class Still(NamedTuple):
    """A picture.

    Attributes:
        data: The picture as JPEG.
        width: Its width in pixels.
        height: Its height in pixels.
        seconds: Its time in the video; 0 for a picture that is no part of a video.
        video_seconds: The length of the video, if the file states it.
    """

    data: bytes
    width: int
    height: int
    seconds: float
    video_seconds: float | None


def cut_frame(stop: Stop, path: Path, seconds: float, *, longest_side: int) -> Still:
    """Return the picture that a player shows at a time of a video; the last one for a time just after the end.

    Args:
        stop: When to give up.
        path: The video file.
        seconds: The time.
        longest_side: Most pixels of the picture's width and height.

    Raises:
        MediaUnavailable: The file has no picture at this time, or cannot be read.
        ConfigurationError: PyAV is not installed.
    """
    with open_video(path) as video:
        video.check_time(seconds)
        shown = None
        video.seek(seconds, stop)
        for frame in video.decode(stop):
            if shown is not None and video.time_of(frame) > seconds:
                break
            shown = frame
        if shown is None:
            raise damaged()
        data, width, height = _encode_jpeg(video.fit(shown, longest_side, "yuvj420p"))
        return Still(data, width, height, max(0.0, round(video.time_of(shown), 3)), video.seconds)


def scale_picture(stop: Stop, data: bytes, *, longest_side: int) -> Still | None:
    """Return a picture scaled down as JPEG, or `None` if it is small enough.

    Args:
        stop: When to give up.
        data: The picture as JPEG, PNG or WebP.
        longest_side: Most pixels of its width and height.

    Raises:
        MediaUnavailable: The data is no picture that can be read.
        ConfigurationError: PyAV is not installed.
    """
    with open_video(io.BytesIO(data)) as picture:
        if max(picture.stream.width, picture.stream.height) <= longest_side:
            return None
        frame = next(picture.decode(stop), None)
        if frame is None:
            raise damaged()
        scaled, width, height = _encode_jpeg(picture.fit(frame, longest_side, "yuvj420p"))
        return Still(scaled, width, height, 0, None)


def _encode_jpeg(frame: VideoFrame) -> tuple[bytes, int, int]:
    from av.video.codeccontext import VideoCodecContext

    encoder = VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "yuvj420p"
    encoder.time_base = TICKS
    encoder.qmin = encoder.qmax = 4
    frame.pts = 0
    data = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    return data, frame.width, frame.height
