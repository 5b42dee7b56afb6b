"""The server over stdin and stdout."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from memories_mcp.server.app import make_server
from memories_mcp.server.stdio_streams import stdio_streams
from memories_mcp.settings import Settings
from memories_mcp.signals import on_signals

_CLOSE_TIMEOUT_SECONDS = 3.0


def serve_stdio(settings: Settings) -> None:
    """Serve one client over stdin and stdout until stdin closes or a signal ends the process."""
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    interrupted, closed = asyncio.Event(), asyncio.Event()
    ending_signal = signal.SIGINT

    def interrupt(number: signal.Signals) -> None:
        nonlocal ending_signal
        ending_signal = number
        interrupted.set()

    # Of a file or a terminal, a thread reads stdin that nothing can wake, so an idle server would not stop on Ctrl-C.
    on_signals(asyncio.get_running_loop(), interrupt)

    async def run() -> None:
        server = make_server(settings)
        async with stdio_streams() as (incoming, outgoing):
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
            async with asyncio.timeout(_CLOSE_TIMEOUT_SECONDS):  # time for connections and the sandbox to close
                await closed.wait()
        except TimeoutError:
            pass
        sys.stderr.flush()
        os._exit(128 + ending_signal)  # a normal exit would wait for a thread at stdin
    stopping.cancel()
    await serving
