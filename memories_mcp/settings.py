"""The settings of the operator, and the only module that reads the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

from memories_mcp.errors import ConfigurationError, MemoriesError
from memories_mcp.setting_values import (
    Rates,
    parse_boolean,
    parse_callback_url,
    parse_directory,
    parse_hosts,
    parse_key,
    parse_log_level,
    parse_mebibytes,
    parse_names,
    parse_origins,
    parse_port,
    parse_positive_integer,
    parse_rates,
    parse_redis_url,
    parse_replica,
    parse_seconds,
    parse_secret,
    parse_spend_limit,
    parse_token,
    parse_url,
    read_variable,
)
from memories_mcp.sign_in_values import read_audiences, read_file, read_issuer, read_ways

API_URL = "https://api.memories.ai"
CAPTION_URL = "https://security.memories.ai"


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


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of the operator; `repr` shows no secret.

    The help text of each field, which documentation and manifests show, is its description. Construct from the
    environment with `from_environment`; values passed to the constructor are used as they are, without parsing.
    """

    api_key: str = setting("MEMORIES_API_KEY", "API key of the Memories.ai account", "", parse_key, secret=True)
    base_url: str = setting("MEMORIES_BASE_URL", "Base URL of the API", API_URL, parse_url)
    caption_api_key: str = setting(
        "MEMORIES_CAPTION_API_KEY", "API key of the caption service, which is separate", "", parse_key, secret=True
    )
    caption_base_url: str = setting(
        "MEMORIES_CAPTION_BASE_URL", "Base URL of the caption service", CAPTION_URL, parse_url
    )
    callback_url: str = setting(
        "MEMORIES_CALLBACK_URL",
        "URL to which the service reports finished uploads, and sends video captions in place of answering with them",
        "",
        parse_callback_url,
    )
    unique_id: str = setting(
        "MEMORIES_UNIQUE_ID",
        "Namespace of every call; removes `unique_id` and `folder_id` from all tools, and the toolset `folders`",
        "",
        str.strip,
    )
    toolsets: tuple[str, ...] | None = setting(
        "MEMORIES_TOOLSETS", "Comma-separated toolsets to offer, or `default` or `all`", None, parse_names
    )
    tools: tuple[str, ...] | None = setting(
        "MEMORIES_TOOLS",
        "Comma-separated tools to offer; with MEMORIES_TOOLSETS, in addition to those toolsets",
        None,
        parse_names,
    )
    exclude_tools: tuple[str, ...] = setting("MEMORIES_EXCLUDE_TOOLS", "Comma-separated tools to omit", (), parse_names)
    read_only: bool = setting("MEMORIES_READ_ONLY", "Offer only tools that change nothing", False, parse_boolean)
    files_root: Path | None = setting(
        "MEMORIES_FILES_ROOT", "The only folder that file tools may read and write", None, parse_directory
    )
    sandbox: bool = setting("MEMORIES_SANDBOX", "Use the offline sandbox instead of the API", False, parse_boolean)
    confirm: bool = setting(
        "MEMORIES_CONFIRM",
        "Require confirmation of irreversible actions; `off` if the client itself asks for approval",
        True,
        parse_boolean,
    )
    rate_limits: Rates | None = setting(
        "MEMORIES_RATE_LIMITS",
        "Rate limits that differ from the API's, as `search=10/1,chat=1/60` (requests/seconds); `off` for none",
        None,
        parse_rates,
    )
    max_response_mib: int = setting(
        "MEMORIES_MAX_RESPONSE_MIB",
        "Largest answer of the API to read, in MiB, decompressed",
        32,
        parse_positive_integer,
    )
    secret: str = setting(
        "MEMORIES_SECRET",
        "Signing key that keeps confirmation tokens valid across restarts and replicas; at least 32 random characters",
        "",
        parse_secret,
        secret=True,
    )
    links: bool = setting(
        "MEMORIES_LINKS",
        "Add MCP links to the videos, moments and conversations of a result, for hosts that show them",
        False,
        parse_boolean,
    )
    viewer: bool = setting(
        "MEMORIES_VIEWER", "Show moments inside the chat, in clients that can show apps", True, parse_boolean
    )
    media_cache_mib: int = setting(
        "MEMORIES_MEDIA_CACHE_MIB",
        "Room for downloaded videos that pictures and clips are cut from, in MiB; 0 keeps none",
        1024,
        parse_mebibytes,
    )
    http_token: str = setting(
        "MEMORIES_HTTP_TOKEN",
        "Bearer token with which HTTP requests may use MEMORIES_API_KEY; at least 16 characters",
        "",
        parse_token,
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
        parse_hosts,
    )
    allowed_origins: tuple[str, ...] = setting(
        "MEMORIES_ALLOWED_ORIGINS",
        "Comma-separated origins of web pages that may use the HTTP server, besides loopback and the allowed hosts",
        (),
        parse_origins,
    )
    max_sessions: int = setting(
        "MEMORIES_MAX_SESSIONS",
        "Most sessions that one key or token may have open over HTTP",
        100,
        parse_positive_integer,
    )
    max_all_sessions: int = setting(
        "MEMORIES_MAX_ALL_SESSIONS",
        "Most sessions that all callers together may have open over HTTP",
        10_000,
        parse_positive_integer,
    )
    session_idle_seconds: int = setting(
        "MEMORIES_SESSION_IDLE_SECONDS",
        "Seconds without a request after which an HTTP session ends",
        1800,
        parse_positive_integer,
    )
    replica: str = setting(
        "MEMORIES_REPLICA",
        "Name of this server among several behind a proxy; begins the session ids and message paths that it hands out",
        "",
        parse_replica,
    )
    stop_delay: float = setting(
        "MEMORIES_STOP_DELAY",
        "Seconds for which a stopping HTTP server still serves as before, while `/readyz` answers 503",
        0,
        parse_seconds,
    )
    drain_seconds: float = setting(
        "MEMORIES_DRAIN_SECONDS",
        "Seconds that calls under way get when an HTTP server stops, after MEMORIES_STOP_DELAY",
        20,
        parse_seconds,
    )
    max_calls_per_caller: int = setting(
        "MEMORIES_MAX_CALLS_PER_CALLER",
        "Most calls that one key, token or person may have under way over HTTP",
        200,
        parse_positive_integer,
    )
    redis_url: str = setting(
        "MEMORIES_REDIS_URL",
        "URL of the Redis server through which several HTTP servers share rate limits and changes",
        "",
        parse_redis_url,
        secret=True,
    )
    http_files: bool = setting(
        "MEMORIES_HTTP_FILES",
        "Offer file tools over HTTP; with MEMORIES_HTTP_TOKEN set, only to requests that carry the token",
        False,
        parse_boolean,
    )
    spend_limit: dict[str, int] | None = setting(
        "MEMORIES_SPEND_LIMIT",
        "Most requests that one caller may make a day (UTC) of each class that costs money, as `chat=100,upload=20`",
        None,
        parse_spend_limit,
    )
    audit: bool = setting(
        "MEMORIES_AUDIT", "Log each call that costs money or cannot be undone, at any log level", False, parse_boolean
    )
    metrics: bool = setting(
        "MEMORIES_METRICS", "Serve metrics for Prometheus at `/metrics` over HTTP", False, parse_boolean
    )
    metrics_port: int | None = setting(
        "MEMORIES_METRICS_PORT",
        "Port of the metrics, where they need no token; by default that of the server, where they need "
        "MEMORIES_HTTP_TOKEN",
        None,
        parse_port,
    )
    log_level: str = setting(
        "MEMORIES_LOG_LEVEL", "Lowest level to log: `debug`, `info`, `warning` or `error`", "warning", parse_log_level
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
            try:
                if text := read_variable(environ, variable, from_file=setting_field.metadata["secret"]):
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
