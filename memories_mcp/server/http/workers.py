"""Several processes that serve HTTP at one address, for machines with more than one core. POSIX only.

All workers accept connections from one socket. A session belongs to the worker that began it: its id names the worker,
and the others pass its requests on. What one process would have once is shared: the sandbox, the signing key, changes
that subscribers wait for; each worker has its part of an account's rate limits.
"""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from secrets import token_hex
from types import FrameType

from memories_mcp.api.rate_limits import effective_rates
from memories_mcp.errors import ConfigurationError
from memories_mcp.loopback import bind, url_of
from memories_mcp.server.http.app import HttpServer, announce_server, check_access, http_app, keep_what_exists
from memories_mcp.server.http.metrics import serve_metrics
from memories_mcp.server.http.peers import Peers
from memories_mcp.server.http.routing import SessionRouter
from memories_mcp.server.http.supervisor import EXIT, STOP, Job, Supervisor
from memories_mcp.server.tenants import Tenants
from memories_mcp.settings import Settings

_LONGEST_FOLDER = 70
"""A path to a Unix socket has at most 103 characters on some systems."""


@dataclass(frozen=True)
class _Service:
    """What all workers have in common."""

    settings: Settings
    host: str
    listener: socket.socket
    sockets: dict[str, Path]
    sandbox_url: str


class _WorkerServer(HttpServer):
    """Stops on the supervisor's order."""

    def __init__(self, app: SessionRouter, tenants: Tenants, peers: Peers) -> None:
        super().__init__(app, tenants)
        self._peers = peers

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept one connection at a time, so that a worker takes no more than it comes to serve."""
        queue, self.config.backlog = self.config.backlog, 1  # asyncio accepts as many at once as may wait
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(queue)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ignore the signal, which the supervisor receives too."""

    def stop(self) -> None:
        """Begin to stop; a repetition changes nothing."""
        if self.tenants.ready:
            self.tenants.stop()

    def exit(self) -> None:
        """Stop without waiting for requests under way."""
        self.should_exit = self.force_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what other workers have passed on as well."""
        if not self.force_exit:
            await self._peers.close()
        await super().shutdown(sockets)


def serve_workers(settings: Settings, host: str, port: int, announce: Callable[[str], None], workers: int) -> None:
    """Serve over HTTP in several processes until Ctrl-C or SIGTERM; a second signal stops immediately.

    Args:
        settings: The operator's.
        host: The address to listen on; empty for every address of this machine.
        port: 0 for a free one.
        announce: Receives the URL and hints on the settings, one line each.
        workers: The number of processes.

    Raises:
        ConfigurationError: Other machines reach the address and no token is set, the address or a setting cannot be
            used, or this system cannot fork processes.
    """
    if not hasattr(os, "fork"):
        raise ConfigurationError(
            "--workers needs a system that can fork processes, such as Linux or macOS.",
            next_step="Leave it out, or run several servers behind a proxy.",
        )
    if settings.metrics and settings.metrics_port is None:
        raise ConfigurationError(
            "With --workers, each worker serves metrics of its own.",
            next_step="Set MEMORIES_METRICS_PORT: the first worker uses this port, the others the ports after it.",
        )
    check_access(settings, host)
    Tenants(settings, over_http=True)  # refuses invalid settings here rather than in each worker
    settings = settings_of_workers(settings, workers)
    with ExitStack() as stack:
        listener = stack.enter_context(closing(bind(host, port)))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="memories-mcp-", dir=_short_folder())))
        names = [".".join(filter(None, [settings.replica, str(number)])) for number in range(1, workers + 1)]
        sockets = {name: folder / f"{number}.socket" for number, name in enumerate(names, 1)}
        services: list[Job] = []
        sandbox_url = ""
        if settings.sandbox:
            sandbox_listener = stack.enter_context(closing(bind("127.0.0.1", 0)))
            sandbox_url = url_of(sandbox_listener)
            services = [Job("sandbox", partial(_run_sandbox, sandbox_listener))]
        service = _Service(settings, host, listener, sockets, sandbox_url)
        jobs = [Job(f"worker {name}", partial(_run_worker, service, name, place)) for place, name in enumerate(names)]
        keep_what_exists()
        Supervisor(jobs, services).run(lambda: announce_server(settings, host, url_of(listener), announce))


def settings_of_workers(settings: Settings, workers: int) -> Settings:
    """Return the settings of each worker: a common signing key, and its part of an account's rates and spending.

    Raises:
        ConfigurationError: A limit on spending is too small to be divided.
    """
    spend_limit = settings.spend_limit or {}
    if small := [name for name, most in spend_limit.items() if 0 < most < workers]:
        raise ConfigurationError(
            f"MEMORIES_SPEND_LIMIT cannot be divided among {workers} workers: {', '.join(small)} is too small.",
            next_step="Set at least one request for each worker, or start fewer workers.",
        )
    rates = effective_rates(settings.rate_limits)
    parts = 1 if settings.redis_url else workers  # in Redis, all processes share the whole rate
    return settings.change(
        secret=settings.secret or token_hex(32),
        rate_limits={name: (requests / parts, seconds) for name, (requests, seconds) in rates.items()},
        spend_limit={name: most // workers for name, most in spend_limit.items()} or None,
    )


def _short_folder() -> str | None:
    """Return a folder for sockets whose paths are not too long; `None` for the system's own temporary folder."""
    return None if len(tempfile.gettempdir()) <= _LONGEST_FOLDER else "/tmp"


def _run_worker(service: _Service, name: str, place: int, lifeline: int) -> None:
    """Serve in this process until the supervisor orders its end or has ended.

    Args:
        service: What all workers have in common.
        name: The name of this worker.
        place: Its place among the workers, from 0.
        lifeline: Can be read when the supervisor has ended.
    """

    async def serve() -> None:
        peers = Peers(name, service.sockets)
        async with Tenants(service.settings, over_http=True).open(sandbox_url=service.sandbox_url) as tenants:
            tenants.publish = peers.publish
            app = http_app(service.settings, tenants, service.host, name=name, peers=peers)
            server = _WorkerServer(app, tenants, peers)
            _on_orders(lifeline, server.stop, server.exit)
            await peers.listen(app, tenants.receive)
            port = service.settings.metrics_port
            own_port = service.settings.change(metrics_port=port and port + place)
            async with serve_metrics(own_port, tenants.oversight.metrics, service.host):
                await server.serve([service.listener])

    asyncio.run(serve())


def _run_sandbox(listener: socket.socket, lifeline: int) -> None:
    """Serve the sandbox in this process until the supervisor orders its end or has ended."""
    from memories_mcp import sandbox

    async def serve() -> None:
        ended = asyncio.Event()
        _on_orders(lifeline, ended.set, ended.set)
        async with sandbox.run_sandbox(listener=listener):
            await ended.wait()

    asyncio.run(serve())


def _on_orders(lifeline: int, stop: Callable[[], None], exit_now: Callable[[], None]) -> None:
    """Carry out the supervisor's orders in the running event loop; its own end is the order to stop."""
    loop = asyncio.get_running_loop()

    def supervisor_ended() -> None:
        loop.remove_reader(lifeline)
        stop()

    loop.add_signal_handler(STOP, stop)
    loop.add_signal_handler(EXIT, exit_now)
    loop.add_reader(lifeline, supervisor_ended)
