"""The platforms of public videos, as far as their URLs show."""

from __future__ import annotations

import re
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

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


_NAMED_BY_NEXT = {"shorts", "embed", "live", "v", "p", "reel", "reels", "tv"}
"""Segments of a path that stand before the id of a post, on YouTube and Instagram."""


def post_key(url: str) -> str | None:
    """Return a text that all URLs of one post share, such as `TikTok 7434361641896103211`.

    Scheme, subdomain, tracking parameters and the form of the link make no difference. The result is `None` if the
    text is not the URL of a post.
    """
    url = url.strip()
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        platform = platform_of(parts.geturl())
        if not platform or parts.scheme.lower() not in {"http", "https"} or is_profile(parts.geturl()):
            return None
    except ValueError:  # not a valid URL
        return None
    segments = [segment for segment in parts.path.split("/") if segment]
    if not segments:
        return None
    names = parse_qs(parts.query).get("v", [])
    if platform == "TikTok":
        names = [segment for segment in segments if re.fullmatch(r"\d{10,}", segment)]
    elif not names:
        names = [name for kind, name in pairwise(segments) if kind in _NAMED_BY_NEXT]
    return f"{platform} {names[0] if names else '/'.join(segments)}"
