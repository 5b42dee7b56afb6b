"""The demo library: text files beside this module, and how uploads get their transcripts."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "demo"
MEDIA = FOLDER / "media"


class Segment(NamedTuple):
    """A stretch of one track; times in seconds."""

    track: str
    start: int
    end: int
    text: str


def videos(kind: str) -> Iterator[dict[str, Any]]:
    """The `private` or `public` videos of the demo library."""
    for path in sorted((FOLDER / kind).glob("*.toml")):
        yield tomllib.loads(path.read_text(encoding="utf-8"))


def sessions() -> list[dict[str, Any]]:
    """The earlier conversations."""
    return tomllib.loads((FOLDER / "sessions.toml").read_text(encoding="utf-8"))["session"]


def images() -> list[dict[str, Any]]:
    """The demo images."""
    return tomllib.loads((FOLDER / "images.toml").read_text(encoding="utf-8"))["image"]


def segments(video: dict[str, Any]) -> Iterator[Segment]:
    """The tracks of a demo video, written as `START-END text` lines."""
    for track in ("visual", "audio"):
        for line in video[track].strip().splitlines():
            times, _, text = line.partition(" ")
            start, _, end = times.partition("-")
            yield Segment(track, int(start), int(end), text)


def millis(moment: datetime) -> int:
    """Milliseconds since the epoch."""
    return int(moment.timestamp() * 1000)


_CUE = re.compile(r"(?:(\d+):)?(\d+):(\d+)\.\d+ --> (?:(\d+):)?(\d+):(\d+)\.\d+")


@cache
def cues(path: Path) -> tuple[Segment, ...]:
    """A WebVTT file's cues; the voice `Seen` marks the visual track, any other the audio track."""
    found: list[Segment] = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        timing = _CUE.search(block)
        if timing is None:
            continue
        hours, minutes, seconds, hours2, minutes2, seconds2 = (int(part or 0) for part in timing.groups())
        text = block[timing.end() :].strip().replace("\n", " ")
        track = "visual" if text.startswith("<v Seen>") else "audio"
        start = hours * 3600 + minutes * 60 + seconds
        end = hours2 * 3600 + minutes2 * 60 + seconds2
        found.append(Segment(track, start, end, re.sub(r"</?v[^>]*>", "", text)))
    return tuple(sorted(found, key=lambda each: (each.track, each.start)))


def imagined(name: str, tags: list[str], prompt: str) -> list[Segment]:
    """Stand-ins for the transcripts of a video that nobody can look at here; they say what they are."""
    subject = re.sub(r"[-_.]+", " ", name).strip() or "untitled"
    about = f" tagged {', '.join(tags)}" if tags else ""
    asked = f" It was to be described with this in mind: {prompt}" if prompt else ""
    return [
        Segment("visual", 0, 20, f"Simulated by the sandbox: a video named {subject}{about}.{asked}"),
        Segment("visual", 20, 40, f"Simulated by the sandbox: more of {subject}."),
        Segment("audio", 2, 18, f"Simulated by the sandbox: somebody speaks about {subject}."),
    ]
