"""Embedded servers: bind a socket and run uvicorn on it in the running event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from memories_mcp.errors import ConfigurationError


class EmbeddedServer(uvicorn.Server):
    """A uvicorn server that installs no signal handlers; the surrounding program handles signals."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Install no handlers."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address.

    Args:
        host: Host name or IP address; empty for every address of this machine.
        port: TCP port; 0 selects a free port.

    Raises:
        ConfigurationError: The address cannot be used.
    """
    try:
        if not 0 <= port <= 65535:  # getaddrinfo would silently reduce the number modulo 65536
            raise OverflowError("the port is not between 0 and 65535")
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # asyncio disables Nagle's algorithm only if the protocol is named; otherwise a response takes 40 ms longer.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
        except OSError:
            listener.close()
            raise
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(
            f"Cannot listen on port {port} of {host or 'all addresses'}: {reason}.",
            next_step="Choose another port or host.",
        ) from None
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the base URL of a listening socket."""
    host, port, *_ = listener.getsockname()
    if ":" in host:  # IPv6
        host = f"[{host}]"
    return f"http://{host}:{port}"


@asynccontextmanager
async def run_server(
    server: EmbeddedServer, listener: socket.socket, stop: Callable[[], None]
) -> AsyncGenerator[str, None]:
    """Run a server in the current event loop while the body runs.

    Args:
        server: A configured server that is not started.
        listener: The socket to serve on; the caller closes it.
        stop: Makes the server stop; called when the body ends.

    Yields:
        The base URL.
    """
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 (uvicorn has no event for it)
            await asyncio.sleep(0.001)
        yield url_of(listener)
    finally:
        stop()
        await task
