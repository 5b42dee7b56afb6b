"""Small public JSON documents of other hosts than the API, such as the metadata of an identity provider."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Any, cast

import httpx2

from memories_mcp.api.connections import is_loopback, trusted_certificates
from memories_mcp.errors import MemoriesError

MAX_BYTES = 512 * 1024
SECONDS = 10.0
"""How long a document may take, from the connection to its last byte."""


class DocumentUnavailable(MemoriesError):
    """A document could not be read.

    Attributes:
        status: The HTTP status; 0 if there was no answer.
    """

    def __init__(self, summary: str, status: int = 0) -> None:
        super().__init__(summary)
        self.status = status


async def fetch_document(url: str) -> dict[str, Any]:
    """Fetch a JSON object; redirects are not followed.

    Raises:
        DocumentUnavailable: No answer in time, or another one than a JSON object of at most 512 KiB with status 200.
    """
    try:
        async with asyncio.timeout(SECONDS):
            body = await _fetch(url)
    except (TimeoutError, httpx2.TimeoutException):
        raise DocumentUnavailable(f"{url}: no complete answer within {SECONDS:g} s.") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        raise DocumentUnavailable(f"{url}: {_reason(error)}.") from None
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise DocumentUnavailable(f"{url}: the answer is not a JSON object.", 200)
    return cast(dict[str, Any], document)


async def _fetch(url: str) -> bytes:
    remote = not is_loopback(url)
    # Reading the trust store takes 45 ms, which the event loop must not wait for.
    verify = await asyncio.to_thread(trusted_certificates) if url.startswith("https:") else False
    headers = {"User-Agent": "memories-mcp", "Accept": "application/json"}
    async with (
        httpx2.AsyncClient(verify=verify, trust_env=remote, follow_redirects=False, headers=headers) as client,
        client.stream("GET", url) as response,
    ):
        if response.status_code != 200:
            raise DocumentUnavailable(f"{url}: HTTP {response.status_code}.", response.status_code)
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_BYTES:
                raise DocumentUnavailable(f"{url}: the answer is longer than {MAX_BYTES // 1024} KiB.", 200)
        return bytes(body)


def _reason(error: BaseException | None) -> str:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return "the certificate is not trusted"
        if isinstance(error, httpx2.ConnectError | httpx2.ProxyError) and not (error.__cause__ or error.__context__):
            break
        error = error.__cause__ or error.__context__
    return "no connection, or a connection that broke"
