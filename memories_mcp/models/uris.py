"""URIs of resources: `memories://videos/…` and `memories://sessions/…`."""

from __future__ import annotations

import re
from urllib.parse import quote

VIDEOS = "memories://videos"
SESSIONS = "memories://sessions"


def video_uri(video_no: str) -> str:
    """Return the URI of a video's details."""
    return f"{VIDEOS}/{video_no}"


def video_of(uri: str) -> str | None:
    """Return the video of a URI that names a video or a part of it, `None` for any other URI."""
    video_no = uri.removeprefix(f"{VIDEOS}/")
    return None if video_no == uri else re.split("[/?]", video_no, maxsplit=1)[0]


def session_uri(session_id: str) -> str:
    """Return the URI of a conversation."""
    return f"{SESSIONS}/{session_id}"


def transcript_uri(video_no: str, track: str, start: float | None = None, end: float | None = None) -> str:
    """Return the URI of a transcript, or of a window of it.

    Args:
        video_no: The video.
        track: `audio` or `visual`.
        start: Start of the window in seconds; `None` for the video's start.
        end: End of the window in seconds; `None` for the video's end.
    """
    window = {"start": start, "end": end}
    query = "&".join(f"{name}={format_seconds(value)}" for name, value in window.items() if value is not None)
    path = f"{video_uri(video_no)}/transcripts/{track}"
    return f"{path}?{query}" if query else path


def in_namespace(uri: str, unique_id: str) -> str:
    """Return the URI of the same resource in a namespace that is not the server's default."""
    separator = "&" if "?" in uri else "?"
    return f"{uri}{separator}unique_id={quote(unique_id, safe='')}"


def belongs_to(uri: str, base: str) -> bool:
    """Return whether a URI names the resource at `base`, a window of it or, for a single video, a part of it."""
    if uri == base or uri.startswith(f"{base}?"):
        return True
    return base not in {VIDEOS, SESSIONS} and uri.startswith(f"{base}/")


def format_seconds(seconds: float) -> str:
    """Return seconds with at most three decimals and never with an exponent."""
    if seconds == int(seconds):
        return str(int(seconds))
    return f"{seconds:.3f}".rstrip("0").rstrip(".")
