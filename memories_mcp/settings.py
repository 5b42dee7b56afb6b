"""What an operator can set; the only reader of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from memories_mcp.errors import ConfigurationError, MemoriesError

API_URL = "https://api.memories.ai"
CAPTION_URL = "https://security.memories.ai"


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _switch(text: str) -> bool:
    word = text.strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    raise ValueError("use true or false")


def _url(text: str) -> str:
    parts = urlsplit(text.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname or (parts.port or 1) < 1:
        raise ValueError("use a full URL such as https://host")
    return parts._replace(scheme=parts.scheme).geturl().rstrip("/")


def _callback(text: str) -> str:
    if len(text) > 299:
        raise ValueError("the service takes at most 299 characters")
    return _url(text)


def _key(text: str) -> str:
    key = text.strip()
    # The API wants the bare key; many documents of third parties say otherwise.
    key = key[7:].strip() if key.lower().startswith("bearer ") else key
    if not key.isprintable() or not key.isascii() or " " in key:
        raise ValueError("it holds characters that no key has")
    return key


def _secret(text: str) -> str:
    return _long(text, 32)


def _token(text: str) -> str:
    return _long(_key(text), 16)


def _long(text: str, length: int) -> str:
    if len(text) < length:
        raise ValueError(f"it needs at least {length} random characters, such as `openssl rand -hex 32` prints")
    return text


def _hosts(text: str) -> tuple[str, ...]:
    hosts = _words(text.lower())
    if wrong := [each for each in hosts if not re.fullmatch(r"[A-Za-z0-9._-]+(:\d+)?|\[[0-9a-fA-F:]+\](:\d+)?", each)]:
        raise ValueError(f"{wrong[0]!r} is not a host name; use names such as mcp.example.com, without a scheme")
    return hosts


def _level(text: str) -> str:
    if text.lower() not in {"debug", "info", "warning", "error"}:
        raise ValueError("use debug, info, warning or error")
    return text.lower()


Rates = dict[str, tuple[float, float]]
"""Requests and seconds for classes of requests; empty for no limits."""


def _rates(text: str) -> Rates:
    if text.lower() == "off":
        return {}
    rates: Rates = {}
    for word in _words(text):
        name, _, figures = word.partition("=")
        requests, _, seconds = figures.partition("/")
        try:
            allowed, period = float(requests), float(seconds or 1)
        except ValueError:
            raise ValueError("use `off` or `class=requests/seconds`, separated by commas") from None
        if min(allowed, period) <= 0:
            raise ValueError("requests and seconds are more than 0")
        rates[name.strip()] = (allowed, period)
    return rates


def _directory(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_dir():
        raise ValueError("it is not an existing folder")
    return path.resolve()


def setting(variable: str, help: str, default: Any, parse: Callable[[str], Any], *, secret: bool = False) -> Any:
    """A field of `Settings` that the variable fills."""
    metadata = {"variable": variable, "help": help, "parse": parse, "secret": secret}
    return field(default=default, repr=not secret, metadata=metadata)


_LEFT_EMPTY = re.compile(r"\$\{user_config\.\w+\}")
"""What Claude Desktop hands over for an optional field of a bundle that nobody filled in."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set, with its default; no field shows a key in `repr`."""

    api_key: str = setting("MEMORIES_API_KEY", "Key of the Memories.ai account", "", _key, secret=True)
    base_url: str = setting("MEMORIES_BASE_URL", "Where the API is", API_URL, _url)
    caption_api_key: str = setting(
        "MEMORIES_CAPTION_API_KEY", "Key of the caption service, which is issued apart", "", _key, secret=True
    )
    caption_base_url: str = setting("MEMORIES_CAPTION_BASE_URL", "Where the caption service is", CAPTION_URL, _url)
    callback_url: str = setting(
        "MEMORIES_CALLBACK_URL", "Where the service reports finished uploads and video captions", "", _callback
    )
    unique_id: str = setting(
        "MEMORIES_UNIQUE_ID",
        "Fixes the namespace of the library; the argument then leaves the tools",
        "",
        str.strip,
    )
    toolsets: tuple[str, ...] = setting("MEMORIES_TOOLSETS", "Comma-separated toolsets, `default` or `all`", (), _words)
    tools: tuple[str, ...] = setting(
        "MEMORIES_TOOLS", "Comma-separated single tools, besides the toolsets or in their place", (), _words
    )
    exclude_tools: tuple[str, ...] = setting("MEMORIES_EXCLUDE_TOOLS", "Comma-separated tools to leave out", (), _words)
    read_only: bool = setting("MEMORIES_READ_ONLY", "Offer only tools that change nothing", False, _switch)
    files_root: Path | None = setting(
        "MEMORIES_FILES_ROOT", "The one folder that file tools may read and write", None, _directory
    )
    sandbox: bool = setting("MEMORIES_SANDBOX", "Serve the offline twin instead of the API", False, _switch)
    confirm: bool = setting(
        "MEMORIES_CONFIRM", "Ask before what cannot be undone; `off` when the client asks", True, _switch
    )
    rate_limits: Rates | None = setting(
        "MEMORIES_RATE_LIMITS", "`off`, or changes such as `search=10/1,chat=1/60` (requests/seconds)", None, _rates
    )
    secret: str = setting(
        "MEMORIES_SECRET",
        "Seals confirmations across restarts and replicas; at least 32 random characters",
        "",
        _secret,
        secret=True,
    )
    http_token: str = setting(
        "MEMORIES_HTTP_TOKEN",
        "What HTTP requests must carry; it opens MEMORIES_API_KEY to them. At least 16 characters",
        "",
        _token,
        secret=True,
    )
    allowed_hosts: tuple[str, ...] = setting(
        "MEMORIES_ALLOWED_HOSTS",
        "Comma-separated names under which the HTTP server is reached, besides loopback",
        (),
        _hosts,
    )
    http_files: bool = setting(
        "MEMORIES_HTTP_FILES",
        "Offer file tools over HTTP too; with a token set, only to its holders",
        False,
        _switch,
    )
    log_level: str = setting("MEMORIES_LOG_LEVEL", "`debug`, `info`, `warning` or `error`", "warning", _level)

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str] = os.environ, *, problems: list[MemoriesError] | None = None
    ) -> Settings:
        """Read every `MEMORIES_*` variable.

        Args:
            environ: The variables.
            problems: Where what makes no sense is put, in place of raising the first.

        Raises:
            ConfigurationError: A value makes no sense; the text names the variable.
        """
        values: dict[str, Any] = {}
        for each in fields(cls):
            text = environ.get(each.metadata["variable"], "").strip()
            if text and not _LEFT_EMPTY.fullmatch(text):
                try:
                    values[each.name] = parse_setting(each.name, text, each.metadata["variable"])
                except ConfigurationError as error:
                    if problems is None:
                        raise
                    problems.append(error)
        return cls(**values)

    def change(self, **changes: Any) -> Settings:
        """A copy with the given values; `None` means unchanged."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})


def environment() -> Mapping[str, str]:
    """All variables, for those who look for other programs' files."""
    return os.environ


def parse_setting(name: str, text: str, source: str) -> object:
    """One value from text, as `from_environment` reads it; `source` is what the error names."""
    metadata = next(each.metadata for each in fields(Settings) if each.name == name)
    if text.startswith("${"):
        raise ConfigurationError(
            f"{source} still holds a placeholder.",
            next_step="Replace it by a value in the client's configuration.",
        )
    try:
        return cast(Callable[[str], object], metadata["parse"])(text)
    except ValueError as error:
        shown = "" if metadata["secret"] else f" is {text!r}"
        raise ConfigurationError(f"{source}{shown}: {error}.") from None
