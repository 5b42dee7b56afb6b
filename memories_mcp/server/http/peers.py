"""Messages between the workers of one server: requests that belong to another worker, and changes to make known.

Each worker listens on a Unix socket in a folder that only the operator's account can enter. A connection carries one
request as ASGI messages, in both directions, or one change. A message is a frame: the lengths of its two parts, a head
as JSON, and the bytes of a body.
"""

from __future__ import annotations

import asyncio
import json
import logging
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from memories_mcp.server.http.messages import error_response

logger = logging.getLogger(__name__)

_LENGTHS = struct.Struct(">II")
_HEAD_SECONDS = 5
_CLOSE_SECONDS = 5
_WAITING_MESSAGES = 4
"""Parts of a body that a worker reads ahead of its app."""
_SCOPE_TEXTS = ("type", "http_version", "method", "path", "root_path", "scheme")

ChangeHandler = Callable[[str, Sequence[str]], None]
"""Receives the digest of a tenant and the URIs of its changed resources."""

_Frame = tuple[dict[str, Any], bytes]


class PeerAway(Exception):
    """The worker does not listen, so it runs no longer and its sessions are lost; nothing was sent."""


class Peers:
    """The other workers of this server, as one worker sees them.

    Args:
        name: The name of this worker.
        sockets: The socket of every worker by its name, this worker's among them.
    """

    def __init__(self, name: str, sockets: dict[str, Path]) -> None:
        self.names = frozenset(sockets) - {name}
        self._name = name
        self._sockets = sockets
        self._server: asyncio.Server | None = None
        self._publishing: set[asyncio.Task[None]] = set()
        self._exchanges: set[asyncio.Task[None]] = set()

    async def listen(self, app: ASGIApp, on_change: ChangeHandler) -> None:
        """Begin to serve the other workers.

        Args:
            app: Serves the requests that other workers pass on.
            on_change: Receives the changes that other workers make known.
        """

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = cast("asyncio.Task[None]", asyncio.current_task())
            self._exchanges.add(task)
            try:
                async with asyncio.timeout(_HEAD_SECONDS):
                    head, _ = await _read(reader)
                if "change" in head:
                    on_change(head["change"], head["uris"])
                else:
                    await _serve_request(app, head["scope"], reader, writer)
            except (OSError, EOFError):  # the other worker has gone
                pass
            except Exception:
                logger.exception("a request from another worker failed")
            finally:
                await _close(writer)
                self._exchanges.discard(task)

        self._server = await asyncio.start_unix_server(serve, self._sockets[self._name])

    async def close(self) -> None:
        """Take no more requests of other workers; those under way get some seconds to end."""
        if self._server:
            self._server.close()
        if self._exchanges:
            await asyncio.wait(self._exchanges, timeout=_CLOSE_SECONDS)
        for task in self._exchanges:
            task.cancel()

    async def forward(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Have another worker serve a request.

        Args:
            name: The name of the worker.
            scope: Of the request.
            receive: Of the request.
            send: Of the request.

        Raises:
            PeerAway: The worker does not listen.
        """
        try:
            reader, writer = await asyncio.open_unix_connection(self._sockets[name])
        except OSError:
            raise PeerAway from None
        pump = asyncio.create_task(_send_request(scope, receive, writer))
        started = complete = False
        try:
            while not complete:
                head, body = await _read(reader)
                started = True
                complete = head["type"] == "http.response.body" and not head["more_body"]
                await send(_response_message(head, body))
        except (OSError, EOFError):
            if not started:  # the request may have had its effect, so nothing may send it a second time unasked
                message = "The process that served this session ended. Look whether the call took effect, then go on."
                await error_response(502, message)(scope, receive, send)
        finally:
            pump.cancel()
            await _close(writer)

    def publish(self, tenant: str, uris: Sequence[str]) -> None:
        """Make a change known to the other workers.

        Args:
            tenant: The digest of the tenant.
            uris: The URIs of the changed resources.
        """
        for name in self.names:
            task = asyncio.ensure_future(self._publish(name, tenant, uris))
            self._publishing.add(task)  # the event loop holds tasks by weak references only
            task.add_done_callback(self._publishing.discard)

    async def _publish(self, name: str, tenant: str, uris: Sequence[str]) -> None:
        with suppress(OSError):  # a worker that does not run has no subscribers
            async with asyncio.timeout(_HEAD_SECONDS):
                _, writer = await asyncio.open_unix_connection(self._sockets[name])
                try:
                    _write(writer, {"change": tenant, "uris": [*uris]})
                    await writer.drain()
                finally:
                    await _close(writer)


async def _send_request(scope: Scope, receive: Receive, writer: asyncio.StreamWriter) -> None:
    """Send the head of a request and all that its client sends, up to the client's leaving."""
    head = {
        **{name: scope[name] for name in _SCOPE_TEXTS},
        "query_string": scope["query_string"].decode("latin-1"),
        "headers": _texts(scope["headers"]),
        "client": scope.get("client"),
        "server": scope.get("server"),
    }
    with suppress(OSError):  # the response ends too, which says more
        _write(writer, {"scope": head})
        while True:
            await writer.drain()
            message = await receive()
            if message["type"] != "http.request":
                break
            more_body = message.get("more_body", False)
            _write(writer, {"type": "http.request", "more_body": more_body}, message.get("body", b""))
        _write(writer, {"type": "http.disconnect"})
        await writer.drain()


async def _serve_request(
    app: ASGIApp, head: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    scope: Scope = {
        **head,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "raw_path": head["path"].encode(),
        "query_string": head["query_string"].encode("latin-1"),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head["headers"]],
        "client": tuple(head["client"]) if head["client"] else None,
        "server": tuple(head["server"]) if head["server"] else None,
        "state": {},
    }
    # Read by a task of its own: an app may give up waiting for a message in the middle of a frame.
    messages: asyncio.Queue[Message] = asyncio.Queue(_WAITING_MESSAGES)
    reading = asyncio.create_task(_read_request(reader, messages))
    disconnected = False

    async def receive() -> Message:
        nonlocal disconnected
        if disconnected:
            return {"type": "http.disconnect"}
        message = await messages.get()
        disconnected = message["type"] == "http.disconnect"
        return message

    async def send(message: Message) -> None:
        with suppress(OSError):  # as for a client that has left, which `receive` reports
            head = {name: message[name] for name in ("type", "status") if name in message}
            headers = _texts(message.get("headers", ()))
            _write(
                writer,
                {**head, "headers": headers, "more_body": message.get("more_body", False)},
                message.get("body", b""),
            )
            await writer.drain()

    try:
        await app(scope, receive, send)
    finally:
        reading.cancel()


async def _read_request(reader: asyncio.StreamReader, messages: asyncio.Queue[Message]) -> None:
    with suppress(OSError, EOFError):
        while True:
            head, body = await _read(reader)
            if head["type"] == "http.disconnect":
                break
            await messages.put({"type": "http.request", "body": body, "more_body": head["more_body"]})
    await messages.put({"type": "http.disconnect"})


def _response_message(head: dict[str, Any], body: bytes) -> Message:
    if head["type"] == "http.response.body":
        return {"type": "http.response.body", "body": body, "more_body": head["more_body"]}
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head["headers"]]
    return {"type": head["type"], "status": head["status"], "headers": headers}


def _texts(headers: Any) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _write(writer: asyncio.StreamWriter, head: dict[str, Any], body: bytes = b"") -> None:
    text = json.dumps(head).encode()
    writer.write(_LENGTHS.pack(len(text), len(body)) + text + body)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> _Frame:
    """Return the next frame.

    Raises:
        EOFError: The connection has ended.
    """
    head_length, body_length = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
    head = json.loads(await reader.readexactly(head_length))
    return head, await reader.readexactly(body_length)
