"""The rate of concurrent calls over HTTP."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any, NamedTuple

import httpx2

from benchmarks.processes import (
    CLIENT,
    HERE,
    INITIALIZE,
    SEARCH,
    SESSION_REVISION,
    TITLES,
    HttpServer,
    cpu_seconds,
    stub,
    with_api,
)
from benchmarks.rows import Measurement, Result, Row, Unavailable, alternate, paired_ratio

ROUNDS = 7
SECONDS = 4
CONNECTIONS = 64
REVISION = "2026-07-28"
ROWS = {
    "mcp": Row(
        "http.mcp",
        TITLES["mcp"],
        "Keys, namespaces, the fence and the budget may cost a fifth of the rate; prototypes reached 0.81.",
        least=0.8,
        missed="The reference has one key for all requests: no credentials, tenants or size of a body to check.",
    ),
    "fastmcp": Row(
        "http.fastmcp",
        TITLES["fastmcp"],
        "The same job; prototypes reached 1.22.",
        least=1.1,
        missed="As for `MCPServer`.",
    ),
    "bare": Row(
        "http.bare",
        TITLES["bare"],
        "As for `MCPServer`.",
        least=0.8,
        missed="As for `MCPServer`; it reads no row of the answer either.",
    ),
}
SESSION_ROW = Row(
    "http_sessions.bare",
    TITLES["bare"],
    "Reported: 0.9 was the aim, and nothing reached it; the best prototype, with another HTTP client and another HTTP "
    "parser, reached 0.85.",
)


class Rate(NamedTuple):
    """The rate of a run.

    Attributes:
        calls: Calls per second.
        cpu: Processor time of the server for one call, in microseconds.
    """

    calls: float
    cpu: float


def _headers(revision: str) -> dict[str, str]:
    return {
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "mcp-protocol-version": revision,
        "x-memories-api-key": "sk-bench",
    }


def _body(method: str, params: dict[str, Any]) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": "@ID@", "method": method, "params": params}).replace('"@ID@"', "@ID@")


class Load:
    """The requests that wrk sends to one server."""

    def __init__(self, server: HttpServer, revision: str) -> None:
        self.server = server
        self.headers = _headers(revision)
        self.params: dict[str, Any] = dict(SEARCH)
        if revision == SESSION_REVISION:
            response = self._post(_body("initialize", INITIALIZE))
            self.headers["mcp-session-id"] = response.headers["mcp-session-id"]
            self._post(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}))
        else:
            prefix = "io.modelcontextprotocol/"
            meta = {"protocolVersion": revision, "clientCapabilities": {}, "clientInfo": CLIENT}
            self.params["_meta"] = {f"{prefix}{name}": value for name, value in meta.items()}
            self.headers |= {"mcp-method": "tools/call", "mcp-name": str(SEARCH["name"])}
        text = self._post(_body("tools/call", self.params)).text
        # wrk counts answers without reading them.
        if "Quarterly planning meeting" not in text or '"isError":true' in text:
            raise RuntimeError(f"The call failed: {text[:500]}")

    def _post(self, body: str) -> httpx2.Response:
        content = body.replace("@ID@", "0")
        return httpx2.post(self.server.url, content=content, headers=self.headers, trust_env=False, timeout=30)

    def run(self) -> Rate:
        """Send requests for some seconds."""
        headers = "\n".join(f"{name}: {value}" for name, value in self.headers.items())
        variables = {**os.environ, "BENCH_BODY": _body("tools/call", self.params), "BENCH_HEADERS": headers}
        options = ["-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--timeout", "10s", "-s", str(HERE / "requests.lua")]
        cpu = cpu_seconds(self.server.process)
        done = subprocess.run(
            [wrk(), *options, self.server.url], capture_output=True, text=True, env=variables, check=True, timeout=60
        )
        cpu = cpu_seconds(self.server.process) - cpu
        counts = re.search(r"(\d+) requests in", done.stdout)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
        if not counts or not rate or re.search("Non-2xx|Socket errors", done.stdout):
            raise RuntimeError(f"wrk reports errors: {done.stdout}")
        return Rate(float(rate[1]), cpu / int(counts[1]) * 1e6)


def wrk() -> str:
    """Return the path of wrk; it is installed if it is missing and this user may.

    Raises:
        Unavailable: It is missing.
    """
    if path := shutil.which("wrk"):
        return path
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-q", "wrk"], capture_output=True, timeout=300)
        if path := shutil.which("wrk"):
            return path
    raise Unavailable("Calls per second are measured with wrk. Install it, for example: apt-get install wrk.")


@contextmanager
def _serving(names: Sequence[str], url: str) -> Generator[dict[str, HttpServer], None, None]:
    servers: dict[str, HttpServer] = {}
    try:
        for name in names:
            servers[name] = HttpServer(name, with_api(url))
        for server in servers.values():
            server.wait()
        yield servers
    finally:
        for server in servers.values():
            server.close()


def _compare(rows: dict[str, Row], revision: str) -> Iterator[Result]:
    wrk()
    with stub() as url, _serving(["ours", *rows], url) as servers:

        def load(server: HttpServer) -> Callable[[], Rate]:
            return Load(server, revision).run

        rates = alternate({name: load(server) for name, server in servers.items()}, ROUNDS)
    calls = {name: [rate.calls for rate in runs] for name, runs in rates.items()}
    cpu = {name: [rate.cpu for rate in runs] for name, runs in rates.items()}
    for name, row in rows.items():
        ratio, costs = paired_ratio(calls["ours"], calls[name]), paired_ratio(cpu["ours"], cpu[name])
        details = f"{ratio.range}; {median(calls['ours']):.0f} against {median(calls[name]):.0f} a second"
        details += f"; processor time of a call {costs.median:.2f}, {median(cpu['ours']):.0f} µs against "
        yield Result(row, ratio.median, f"{details}{median(cpu[name]):.0f} µs")


HTTP = Measurement(
    "http",
    f"Calls per second over HTTP, protocol {REVISION}",
    f"wrk calls `search_videos` over {CONNECTIONS} connections for {SECONDS} seconds in each run; beside the rate, the "
    "processor time of the server for one call.",
    lambda: _compare(ROWS, REVISION),
)
HTTP_SESSIONS = Measurement(
    "http_sessions",
    f"Calls per second over HTTP, protocol {SESSION_REVISION}",
    "The same in one session.",
    lambda: _compare({"bare": SESSION_ROW}, SESSION_REVISION),
)
