"""Videos made for tests: their colour changes every second, so that a picture shows its time."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# The stubs of PyAV leave the types of packets, planes and options open.

from __future__ import annotations

import io
import math
import random
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

COLOURS = ((200, 30, 30), (30, 160, 30), (40, 60, 200), (200, 180, 30), (30, 170, 170), (170, 40, 170))
"""The colour of each second; it repeats after the last."""


def picture(seconds: float, width: int, height: int, *, marked: bool = False, noise: bool = False) -> VideoFrame:
    """A picture in the colour of its second, with a white upper part, or of noise."""
    frame = VideoFrame(width, height, "rgb24")
    plane = frame.planes[0]
    row = (bytes(COLOURS[int(seconds) % len(COLOURS)]) * width).ljust(plane.line_size, b"\0")
    rows = [row] * height
    if marked:
        rows[: height // 4] = [b"\xff" * plane.line_size] * (height // 4)
    if noise:
        chance = random.Random(int(seconds * 1000))
        rows = [chance.randbytes(plane.line_size) for _ in range(height)]
    plane.update(b"".join(rows))
    return frame


def make_video(
    path: Path,
    seconds: float = 6,
    *,
    width: int = 320,
    height: int = 180,
    rate: float = 10,
    times: list[float] | None = None,
    sound: bool = True,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    aspect: Fraction | None = None,
    marked: bool = False,
    noise: bool = False,
) -> Path:
    """Write a video, whose container follows from the extension.

    Args:
        path: The file.
        seconds: The length.
        width: The width in pixels.
        height: The height in pixels.
        rate: Pictures per second.
        times: The time of each picture, in place of an even rate.
        sound: Whether it has a tone.
        codec: The encoder of the pictures.
        options: Options of the encoder.
        aspect: The aspect ratio of a pixel.
        marked: Whether the upper part of each picture is white.
        noise: Whether the pictures are noise, which takes many bytes.
    """
    with av.open(str(path), "w") as output:
        even = Fraction(rate).limit_denominator(1000)
        video: Any = output.add_stream(codec, rate=even, options=options or {"g": "20"})
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        if codec == "mjpeg":
            video.pix_fmt = "yuvj420p"
        if aspect:
            video.codec_context.sample_aspect_ratio = aspect
        ticks = Fraction(1, 1000) if times else 1 / even
        video.codec_context.time_base = ticks
        audio: Any = output.add_stream("aac", rate=44_100, layout="stereo") if sound else None
        for at in times or [number / rate for number in range(int(seconds * rate))]:
            frame = picture(at, width, height, marked=marked, noise=noise)
            frame.time_base, frame.pts = ticks, round(at / ticks)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if sound:
            assert isinstance(audio, AudioStream)
            _add_tone(output, audio, seconds)
    return path


def _add_tone(output: Any, audio: AudioStream, seconds: float) -> None:
    samples = [int(8000 * math.sin(number * 440 * 2 * math.pi / 44_100)) for number in range(1024)]
    data = b"".join(struct.pack("<hh", sample, sample) for sample in samples)
    for start in range(0, int(seconds * 44_100), 1024):
        frame = AudioFrame("s16", "stereo", 1024)
        frame.planes[0].update(data)
        frame.sample_rate, frame.pts, frame.time_base = 44_100, start, Fraction(1, 44_100)
        output.mux(audio.encode(frame))
    output.mux(audio.encode(None))


def make_sound(path: Path, seconds: float = 3) -> Path:
    """Write a file with sound and no pictures."""
    with av.open(str(path), "w") as output:
        audio: Any = output.add_stream("aac", rate=44_100, layout="stereo")
        _add_tone(output, audio, seconds)
    return path


def picture_file(seconds: float, width: int, height: int, *, codec: str = "mjpeg") -> bytes:
    """A picture in the colour of a second, as JPEG or PNG."""
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.time_base = width, height, Fraction(1, 10)
    encoder.pix_fmt = "yuvj420p" if codec == "mjpeg" else "rgb24"
    frame = picture(seconds, width, height).reformat(format=encoder.pix_fmt)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def turn(path: Path, degrees: int) -> Path:
    """Write into an MP4 file that players turn its pictures clockwise, as the cameras of phones do."""
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    values = (cosine, sine, 0, -sine, cosine, 0, 0, 0, 16384)
    matrix = struct.pack(">9i", *(value if value == 16384 else value * 65536 for value in values[:8]), 1 << 30)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd")  # the video's track is the first
    data[at + 44 : at + 80] = matrix
    path.write_bytes(data)
    return path


def colour_at(data: bytes, x: float = 0.5, y: float = 0.5) -> tuple[int, int, int]:
    """The colour of a point of a picture, of which `x` and `y` are fractions."""
    with av.open(io.BytesIO(data), "r") as container:
        frame = next(container.decode(video=0)).reformat(format="rgb24")
    plane = frame.planes[0]
    start = int(y * frame.height) * plane.line_size + 3 * int(x * frame.width)
    red, green, blue = bytes(plane)[start : start + 3]
    return red, green, blue


def second_of(data: bytes) -> int:
    """The second, modulo the number of colours, whose colour a picture has."""
    colour = colour_at(data)
    distances = [sum(abs(a - b) for a, b in zip(colour, other, strict=True)) for other in COLOURS]
    assert min(distances) < 40, (colour, distances)
    return distances.index(min(distances))


def with_free_atom(path: Path, size: int) -> Path:
    """Make an MP4 file larger by bytes that players skip; they take no room on most disks."""
    with path.open("ab") as file:
        file.write(struct.pack(">I", size) + b"free")
        file.truncate(file.tell() + size - 8)
    return path
