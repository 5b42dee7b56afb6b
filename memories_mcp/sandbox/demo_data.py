"""The demo library, read from the text files in `demo/`, and the transcripts of uploaded videos."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "demo"
MEDIA = FOLDER / "media"
KEYFRAMES = FOLDER / "keyframes"
"""The pictures of the scenes, in a folder for each film; a file's name is the scene's start in seconds."""
FOLDER_ID = 671631448308117504
"""The empty folder of the demo library; like the service's ids it exceeds 2^53."""


class Segment(NamedTuple):
    """A segment of a transcript track; times in seconds."""

    track: str
    start: int
    end: int
    text: str


def videos(kind: str) -> Iterator[dict[str, Any]]:
    """Read the `private` or the `public` videos."""
    for path in sorted((FOLDER / kind).glob("*.toml")):
        yield tomllib.loads(path.read_text(encoding="utf-8"))


def sessions() -> list[dict[str, Any]]:
    """Read the conversations."""
    return tomllib.loads((FOLDER / "sessions.toml").read_text(encoding="utf-8"))["session"]


def images() -> list[dict[str, Any]]:
    """Read the images."""
    return tomllib.loads((FOLDER / "images.toml").read_text(encoding="utf-8"))["image"]


def segments(video: dict[str, Any]) -> Iterator[Segment]:
    """Parse the tracks of a video, which are lines of the form `START-END text`."""
    for track in ("visual", "audio"):
        for line in video[track].strip().splitlines():
            times, _, text = line.partition(" ")
            start, _, end = times.partition("-")
            yield Segment(track, int(start), int(end), text)


@cache
def _scene_starts(film: str) -> tuple[int, ...]:
    return tuple(sorted(int(path.stem) for path in (KEYFRAMES / film).glob("*.jpg")))


def keyframe(media: str | None, seconds: int) -> str | None:
    """Return the key frame of a film at a time, relative to `KEYFRAMES`; `None` for a film without key frames."""
    film = Path(media or "").stem
    index = bisect_right(_scene_starts(film), seconds) if film else 0
    return f"{film}/{_scene_starts(film)[index - 1]:06}.jpg" if index else None


def millis(time: datetime) -> int:
    """Return a time in milliseconds since the epoch."""
    return int(time.timestamp() * 1000)


_CUE = re.compile(r"(?:(\d+):)?(\d+):(\d+)\.\d+ --> (?:(\d+):)?(\d+):(\d+)\.\d+")


@cache
def webvtt_segments(path: Path) -> tuple[Segment, ...]:
    """Parse a WebVTT file; the voice `Seen` marks the visual track, every other voice the audio track."""
    cues: list[Segment] = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        timing = _CUE.search(block)
        if timing is None:
            continue
        hours, minutes, seconds, hours2, minutes2, seconds2 = (int(part or 0) for part in timing.groups())
        text = block[timing.end() :].strip().replace("\n", " ")
        track = "visual" if text.startswith("<v Seen>") else "audio"
        start = hours * 3600 + minutes * 60 + seconds
        end = hours2 * 3600 + minutes2 * 60 + seconds2
        cues.append(Segment(track, start, end, re.sub(r"</?v[^>]*>", "", text)))
    return tuple(sorted(cues, key=lambda cue: (cue.track, cue.start)))


def placeholder_segments(name: str, tags: list[str], prompt: str) -> list[Segment]:
    """Return placeholder transcripts for a video without known content; each text says that it is simulated.

    Args:
        name: The video's name, the subject of the texts.
        tags: The video's tags.
        prompt: The prompt for the scene descriptions, empty without one.
    """
    subject = re.sub(r"[-_.]+", " ", name).strip() or "untitled"
    tagged = f" tagged {', '.join(tags)}" if tags else ""
    prompted = f" The prompt was: {prompt}" if prompt else ""
    return [
        Segment("visual", 0, 20, f"Simulated by the sandbox: a video named {subject}{tagged}.{prompted}"),
        Segment("visual", 20, 40, f"Simulated by the sandbox: more of {subject}."),
        Segment("audio", 2, 18, f"Simulated by the sandbox: a speaker talks about {subject}."),
    ]
