"""Readers of the settings of sign-in. Each raises `ValueError` with a reason that completes `<variable>: …`."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
WAYS = ("oauth", "token", "key")
"""How an HTTP request may authenticate: by sign-in, by `MEMORIES_HTTP_TOKEN`, by the caller's own API key."""
ONLY_KEYS = frozenset({"key"})
"""The ways of a server that serves requests without credentials too."""


def read_issuer(text: str) -> str:
    """Return an issuer's identifier unchanged: the tokens repeat it, with or without a slash at the end."""
    parts = urlsplit(text)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS)
    if not secure or not parts.hostname or (parts.port or 1) < 1:
        raise ValueError("use the issuer's full URL, such as https://login.example.com; http only on loopback")
    if parts.query or parts.fragment or parts.username is not None or not re.fullmatch(r"[!-~]+", text):
        raise ValueError("use a URL without user name, query, fragment and blanks")
    return text


def read_audiences(text: str) -> tuple[str, ...]:
    """Return the names by which tokens address this server."""
    audiences = tuple(item.strip() for item in text.split(",") if item.strip())
    if not audiences or not all(re.fullmatch(r"[!#-\[\]-~]+", audience) for audience in audiences):
        raise ValueError("use the URL of this server or the identifier that the issuer knows it by, without blanks")
    return audiences


def read_ways(text: str) -> frozenset[str]:
    """Return the ways in which HTTP requests may authenticate."""
    ways = frozenset(item.strip().lower() for item in text.split(",") if item.strip())
    if not ways or not ways <= set(WAYS):
        raise ValueError(f"use {', '.join(WAYS)}, or several of them separated by commas")
    return ways


def read_file(text: str) -> Path:
    """Return the path of an existing file."""
    try:
        path = Path(text).expanduser()
        if path.is_file():
            return path.absolute()  # not resolved: an orchestrator replaces the link when the content changes
    except (OSError, RuntimeError):  # not accessible, or `~` where the home folder is unknown
        pass
    raise ValueError("use the path of an existing file")
