"""Clips out of video files, as MP4 files with H.264 and AAC."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# The stubs of PyAV leave the types of packets, planes and options open.

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from memories_mcp.errors import MediaUnavailable
from memories_mcp.media.threads import Stop
from memories_mcp.media.video_file import THREADS, TICKS, VideoFile, damaged, open_video

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_STILL_SECONDS = 0.04
"""The time that the last picture of a clip is shown."""


class Clip(NamedTuple):
    """A clip that was written to a file.

    Attributes:
        width: Its width in pixels.
        height: Its height in pixels.
        start: Where it starts in the video, in seconds.
        end: Where it ends.
        video_seconds: The length of the video, if the file states it.
    """

    width: int
    height: int
    start: float
    end: float
    video_seconds: float | None


class _Quality(NamedTuple):
    """How a clip is encoded.

    Attributes:
        side: Its longest side in pixels.
        crf: The quality of x264; lower is better.
        audio_rate: Bits per second of its sound.
        channels: The layout of the sound's channels.
        video_rate: Most bits per second of its pictures; `None` for no limit.
        pictures: Most pictures per second.
    """

    side: int
    crf: int
    audio_rate: int
    channels: str
    video_rate: int | None
    pictures: int


_GOOD = _Quality(side=1920, crf=20, audio_rate=160_000, channels="stereo", video_rate=None, pictures=60)
_SMALL_SIDES = (480, 360, 240)
"""The sizes that a small clip is tried in."""
_SMALL_AUDIO_RATE = 48_000
_SMALL_VIDEO_RATES = (40_000, 700_000)
"""The least and the most bits per second of a small clip's pictures."""


def cut_clip(stop: Stop, path: Path, target: Path, start: float, end: float) -> Clip:
    """Write a part of a video to an MP4 file in good quality.

    Args:
        stop: When to give up.
        path: The video file.
        target: The file to write.
        start: Where the clip starts, in seconds.
        end: Where it ends; the end of the video if that comes first.

    Raises:
        MediaUnavailable: The video does not reach `start`, or the file cannot be read.
        ConfigurationError: PyAV is not installed.
    """
    with open_video(path) as video:
        return _write_clip(video, target, start, end, _GOOD, stop)


def cut_small_clip(
    stop: Stop, path: Path, target: Path, start: float, end: float, *, max_bytes: int
) -> tuple[Clip, bytes]:
    """Return a part of a video as an MP4 file of limited size.

    Args:
        stop: When to give up.
        path: The video file.
        target: A file to write meanwhile; it is removed.
        start: Where the clip starts, in seconds.
        end: Where it ends; the end of the video if that comes first.
        max_bytes: The largest size.

    Raises:
        MediaUnavailable: As for `cut_clip`, or the clip does not fit in any quality.
        ConfigurationError: PyAV is not installed.
    """
    size = 0
    share = 0.9  # of the bytes; the container takes the rest
    for side in _SMALL_SIDES:
        try:
            with open_video(path) as video:
                rate = share * max_bytes * 8 / max(1.0, end - start) - _SMALL_AUDIO_RATE
                least, most = _SMALL_VIDEO_RATES
                quality = _Quality(
                    side=side,
                    crf=27,
                    audio_rate=_SMALL_AUDIO_RATE,
                    channels="mono",
                    video_rate=int(min(max(rate, least), most)),
                    pictures=30,
                )
                clip = _write_clip(video, target, start, end, quality, stop)
            size = target.stat().st_size
            if size <= max_bytes:
                return clip, target.read_bytes()
        finally:
            target.unlink(missing_ok=True)
        share *= 0.8 * max_bytes / size
    raise MediaUnavailable(
        f"The clip does not fit: in low quality it still has {size:,} bytes, and {max_bytes:,} are the most.",
        next_step="Try a shorter moment.",
    )


class _ClipWriter:
    """Encodes the pictures and the sound of a clip; the size is that of the first picture."""

    def __init__(self, output: OutputContainer, quality: _Quality, length: float, *, has_sound: bool) -> None:
        from av import AudioResampler

        self._output = output
        self._quality = quality
        self._length = length
        options = {"preset": "veryfast", "crf": str(quality.crf)}
        if quality.video_rate:
            options |= {"maxrate": str(quality.video_rate), "bufsize": str(quality.video_rate)}
        self.video: VideoStream = output.add_stream("libx264", rate=quality.pictures, options=options)
        self.video.pix_fmt = "yuv420p"
        self.video.codec_context.time_base = TICKS
        self.video.codec_context.thread_count = THREADS
        self._last: tuple[VideoFrame, float] | None = None
        self._sized = False
        # The first written frame opens both encoders, so the sound waits for the size of the pictures.
        self._waiting: list[tuple[AudioFrame, float]] = []
        self._audio: AudioStream | None = None
        self._samples = 0
        if has_sound:
            self._audio = output.add_stream("aac", rate=44_100, layout=quality.channels)
            self._audio.bit_rate = quality.audio_rate
            self._resampler = AudioResampler("fltp", quality.channels, 44_100)

    def add_picture(self, frame: VideoFrame, seconds: float) -> None:
        """Add a picture at a time of the clip; one that follows too soon is left out."""
        seconds = max(0.0, seconds)
        if self._last and seconds - self._last[1] < 1 / self._quality.pictures - 0.004:
            return
        self._last = (frame, seconds)
        self._encode(frame, seconds)

    def _encode(self, frame: VideoFrame, seconds: float) -> None:
        if not self._sized:
            self.video.width, self.video.height = frame.width, frame.height
            self._sized = True
            for sound, at in self._waiting:
                self.add_sound(sound, at)
            self._waiting.clear()
        if (frame.width, frame.height) != (self.video.width, self.video.height):  # the video changes its size
            frame = frame.reformat(self.video.width, self.video.height)
        frame.time_base, frame.pts = TICKS, round(seconds / TICKS)
        frame.pict_type = 0
        self._output.mux(self.video.encode(frame))

    def add_sound(self, frame: AudioFrame, seconds: float) -> None:
        """Add a piece of sound at a time of the clip."""
        if self._audio is None:
            return
        if not self._sized:
            self._waiting.append((frame, seconds))
            return
        for piece in self._resampler.resample(frame):
            start = round(seconds * 44_100)
            # Rounded times differ by a few samples, which are no gap.
            self._samples = start if abs(start - self._samples) > 2000 and start > self._samples else self._samples
            piece.pts, piece.time_base = self._samples, Fraction(1, 44_100)
            self._samples += piece.samples
            self._output.mux(self._audio.encode(piece))

    def finish(self) -> None:
        """Show the last picture to the end of the clip, and write what the encoders hold back."""
        if self._last and self._last[1] + 0.5 < self._length:
            self._encode(self._last[0], self._length - _STILL_SECONDS)
        self._output.mux(self.video.encode(None))
        if self._audio is not None:
            self._output.mux(self._audio.encode(None))


def _write_clip(video: VideoFile, target: Path, start: float, end: float, quality: _Quality, stop: Stop) -> Clip:
    import av
    from av.error import InvalidDataError

    video.check_time(start)
    if video.seconds is not None:
        end = min(end, max(video.seconds, start + _STILL_SECONDS))
    sound = video.sound
    streams = [video.stream, sound] if sound else [video.stream]
    before: VideoFrame | None = None
    started, seen, heard = False, 0.0, 0.0
    with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as output:
        writer = _ClipWriter(output, quality, end - start, has_sound=sound is not None)
        video.seek(start, stop)
        for packet in video.container.demux(streams):
            stop.check()
            is_picture = packet.stream_index == video.stream.index
            try:
                frames = packet.decode()
            except InvalidDataError:
                continue
            for frame in frames:
                if not isinstance(frame, av.VideoFrame | av.AudioFrame) or frame.pts is None:
                    continue
                at = video.time_of(frame)
                if isinstance(frame, av.VideoFrame):
                    seen = at
                    if at <= start:
                        before = frame
                    elif at < end:
                        if before is not None:
                            writer.add_picture(video.fit(before, quality.side, "yuv420p"), 0)
                            before = None
                        writer.add_picture(video.fit(frame, quality.side, "yuv420p"), at - start)
                        started = True
                else:
                    heard = at
                    if start <= at < end:
                        writer.add_sound(frame, at - start)
            if seen >= end and (sound is None or heard >= end or (is_picture and seen >= end + 1)):
                break
        if before is not None:  # one picture is shown for the whole time
            writer.add_picture(video.fit(before, quality.side, "yuv420p"), 0)
            started = True
        if not started:
            raise damaged()
        writer.finish()
    return Clip(writer.video.width, writer.video.height, round(start, 3), round(end, 3), video.seconds)
