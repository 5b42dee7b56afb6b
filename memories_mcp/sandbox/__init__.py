"""The offline twin of the API, over SQLite, served on a real loopback socket."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn

from memories_mcp.loopback import EmbeddedServer, bind, serving
from memories_mcp.sandbox.app import Fault, Sandbox, application

__all__ = ["DEMO_KEY", "Fault", "running"]

DEMO_KEY = "sk-sandbox"
"""The account that is used when no key is set; any other key is an account of its own."""


@asynccontextmanager
async def running(*, port: int = 0, data: Path | None = None) -> AsyncGenerator[str, None]:
    """Serve the sandbox on loopback in the running event loop and yield its base URL.

    Args:
        port: 0 picks a free one.
        data: A folder that keeps the accounts across restarts.
    """
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # faults are asked for, and stdout is not ours
    listener = bind("127.0.0.1", port)
    # Not a TemporaryDirectory: a forked child that ends would take the folder from its parent.
    folder = Path(tempfile.mkdtemp(prefix="memories-sandbox-"))
    sandbox = Sandbox(folder, data)
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
        async with serving(server, listener, stop) as url:
            yield url
    finally:  # also where the loop is torn down and the wait for the server is cancelled
        sandbox.close()
        listener.close()
        shutil.rmtree(folder, ignore_errors=True)
