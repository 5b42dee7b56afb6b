"""The settings of the operator, and the only module that reads the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from memories_mcp.errors import ConfigurationError, MemoriesError
from memories_mcp.sign_in_values import read_audiences, read_file, read_issuer, read_ways

API_URL = "https://api.memories.ai"
CAPTION_URL = "https://security.memories.ai"


def _list(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _names(text: str) -> tuple[str, ...]:
    names = _list(text)
    if not names:
        raise ValueError("name at least one, or leave it out")
    return names


def _boolean(text: str) -> bool:
    value = text.strip().lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise ValueError("use true or false")


def _url(text: str) -> str:
    parts = urlsplit(text.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname or (parts.port or 1) < 1:
        raise ValueError("use a full URL such as https://host")
    return parts._replace(scheme=parts.scheme).geturl().rstrip("/")


def _redis_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme in {"redis", "rediss"} and parts.hostname and parts.port != 0:
        return text
    if parts.scheme == "unix" and parts.path.startswith("/"):
        return text
    raise ValueError("use redis://host:port, rediss://host:port for TLS, or unix:///path of the socket")


def _callback_url(text: str) -> str:
    if len(text) > 299:
        raise ValueError("the service accepts at most 299 characters")
    return _url(text)


def _key(text: str) -> str:
    key = text.strip()
    # The API takes the bare key (API 2.2), but many third-party guides show it with the prefix.
    key = key[7:].strip() if key.lower().startswith("bearer ") else key
    if not key.isprintable() or not key.isascii() or " " in key:
        raise ValueError("use printable ASCII characters without spaces")
    return key


def _secret(text: str) -> str:
    return _check_length(text, 32)


def _token(text: str) -> str:
    return _check_length(_key(text), 16)


def _check_length(text: str, minimum: int) -> str:
    if len(text) < minimum:
        raise ValueError(f"use at least {minimum} random characters, for example the output of `openssl rand -hex 32`")
    return text


_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d+)?|\[[0-9a-fA-F:]+\](:\d+)?")
"""A host name or a bracketed IPv6 address, with an optional port."""


def _hosts(text: str) -> tuple[str, ...]:
    hosts = _list(text.lower())
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ValueError(f"{host!r} is not a host name; use names such as mcp.example.com, without a scheme")
    return hosts


_ORIGIN = re.compile(rf"[a-z][a-z0-9+.-]*://({_HOST.pattern})")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
"""Browsers leave them out of an origin."""


def _origins(text: str) -> tuple[str, ...]:
    origins = [item.removesuffix("/") for item in _list(text.lower())]
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is not an origin; use origins such as https://app.example.com")
    return tuple(origin.removesuffix(_DEFAULT_PORTS.get(origin.partition(":")[0], "")) for origin in origins)


def _log_level(text: str) -> str:
    if text.lower() not in {"debug", "info", "warning", "error"}:
        raise ValueError("use debug, info, warning or error")
    return text.lower()


Rates = dict[str, tuple[float, float]]
"""Rate limits by request class: requests, and the seconds in which they are allowed; empty for no limits."""


def _rates(text: str) -> Rates:
    if text.lower() == "off":
        return {}
    rates: Rates = {}
    for item in _list(text):
        name, _, rate = item.partition("=")
        requests, _, seconds = rate.partition("/")
        try:
            allowed, period = float(requests), float(seconds or 1)
        except ValueError:
            raise ValueError("use `off` or `class=requests/seconds`, separated by commas") from None
        if min(allowed, period) <= 0:
            raise ValueError("use requests and seconds greater than 0")
        rates[name.strip()] = (allowed, period)
    return rates


def _positive_integer(text: str) -> int:
    if not re.fullmatch("[0-9]{1,6}", text) or not int(text):
        raise ValueError("use a whole number greater than 0")
    return int(text)


def _mebibytes(text: str) -> int:
    if not re.fullmatch("[0-9]{1,7}", text):
        raise ValueError("use a whole number")
    return int(text)


def _directory(text: str) -> Path:
    try:
        path = Path(text).expanduser()
        if path.is_dir():
            return path.resolve()
    except (OSError, RuntimeError):  # not accessible, or `~` where the home folder is unknown
        pass
    raise ValueError("use the path of an existing folder")


def setting(variable: str, help: str, default: Any, parse: Callable[[str], Any], *, secret: bool = False) -> Any:
    """Return a dataclass field of `Settings`.

    Args:
        variable: The environment variable that sets the field.
        help: A noun phrase or imperative without a final period, for manifests and documentation.
        default: The value if the variable is unset or empty.
        parse: Converts the variable's text; raises `ValueError` with a reason that completes `<variable>: …`.
        secret: Whether the value must never appear in `repr` or in a message.
    """
    metadata = {"variable": variable, "help": help, "parse": parse, "secret": secret}
    return field(default=default, repr=not secret, metadata=metadata)


_EMPTY_USER_CONFIG = re.compile(r"\$\{user_config\.\w+\}")
"""The placeholder that Claude Desktop passes for an optional field of a bundle that the user left empty."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of the operator; `repr` shows no secret.

    The help text of each field, which documentation and manifests show, is its description. Construct from the
    environment with `from_environment`; values passed to the constructor are used as they are, without parsing.
    """

    api_key: str = setting("MEMORIES_API_KEY", "API key of the Memories.ai account", "", _key, secret=True)
    base_url: str = setting("MEMORIES_BASE_URL", "Base URL of the API", API_URL, _url)
    caption_api_key: str = setting(
        "MEMORIES_CAPTION_API_KEY", "API key of the caption service, which is separate", "", _key, secret=True
    )
    caption_base_url: str = setting("MEMORIES_CAPTION_BASE_URL", "Base URL of the caption service", CAPTION_URL, _url)
    callback_url: str = setting(
        "MEMORIES_CALLBACK_URL",
        "URL to which the service reports finished uploads, and sends video captions in place of answering with them",
        "",
        _callback_url,
    )
    unique_id: str = setting(
        "MEMORIES_UNIQUE_ID",
        "Namespace of every call; removes `unique_id` and `folder_id` from all tools, and the toolset `folders`",
        "",
        str.strip,
    )
    toolsets: tuple[str, ...] | None = setting(
        "MEMORIES_TOOLSETS", "Comma-separated toolsets to offer, or `default` or `all`", None, _names
    )
    tools: tuple[str, ...] | None = setting(
        "MEMORIES_TOOLS",
        "Comma-separated tools to offer; with MEMORIES_TOOLSETS, in addition to those toolsets",
        None,
        _names,
    )
    exclude_tools: tuple[str, ...] = setting("MEMORIES_EXCLUDE_TOOLS", "Comma-separated tools to omit", (), _names)
    read_only: bool = setting("MEMORIES_READ_ONLY", "Offer only tools that change nothing", False, _boolean)
    files_root: Path | None = setting(
        "MEMORIES_FILES_ROOT", "The only folder that file tools may read and write", None, _directory
    )
    sandbox: bool = setting("MEMORIES_SANDBOX", "Use the offline sandbox instead of the API", False, _boolean)
    confirm: bool = setting(
        "MEMORIES_CONFIRM",
        "Require confirmation of irreversible actions; `off` if the client itself asks for approval",
        True,
        _boolean,
    )
    rate_limits: Rates | None = setting(
        "MEMORIES_RATE_LIMITS",
        "Rate limits that differ from the API's, as `search=10/1,chat=1/60` (requests/seconds); `off` for none",
        None,
        _rates,
    )
    max_response_mib: int = setting(
        "MEMORIES_MAX_RESPONSE_MIB", "Largest answer of the API to read, in MiB, decompressed", 32, _positive_integer
    )
    secret: str = setting(
        "MEMORIES_SECRET",
        "Signing key that keeps confirmation tokens valid across restarts and replicas; at least 32 random characters",
        "",
        _secret,
        secret=True,
    )
    links: bool = setting(
        "MEMORIES_LINKS",
        "Add MCP links to the videos, moments and conversations of a result, for hosts that show them",
        False,
        _boolean,
    )
    viewer: bool = setting(
        "MEMORIES_VIEWER", "Show moments inside the chat, in clients that can show apps", True, _boolean
    )
    media_cache_mib: int = setting(
        "MEMORIES_MEDIA_CACHE_MIB",
        "Room for downloaded videos that pictures and clips are cut from, in MiB; 0 keeps none",
        1024,
        _mebibytes,
    )
    http_token: str = setting(
        "MEMORIES_HTTP_TOKEN",
        "Bearer token with which HTTP requests may use MEMORIES_API_KEY; at least 16 characters",
        "",
        _token,
        secret=True,
    )
    oauth_issuer: str = setting(
        "MEMORIES_OAUTH_ISSUER", "Issuer of the access tokens with which people sign in over HTTP", "", read_issuer
    )
    oauth_audience: tuple[str, ...] = setting(
        "MEMORIES_OAUTH_AUDIENCE",
        "Audience that access tokens must name: the URL of this server at `/mcp`, or the issuer's identifier of it",
        (),
        read_audiences,
    )
    oauth_map: Path | None = setting(
        "MEMORIES_OAUTH_MAP", "TOML file that gives subjects, groups and e-mail domains a key", None, read_file
    )
    http_auth: frozenset[str] | None = setting(
        "MEMORIES_HTTP_AUTH",
        "Ways in which HTTP requests may authenticate: `oauth`, `token`, `key`; by default `oauth` alone if "
        "MEMORIES_OAUTH_ISSUER is set, otherwise `token` and `key`",
        None,
        read_ways,
    )
    allowed_hosts: tuple[str, ...] = setting(
        "MEMORIES_ALLOWED_HOSTS",
        "Comma-separated host names of the HTTP server, in addition to loopback",
        (),
        _hosts,
    )
    allowed_origins: tuple[str, ...] = setting(
        "MEMORIES_ALLOWED_ORIGINS",
        "Comma-separated origins of web pages that may use the HTTP server, besides loopback and the allowed hosts",
        (),
        _origins,
    )
    max_sessions: int = setting(
        "MEMORIES_MAX_SESSIONS", "Most sessions that one key or token may have open over HTTP", 100, _positive_integer
    )
    redis_url: str = setting(
        "MEMORIES_REDIS_URL",
        "URL of the Redis server through which several HTTP servers share rate limits and changes",
        "",
        _redis_url,
        secret=True,
    )
    http_files: bool = setting(
        "MEMORIES_HTTP_FILES",
        "Offer file tools over HTTP; with MEMORIES_HTTP_TOKEN set, only to requests that carry the token",
        False,
        _boolean,
    )
    log_level: str = setting(
        "MEMORIES_LOG_LEVEL", "Lowest level to log: `debug`, `info`, `warning` or `error`", "warning", _log_level
    )

    @property
    def ways(self) -> frozenset[str]:
        """The ways in which HTTP requests may authenticate."""
        if self.http_auth is not None:
            return self.http_auth
        if self.oauth_issuer:
            return frozenset({"oauth"})
        return frozenset({"token", "key"} if self.http_token else {"key"})

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str] = os.environ, *, problems: list[MemoriesError] | None = None
    ) -> Settings:
        """Return the settings that the `MEMORIES_*` variables give; an empty variable counts as unset.

        Args:
            environ: The environment variables.
            problems: Collects the errors of all invalid values; without it the first one is raised.

        Raises:
            ConfigurationError: A value is invalid; the text names the variable.
        """
        values: dict[str, Any] = {}
        for setting_field in fields(cls):
            variable = setting_field.metadata["variable"]
            text = environ.get(variable, "").strip()
            if text and not _EMPTY_USER_CONFIG.fullmatch(text):
                try:
                    values[setting_field.name] = parse_setting(setting_field.name, text, variable)
                except ConfigurationError as error:
                    if problems is None:
                        raise
                    problems.append(error)
        return cls(**values)

    def change(self, **changes: Any) -> Settings:
        """Return a copy with some values replaced; `None` leaves a value unchanged."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})


def environment() -> Mapping[str, str]:
    """Return all environment variables, for code that locates files of other programs."""
    return os.environ


def parse_setting(name: str, text: str, source: str) -> object:
    """Return the value of one setting parsed from text, as `from_environment` does.

    Args:
        name: The name of the field.
        text: The text to parse.
        source: The variable, header or argument that the error names.

    Raises:
        ConfigurationError: The text is invalid.
    """
    metadata = next(candidate.metadata for candidate in fields(Settings) if candidate.name == name)
    if text.startswith("${"):
        raise ConfigurationError(
            f"{source} still contains a placeholder.",
            next_step="Replace the placeholder with a value in the client's configuration.",
        )
    try:
        return cast(Callable[[str], object], metadata["parse"])(text)
    except ValueError as error:
        value = "" if metadata["secret"] else f" is {text!r}"
        raise ConfigurationError(f"{source}{value}: {error}.") from None
