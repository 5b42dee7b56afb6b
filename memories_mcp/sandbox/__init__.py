"""The offline twin of the API, over SQLite, served on a real loopback socket."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvicorn

from memories_mcp.errors import ConfigurationError
from memories_mcp.sandbox.app import Fault, Sandbox, application

__all__ = ["DEMO_KEY", "Fault", "running"]

DEMO_KEY = "sk-sandbox"
"""The account that is used when no key is set; any other key is an account of its own."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield  # signals belong to whoever started us


def _listening(host: str, port: int) -> socket.socket:
    # With the protocol named, asyncio turns Nagle's algorithm off; otherwise each call costs 44 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"Port {port} of {host} cannot be used: {error.strerror}.") from None
    return listener


@asynccontextmanager
async def running(*, port: int = 0, data: Path | None = None) -> AsyncGenerator[str, None]:
    """Serve the sandbox on loopback in the running event loop and yield its base URL.

    Args:
        port: 0 picks a free one.
        data: A folder that keeps the accounts across restarts.
    """
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # faults are asked for, and stdout is not ours
    listener = _listening("127.0.0.1", port)
    # Not a TemporaryDirectory: a forked child that ends would take the folder from its parent.
    folder = Path(tempfile.mkdtemp(prefix="memories-sandbox-"))
    sandbox = Sandbox(folder, data)
    try:
        config = uvicorn.Config(
            application(sandbox),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started and not serving.done():  # noqa: ASYNC110 (uvicorn has no event for it)
                await asyncio.sleep(0.001)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            try:
                await serving
            finally:  # also where the loop is torn down and this wait is cancelled
                sandbox.close()
                listener.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
