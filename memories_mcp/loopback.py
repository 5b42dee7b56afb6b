"""Servers inside this process: bind a socket, run uvicorn on it in the running event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from memories_mcp.errors import ConfigurationError


class EmbeddedServer(uvicorn.Server):
    """A server that leaves signals to the program around it."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture nothing."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """Listen on an address.

    Args:
        host: A name or an address; empty for every address of this machine.
        port: 0 picks a free one.

    Raises:
        ConfigurationError: The address cannot be used.
    """
    try:
        if not 0 <= port <= 65535:  # getaddrinfo would take the remainder
            raise OverflowError("it is not between 0 and 65535")
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # With the protocol named, asyncio turns Nagle's algorithm off; otherwise each answer waits for 40 ms.
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
            f"Cannot listen on port {port} of {host or 'every address'}: {reason}.",
            next_step="Choose another port or host.",
        ) from None
    return listener


def url_of(listener: socket.socket) -> str:
    """The base URL under which a listening socket is reached."""
    host, port, *_ = listener.getsockname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@asynccontextmanager
async def serving(
    server: EmbeddedServer, listener: socket.socket, stop: Callable[[], None]
) -> AsyncGenerator[str, None]:
    """Serve in the running event loop while the body runs.

    Args:
        server: Configured, not started.
        listener: The socket to serve on; the caller closes it.
        stop: Asks the server to stop; called when the body ends.

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
