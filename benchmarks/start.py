"""The start of the server."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import NamedTuple

from benchmarks.processes import HERE, Stdio, command, stub, with_api
from benchmarks.rows import Measurement, Result, Row, alternate, paired_ratio

ROUNDS = 11
ROWS = {
    "one_tool": Row(
        "start.one_tool",
        "the SDK's server with one tool, which has no HTTP client",
        "Users see this time as the start of their MCP client. Our server loads what it reads at once, the definitions "
        "of its tools, on top of the SDK's own import; 1.05 is the wish.",
        most=1.15,
        missed="The reference has no HTTP client, no models and one tool.",
    ),
    "mcp": Row("start.mcp", "the SDK's `MCPServer` with the same typed search", "Reported: the same job."),
    "fastmcp": Row(
        "start.fastmcp",
        "FastMCP with the same typed search",
        "The same job, written with FastMCP.",
        most=0.6,
        missed="Both load the SDK, which is most of our start.",
    ),
}


class _Times(NamedTuple):
    first_list: float
    first_call: float | None = None


def _start(command: list[str], variables: dict[str, str] | None) -> _Times:
    """Return the times from the start of a process to its first list and, with an API, to its first call."""
    started = time.perf_counter()
    server = Stdio(command, variables or dict(os.environ))
    try:
        server.initialize()
        server.request("tools/list")
        first_list = time.perf_counter() - started
        if variables is None:
            return _Times(first_list)
        server.search()
        return _Times(first_list, time.perf_counter() - started)
    finally:
        server.close()


def _measure() -> Iterator[Result]:
    one_tool = [sys.executable, str(HERE / "one_tool_server.py")]
    with stub() as url:
        variables = with_api(url)

        def starting(name: str) -> Callable[[], _Times]:
            line = command(name)
            return lambda: _start(line, variables)

        names = ("ours", "mcp", "fastmcp")
        starts = {"one_tool": lambda: _start(one_tool, None)} | {name: starting(name) for name in names}
        times = alternate(starts, ROUNDS)
    lists = {name: [run.first_list for run in runs] for name, runs in times.items()}
    calls = {name: [run.first_call for run in runs if run.first_call] for name, runs in times.items()}
    for name, row in ROWS.items():
        ratio = paired_ratio(lists["ours"], lists[name])
        details = f"{ratio.range}; {median(lists['ours']):.2f} s against {median(lists[name]):.2f} s"
        if calls[name]:
            first = paired_ratio(calls["ours"], calls[name])
            details += f"; to the first call {first.median:.2f}"
        yield Result(row, ratio.median, details)


START = Measurement(
    "start",
    "Start to the first `tools/list`",
    "Time from the start of the process to the answer to the first list over stdio, against other servers; beside it, "
    "the time to the answer to a first call that follows.",
    _measure,
)
