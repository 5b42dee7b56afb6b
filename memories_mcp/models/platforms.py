"""The platforms of public videos, as far as their URLs show."""

from __future__ import annotations

from urllib.parse import urlsplit

_HOSTS = {"youtube.com": "YouTube", "youtu.be": "YouTube", "tiktok.com": "TikTok", "instagram.com": "Instagram"}


def platform_of(url: str) -> str | None:
    """Return the name of the platform that a URL belongs to."""
    host = (urlsplit(url).hostname or "").lower()
    for domain, platform in _HOSTS.items():
        if host == domain or host.endswith(f".{domain}"):
            return platform
    return None


def is_profile(url: str) -> bool:
    """Return whether a platform's URL names a creator rather than a post."""
    segments = [segment for segment in urlsplit(url).path.split("/") if segment]
    if platform_of(url) == "Instagram":
        return len(segments) == 1 and segments[0] not in {"p", "reel", "reels", "tv", "explore"}
    if platform_of(url) == "YouTube":
        return bool(segments) and (segments[0].startswith("@") or segments[0] in {"c", "channel", "user"})
    return len(segments) == 1 and segments[0].startswith("@")
