"""The credentials of an HTTP request, read from its headers alone."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.datastructures import Headers

from memories_mcp.errors import ConfigurationError
from memories_mcp.operations import select
from memories_mcp.settings import Settings, parse_setting
from memories_mcp.sign_in_values import ONLY_KEYS

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
        access_token: The token of an identity provider, until it is checked; empty afterwards, and without sign-in.
        subject: The person who signed in, as issuer and subject; empty without sign-in.
        operator_key: Whether the server's own key is used for the person who signed in.
        may_write: Whether the request may change something, by the scopes of its access token.
    """

    api_key: str = ""
    caption_key: str = ""
    unique_id: str = ""
    toolsets: tuple[str, ...] | None = None
    read_only: bool = False
    holds_token: bool = False
    access_token: str = ""
    subject: str = ""
    operator_key: bool = False
    may_write: bool = True


class RequestUser(AuthenticatedUser):
    """The user of an HTTP request; the SDK serves a session only to the user that began it.

    Attributes:
        credentials: The credentials of the request.
        user_id: Names the user; a digest without secrets.
        credential: Names the key, token or person alone, whatever namespace goes with it; a digest without secrets.
    """

    def __init__(self, credentials: Credentials) -> None:
        api_key, caption_key, holds_token = credentials.api_key, credentials.caption_key, credentials.holds_token
        subject = credentials.subject
        self.user_id = _digest(api_key, caption_key, credentials.unique_id, holds_token, subject)
        self.credential = _digest(subject or api_key or caption_key, holds_token, bool(subject))
        self.credentials = credentials
        super().__init__(AccessToken(token="", client_id=self.user_id, scopes=[]))


def _digest(*parts: str | bool) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class RequestRefused(Exception):
    """Refuses a request before it reaches the protocol, with an HTTP status and a message for the caller.

    Attributes:
        status: The HTTP status.
        message: What failed and what to do.
        error: The code of OAuth 2.0 for the refusal of an access token; empty for other refusals.
        scopes: The scopes that an access token needs; empty if they do not matter.
        headers: Further headers of the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        error: str = "",
        *,
        scopes: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.error = error
        self.scopes = scopes
        self.headers = headers or {}


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
    """Read the credentials from the headers of a request; an access token is not checked yet.

    Raises:
        RequestRefused: A header is malformed, unknown or contradicts another one; or the request carries nothing that
            the server accepts.
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
    ways = settings.ways
    matches_token = bool(settings.http_token) and hmac.compare_digest(bearer, settings.http_token)
    holds_token = matches_token and "token" in ways
    access_token = bearer if is_access_token(bearer) and not matches_token else ""
    keys = {API_KEY_HEADER: header_key, CAPTION_KEY_HEADER: caption_key, "Authorization": "" if holds_token else bearer}
    for name, key in keys.items():
        if "," in key:  # so a proxy joins repeated headers
            raise RequestRefused(400, f"{name} holds more than one value. Send one.")
        if is_access_token(key) and name != "Authorization":
            raise RequestRefused(400, f"{name} holds an access token. Send it as Authorization: Bearer.")
    api_key = header_key
    if access_token:
        _check_access_token(ways, has_key=bool(header_key or caption_key))
    elif not holds_token:
        if header_key and bearer and header_key != bearer:
            raise RequestRefused(
                401,
                f"Authorization holds neither this server's token nor the key in {API_KEY_HEADER}. Leave one of them "
                "out.",
            )
        api_key = header_key or bearer
        if ways != ONLY_KEYS or matches_token:
            _check_key(api_key, ways, from_bearer=not header_key, is_token=matches_token)
    if "key" not in ways and (header_key or caption_key):
        raise RequestRefused(401, f"This server accepts no keys of callers. {_advice(ways)}", _INVALID)
    return Credentials(
        api_key=api_key,
        caption_key=caption_key,
        unique_id=_namespace(headers.get(UNIQUE_ID_HEADER, "").strip(), settings),
        toolsets=toolsets,
        read_only=read_only,
        holds_token=holds_token,
        access_token=access_token,
    )


_INVALID = "invalid_token"
_ACCESS_TOKEN = re.compile(r"eyJ[\w-]*\..*|[\w-]+\.[\w-]*\.[\w.-]*")


def is_access_token(value: str) -> bool:
    """Return whether a value has the form of a JSON Web Token; such a value is never used as an API key."""
    return _ACCESS_TOKEN.fullmatch(value) is not None


def _check_access_token(ways: frozenset[str], *, has_key: bool) -> None:
    """Refuse an access token where none is accepted, or one beside a key."""
    if "oauth" not in ways:
        raise RequestRefused(
            401, f"Authorization holds an access token, and this server has no sign-in. {_advice(ways)}", _INVALID
        )
    if has_key:
        raise RequestRefused(400, "The request holds an access token and a key. Send the access token alone.")


def _check_key(api_key: str, ways: frozenset[str], *, from_bearer: bool, is_token: bool) -> None:
    """Refuse a request that carries nothing that this server accepts."""
    if not api_key:
        raise RequestRefused(401, f"No credentials. {_advice(ways)}")
    if "key" not in ways and not from_bearer:
        return  # refused later, with the header's name
    # A wrong token must not pass for a key.
    if is_token or "key" not in ways or (from_bearer and not api_key.startswith("sk-")):
        names = [_CARRIED[way] for way in ("oauth", "token", "key") if way in ways]
        carried = f"neither {' nor '.join(names)}" if len(names) > 1 else f"not {names[0]}"
        raise RequestRefused(401, f"Authorization carries {carried}. {_advice(ways)}", _INVALID)


_CARRIED = {
    "oauth": "an access token of the identity provider",
    "token": "this server's token",
    "key": "a Memories.ai key",
}


def _advice(ways: frozenset[str]) -> str:
    advice = {
        "oauth": "sign in with the identity provider of this server",
        "token": "send this server's token",
        "key": f"send your own key (sk-…) as Authorization: Bearer or {API_KEY_HEADER}",
    }
    text = ", or ".join(advice[way] for way in ("oauth", "token", "key") if way in ways)
    return f"{text[0].upper()}{text[1:]}."


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
