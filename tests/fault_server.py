"""A server on the loopback interface that plays one fault to each API key, and the answer that it spoils to all others.

A fault replaces the answers of one path, from the caller's n-th request on; every request is kept.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

Play = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    """One request and the connection it came on.

    Attributes:
        head: The head of the request.
        body: The body of the answer without a fault.
        media_type: The media type of that answer.
        reader: What the client sends.
        writer: What the client receives.
    """

    head: bytes
    body: bytes
    media_type: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def part(self) -> bytes:
        """The beginning of the body: of a stream, its first record and more."""
        return self.body[: len(self.body) * 2 // 3]

    def reset(self) -> None:
        """End the connection with a reset, as a crashed peer does."""
        connection: socket.socket = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def send(self, body: bytes, *headers: str, status: str = "200 OK", media_type: str = "", length: int = -1) -> None:
        """Send an answer; `length` is the stated length of its body."""
        lines = [f"HTTP/1.1 {status}", f"content-type: {media_type or self.media_type}", *headers]
        if not any(header.startswith("transfer-encoding") for header in headers):
            lines.append(f"content-length: {len(body) if length < 0 else length}")
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    def send_chunk(self, chunk: bytes, *, length: int = -1) -> None:
        """Send an answer up to its first chunk, which is cut if its stated length is larger."""
        data = b"%x\r\n%s" % (len(chunk) if length < 0 else length, chunk)
        self.send(data if length > len(chunk) else data + b"\r\n", "transfer-encoding: chunked")

    async def trickle(self, piece: bytes) -> None:
        """Send a piece again and again until the client leaves."""
        while not self.reader.at_eof() and self.reader.exception() is None:
            self.writer.write(piece)
            await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    Attributes:
        name: What goes wrong, in words.
        play: Answers one request with it.
        refuses: Whether the fault shows that the service did not carry the request out.
        reads_request: Whether the server reads the body of the request before.
    """

    name: str
    play: Play
    refuses: bool = False
    reads_request: bool = True


def answer(
    body: bytes | Callable[[Exchange], bytes], *headers: str, status: str = "200 OK", media_type: str = ""
) -> Play:
    async def play(exchange: Exchange) -> None:
        data = body if isinstance(body, bytes) else body(exchange)
        exchange.send(data, *headers, status=status, media_type=media_type)

    return play


def envelope(code: str, message: str) -> bytes:
    good = code == "0000"
    return json.dumps({"code": code, "msg": message, "data": None, "success": good, "failed": not good}).encode()


def gateway(status: int, error: str) -> bytes:
    return json.dumps({"timestamp": 1, "path": "/x", "status": status, "error": error, "requestId": "r"}).encode()


async def reset_before_answer(exchange: Exchange) -> None:
    exchange.reset()


async def reset_after_head(exchange: Exchange) -> None:
    exchange.send(b"", length=100)
    await exchange.writer.drain()
    exchange.reset()


async def reset_after_part(exchange: Exchange) -> None:
    exchange.send(exchange.part, length=len(exchange.body))
    await exchange.writer.drain()
    await asyncio.sleep(0)  # let the client read it: a reset may overtake what was sent
    await asyncio.sleep(0)
    exchange.reset()


async def reset_after_part_of_chunks(exchange: Exchange) -> None:
    exchange.send_chunk(exchange.part)
    await exchange.writer.drain()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    exchange.reset()


async def close_before_answer(exchange: Exchange) -> None:
    exchange.writer.close()


async def cut_by_length(exchange: Exchange) -> None:
    exchange.send(exchange.part, length=len(exchange.body))
    exchange.writer.close()


async def cut_in_chunks(exchange: Exchange) -> None:
    exchange.send_chunk(exchange.part)
    exchange.writer.close()


async def cut_in_chunk(exchange: Exchange) -> None:
    exchange.send_chunk(exchange.part, length=len(exchange.body))
    exchange.writer.close()


async def no_http(exchange: Exchange) -> None:
    exchange.writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    exchange.writer.close()


async def broken_chunk(exchange: Exchange) -> None:
    exchange.send(b"zz\r\n" + exchange.body, "transfer-encoding: chunked")
    exchange.writer.close()


async def silence(exchange: Exchange) -> None:
    await exchange.reader.read()


async def endless_head(exchange: Exchange) -> None:
    exchange.writer.write(b"HTTP/1.1 200 OK\r\n")
    await exchange.trickle(b"x-more: 1\r\n")


async def endless_body(exchange: Exchange) -> None:
    exchange.send(exchange.body[:10], length=10_000_000)
    await exchange.trickle(exchange.body[10:11] or b" ")


async def stalled_body(exchange: Exchange) -> None:
    exchange.send(exchange.part, length=len(exchange.body))
    await exchange.reader.read()


HTML = b"<html><head><title>Sign in</title></head><body>Welcome to the hotel's network</body></html>"
BUSY = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
_GZIP = "content-encoding: gzip"


BOMB = gzip.compress(b'{"code":"0000","data":["' + b" " * 4 * 1024 * 1024)
"""A few kilobytes that inflate to 4 MiB."""
TRUNCATED = gzip.compress(b'{"code":"0000","data":{' + b" " * 70_000 + b"}}", 0)[:-20]
"""Not compressed inside, so that the part before the cut inflates."""


def damaged_gzip(exchange: Exchange) -> bytes:
    return gzip.compress(exchange.body)[:12] + b"\xff" * 40


def echo(exchange: Exchange) -> bytes:
    return exchange.head


def echo_in_envelope(exchange: Exchange) -> bytes:
    return envelope("0001", f"invalid header {key_of(exchange.head)}")


def echo_part(exchange: Exchange) -> bytes:
    return envelope("0401", f"Incorrect key provided: {key_of(exchange.head)[:15]}****{key_of(exchange.head)[-9:]}")


FAULTS: dict[str, list[Fault]] = {
    "refused": [Fault("connection refused", silence, refuses=True)],
    "reset before the body": [
        Fault("reset before the answer", reset_before_answer),
        Fault("reset after the head of the answer", reset_after_head),
        Fault("reset before the request is read", reset_before_answer, reads_request=False),
    ],
    "reset after a part": [
        Fault("reset after a part of the body", reset_after_part),
        Fault("reset after a part of the chunks", reset_after_part_of_chunks),
    ],
    "cut": [
        Fault("body shorter than its length", cut_by_length),
        Fault("chunks without end", cut_in_chunks),
        Fault("chunk without end", cut_in_chunk),
        Fault("closed before the answer", close_before_answer),
    ],
    "no HTTP": [Fault("not HTTP", no_http), Fault("chunk without a size", broken_chunk)],
    "HTML": [
        Fault("HTML", answer(HTML, media_type="text/html")),
        Fault("HTML as JSON", answer(HTML, media_type="application/json")),
        Fault("HTML of a redirect", answer(HTML, "location: http://login.example/", status="302 Found",
                                           media_type="text/html")),
        Fault("HTML of an unknown path", answer(HTML, status="404 Not Found", media_type="text/html")),
    ],
    "429": [
        Fault("429", answer(gateway(429, "Too Many Requests"), status="429 Too Many Requests"), refuses=True),
        Fault("429 with Retry-After 0", answer(BUSY, "retry-after: 0", status="429 Too Many Requests"),
              refuses=True),
        Fault("429 with Retry-After 90", answer(b"", "retry-after: 90", status="429 Too Many Requests"),
              refuses=True),
        Fault("0429 in HTTP 200", answer(envelope("0429", "Request has exceeded the limit.")), refuses=True),
        Fault("0001 for a rate", answer(envelope("0001", "Request has exceeded the limit."))),
    ],
    "5xx": [
        Fault("500", answer(gateway(500, "Internal Server Error"), status="500 Internal Server Error")),
        Fault("500 in HTML", answer(HTML, status="500 Internal Server Error", media_type="text/html")),
        Fault("502", answer(BUSY, status="502 Bad Gateway", media_type="text/html")),
        Fault("503", answer(b"", status="503 Service Unavailable")),
        Fault("503 with Retry-After", answer(b"busy", "retry-after: 90", status="503 Service Unavailable")),
        Fault("504", answer(b"upstream request timeout", status="504 Gateway Timeout", media_type="text/plain")),
        Fault("0001 for a fault", answer(envelope("0001", "The network is abnormal, please try again later"))),
    ],
    "truncated JSON": [
        Fault("truncated JSON", answer(b'{"code":"0000","msg":"success","data":{"vid', media_type="application/json")),
        Fault("an empty body", answer(b"", media_type="application/json")),
        Fault("null", answer(b"null", media_type="application/json")),
        Fault("JSON cut in a letter", answer('{"msg":"é'.encode()[:-1], media_type="application/json")),
    ],
    "gzip": [
        Fault("gzip bomb", answer(BOMB, _GZIP, media_type="application/json")),
        Fault("damaged gzip", answer(damaged_gzip, _GZIP)),
        Fault("truncated gzip", answer(TRUNCATED, _GZIP, media_type="application/json")),
    ],
    "slow": [
        Fault("silence", silence),
        Fault("endless head", endless_head),
        Fault("endless body", endless_body),
        Fault("stalled body", stalled_body),
    ],
    "key in the answer": [
        Fault("500 with the request", answer(echo, status="500 Internal Server Error", media_type="text/plain")),
        Fault("refusal with the key", answer(echo_in_envelope)),
        Fault("refusal with parts of the key", answer(echo_part)),
    ],
}  # fmt: skip
"""The faults by kind."""


def key_of(head: bytes) -> str:
    return head.lower().partition(b"\r\nauthorization: ")[2].partition(b"\r\n")[0].decode()


@dataclass
class Plan:
    """The fault of one key: it replaces the answers of `path` from the key's request number `start` on."""

    fault: Fault
    path: str
    start: int


class FaultServer:
    """The server, as a context manager; it refuses connections until it listens.

    Args:
        healthy: Returns body and media type of the answer without a fault to a path.

    Attributes:
        url: Where the server is reached.
        plans: The fault to play, by key.
        requests: The paths of the requests that arrived, by key.
        open_requests: How many answers are being played.
    """

    def __init__(self, healthy: Callable[[str], tuple[bytes, str]]) -> None:
        self._healthy = healthy
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._listener: asyncio.Server | None = None
        self._connections = set[asyncio.Task[Any] | None]()
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.plans: dict[str, Plan] = {}
        self.requests: dict[str, list[str]] = {}
        self.open_requests = 0

    async def listen(self) -> None:
        self._listener = await asyncio.start_server(self._connected, sock=self._socket)

    async def end_of_faults(self) -> None:
        """Play no more faults, and wait a moment for the clients to leave those that are being played."""
        self.plans.clear()
        for _ in range(200):
            if self.open_requests:
                await asyncio.sleep(0.01)

    async def __aenter__(self) -> FaultServer:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listener:
            self._listener.close()
        self._socket.close()
        for connection in filter(None, self._connections):
            connection.cancel()
        await asyncio.gather(*filter(None, self._connections), return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(asyncio.current_task())
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while not writer.is_closing():
                    await self._answer(await reader.readuntil(b"\r\n\r\n"), reader, writer)
        finally:
            writer.close()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path, key = head.split(b" ", 2)[1].partition(b"?")[0].decode(), key_of(head)
        received = self.requests.setdefault(key, [])
        received.append(path)
        plan = self.plans.get(key)
        if plan and (path != plan.path or len(received) <= plan.start):
            plan = None
        if plan is None or plan.fault.reads_request:
            await _read_body(head, reader)
        body, media_type = self._healthy(path)
        exchange = Exchange(head, body, media_type, reader, writer)
        self.open_requests += 1
        try:
            await (plan.fault.play if plan else answer(body))(exchange)
            if not writer.is_closing():
                await writer.drain()
        finally:
            self.open_requests -= 1


async def _read_body(head: bytes, reader: asyncio.StreamReader) -> None:
    _, _, length = head.lower().partition(b"\r\ncontent-length: ")
    await reader.readexactly(int(length.partition(b"\r\n")[0] or 0))
    if b"\r\ntransfer-encoding: chunked" in head.lower():
        while size := int((await reader.readline()).strip(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
