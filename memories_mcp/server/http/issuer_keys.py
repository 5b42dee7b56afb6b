"""The public keys of an identity provider: discovered, fetched when they are needed, and kept for a while."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from jwt import PyJWK, PyJWTError

from memories_mcp.api.documents import DocumentUnavailable, fetch_document
from memories_mcp.errors import MemoriesError
from memories_mcp.sign_in_values import LOOPBACK_HOSTS

logger = logging.getLogger(__name__)

_ALGORITHMS: dict[tuple[str, str | None], str] = {
    ("RSA", None): "RS256",
    ("EC", "P-256"): "ES256",
    ("OKP", "Ed25519"): "EdDSA",
}
"""The accepted algorithms, by type and curve of the key: a key serves one of them and no other."""
ALGORITHMS = frozenset(_ALGORITHMS.values())
VALID_SECONDS = 600.0
"""How long fetched keys are used without a look at the issuer."""
KEPT_SECONDS = 24 * 3600.0
"""How long fetched keys are used while the issuer cannot be reached."""
REFETCH_SECONDS = 10.0
"""The shortest time between two fetches for keys that tokens name and the issuer did not have, as names are made up."""
RETRY_SECONDS = 5.0
"""The shortest time between a failed fetch and the next one."""
_PATIENCE_SECONDS = 1.0
"""How long a request waits for new keys if a kept one will do."""
_FETCH_SECONDS = 15.0
"""How long a fetch may take, with the discovery."""
_MAX_KEYS = 100
_MIN_RSA_BITS = 2048


class IssuerUnavailable(Exception):
    """The keys cannot be read, and none that were read before will do.

    Attributes:
        retry_after: Seconds until the next attempt.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


@dataclass(frozen=True)
class IssuerKey:
    """A public key.

    Attributes:
        key_id: The name of the key; `None` if it has none.
        algorithm: The only algorithm that the key is used with.
        key: The key, as the library takes it.
    """

    key_id: str | None
    algorithm: str
    key: Any


class IssuerKeys:
    """The keys of one issuer.

    Args:
        issuer: The identifier of the issuer, as the operator wrote it.

    Attributes:
        issuer: The identifier, as the issuer itself writes it once its metadata is read.
    """

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self._jwks_uri = ""
        self._keys: list[IssuerKey] = []
        self._fetched = self._failed = self._searched = float("-inf")  # on the monotonic clock
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None, algorithm: str) -> IssuerKey | None:
        """Return the key that a token names, or the only one of its algorithm if the token names none.

        Args:
            key_id: The name of the key.
            algorithm: The algorithm of the token.

        Raises:
            IssuerUnavailable: The issuer cannot be reached, and the key is not among those kept.
        """
        key = self._kept(key_id, algorithm)
        now = time.monotonic()
        is_current = now < self._fetched + VALID_SECONDS
        if key is not None and is_current:
            return key
        # A new key is looked for at once, but for made-up names the issuer is not asked again and again.
        due = max(self._failed + RETRY_SECONDS, self._searched + REFETCH_SECONDS if is_current else 0)
        if self._fetching is not None or now >= due:
            if is_current:
                self._searched = now
            # A key that will do need not wait for an issuer that was away a moment ago.
            failing = self._failed > self._fetched
            await self._refresh(wait=None if key is None else 0 if failing else _PATIENCE_SECONDS)
            key = self._kept(key_id, algorithm)
        if key is None and self._failed > self._fetched:
            raise IssuerUnavailable(max(1.0, self._failed + RETRY_SECONDS - time.monotonic()))
        return key

    def _kept(self, key_id: str | None, algorithm: str) -> IssuerKey | None:
        if time.monotonic() > self._fetched + KEPT_SECONDS:
            return None
        keys = [key for key in self._keys if key.algorithm == algorithm and key_id in (None, key.key_id)]
        return keys[0] if len(keys) == 1 or (keys and key_id is not None) else None

    async def _refresh(self, wait: float | None) -> None:
        """Fetch the keys, once for all requests that need them, and wait at most this many seconds."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._forget_fetch)
        # Unlike `wait_for`, `wait` does not cancel the fetch with the request that waits.
        await asyncio.wait([self._fetching], timeout=wait)

    def _forget_fetch(self, _: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                if not self._jwks_uri:
                    await self._discover()
                keys = [*_read_keys(await fetch_document(self._jwks_uri))]
            if not keys:
                raise DocumentUnavailable(f"{self._jwks_uri}: no key for {', '.join(sorted(ALGORITHMS))}.")
        except (MemoriesError, TimeoutError) as error:
            self._jwks_uri = ""  # it may have moved
            self._failed = time.monotonic()
            reason = str(error) or f"no complete answer within {_FETCH_SECONDS:g} s."
            logger.warning("the keys of the issuer cannot be read", extra={"reason": reason})
        else:
            self._keys, self._fetched = keys, time.monotonic()

    async def _discover(self) -> None:
        """Read the issuer's metadata, by RFC 8414 or OpenID Connect Discovery."""
        failure = DocumentUnavailable(f"{self.issuer}: no metadata.")
        for url in _metadata_urls(self.issuer):
            try:
                metadata = await fetch_document(url)
            except DocumentUnavailable as error:
                failure = error
                if error.status == 0:  # the next one would keep the callers waiting as well
                    break
                continue
            issuer, jwks_uri = metadata.get("issuer"), metadata.get("jwks_uri")
            if not isinstance(issuer, str) or issuer.rstrip("/") != self.issuer.rstrip("/"):
                failure = DocumentUnavailable(f"{url}: the metadata is of another issuer than MEMORIES_OAUTH_ISSUER.")
            elif not isinstance(jwks_uri, str) or not self._may_fetch(jwks_uri):
                failure = DocumentUnavailable(f"{url}: jwks_uri is missing, or is not an https URL.")
            else:
                self.issuer, self._jwks_uri = issuer, jwks_uri
                return
        raise failure

    def _may_fetch(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        own = urlsplit(self.issuer)
        plain = own.scheme == "http" and parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS
        return bool(parts.hostname) and (parts.scheme == "https" or plain)


def _metadata_urls(issuer: str) -> Iterator[str]:
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    origin = f"{parts.scheme}://{parts.netloc}"
    yield f"{origin}/.well-known/oauth-authorization-server{path}"
    yield f"{origin}{path}/.well-known/openid-configuration"
    if path:
        yield f"{origin}/.well-known/openid-configuration{path}"


def _read_keys(document: dict[str, Any]) -> Iterator[IssuerKey]:
    """Yield the keys of a JWKS that sign with an accepted algorithm; others are skipped."""
    keys: object = document.get("keys")
    if not isinstance(keys, list):
        return
    for entry in cast(list[object], keys)[:_MAX_KEYS]:
        if not isinstance(entry, dict):
            continue
        jwk = cast(dict[str, Any], entry)
        curve = jwk.get("crv") if jwk.get("kty") != "RSA" else None
        algorithm = _ALGORITHMS.get((str(jwk.get("kty")), curve if isinstance(curve, str) else None))
        key_id = jwk.get("kid")
        if algorithm is None or "d" in jwk or not isinstance(key_id, str | None):
            continue
        if jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm:
            continue
        try:
            key = PyJWK(jwk, algorithm).key
        except (PyJWTError, ValueError, TypeError):
            continue
        if algorithm != "RS256" or key.key_size >= _MIN_RSA_BITS:
            yield IssuerKey(key_id, algorithm, key)
