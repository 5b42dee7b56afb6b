"""Servers of a few lines on the loopback interface, for answers that no HTTP library would send."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

Exchange = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Receives the head of a request and the two sides of its connection."""


@asynccontextmanager
async def serve(exchange: Exchange, context: ssl.SSLContext | None = None) -> AsyncGenerator[int, None]:
    """Answer each connection's first request; yields the port."""
    tasks = set[asyncio.Task[Any] | None]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await exchange(await reader.readuntil(b"\r\n\r\n"), reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            if task:
                task.cancel()
        await asyncio.gather(*filter(None, tasks), return_exceptions=True)


def http_response(data: Any, *headers: str, status: str = "200 OK") -> bytes:
    """A whole response with the API's envelope."""
    body = json.dumps({"code": "0000", "msg": "success", "data": data, "success": True, "failed": False}).encode()
    head = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*head, "connection: close", "", ""]).encode() + body
