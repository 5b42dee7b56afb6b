"""The server over stdin and stdout."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from mcp.server.stdio import stdio_server

from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings
from memories_mcp.signals import on_signals

_CLOSE_SECONDS = 3.0


def serve_stdio(settings: Settings) -> None:
    """Serve one client over stdin and stdout until it closes them, or Ctrl-C."""
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    interrupted, closed = asyncio.Event(), asyncio.Event()

    ended_by = signal.SIGINT

    def interrupt(number: signal.Signals) -> None:
        nonlocal ended_by
        ended_by = number
        interrupted.set()

    # The SDK reads stdin in a thread that nothing can wake: an idle server would outlast Ctrl-C.
    on_signals(loop, interrupt)

    async def run() -> None:
        server = make_server(settings)
        async with stdio_server() as (incoming, outgoing):
            try:
                await server.run(incoming, outgoing, server.create_initialization_options())
            finally:
                closed.set()

    serving = asyncio.create_task(run())
    stopping = asyncio.create_task(interrupted.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        serving.cancel()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):  # connections and the sandbox are closed in order
                await closed.wait()
        except TimeoutError:
            pass
        sys.stderr.flush()
        os._exit(128 + ended_by)  # the thread at stdin would keep a normal exit waiting
    stopping.cancel()
    await serving
