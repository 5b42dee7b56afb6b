"""The API as a fixed answer, so that no measurement of a server contains the work of the sandbox.

    python -m benchmarks.stub

Answers every request with the ten hits of a search.
"""

from __future__ import annotations

import asyncio

from benchmarks.wire import envelope, hits

_BODY = envelope(hits(10))
_RESPONSE = (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_BODY)) + _BODY


class Connection(asyncio.Protocol):
    """One connection, on which a client sends one request after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        """Answer each request that has arrived whole."""
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, rest = self._received.partition(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            size = int(length or 0)
            if len(rest) < size:
                return
            self._received = rest[size:]
            self._transport.write(_RESPONSE)


async def main() -> None:
    """Serve until the process is terminated."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(f"The stub runs at http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
