"""Generate the films of the private demo videos, and a key frame for each of their scenes.

Each line of a video's `visual` track becomes a scene: drawings of the things that its text names, the text's own
quotations on a board, and a caption with the times and the first words. A film runs for the video's whole `duration`,
with a key frame at the start of each scene. Its sound is that of the file which it replaces: the first spoken line.

The script needs PyAV (the extra `media`), NumPy, and Chromium, which draws the scenes; CHROMIUM names another browser.

    python tools/make_films.py
"""

# PyAV's packets are generic without a parameter.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import html
import math
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, cast

import av
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

LIBRARY = Path(__file__).resolve().parent.parent / "memories_mcp" / "sandbox" / "demo"
MEDIA = LIBRARY / "media"
KEYFRAMES = LIBRARY / "keyframes"
DRAWINGS = tomllib.loads((Path(__file__).parent / "film_icons.toml").read_text(encoding="utf-8"))
ICONS = [(re.compile(rf"\b(?:{words})\b", re.IGNORECASE), svg) for words, svg in DRAWINGS["icons"].items()]

WIDTH, HEIGHT = 320, 180
MAX_FILM_BYTES, MAX_KEYFRAME_BYTES = 160_000, 5_600
MAX_FRAMES = 1200
"""A long film has fewer frames a second."""
MAX_ICONS = 4
BAR_HEIGHT = 4
"""The height of the bar that grows during a scene, in pixels."""

Picture = NDArray[np.uint8]

STYLE = """
* { margin: 0; box-sizing: border-box } body { width: 320px }
section { position: relative; width: 320px; height: 180px; overflow: hidden; background: var(--sky) }
.ground { position: absolute; bottom: 0; width: 100%; background: var(--ground) }
.icon { position: absolute } .icon svg { display: block; width: 100%; height: 100% }
.quote { position: absolute; left: 12px; right: 12px; top: 5px; height: 33px; padding: 0 6px; background: #fffffff0;
  border: 2px solid var(--d); font: bold 12px/29px "DejaVu Sans", sans-serif; color: #111; text-align: center;
  white-space: nowrap; overflow: hidden }
.caption { position: absolute; inset: auto 0 4px 0; height: 44px; padding: 3px 7px; background: var(--d); color: #fff;
  font: 11px/13px "DejaVu Sans", sans-serif }
.caption b { color: #ffe08a; font-size: 12px }
"""


class Scene(NamedTuple):
    """A line of a `visual` track; times in seconds."""

    start: int
    end: int
    text: str


def scenes_of(video: dict[str, Any]) -> list[Scene]:
    """Return the scenes of a video; the last one ends with the film."""
    scenes: list[Scene] = []
    for line in video["visual"].strip().splitlines():
        times, _, text = line.partition(" ")
        start, _, end = times.partition("-")
        scenes.append(Scene(int(start), int(end), text))
    return scenes


def clock(seconds: int) -> str:
    """Return a time as `3:28`."""
    return f"{seconds // 60}:{seconds % 60:02}"


def icons_of(text: str) -> list[str]:
    """Return the drawings of the first things that a text names, without its quotations."""
    seen = re.sub(r'"[^"]*"', '""', text)
    places = [(match.start(), svg) for pattern, svg in ICONS if (match := pattern.search(seen))]
    return [svg for _, svg in sorted(places)[:MAX_ICONS]]


def markup(scene: Scene, number: int) -> str:
    """Return a scene as HTML.

    Args:
        scene: The scene.
        number: Its place in the film, which varies the horizon, the positions and the light.
    """
    icons = icons_of(scene.text)
    quotes = re.findall(r'"([^"]*)"', scene.text)
    top = 42 if quotes else 12
    size = min(126 - top, 284 // max(len(icons), 2))
    room = (WIDTH - 20) / max(len(icons), 1)
    horizon = 70 + 17 * (number * 7 % 4)
    parts = [f'<div class="ground" style="height:{HEIGHT - horizon}px"></div>']
    for index, svg in enumerate(icons):
        left = 10 + room * index + (room - size) / 2
        drop = (number * 5 + index * 7) % max(1, 132 - top - size)
        place = f"left:{left:.0f}px;top:{top + drop}px;width:{size}px;height:{size}px"
        parts.append(f'<div class="icon" style="{place}"><svg viewBox="0 0 40 40">{svg}</svg></div>')
    if quotes:
        parts.append(f'<div class="quote">{html.escape(max(quotes, key=len)[:42])}</div>')
    words = scene.text if len(scene.text) <= 88 else f"{scene.text[:88].rsplit(' ', 1)[0]} …"
    parts.append(f'<div class="caption"><b>{clock(scene.start)} - {clock(scene.end)}</b><br>{html.escape(words)}</div>')
    return f'<section style="filter:hue-rotate({number * 11 % 44 - 22}deg)">{"".join(parts)}</section>'


def draw(name: str, scenes: list[Scene], folder: Path) -> list[Picture]:
    """Draw the scenes of a film in one page, and return their pictures as RGB.

    Args:
        name: The film's name, which selects its colours.
        scenes: The scenes.
        folder: A folder for the page and its picture.
    """
    colours = DRAWINGS["palettes"][name]
    names = {"sky": "sky", "ground": "ground", "l": "light", "d": "dark", "a": "accent"}
    variables = ";".join(f"--{short}:{colours[long]}" for short, long in names.items())
    page, picture = folder / f"{name}.html", folder / f"{name}.png"
    body = "".join(markup(scene, number) for number, scene in enumerate(scenes))
    page.write_text(f'<meta charset="utf-8"><style>:root {{{variables}}}{STYLE}</style>{body}', encoding="utf-8")
    browser = os.environ.get("CHROMIUM", "chromium")
    command = [browser, "--headless=new", "--no-sandbox", "--hide-scrollbars", "--force-device-scale-factor=1"]
    size = f"--window-size={WIDTH},{HEIGHT * len(scenes)}"
    subprocess.run(
        [*command, f"--user-data-dir={folder / 'profile'}", size, f"--screenshot={picture}", page.as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    with av.open(str(picture)) as container:
        sheet = cast(Picture, next(container.decode(video=0)).to_ndarray(format="rgb24"))
    if sheet.shape != (HEIGHT * len(scenes), WIDTH, 3):
        sys.exit(f"Cannot draw {name}: the browser made a picture of {sheet.shape}.")
    return [sheet[HEIGHT * number : HEIGHT * (number + 1)] for number in range(len(scenes))]


def jpeg(picture: Picture) -> bytes:
    """Return a picture as JPEG, in the best quality that fits `MAX_KEYFRAME_BYTES`."""
    data = b""
    for quality in range(3, 32):
        encoder = av.CodecContext.create("mjpeg", "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = WIDTH, HEIGHT, "yuvj420p", Fraction(1)
        encoder.qmin = encoder.qmax = quality
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        data = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
        if len(data) <= MAX_KEYFRAME_BYTES:
            return data
    sys.exit(f"A key frame has {len(data)} bytes; the limit is {MAX_KEYFRAME_BYTES}.")


def frames_of(scenes: list[Scene], pictures: list[Picture], step: Fraction) -> Iterator[tuple[Fraction, bool, Picture]]:
    """Yield the film's frames: time in seconds, whether a scene begins, and the picture with the bar.

    Args:
        scenes: The scenes.
        pictures: Their pictures.
        step: Seconds from one frame to the next within a scene.
    """
    for scene, picture in zip(scenes, pictures, strict=True):
        for index in range(math.ceil((scene.end - scene.start) / step)):
            frame = picture.copy()
            frame[-BAR_HEIGHT:] = 40
            frame[-BAR_HEIGHT:, : 16 * round(20 * index * step / (scene.end - scene.start))] = (255, 224, 138)
            yield scene.start + index * step, index == 0, frame


def write_film(name: str, duration: int, scenes: list[Scene], pictures: list[Picture]) -> None:
    """Write a film in place of the file that has its sound.

    Args:
        name: The film's name.
        duration: Its length in seconds.
        scenes: The scenes.
        pictures: Their pictures.
    """
    path, part = MEDIA / f"{name}.mp4", MEDIA / f"{name}.part.mp4"
    step = Fraction(max(1, math.ceil(2 * duration / MAX_FRAMES)), 2)
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path)) as source, av.open(str(part), "w", options=options) as film:
        sound = source.streams.audio[0]
        # Scenes alone have key frames; without B-frames the film starts at 0.
        x264 = {"qp": "38", "preset": "veryslow", "tune": "stillimage", "forced-idr": "1", "flags": "+bitexact",
                "x264-params": "keyint=infinite:scenecut=0:bframes=0:threads=1:mbtree=0"}  # fmt: skip
        stream = film.add_stream("libx264", rate=2, options=x264)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 2)
        voice = film.add_stream_from_template(sound)
        frames = list(frames_of(scenes, pictures, step))
        times = [time for time, _, _ in frames] + [Fraction(duration)]
        packets = [packet for packet in source.demux(sound) if packet.size]
        for time, is_start, picture in frames:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = int(time * 2), Fraction(1, 2)
            frame.pict_type = PictureType.I if is_start else PictureType.P
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for packet in sorted(packets, key=lambda packet: (packet.dts or 0) * (packet.time_base or 0)):
            if packet.time_base == stream.codec_context.time_base:
                following = times[times.index(Fraction(packet.pts or 0, 2)) + 1]
                packet.duration = int(following * 2) - (packet.pts or 0)
            else:
                packet.stream = voice
            film.mux(packet)
    part.replace(path)


def main() -> None:
    """Write the films and their key frames, and print their sizes."""
    total = 0
    for source in sorted((LIBRARY / "private").glob("*.toml")):
        video = tomllib.loads(source.read_text(encoding="utf-8"))
        name, scenes = Path(video["media"]).stem, scenes_of(video)
        with tempfile.TemporaryDirectory() as folder:
            pictures = draw(name, scenes, Path(folder))
        write_film(name, video["duration"], scenes, pictures)
        folder = KEYFRAMES / name
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.iterdir():
            stale.unlink()
        sizes: list[int] = []
        for scene, picture in zip(scenes, pictures, strict=True):
            data = jpeg(picture)
            (folder / f"{scene.start:06}.jpg").write_bytes(data)
            sizes.append(len(data))
        film = (MEDIA / video["media"]).stat().st_size
        total += film + sum(sizes)
        sys.stdout.write(f"{film:>7} {name}.mp4, {len(sizes)} key frames of {min(sizes)} to {max(sizes)} bytes\n")
        if film > MAX_FILM_BYTES:
            sys.exit(f"{name}.mp4 is too large: the limit is {MAX_FILM_BYTES} bytes.")
    sys.stdout.write(f"{total:>7} total\n")


if __name__ == "__main__":
    main()
