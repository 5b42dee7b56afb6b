"""Sign-in: checks the access tokens of an identity provider and gives their holders a key and a namespace.

Imported only by a server with sign-in, since PyJWT and its cryptography take time and room.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import jwt

from memories_mcp.errors import ConfigurationError
from memories_mcp.server.http.access_map import AccessMap, NoAccess
from memories_mcp.server.http.credentials import UNIQUE_ID_HEADER, Credentials, RequestRefused
from memories_mcp.server.http.issuer_keys import ALGORITHMS, IssuerKey, IssuerKeys, IssuerUnavailable
from memories_mcp.server.http.protected_resource import READ_SCOPE, WRITE_SCOPE, insufficient_scope
from memories_mcp.settings import Settings

LEEWAY_SECONDS = 30
"""How far the clocks of the issuer and of this server may differ."""
_MAX_TOKEN_CHARACTERS = 16 * 1024
_MAX_SUBJECT_CHARACTERS = 255
_MAX_VERIFIED = 1000
_REASONS: list[tuple[type[Exception], str]] = [
    (jwt.ExpiredSignatureError, "it has expired"),
    (jwt.ImmatureSignatureError, "it is not valid yet"),
    (jwt.InvalidAudienceError, "it was issued for another server"),
    (jwt.InvalidIssuerError, "it comes from another issuer"),
    (jwt.MissingRequiredClaimError, "it lacks a claim: sub, iss, aud and exp are required"),
    (jwt.InvalidSignatureError, "its signature is wrong"),
]


@dataclass(frozen=True)
class _Verified:
    """A token whose signature and claims were checked.

    Attributes:
        claims: The claims.
        key: The key that the token is signed with.
        expires: When the token expires, in seconds since 1970.
    """

    claims: dict[str, Any]
    key: IssuerKey
    expires: float


class SignIn:
    """Checks access tokens and looks up what their holders may use.

    Args:
        settings: The operator's, with issuer, audience and map.

    Raises:
        ConfigurationError: A setting is missing, or the map cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._audience = settings.oauth_audience
        self._keys = IssuerKeys(settings.oauth_issuer)
        if settings.oauth_map is None:
            raise ConfigurationError("MEMORIES_OAUTH_MAP is missing.", next_step="Set it to the file of the map.")
        self._map = AccessMap(settings.oauth_map, settings)
        # By the token's digest, oldest first: a client sends a token many times, and a check takes half a millisecond.
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()

    async def resolve(self, credentials: Credentials) -> Credentials:
        """Return the credentials that an access token stands for, without the token.

        Args:
            credentials: Those of a request, with an access token that is not checked yet.

        Raises:
            RequestRefused: The token is invalid, its holder has no access, or the keys of the issuer cannot be read.
        """
        claims = await self._claims(credentials.access_token)
        subject = str(claims["sub"])
        try:
            access = self._map.find(claims)
        except NoAccess as refused:
            message = f"{refused} Have its operator add a rule to the access map for the account {subject!r}."
            raise RequestRefused(403, message) from None
        if access.namespace is not None and credentials.unique_id not in {"", access.namespace}:
            raise RequestRefused(403, f"The namespace is fixed by the operator. Leave out {UNIQUE_ID_HEADER}.")
        scopes = frozenset(_scopes(claims))
        if not scopes & {READ_SCOPE, WRITE_SCOPE}:
            message = f"The access token lacks the scope {READ_SCOPE}. Sign in again and allow it."
            raise insufficient_scope(message, [READ_SCOPE])
        return replace(
            credentials,
            access_token="",
            api_key=access.api_key,
            caption_key=access.caption_key,
            operator_key=access.operator_key,
            unique_id=credentials.unique_id if access.namespace is None else access.namespace,
            read_only=credentials.read_only or access.read_only,
            subject=f"{self._keys.issuer} {subject}",
            may_write=WRITE_SCOPE in scopes,
        )

    async def _claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a valid token; one that was valid before is only checked for what can change.

        Raises:
            RequestRefused: The token is invalid, or the keys of the issuer cannot be read.
        """
        digest = hashlib.sha256(token.encode()).digest()
        known = self._verified.pop(digest, None)
        if known is not None and time.time() < known.expires:
            key = await self._find_key(known.key.key_id, known.key.algorithm)
            if key is known.key:  # keys that were fetched again are other objects
                self._verified[digest] = known
                return known.claims
        verified = self._verified[digest] = await self._verify(token)
        while len(self._verified) > _MAX_VERIFIED:
            self._verified.popitem(last=False)
        return verified.claims

    async def _verify(self, token: str) -> _Verified:
        """Verify a token.

        Raises:
            RequestRefused: The token is invalid, or the keys of the issuer cannot be read.
        """
        if len(token) > _MAX_TOKEN_CHARACTERS:
            raise _invalid("it is too long")
        header, claims = _read(token)
        algorithm, key_id = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise _invalid(f"it is not signed with {', '.join(sorted(ALGORITHMS))}")
        if "crit" in header:  # older versions of PyJWT ignore it
            raise _invalid("its header demands an extension")
        # A token of another issuer must not cost a request to this one.
        if str(claims.get("iss")).rstrip("/") != self._keys.issuer.rstrip("/"):
            raise _invalid("it comes from another issuer")
        key = await self._find_key(key_id, algorithm)
        if key is None:
            raise _invalid("the issuer has no key of this name")
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                audience=self._audience,
                issuer=self._keys.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["sub", "iss", "aud", "exp"]},
            )
        except Exception as error:  # the token is foreign: whatever goes wrong with it makes it invalid
            raise _invalid(_reason(error)) from None
        if not 0 < len(claims["sub"]) <= _MAX_SUBJECT_CHARACTERS or not claims["sub"].isprintable():
            raise _invalid("its subject is empty, too long or not printable")
        return _Verified(claims, key, int(claims["exp"]) + LEEWAY_SECONDS)

    async def _find_key(self, key_id: str | None, algorithm: str) -> IssuerKey | None:
        try:
            return await self._keys.find(key_id, algorithm)
        except IssuerUnavailable as unavailable:
            seconds = math.ceil(unavailable.retry_after)
            raise RequestRefused(
                503,
                f"The access token cannot be checked: the identity provider does not answer. Try again in {seconds} s.",
                headers={"Retry-After": str(seconds)},
            ) from None


def _read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the claims of a token that is not verified."""
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except Exception:  # as above: foreign text, nested deeply or with numbers of any size
        raise _invalid("it is malformed") from None
    return parts["header"], parts["payload"]


def _invalid(reason: str) -> RequestRefused:
    return RequestRefused(401, f"The access token is refused: {reason}. Sign in again.", "invalid_token")


def _reason(error: Exception) -> str:
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "it is malformed")


def _scopes(claims: Mapping[str, Any]) -> Iterator[str]:
    """Yield the scopes of a token: `scope` of RFC 9068, or `scp`, each as one text or a list of texts."""
    for name in ("scope", "scp"):
        value: object = claims.get(name)
        for item in cast(list[object], value) if isinstance(value, list) else [value]:
            if isinstance(item, str):
                yield from item.split()
