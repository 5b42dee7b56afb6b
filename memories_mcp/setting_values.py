"""The values of settings: where the text of a variable comes from, and how it is parsed.

A parser raises `ValueError` with a reason that completes `<variable>: …`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from memories_mcp.errors import ConfigurationError

FILE_SUFFIX = "_FILE"
"""Ends the variable that names a file with a secret, in place of the variable with the secret itself."""
_MAX_SECRET_BYTES = 64 * 1024

_EMPTY_USER_CONFIG = re.compile(r"\$\{user_config\.\w+\}")
"""The placeholder that Claude Desktop passes for an optional field of a bundle that the user left empty."""


def read_variable(environ: Mapping[str, str], variable: str, *, from_file: bool) -> str:
    """Return the text of a variable, empty if it is unset.

    Args:
        environ: The environment variables.
        variable: The name of the variable.
        from_file: Whether the variable with `_FILE` after its name may give the path of a file with the text instead.

    Raises:
        ConfigurationError: Both variables are set, or the file cannot be used.
    """
    text = _present(environ.get(variable, ""))
    path = _present(environ.get(f"{variable}{FILE_SUFFIX}", "")) if from_file else ""
    if not path:
        return text
    if text:
        raise ConfigurationError(f"{variable} and {variable}{FILE_SUFFIX} are both set.", next_step="Unset one.")
    try:
        # No message shows the path: where the secret itself was put, it would show the secret.
        with Path(path).expanduser().open("rb") as file:
            text = file.read(_MAX_SECRET_BYTES).decode().strip()
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise ConfigurationError(
            f"{variable}{FILE_SUFFIX}: the file cannot be read: {reason}.",
            next_step="Set it to the path of a text file that holds nothing but the value.",
        ) from None
    if not text:
        raise ConfigurationError(f"{variable}{FILE_SUFFIX}: the file is empty.", next_step="Put the value into it.")
    return text


def _present(text: str) -> str:
    return "" if _EMPTY_USER_CONFIG.fullmatch(text.strip()) else text.strip()


def parse_list(text: str) -> tuple[str, ...]:
    """Return the items of a comma-separated list."""
    return tuple(item.strip() for item in text.split(",") if item.strip())


def parse_names(text: str) -> tuple[str, ...]:
    """Return the items of a comma-separated list that has at least one."""
    names = parse_list(text)
    if not names:
        raise ValueError("name at least one, or leave it out")
    return names


def parse_boolean(text: str) -> bool:
    """Return a switch."""
    value = text.strip().lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise ValueError("use true or false")


def parse_url(text: str) -> str:
    """Return a URL without its final slash."""
    parts = urlsplit(text.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname or (parts.port or 1) < 1:
        raise ValueError("use a full URL such as https://host")
    return parts._replace(scheme=parts.scheme).geturl().rstrip("/")


def parse_callback_url(text: str) -> str:
    """Return a URL that the service accepts for its reports."""
    if len(text) > 299:
        raise ValueError("the service accepts at most 299 characters")
    return parse_url(text)


def parse_key(text: str) -> str:
    """Return an API key."""
    key = text.strip()
    # The API takes the bare key (API 2.2), but many third-party guides show it with the prefix.
    key = key[7:].strip() if key.lower().startswith("bearer ") else key
    if not key.isprintable() or not key.isascii() or " " in key:
        raise ValueError("use printable ASCII characters without spaces")
    return key


def parse_secret(text: str) -> str:
    """Return a signing key."""
    return _check_length(text, 32)


def parse_token(text: str) -> str:
    """Return a bearer token."""
    return _check_length(parse_key(text), 16)


def _check_length(text: str, minimum: int) -> str:
    if len(text) < minimum:
        raise ValueError(f"use at least {minimum} random characters, for example the output of `openssl rand -hex 32`")
    return text


_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d+)?|\[[0-9a-fA-F:]+\](:\d+)?")
"""A host name or a bracketed IPv6 address, with an optional port."""


def parse_hosts(text: str) -> tuple[str, ...]:
    """Return host names in lower case."""
    hosts = parse_list(text.lower())
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ValueError(f"{host!r} is not a host name; use names such as mcp.example.com, without a scheme")
    return hosts


_ORIGIN = re.compile(rf"[a-z][a-z0-9+.-]*://({_HOST.pattern})")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
"""Browsers leave them out of an origin."""


def parse_origins(text: str) -> tuple[str, ...]:
    """Return origins of web pages in lower case, as browsers send them."""
    origins = [item.removesuffix("/") for item in parse_list(text.lower())]
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is not an origin; use origins such as https://app.example.com")
    return tuple(origin.removesuffix(_DEFAULT_PORTS.get(origin.partition(":")[0], "")) for origin in origins)


def parse_seconds(text: str) -> float:
    """Return a number of seconds."""
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]+)?", text):
        raise ValueError("use a number of seconds such as 20")
    return float(text)


def parse_replica(text: str) -> str:
    """Return the name of a replica, which must fit into a path and a header."""
    if not re.fullmatch("[A-Za-z0-9_-]{1,63}", text):
        raise ValueError("use at most 63 letters, digits, `-` and `_`")
    return text


def parse_log_level(text: str) -> str:
    """Return the name of a log level."""
    if text.lower() not in {"debug", "info", "warning", "error"}:
        raise ValueError("use debug, info, warning or error")
    return text.lower()


Rates = dict[str, tuple[float, float]]
"""Rate limits by request class: requests, and the seconds in which they are allowed; empty for no limits."""


def parse_rates(text: str) -> Rates:
    """Return rate limits by class."""
    if text.lower() == "off":
        return {}
    rates: Rates = {}
    for item in parse_list(text):
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


def parse_mebibytes(text: str) -> int:
    """Return a whole number from 0 on."""
    if not re.fullmatch("[0-9]{1,7}", text):
        raise ValueError("use a whole number")
    return int(text)


def parse_positive_integer(text: str) -> int:
    """Return a whole number from 1 to 999,999."""
    if not re.fullmatch("[0-9]{1,6}", text) or not int(text):
        raise ValueError("use a whole number greater than 0")
    return int(text)


def parse_port(text: str) -> int:
    """Return the number of a port."""
    if not re.fullmatch("[0-9]{1,5}", text) or not 0 < int(text) <= 65535:
        raise ValueError("use a port between 1 and 65535")
    return int(text)


def parse_spend_limit(text: str) -> dict[str, int]:
    """Return the most requests of each price class, as `chat=100,upload=20`."""
    limits: dict[str, int] = {}
    for item in parse_list(text):
        price, _, most = (part.strip() for part in item.partition("="))
        if not price or not re.fullmatch("[0-9]{1,9}", most):
            raise ValueError("use `class=requests`, separated by commas, such as chat=100,upload=20")
        if price in limits:
            raise ValueError(f"name {price} once")
        limits[price] = int(most)
    return limits


def parse_directory(text: str) -> Path:
    """Return the resolved path of an existing folder."""
    try:
        path = Path(text).expanduser()
        if path.is_dir():
            return path.resolve()
    except (OSError, RuntimeError):  # not accessible, or `~` where the home folder is unknown
        pass
    raise ValueError("use the path of an existing folder")
