"""The platforms of public videos, as far as their URLs show, and links that open a video at a time."""

from __future__ import annotations

import re
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

_HOSTS = {"youtube.com": "YouTube", "youtu.be": "YouTube", "tiktok.com": "TikTok", "instagram.com": "Instagram"}


def platform_of(url: str) -> str | None:
    """Return the name of the platform that a URL belongs to."""
    host = urlsplit(url).hostname
    return next((platform for domain, platform in _HOSTS.items() if _is_of_domain(host, domain)), None)


def _is_of_domain(host: str | None, domain: str) -> bool:
    return host is not None and (host == domain or host.endswith(f".{domain}"))


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


_TIMED_LINKS = (
    # domains (none: any), path, part of the URL that takes the time, form of the time
    (("youtube.com",), re.compile(r"/watch/?|/(shorts|live)/[\w-]+/?"), "query", "t={}s"),
    (("youtube.com", "youtube-nocookie.com"), re.compile(r"/(embed|v)/[\w-]+/?"), "query", "start={}"),
    (("youtu.be",), re.compile(r"/[\w-]+/?"), "query", "t={}s"),
    ((), re.compile(r"/.+\.(mp4|webm)", re.IGNORECASE), "fragment", "t={}"),
)
"""The links that open at a time: YouTube's posts, its embedded player, and media files (W3C Media Fragments)."""

_TIMES = {"t", "start", "time_continue"}
"""The names of times in a query or a fragment, which a new time replaces."""


def timed_link(url: str, seconds: float | None) -> str:
    """Return a video's link so that it opens at a time, in whole seconds; the rest of the URL stays as it is.

    Other links than those of `_TIMED_LINKS` are returned unchanged: TikTok and Instagram document no form with a time.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:  # not a valid URL
        return url
    if seconds is None or parts.scheme not in {"http", "https"}:
        return url
    for domains, path, part, form in _TIMED_LINKS:
        if path.fullmatch(parts.path) and (not domains or any(_is_of_domain(host, domain) for domain in domains)):
            # A query of a media file is the file server's own, such as a signature.
            kept = {name: _without_times(getattr(parts, name)) for name in {part, "fragment"}}
            kept[part] += [form.format(int(seconds))] if seconds >= 1 else []
            return parts._replace(**{name: "&".join(fields) for name, fields in kept.items()}).geturl()
    return url


def _without_times(fields: str) -> list[str]:
    return [field for field in fields.split("&") if field and field.partition("=")[0] not in _TIMES]
