"""Bodies of responses: their decoded bytes are counted while they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import httpx2

from memories_mcp.api.large_json import STRETCH
from memories_mcp.api.responses import LARGE
from memories_mcp.errors import UnexpectedResponse

T = TypeVar("T")

MAX_BYTES = 32 * 1024 * 1024
"""Largest decoded size of an answer, by default."""
_BYTES_PER_VALUE = 16
_BYTES_PER_CONTAINER = 64
"""Values and containers of a JSON document are counted too: `[[],[],…` takes 30 times its size in memory, and each
collection of garbage stops the process while it visits the containers."""


@dataclass
class ValueCounter:
    """Counts the values and the containers of a JSON document, in bytes or as a text.

    Args:
        max_bytes: Largest size of the document, from which the other limits follow.
    """

    max_bytes: int
    values: int = 0
    containers: int = 0

    def add(self, part: bytes | str) -> None:
        """Count a part of the document."""
        if isinstance(part, str):
            commas, lists, objects = part.count(","), part.count("["), part.count("{")
        else:
            commas, lists, objects = part.count(b","), part.count(b"["), part.count(b"{")
        self.values += commas + lists + objects
        self.containers += lists + objects

    def check(self) -> None:
        """Refuse a document of too many values.

        Raises:
            UnexpectedResponse: The counts are over the limits.
        """
        for count, limit, noun in (
            (self.values, self.max_bytes // _BYTES_PER_VALUE, "values"),
            (self.containers, self.max_bytes // _BYTES_PER_CONTAINER, "lists and objects"),
        ):
            if count > limit:
                raise _too_large(f"over {limit:,} {noun}")


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
            if size - pause >= STRETCH:  # pieces that inflate arrive without any wait between them
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
    counter = ValueCounter(max_bytes)
    parts: list[bytes] = []
    size = 0
    async with aclosing(bounded_bytes(response, max_bytes)) as chunks:
        async for chunk in chunks:
            parts.append(chunk)
            size += len(chunk)
            counter.add(chunk)
            if size > LARGE:
                counter.check()
    return b"".join(parts)


async def without_blocking(function: Callable[[], T], *, large: bool) -> T:
    """Return `function()`; a large task is done in a thread, so that other tasks have their turns meanwhile."""
    return await asyncio.to_thread(function) if large else function()


def _too_large(size: str) -> UnexpectedResponse:
    return UnexpectedResponse(
        f"The API's answer is too large: {size}; MEMORIES_MAX_RESPONSE_MIB sets the limit.",
        next_step="Ask for less at a time, or have the operator raise the limit.",
    )
