"""The sandbox: a simulation of the API over SQLite, served on a real loopback socket."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from memories_mcp.sandbox.faults import Fault

__all__ = ["DEMO_KEY", "Fault", "run_sandbox"]

DEMO_KEY = "sk-sandbox"
"""The API key that is used if none is set; every other key has its own account."""


@asynccontextmanager
async def run_sandbox(
    *,
    port: int = 0,
    data: Path | None = None,
    seed: int | None = None,
    clock: Callable[[], float] | None = None,
    listener: socket.socket | None = None,
) -> AsyncGenerator[str, None]:
    """Serve the sandbox on loopback in the running event loop and yield its base URL.

    Args:
        port: The port; 0 picks a free one.
        data: A folder that keeps the accounts across restarts, but not the uploaded files; in memory without it.
        seed: Makes every id that the sandbox creates deterministic per API key; random without it.
        clock: Returns the creation time of new data in seconds since the epoch; the system's clock without it.
        listener: A socket that listens already, to serve on in place of a port; closed at the end.

    Raises:
        ConfigurationError: The port cannot be used.
    """
    # pytest imports this package at each start, for the fixtures in `testing`: the server is loaded when it is needed.
    import uvicorn

    from memories_mcp.loopback import EmbeddedServer, bind, run_server
    from memories_mcp.sandbox.accounts import Accounts
    from memories_mcp.sandbox.app import Sandbox, application
    from memories_mcp.sandbox.uploads import Uploads

    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # injected faults are no errors, and stdout carries MCP
    listener = bind("127.0.0.1", port) if listener is None else listener
    sandbox = Sandbox(Accounts(data, seed, clock), Uploads())
    config = uvicorn.Config(
        application(sandbox),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = EmbeddedServer(config)

    def stop() -> None:
        server.should_exit = True

    try:
        async with run_server(server, listener, stop) as url:
            yield url
    finally:  # also if the event loop ends early and cancels the wait for the server
        sandbox.close()
        listener.close()
