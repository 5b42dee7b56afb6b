"""Downloaded media: the bytes, not the media type, tell a video or a picture from a refusal."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import httpx2

from memories_mcp.api.endpoints import Endpoint
from memories_mcp.api.responses import decode_response, next_step_if_unclear
from memories_mcp.api.transfers import CHUNK
from memories_mcp.errors import UnexpectedResponse
from memories_mcp.media_types import is_text, media_type_of

_ERROR_BODY_LIMIT = 64 * 1024
_BLANK = b"\xef\xbb\xbf \t\r\n\f"
"""Byte order mark of UTF-8 and blanks, which may stand before a refusal."""
SHOWN_PICTURES = frozenset({"image/jpeg", "image/png", "image/webp"})
"""What every client shows."""


async def media_chunks(response: httpx2.Response, endpoint: Endpoint, noun: str) -> AsyncGenerator[bytes, None]:
    """Yield the decoded body of a download, at least one chunk.

    Refusals arrive as video/mp4 too, so the bytes decide. An unknown container is kept: it is paid for.

    Args:
        response: A response whose body is unread.
        endpoint: The endpoint that was called.
        noun: What is downloaded, for the error text.

    Raises:
        ApiError: The API refused the request.
        UnexpectedResponse: The body is a text, or compressed and damaged.
    """
    chunks = _decoded_chunks(response)
    try:
        first = await anext(chunks, b"")
        if response.status_code != 200 or is_text(first):
            body = first
            async for chunk in chunks:
                if len(body) > _ERROR_BODY_LIMIT:
                    break
                body += chunk
            decode_response(body.lstrip(_BLANK), response, endpoint)
            raise _failure(f"the API sent no {noun}", endpoint)
        yield first
        async for chunk in chunks:
            yield chunk
    except _DamagedBody:
        raise _failure(f"the compressed {noun} is damaged or incomplete", endpoint) from None


async def read_picture(response: httpx2.Response, endpoint: Endpoint, max_bytes: int) -> bytes:
    """Return the body of a response that is a picture.

    Args:
        response: A response whose body is unread.
        endpoint: The endpoint that was called.
        max_bytes: The largest size.

    Raises:
        ApiError: The API refused the request.
        UnexpectedResponse: The body is no picture, or larger.
    """
    body = bytearray()
    async with aclosing(media_chunks(response, endpoint, "picture")) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) >= 16 and media_type_of(bytes(body[:16]), "image") not in SHOWN_PICTURES:
                break
            if len(body) > max_bytes:
                raise _failure(f"the picture has over {max_bytes / 1024 / 1024:g} MiB", endpoint)
    if media_type_of(bytes(body[:16]), "image") not in SHOWN_PICTURES:
        raise _failure("the API sent no picture", endpoint)
    return bytes(body)


def _failure(reason: str, endpoint: Endpoint) -> UnexpectedResponse:
    return UnexpectedResponse(f"The download failed: {reason}.", next_step=next_step_if_unclear(endpoint))


class _DamagedBody(Exception):
    """A compressed body is damaged or incomplete."""


async def _decoded_chunks(response: httpx2.Response) -> AsyncIterator[bytes]:
    """Yield the decoded body of a download, and raise an error if a compressed one is damaged or incomplete.

    The HTTP client takes the end of a compressed body for its whole, even if the compression has not ended.

    Raises:
        _DamagedBody: The body is damaged or incomplete.
    """
    if response.headers.get("content-encoding", "").strip().lower() not in {"gzip", "x-gzip"}:
        async for chunk in response.aiter_bytes(CHUNK):
            yield chunk
        return
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        async for compressed in response.aiter_raw(CHUNK):
            while compressed:
                if chunk := decoder.decompress(compressed, CHUNK):
                    yield chunk
                compressed = decoder.unconsumed_tail
    except zlib.error as error:
        raise _DamagedBody from error
    if not decoder.eof:
        raise _DamagedBody
