"""The commands that serve until they are stopped: MCP over stdio or HTTP, and the sandbox."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from memories_mcp.errors import ConfigurationError
from memories_mcp.logs import configure
from memories_mcp.settings import Settings

MAX_WORKERS = 64


def serve(options: argparse.Namespace, settings: Settings) -> None:
    """Serve MCP over the chosen transport until the client closes it, or Ctrl-C.

    Raises:
        ConfigurationError: The options do not fit the transport, or the address cannot be used.
    """
    configure(settings.log_level, audit=settings.audit)
    if options.transport != "stdio":
        _serve_http(options, settings)
        return
    if any(option is not None for option in (options.host, options.port, options.workers)):
        raise ConfigurationError(
            "--host, --port and --workers are only for a server over HTTP.",
            next_step="Add --transport http, or remove them.",
        )
    from memories_mcp.server.stdio import serve_stdio

    if sys.stdin.isatty():
        print(
            "Serving MCP on stdin and stdout; an MCP client usually starts this command. "
            "To see the tools at work, run: memories-mcp demo",
            file=sys.stderr,
        )
    serve_stdio(settings)


def _serve_http(options: argparse.Namespace, settings: Settings) -> None:
    host = "127.0.0.1" if options.host is None else options.host
    port = 8000 if options.port is None else options.port
    workers = 1 if options.workers is None else options.workers
    if not 1 <= workers <= MAX_WORKERS:
        raise ConfigurationError(
            f"--workers {workers}: the number is not between 1 and {MAX_WORKERS}.",
            next_step="Use about as many as the machine has cores.",
        )

    def announce(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if workers == 1:
        from memories_mcp.server.http.app import serve_http

        serve_http(settings, host, port, announce)
    else:
        from memories_mcp.server.http.workers import serve_workers

        serve_workers(settings, host, port, announce, workers)


async def serve_sandbox(port: int, data: Path | None) -> int:
    """Serve the sandbox until Ctrl-C or SIGTERM and return the exit code.

    Args:
        port: The port on loopback; 0 picks a free one.
        data: The folder that keeps the accounts; without one they are lost at the end.

    Raises:
        ConfigurationError: The port or the folder cannot be used.
    """
    from memories_mcp import sandbox
    from memories_mcp.signals import on_signals

    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def end(number: signal.Signals) -> None:
        if not ended.done():
            ended.set_result(128 + number)

    try:
        if data is not None:
            data.mkdir(parents=True, exist_ok=True)
        async with sandbox.run_sandbox(port=port, data=data) as url:
            on_signals(asyncio.get_running_loop(), end)  # so that the sandbox removes its files before the exit
            print(f"The sandbox runs at {url}; each API key has an account of its own. Press Ctrl-C to stop.")
            print(f"Use it with: MEMORIES_BASE_URL={url} MEMORIES_API_KEY={sandbox.DEMO_KEY} memories-mcp", flush=True)
            return await ended
    except BrokenPipeError:  # nothing reads stdout
        raise
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"The sandbox cannot start: {error}.", next_step="Choose another port or folder."
        ) from None
