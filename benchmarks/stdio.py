"""One call over stdio."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import NamedTuple

from benchmarks.processes import TITLES, Stdio, command, cpu_seconds, stub, with_api
from benchmarks.rows import Measurement, Result, Row, alternate, paired_ratio

ROUNDS = 15
CALLS = 150
ROWS = {
    "mcp": Row(
        "stdio.mcp",
        TITLES["mcp"],
        "What a user would write instead must not be cheaper, although it has no fence, no budget and no tenants.",
        most=1.0,
        missed="`MCPServer` reads one shape of the answer and returns it whole, without fence and budget.",
    ),
    "fastmcp": Row(
        "stdio.fastmcp",
        TITLES["fastmcp"],
        "The same; prototypes reached 0.69.",
        most=0.75,
        missed="As for `MCPServer`.",
    ),
    "bare": Row(
        "stdio.bare",
        TITLES["bare"],
        "Reading, checking and writing a result may add a fifth to the transport and the request.",
        most=1.2,
        missed="The bare server checks no argument and reads no row of the answer.",
    ),
}


class Cost(NamedTuple):
    """The cost of a call, in microseconds."""

    cpu: float
    wall: float


def _search(server: Stdio) -> Cost:
    """Return the mean cost of a call in a batch."""
    cpu, started = cpu_seconds(server.process), time.perf_counter()
    for _ in range(CALLS):
        server.search()
    wall = time.perf_counter() - started
    return Cost((cpu_seconds(server.process) - cpu) / CALLS * 1e6, wall / CALLS * 1e6)


def _measure() -> Iterator[Result]:
    servers: dict[str, Stdio] = {}
    with stub() as url:
        try:
            for name in ("ours", *ROWS):
                servers[name] = Stdio(command(name), with_api(url))
                servers[name].initialize()

            def searching(server: Stdio) -> Callable[[], Cost]:
                return lambda: _search(server)

            costs = alternate({name: searching(server) for name, server in servers.items()}, ROUNDS)
        finally:
            for server in servers.values():
                server.close()
    cpu = {name: [cost.cpu for cost in runs] for name, runs in costs.items()}
    wall = {name: [cost.wall for cost in runs] for name, runs in costs.items()}
    for name, row in ROWS.items():
        ratio, walls = paired_ratio(cpu["ours"], cpu[name]), paired_ratio(wall["ours"], wall[name])
        details = f"{ratio.range}; {median(cpu['ours']):.0f} µs against {median(cpu[name]):.0f} µs"
        yield Result(row, ratio.median, f"{details}; wall time {walls.median:.2f}")


STDIO = Measurement(
    "stdio",
    "One call over stdio",
    "Processor time of the server's process for one `search_videos` with ten hits, one call after the other, against "
    "servers with the same tool; beside it, the time until the answer.",
    _measure,
)
