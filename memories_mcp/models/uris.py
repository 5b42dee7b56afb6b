"""The URIs of resources: `memories://videos/…` and `memories://sessions/…`."""

from __future__ import annotations

from urllib.parse import quote

VIDEOS = "memories://videos"
SESSIONS = "memories://sessions"


def video_uri(video_no: str) -> str:
    """What is known of a video."""
    return f"{VIDEOS}/{video_no}"


def session_uri(session_id: str) -> str:
    """A conversation."""
    return f"{SESSIONS}/{session_id}"


def transcript_uri(video_no: str, track: str, start: float | None = None, end: float | None = None) -> str:
    """A track of a video, `audio` or `visual`; with times, in seconds, a window of it."""
    times = [f"{name}={decimal(value)}" for name, value in (("start", start), ("end", end)) if value is not None]
    return f"{video_uri(video_no)}/transcripts/{track}" + (f"?{'&'.join(times)}" if times else "")


def in_namespace(uri: str, unique_id: str) -> str:
    """The same resource of another namespace than the server's own."""
    return f"{uri}{'&' if '?' in uri else '?'}unique_id={quote(unique_id, safe='')}"


def belongs_to(uri: str, base: str) -> bool:
    """Whether a URI names the resource at `base`, a window of it or, of a single video, a part of it."""
    inside = base not in {VIDEOS, SESSIONS} and uri.startswith(f"{base}/")
    return uri == base or uri.startswith(f"{base}?") or inside


def decimal(seconds: float) -> str:
    """To the millisecond, never with an exponent."""
    if seconds == int(seconds):
        return str(int(seconds))
    return f"{seconds:.3f}".rstrip("0").rstrip(".")
