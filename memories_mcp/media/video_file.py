"""Video files as players show them."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# The stubs of PyAV leave the types of packets, planes and options open.

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from memories_mcp.errors import MediaUnavailable
from memories_mcp.media.threads import Stop, require_av

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

TICKS = Fraction(1, 1000)
"""The unit of time of what is written."""
THREADS = 2
"""Threads of one decoder or encoder."""
_BEYOND_SECONDS = 1.0
"""How far after the end of a video a time may lie: transcripts round the end of their last line up."""
_FURTHER_BACK_SECONDS = 20.0
_MOST_PIXELS = 100_000_000
"""Width times height of the largest picture to decode; a file of a few bytes can claim any size."""
# A file may name other files or URLs as its parts; none of them is opened.
_OPEN_OPTIONS = {"protocol_whitelist": "none"}


class VideoFile:
    """An open video file; its times count from its start, as players show them."""

    def __init__(self, file: IO[bytes]) -> None:
        import av

        self.container = av.open(file, "r", options=_OPEN_OPTIONS, metadata_errors="replace")
        stream = next((stream for stream in self.container.streams.video if not _is_cover(stream)), None)
        if stream is None or not _can_decode(stream):
            has_sound = any(map(_can_decode, self.container.streams.audio))
            self.container.close()
            if stream is None and has_sound:
                raise MediaUnavailable("The video has no pictures: its file holds only sound.")
            raise damaged()
        self.sound = next(filter(_can_decode, self.container.streams.audio), None)
        self.stream: VideoStream = stream
        self.stream.codec_context.thread_count = THREADS
        self.stream.thread_type = "AUTO"
        self.zero = (self.container.start_time or 0) / av.time_base
        duration = self.container.duration
        self.seconds = round(duration / av.time_base, 3) if duration and duration > 0 else None

    def time_of(self, frame: VideoFrame | AudioFrame) -> float:
        """Return the time of a decoded frame."""
        return (frame.time or 0.0) - self.zero

    def check_time(self, seconds: float) -> None:
        """Return if the video has a time.

        Raises:
            MediaUnavailable: The video ends before.
        """
        if self.seconds is not None and seconds > self.seconds + _BEYOND_SECONDS:
            raise MediaUnavailable(
                f"The moment at {seconds:g} s is not in the video, which is {self.seconds:g} s long.",
                next_step="Check the times of the ref.",
            )

    def decode(self, stop: Stop) -> Generator[VideoFrame, None, None]:
        """Yield the pictures from the present position on; damaged parts are left out."""
        from av.error import InvalidDataError

        if self.stream.width * self.stream.height > _MOST_PIXELS:
            raise MediaUnavailable(f"The picture is too large: {self.stream.width} x {self.stream.height} pixels.")
        for packet in self.container.demux(self.stream):
            stop.check()
            try:
                yield from (frame for frame in packet.decode() if frame.pts is not None)
            except InvalidDataError:
                continue

    def seek(self, seconds: float, stop: Stop) -> None:
        """Go to a complete picture at or before a time; to the start where the file cannot be searched.

        Args:
            seconds: The time.
            stop: When to give up.
        """
        for target in (seconds, seconds - _FURTHER_BACK_SECONDS):  # an index can lead to a later picture
            if target > 0 and self._seek(target):
                first = next(self.decode(stop), None)
                if first is not None and self.time_of(first) <= seconds and self._seek(target):
                    return
        self.container.seek(0)

    def _seek(self, seconds: float) -> bool:
        from av.error import FFmpegError

        try:
            self.container.seek(int((seconds + self.zero) / (self.stream.time_base or TICKS)), stream=self.stream)
        except FFmpegError:
            return False
        return True

    def fit(self, frame: VideoFrame, longest_side: int, pixel_format: str) -> VideoFrame:
        """Return a picture as it is shown: square pixels, upright, scaled down, both sides even.

        Args:
            frame: The decoded picture.
            longest_side: Most pixels of width and height.
            pixel_format: The pixel format to return.
        """
        ratio = self.stream.codec_context.sample_aspect_ratio
        wide = frame.width * (float(ratio) if ratio else 1.0)
        scale = min(1.0, longest_side / max(wide, frame.height))
        width, height = (max(2, round(side * scale / 2) * 2) for side in (wide, frame.height))
        return _turn(frame.reformat(width, height, pixel_format), frame.rotation)


@contextmanager
def open_video(file: Path | IO[bytes]) -> Generator[VideoFile, None, None]:
    """Yield an open video; errors of PyAV become the package's own."""
    require_av()
    from av.error import FFmpegError

    try:
        with file.open("rb") if isinstance(file, Path) else file as stream:
            video = VideoFile(stream)
            try:
                yield video
            finally:
                video.container.close()
    except (FFmpegError, OSError, ArithmeticError, ValueError) as error:
        raise damaged(str(getattr(error, "strerror", "") or "")) from None


def damaged(reason: str = "") -> MediaUnavailable:
    """Return the error for a file that cannot be read."""
    return MediaUnavailable(
        f"The video file cannot be read{f' ({reason})' if reason else ''}: it is damaged, or its format is unknown.",
        next_step="Check the original with download_video.",
    )


def _can_decode(stream: VideoStream | AudioStream) -> bool:
    # It is `None` if the format is unknown, which the stubs do not say.
    return cast(object, stream.codec_context) is not None


def _is_cover(stream: VideoStream) -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def _turn(frame: VideoFrame, degrees: int) -> VideoFrame:
    """Return a picture turned counterclockwise by a multiple of 90 degrees."""
    filters = {90: ["cclock"], 180: ["clock", "clock"], 270: ["clock"]}.get(degrees % 360)
    if filters is None:
        return frame
    import av.filter

    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or TICKS,
        ),
        *(graph.add("transpose", direction) for direction in filters),
        graph.add("buffersink"),
    ).configure()
    graph.vpush(frame)
    return graph.vpull()
