"""Generate the media files of the demo library: short clips and small pictures.

A private video of the library that has no film yet gets a clip of about six seconds:
moving shapes as the picture, and the video's first audio line, spoken by espeak-ng.
Run make_films.py after that: it makes a film of the video's length of each clip. Two
more clips, which are not in the library, serve as uploads; their .vtt transcripts are
written by hand. The pictures named in images.toml are drawn as JPEG files.

The script needs Python 3.11 or newer, ffmpeg with libx264, and espeak-ng. The titles
need the DejaVu Sans font; without it the clips have no title.

    python tools/make_media.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

LIBRARY = Path(__file__).resolve().parent.parent / "memories_mcp" / "sandbox" / "demo"
MEDIA = LIBRARY / "media"

WIDTH, HEIGHT, FPS = 320, 180, 12
MIN_SECONDS, MAX_SECONDS = 6.0, 7.0
MAX_CLIP_BYTES, MAX_IMAGE_BYTES, MAX_TOTAL_BYTES = 160_000, 8_192, 1_000_000

FONTS = (
    Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
    Path("/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf"),
    Path("/usr/share/fonts/TTF/DejaVuSans.ttf"),
    Path("/Library/Fonts/DejaVuSans.ttf"),
)

# Background, ground and the two moving shapes of a clip.
Palette = tuple[str, str, str, str]
PALETTES: tuple[Palette, ...] = (
    ("0x1d3557", "0x457b9d", "0xf1faee", "0xe63946"),
    ("0x283618", "0x606c38", "0xfefae0", "0xdda15e"),
    ("0x3d2c2e", "0x7a5c58", "0xf4f1de", "0xe07a5f"),
    ("0x22223b", "0x4a4e69", "0xf2e9e4", "0xc9ada7"),
    ("0x003d3d", "0x00796b", "0xe0f2f1", "0xffb300"),
    ("0x2b2d42", "0x8d99ae", "0xedf2f4", "0xef233c"),
)

# Title and spoken line of the clips that are not in the library.
EXTRA_CLIPS = {
    "espresso-machine.mp4": (
        "Espresso machine",
        "Here is how to make a good espresso on a home machine.",
    ),
    "sunrise-rowing.mp4": (
        "Sunrise rowing",
        "It is ten to six and we are rowing four kilometres up the lake before breakfast.",
    ),
}


def box(x: int, y: int, width: int, height: int, colour: str) -> str:
    """Return a drawbox filter for a filled rectangle.

    Args:
        x: The left edge, in pixels.
        y: The top edge.
        width: The width.
        height: The height.
        colour: An ffmpeg colour.
    """
    return f"drawbox=x={x}:y={y}:w={width}:h={height}:color={colour}:t=fill"


def shape(condition: str, red: int, green: int, blue: int) -> str:
    """Return a geq filter that paints some pixels.

    Args:
        condition: An ffmpeg expression in X and Y that is true for these pixels.
        red: The red part of the colour, 0 to 255.
        green: The green part.
        blue: The blue part.
    """
    return f"geq=r='if({condition},{red},r(X,Y))':g='if({condition},{green},g(X,Y))':b='if({condition},{blue},b(X,Y))'"


def disc(x: int, y: int, radius: int, red: int, green: int, blue: int) -> str:
    """Return a geq filter for a filled circle.

    Args:
        x: The centre's distance from the left, in pixels.
        y: The centre's distance from the top.
        radius: The radius.
        red: The red part of the colour, 0 to 255.
        green: The green part.
        blue: The blue part.
    """
    return shape(f"lte(hypot(X-{x},Y-{y}),{radius})", red, green, blue)


def peak(x: int, top: int, bottom: int, slope: float, red: int, green: int, blue: int) -> str:
    """Return a geq filter for a triangle with its tip at (x, top).

    Args:
        x: The tip's distance from the left, in pixels.
        top: The tip's distance from the top.
        bottom: The base's distance from the top.
        slope: The height of a side per pixel of its width.
        red: The red part of the colour, 0 to 255.
        green: The green part.
        blue: The blue part.
    """
    inside = f"gte(Y-{top},abs(X-{x})*{slope})*lt(Y,{bottom})"
    return shape(inside, red, green, blue)


def boat(x: int, y: int, colour: str) -> list[str]:
    """Return the filters for a small fishing boat.

    Args:
        x: The stern's distance from the left, in pixels.
        y: The waterline's distance from the top.
        colour: The colour of the hull.
    """
    return [
        box(x, y - 12, 70, 12, colour),
        box(x + 8, y, 54, 5, colour),
        box(x + 40, y - 26, 18, 14, "0xf5f0e6"),
        box(x + 28, y - 44, 3, 32, "0x4a3728"),
    ]


def city() -> list[str]:
    """Return the filters for five towers with lit windows."""
    filters: list[str] = []
    towers = ((14, 90, 44), (70, 50, 48), (130, 110, 46), (188, 66, 50), (252, 98, 50))
    for number, (left, top, width) in enumerate(towers):
        filters.append(box(left, top, width, 240 - top, "0x0b1020"))
        for row, y in enumerate(range(top + 10, 226, 20)):
            for column, x in enumerate(range(left + 6, left + width - 8, 13)):
                if (row * 3 + column * 5 + number) % 4 != 0:
                    filters.append(box(x, y, 6, 9, "0xf6c945"))
    return filters


# Background colour and the filters that draw each picture (320x240).
IMAGES: dict[str, tuple[str, list[str]]] = {
    "harbour-morning.jpg": (
        "0xf4b6a6",
        [
            box(0, 0, 320, 60, "0xe79aa8"),
            disc(220, 118, 30, 255, 140, 40),
            box(0, 128, 320, 112, "0x5b7f9c"),
            box(196, 136, 48, 4, "0xf7a35c"),
            box(206, 150, 28, 3, "0xf7a35c"),
            *boat(40, 176, "0x1f5fae"),
            *boat(170, 204, "0xfafafa"),
        ],
    ),
    "mountain-lake.jpg": (
        "0xa9d6f5",
        [
            peak(70, 60, 150, 1.1, 120, 124, 130),
            peak(70, 60, 84, 1.1, 250, 250, 252),
            peak(250, 72, 150, 1.0, 138, 142, 148),
            peak(250, 72, 94, 1.0, 250, 250, 252),
            peak(160, 30, 150, 1.2, 98, 102, 110),
            peak(160, 30, 62, 1.2, 250, 250, 252),
            box(0, 150, 320, 90, "0x123a66"),
            box(60, 176, 90, 2, "0x2c5f94"),
            box(180, 202, 100, 2, "0x2c5f94"),
        ],
    ),
    "city-at-night.jpg": ("0x101c3f", [disc(150, 40, 20, 245, 240, 215), *city()]),
    "red-door.jpg": (
        "0xf3f1ea",
        [
            box(0, 212, 320, 28, "0x8b8780"),
            box(100, 52, 120, 160, "0x5a1a16"),
            box(108, 60, 104, 152, "0xb3261e"),
            box(120, 74, 34, 54, "0x8f1d17"),
            box(166, 74, 34, 54, "0x8f1d17"),
            box(120, 142, 34, 56, "0x8f1d17"),
            box(166, 142, 34, 56, "0x8f1d17"),
            disc(204, 138, 5, 214, 170, 60),
            # The house number 12.
            box(146, 22, 4, 22, "0x222222"),
            box(158, 22, 14, 4, "0x222222"),
            box(168, 22, 4, 13, "0x222222"),
            box(158, 31, 14, 4, "0x222222"),
            box(158, 31, 4, 13, "0x222222"),
            box(158, 40, 14, 4, "0x222222"),
            # The flower pot.
            disc(254, 172, 18, 70, 130, 60),
            disc(246, 166, 4, 240, 120, 160),
            disc(262, 172, 4, 240, 120, 160),
            box(240, 186, 28, 26, "0x2e7d4f"),
        ],
    ),
    "traffic-light-crossing.jpg": (
        "0xcfe0ea",
        [
            box(0, 120, 320, 120, "0x6b6e72"),
            box(96, 62, 150, 76, "0xf2c200"),
            box(106, 72, 26, 26, "0x33424d"),
            box(138, 72, 26, 26, "0x33424d"),
            box(170, 72, 26, 26, "0x33424d"),
            box(202, 72, 34, 26, "0x33424d"),
            disc(124, 140, 14, 30, 30, 30),
            disc(216, 140, 14, 30, 30, 30),
            *[box(x, 168, 26, 60, "0xf4f4f4") for x in range(8, 320, 48)],
            box(282, 70, 6, 130, "0x2b2b2b"),
            box(268, 14, 34, 84, "0x1d1d1d"),
            disc(285, 30, 10, 70, 20, 20),
            disc(285, 56, 10, 75, 60, 10),
            disc(285, 82, 10, 40, 220, 90),
        ],
    ),
}


def run(*arguments: str | Path) -> str:
    """Run a program and return its standard output; exit if the program fails."""
    command = [str(argument) for argument in arguments]
    try:
        process = subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit(f"Cannot generate media: {command[0]} is not installed. Install ffmpeg and espeak-ng.")
    except subprocess.CalledProcessError as error:
        sys.exit(f"Cannot generate media: {command[0]} failed.\n{error.stderr.strip()}")
    return process.stdout


def ffmpeg(*arguments: str | Path) -> None:
    """Run ffmpeg; existing output files are overwritten."""
    run("ffmpeg", "-v", "error", "-nostdin", "-y", *arguments)


def duration(path: Path) -> float:
    """Return the duration of a media file in seconds."""
    fields = ("-show_entries", "format=duration", "-of", "csv=p=0")
    return float(run("ffprobe", "-v", "error", *fields, path))


def first_line(track: str) -> str:
    """Return the text of a transcript's first segment."""
    return track.strip().splitlines()[0].split(" ", 1)[1]


def wrap_title(title: str, width: int = 26) -> str:
    """Break a title into lines of at most `width` characters."""
    lines = [""]
    for word in title.split():
        candidate = f"{lines[-1]} {word}".strip()
        if len(candidate) <= width or not lines[-1]:
            lines[-1] = candidate
        else:
            lines.append(word)
    return "\n".join(lines)


def title_filter(title: str, colour: str, folder: Path) -> list[str]:
    """Return a drawtext filter for the title, or no filter if none of `FONTS` is installed.

    Args:
        title: The title.
        colour: The colour of the text.
        folder: A folder for the file that passes the text to ffmpeg.
    """
    font = next((path for path in FONTS if path.is_file()), None)
    if font is None:
        return []
    text = folder / "title.txt"
    text.write_text(wrap_title(title), encoding="utf-8")
    return [
        f"drawtext=fontfile={font}:textfile={text}:expansion=none"
        f":fontcolor={colour}:fontsize=19:line_spacing=4:x=14:y=14"
    ]


def make_clip(name: str, title: str, speech: str, number: int) -> None:
    """Write one clip: moving shapes, the title and the spoken line.

    Args:
        name: The file's name.
        title: The title.
        speech: The line that espeak-ng speaks.
        number: Selects colours and speed.
    """
    back, ground, light, accent = PALETTES[number % len(PALETTES)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        voice = folder / "voice.wav"
        run("espeak-ng", "-v", "en", "-s", "165", "-w", voice, speech)
        seconds = min(MAX_SECONDS, max(MIN_SECONDS, duration(voice) + 0.3))
        speed = 18 + 5 * (number % 4)
        period = 3 + number % 3
        graph = [
            "[0:v]" + ",".join([box(0, 138, WIDTH, 42, ground), "format=yuv420p"]) + "[scene]",
            f"[scene][1:v]overlay=x='mod(20+{speed}*t,{WIDTH})':y=116:eval=frame[first]",
            f"[first][2:v]overlay=x=236:y='80+24*sin(2*PI*t/{period})':eval=frame[moving]",
            "[moving]" + ",".join([*title_filter(title, light, folder), "format=yuv420p"]) + "[v]",
        ]
        ffmpeg(
            *("-f", "lavfi", "-i", f"color=c={back}:s={WIDTH}x{HEIGHT}:r={FPS}"),
            *("-f", "lavfi", "-i", f"color=c={accent}:s=44x22:r={FPS}"),
            *("-f", "lavfi", "-i", f"color=c={light}:s=28x28:r={FPS}"),
            *("-i", voice, "-filter_complex", ";".join(graph)),
            *("-map", "[v]", "-map", "3:a", "-af", "apad", "-t", f"{seconds:.2f}"),
            *("-c:v", "libx264", "-preset", "slow", "-crf", "30", "-threads", "1"),
            *("-pix_fmt", "yuv420p", "-r", str(FPS)),
            *("-c:a", "aac", "-b:a", "24k", "-ac", "1", "-ar", "22050"),
            *("-map_metadata", "-1", "-fflags", "+bitexact"),
            *("-flags:v", "+bitexact", "-flags:a", "+bitexact", "-movflags", "+faststart"),
            MEDIA / name,
        )


def make_image(name: str) -> None:
    """Write one picture in the best quality that fits `MAX_IMAGE_BYTES`."""
    background, filters = IMAGES[name]
    picture = MEDIA / name
    for quality in (5, 8, 12, 16):
        ffmpeg(
            *("-f", "lavfi", "-i", f"color=c={background}:s=320x240,format=gbrp"),
            *("-vf", ",".join([*filters, "format=yuvj420p"])),
            *("-frames:v", "1", "-update", "1", "-q:v", str(quality)),
            *("-fflags", "+bitexact", "-flags:v", "+bitexact", picture),
        )
        if picture.stat().st_size <= MAX_IMAGE_BYTES:
            return


def check_sizes() -> None:
    """Print the size of each file; exit if a file or the total is too large."""
    limits = {".mp4": MAX_CLIP_BYTES, ".jpg": MAX_IMAGE_BYTES}
    total = 0
    for path in sorted(MEDIA.iterdir()):
        size = path.stat().st_size
        total += size
        sys.stdout.write(f"{size:>7}  {path.name}\n")
        if size > limits.get(path.suffix, size):
            sys.exit(f"{path.name} is too large: the limit is {limits[path.suffix]} bytes.")
    sys.stdout.write(f"{total:>7}  total\n")
    if total > MAX_TOTAL_BYTES:
        sys.exit(f"The media files are too large: the limit is {MAX_TOTAL_BYTES} bytes in total.")


def main() -> None:
    """Write every clip and picture."""
    MEDIA.mkdir(exist_ok=True)
    clips: dict[str, tuple[str, str]] = {}
    for path in sorted((LIBRARY / "private").glob("*.toml")):
        video = tomllib.loads(path.read_text(encoding="utf-8"))
        clips[video["media"]] = (video["video_name"], first_line(video["audio"]))
    clips |= EXTRA_CLIPS
    for number, (name, (title, speech)) in enumerate(clips.items()):
        if name in EXTRA_CLIPS or not (MEDIA / name).exists():
            make_clip(name, title, speech, number)
    for image in tomllib.loads((LIBRARY / "images.toml").read_text(encoding="utf-8"))["image"]:
        make_image(image["media"])
    check_sizes()


if __name__ == "__main__":
    main()
