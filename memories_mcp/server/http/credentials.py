"""The credentials of an HTTP request, read from its headers alone."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.datastructures import Headers

from memories_mcp.errors import ConfigurationError
from memories_mcp.operations import select
from memories_mcp.settings import Settings, parse_setting

API_KEY_HEADER = "X-Memories-Api-Key"
CAPTION_KEY_HEADER = "X-Memories-Caption-Api-Key"
UNIQUE_ID_HEADER = "X-Memories-Unique-Id"
TOOLSETS_HEADER = "X-Memories-Toolsets"
READ_ONLY_HEADER = "X-Memories-Read-Only"

HEADERS = (API_KEY_HEADER, CAPTION_KEY_HEADER, UNIQUE_ID_HEADER, TOOLSETS_HEADER, READ_ONLY_HEADER)
"""The headers that this server defines."""
_KNOWN_HEADERS = {name.lower() for name in HEADERS}
_SINGLE_HEADERS = {*_KNOWN_HEADERS, "authorization", "host", "origin", "mcp-session-id"}
"""A proxy and the server may read different values of these if one occurs twice."""
_MAX_ID_CHARACTERS = 200


@dataclass(frozen=True, kw_only=True, repr=False)  # no repr: keys must not reach a log
class Credentials:
    """The credentials and restrictions in the headers of an HTTP request.

    Attributes:
        api_key: The caller's own key; empty if none was sent.
        caption_key: The caller's own key of the caption service; empty if none was sent.
        unique_id: The namespace that the caller fixes; empty for none.
        toolsets: The toolsets that the caller restricts the server to; `None` for all that the operator offers.
        read_only: Whether the caller restricts the server to tools that change nothing.
        holds_token: Whether the request carries `MEMORIES_HTTP_TOKEN`, which allows the use of the server's own key.
    """

    api_key: str = ""
    caption_key: str = ""
    unique_id: str = ""
    toolsets: tuple[str, ...] | None = None
    read_only: bool = False
    holds_token: bool = False


class RequestUser(AuthenticatedUser):
    """The user of an HTTP request; the SDK serves a session only to the user that began it.

    Attributes:
        credentials: The credentials of the request.
        user_id: Names the user; a digest without secrets.
        credential: Names the key or token alone, whatever namespace goes with it; a digest without secrets.
    """

    def __init__(self, credentials: Credentials) -> None:
        api_key, caption_key, holds_token = credentials.api_key, credentials.caption_key, credentials.holds_token
        self.user_id = _digest(api_key, caption_key, credentials.unique_id, holds_token)
        self.credential = _digest(api_key or caption_key, holds_token)
        self.credentials = credentials
        super().__init__(AccessToken(token="", client_id=self.user_id, scopes=[]))


def _digest(*parts: str | bool) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class RequestRefused(Exception):
    """Refuses a request before it reaches the protocol, with an HTTP status and a message for the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


def check_repeated(headers: Headers) -> None:
    """Check that no header occurs twice of which a proxy could read one value and the server another.

    Raises:
        RequestRefused: A header occurs twice.
    """
    names = [name for name in headers if name in _SINGLE_HEADERS]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated:
        raise RequestRefused(400, f"Repeated header: {repeated}. Send it once.")


def read_credentials(headers: Headers, settings: Settings) -> Credentials:
    """Read the credentials from the headers of a request.

    Raises:
        RequestRefused: A header is malformed, unknown or contradicts another one; or the server has a token, and the
            request carries neither the token nor a key of its own.
    """
    ours = [name for name in headers if name.replace("_", "-").startswith("x-memories-")]
    unknown = [name for name in ours if name not in _KNOWN_HEADERS]
    if unknown:
        raise RequestRefused(400, f"Unknown header: {unknown[0][:60]}. Known headers: {', '.join(HEADERS)}.")

    def read(name: str, setting: str, default: str = "") -> Any:
        return parse_setting(setting, headers.get(name, "").strip() or default, name)

    try:
        header_key = str(read(API_KEY_HEADER, "api_key"))
        bearer = str(parse_setting("api_key", _bearer(headers.get("Authorization", "")), "Authorization"))
        caption_key = str(read(CAPTION_KEY_HEADER, "caption_api_key"))
        read_only = bool(read(READ_ONLY_HEADER, "read_only", "false"))
        toolsets: tuple[str, ...] | None = read(TOOLSETS_HEADER, "toolsets") if TOOLSETS_HEADER in headers else None
    except ConfigurationError as error:
        raise RequestRefused(400, str(error)) from None
    try:
        select(toolsets)
    except ConfigurationError as error:
        raise RequestRefused(400, f"{TOOLSETS_HEADER}: {error}") from None
    holds_token = bool(settings.http_token) and hmac.compare_digest(bearer, settings.http_token)
    keys = {API_KEY_HEADER: header_key, CAPTION_KEY_HEADER: caption_key, "Authorization": "" if holds_token else bearer}
    for name, key in keys.items():
        if "," in key:  # so a proxy joins repeated headers
            raise RequestRefused(400, f"{name} holds more than one value. Send one.")
    if not holds_token and header_key and bearer and header_key != bearer:
        raise RequestRefused(
            401,
            f"Authorization holds neither this server's token nor the key in {API_KEY_HEADER}. Leave one of them out.",
        )
    if holds_token:
        api_key = header_key
    else:
        api_key = header_key or bearer
        if settings.http_token:
            _check_key(api_key, from_bearer=not header_key)
    return Credentials(
        api_key=api_key,
        caption_key=caption_key,
        unique_id=_namespace(headers.get(UNIQUE_ID_HEADER, "").strip(), settings),
        toolsets=toolsets,
        read_only=read_only,
        holds_token=holds_token,
    )


def _check_key(api_key: str, *, from_bearer: bool) -> None:
    """Refuse a request to a server with a token that carries neither the token nor a key."""
    if not api_key:
        raise RequestRefused(
            401,
            f"No credentials. Send this server's token, or your own key as Authorization: Bearer or {API_KEY_HEADER}.",
        )
    # A wrong token must not pass for a key.
    if from_bearer and not api_key.startswith("sk-"):
        raise RequestRefused(
            401,
            "Authorization carries neither this server's token nor a Memories.ai key. Send the token, or your own key "
            "(sk-…).",
        )


def _bearer(authorization: str) -> str:
    """Return the value after `Bearer`; the API's own form, the key alone, is accepted too."""
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if value:
        raise RequestRefused(
            401, "Authorization is not a Bearer header. Send Bearer with this server's token or your own key."
        )
    return scheme


def _namespace(unique_id: str, settings: Settings) -> str:
    if len(unique_id) > _MAX_ID_CHARACTERS or not unique_id.isprintable():
        message = f"{UNIQUE_ID_HEADER} is not a namespace. Send at most {_MAX_ID_CHARACTERS} printable characters."
        raise RequestRefused(400, message)
    if unique_id and settings.unique_id and unique_id != settings.unique_id:
        raise RequestRefused(403, f"The namespace is fixed by the operator. Leave out {UNIQUE_ID_HEADER}.")
    return unique_id
