"""Bodies of responses: their decoded bytes are counted while they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeVar

import httpx2

from memories_mcp.api.responses import LARGE
from memories_mcp.errors import UnexpectedResponse

T = TypeVar("T")

MAX_BYTES = 32 * 1024 * 1024
"""Largest decoded size of an answer, by default."""
_BYTES_PER_VALUE = 16
"""The values of a JSON document are counted too: `[[],[],…` takes 30 times its size in memory."""


async def bounded_bytes(response: httpx2.Response, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """Yield the decoded bytes of a response as they arrive.

    Args:
        response: A response whose body is unread.
        max_bytes: Largest number of decoded bytes.

    Raises:
        UnexpectedResponse: There are more bytes; the response was abandoned.
    """
    size = pause = 0
    async with aclosing(response.aiter_bytes()) as chunks:
        async for chunk in chunks:
            size += len(chunk)
            if size > max_bytes:
                raise _too_large(f"over {max_bytes / 1024 / 1024:g} MiB")
            yield chunk
            if size - pause >= LARGE:  # pieces that inflate arrive without any wait between them
                pause = size
                await asyncio.sleep(0)


async def read_body(response: httpx2.Response, max_bytes: int) -> bytes:
    """Return the decoded body of a response.

    Args:
        response: A response whose body is unread.
        max_bytes: Largest number of decoded bytes.

    Raises:
        UnexpectedResponse: The body is larger, or a JSON document of too many values.
    """
    async with aclosing(bounded_bytes(response, max_bytes)) as chunks:
        body = b"".join([chunk async for chunk in chunks])
    if len(body) > LARGE:
        max_values = max_bytes // _BYTES_PER_VALUE
        if sum(body.count(mark) for mark in (b",", b"[", b"{")) > max_values:
            raise _too_large(f"over {max_values:,} values")
    return body


async def without_blocking(body: bytes, read: Callable[[bytes], T]) -> T:
    """Return `read(body)`, computed in a thread if the body is large."""
    if len(body) <= LARGE:
        return read(body)
    return await asyncio.to_thread(read, body)


def _too_large(size: str) -> UnexpectedResponse:
    return UnexpectedResponse(
        f"The API's answer is too large: {size}; MEMORIES_MAX_RESPONSE_MIB sets the limit.",
        next_step="Ask for less at a time, or have the operator raise the limit.",
    )
