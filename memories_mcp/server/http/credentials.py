"""Whom an HTTP request speaks for, read from its headers and from nothing else."""

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

API_KEY = "X-Memories-Api-Key"
CAPTION_KEY = "X-Memories-Caption-Api-Key"
UNIQUE_ID = "X-Memories-Unique-Id"
TOOLSETS = "X-Memories-Toolsets"
READ_ONLY = "X-Memories-Read-Only"

_HEADERS = (API_KEY, CAPTION_KEY, UNIQUE_ID, TOOLSETS, READ_ONLY)
_KNOWN = {name.lower() for name in _HEADERS}
_LONGEST_ID = 200


@dataclass(frozen=True, kw_only=True, repr=False)  # never a key in a log
class Credentials:
    """What an HTTP request says about itself.

    Attributes:
        api_key: The caller's own key; empty where none was sent.
        caption_key: The same for the caption service.
        unique_id: The namespace that the caller fixes.
        toolsets: The toolsets that the caller keeps to; empty for all that the operator offers.
        read_only: Whether the caller keeps to what changes nothing.
        holds_token: Whether it carries `MEMORIES_HTTP_TOKEN`, which alone opens the server's own key.
    """

    api_key: str = ""
    caption_key: str = ""
    unique_id: str = ""
    toolsets: tuple[str, ...] = ()
    read_only: bool = False
    holds_token: bool = False


class RequestUser(AuthenticatedUser):
    """An HTTP request's user. The SDK ties each session to who began it, and refuses it to all others."""

    def __init__(self, credentials: Credentials) -> None:
        who = [credentials.api_key, credentials.caption_key, credentials.unique_id, credentials.holds_token]
        digest = hashlib.sha256(json.dumps(who).encode()).hexdigest()
        super().__init__(AccessToken(token="", client_id=digest, scopes=[]))
        self.credentials = credentials


class Refused(Exception):
    """A request that is turned away before it reaches the protocol, with an HTTP status and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


def credentials_of(headers: Headers, settings: Settings) -> Credentials:
    """Read the headers of a request.

    With `MEMORIES_HTTP_TOKEN` set, a request without it and without a key of its own is turned away.

    Raises:
        Refused: They make no sense, contradict each other, or are missing where they are needed.
    """

    strange = [name for name in headers if name.startswith("x-memories-") and name not in _KNOWN]
    if strange:
        raise Refused(400, f"There is no header {strange[0][:60]}; there are: {', '.join(_HEADERS)}.")

    def read(name: str, setting: str, default: str = "") -> Any:
        return parse_setting(setting, headers.get(name, "").strip() or default, name)

    try:
        own = str(read(API_KEY, "api_key"))
        bearer = str(parse_setting("api_key", _bearer(headers.get("Authorization", "")), "Authorization"))
        caption_key = str(read(CAPTION_KEY, "caption_api_key"))
        read_only = bool(read(READ_ONLY, "read_only", "false"))
        toolsets: tuple[str, ...] = read(TOOLSETS, "toolsets")
        try:
            select(toolsets)
        except ConfigurationError as error:
            raise Refused(400, f"{TOOLSETS}: {error}") from None
    except ConfigurationError as error:
        raise Refused(400, str(error)) from None
    holds_token = bool(settings.http_token) and hmac.compare_digest(bearer, settings.http_token)
    if not holds_token and own and bearer and own != bearer:
        raise Refused(401, f"Authorization carries neither this server's token nor the key in {API_KEY}.")
    key = own if holds_token else own or bearer
    if settings.http_token and not holds_token:
        if not key:
            raise Refused(401, f"Send this server's token, or your own key as Authorization: Bearer or {API_KEY}.")
        if not own and not key.startswith("sk-"):
            raise Refused(401, "Authorization carries neither this server's token nor a Memories.ai key (sk-…).")
    return Credentials(
        api_key=key,
        caption_key=caption_key,
        unique_id=_namespace(headers.get(UNIQUE_ID, "").strip(), settings),
        toolsets=toolsets,
        read_only=read_only,
        holds_token=holds_token,
    )


def _bearer(authorization: str) -> str:
    """What stands behind Bearer; the API's own way, a bare key, is understood too."""
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if rest:
        raise Refused(401, "Authorization must be Bearer, with this server's token or your own key.")
    return scheme


def _namespace(unique_id: str, settings: Settings) -> str:
    if len(unique_id) > _LONGEST_ID or not unique_id.isprintable():
        raise Refused(400, f"{UNIQUE_ID} is not a namespace.")
    if unique_id and settings.unique_id and unique_id != settings.unique_id:
        raise Refused(403, f"The operator fixed the namespace; leave out {UNIQUE_ID}.")
    return unique_id
