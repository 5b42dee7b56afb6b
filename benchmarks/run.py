"""`make bench`: speed, size and memory of the server against reference servers.

Times are reported only as ratios: server and reference run alternately, and the medians of several runs are compared,
since absolute times vary on a shared machine. Prints each result and writes `benchmarks/results.md`.
"""

from __future__ import annotations

import asyncio
import compileall
import json
import os
import platform
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import httpx2

from interop.run import MODULES, NODE, install
from memories_mcp.api import Api
from memories_mcp.api.rate_limits import NO_LIMITS
from memories_mcp.runner import Runner
from memories_mcp.settings import Settings

HERE = Path(__file__).parent
ROOT = HERE.parent
PAIRS = 11
RUNS = 7
CALLS = 200
IN_FLIGHT = 64
HTTP_CALLS = 800
FILE_MIB = 1024
OURS = [sys.executable, "-m", "memories_mcp"]
ONE_TOOL = [sys.executable, str(HERE / "one_tool_server.py")]
BARE = [sys.executable, str(HERE / "bare_server.py")]
SEARCH = {"name": "search_videos", "arguments": {"query": "price of the Team plan"}}
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
QUESTIONS = [
    ("search_videos", {"query": "what is said about the price of the plans", "top_k": 20}, 0.6),
    ("search_audio_transcripts", {"query": "the", "page_size": 20}, 0.6),
    ("list_videos", {"size": 200}, 0.6),
    ("get_audio_transcription", {"video_no": "VI612515093881740229"}, 0.9),
    ("get_video_transcription", {"video_no": "VI612515093881740229"}, 0.9),
]


class Row(NamedTuple):
    """One row of the table of results."""

    title: str
    value: str
    limit: str
    passed: bool


# ---- processes


def environment(**more: str) -> dict[str, str]:
    """Return the environment without the settings of this package, with `more` added."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MEMORIES_")} | more


class Stdio:
    """A server over stdio, used through bare JSON-RPC so that the cost of an MCP client is not measured."""

    def __init__(self, command: list[str], variables: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=variables
        )
        self.last_id = 0

    def send(self, method: str, params: dict[str, Any] | None = None, *, notify: bool = False) -> None:
        """Send a request, or with `notify` a notification."""
        assert self.process.stdin
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params or {}}
        if not notify:
            self.last_id += 1
            message["id"] = self.last_id
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def request(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and return its result."""
        assert self.process.stdout
        self.send(method, params)
        while line := self.process.stdout.readline():
            response = json.loads(line)
            if response.get("id") == self.last_id:
                assert "result" in response, response
                return response["result"]
        raise RuntimeError("The server closed its output before it answered.")

    def initialize(self) -> None:
        """Open a session."""
        self.request("initialize", INITIALIZE)
        self.send("notifications/initialized", notify=True)

    def close(self) -> None:
        """Stop the server by closing its input."""
        self.process.communicate(timeout=30)


@contextmanager
def announced_url(command: list[str], variables: dict[str, str], after: str) -> Generator[str, None, None]:
    """Run a process and yield the URL that its first line announces.

    Args:
        command: The program and its arguments.
        variables: The environment.
        after: The text before the URL.
    """
    process = subprocess.Popen(
        command, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
    )
    try:
        assert process.stdout
        yield process.stdout.readline().split(after)[1].split()[0].rstrip(";,")
    finally:
        process.terminate()
        process.communicate(timeout=30)


@contextmanager
def sandbox() -> Generator[dict[str, str], None, None]:
    """Run the sandbox in a separate process and yield the environment that selects it."""
    command = [sys.executable, "-u", "-m", "memories_mcp", "sandbox", "--port", "0"]
    with announced_url(command, environment(), "runs at ") as url:
        yield environment(MEMORIES_BASE_URL=url, MEMORIES_API_KEY="sk-bench", MEMORIES_RATE_LIMITS="off")


def compare(ours: Callable[[], float], reference: Callable[[], float], pairs: int) -> tuple[float, str]:
    """Run both alternately and return the ratio of their medians, ours over the reference, and a text with its range.

    Args:
        ours: Measures the server once.
        reference: Measures the reference once.
        pairs: The number of measured runs of each.
    """
    ours()  # warm-up
    reference()
    runs = [(ours(), reference()) for _ in range(pairs)]
    ratios = sorted(first / second for first, second in runs)
    ratio = median(first for first, _ in runs) / median(second for _, second in runs)
    return ratio, f"{ratio:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f} in {pairs} pairs)"


# ---- the measurements


def start() -> Iterator[Row]:
    """Measure the time from the start of the process to the first list of tools."""

    def first_list(command: list[str]) -> float:
        started = time.perf_counter()
        server = Stdio(command, environment())
        server.initialize()
        server.request("tools/list")
        seconds = time.perf_counter() - started
        server.close()
        return seconds

    ratio, text = compare(lambda: first_list(OURS), lambda: first_list(ONE_TOOL), PAIRS)
    yield Row("start to the first `tools/list`, against the SDK's server with one tool", text, "≤ 1.15", ratio <= 1.15)


def call() -> Iterator[Row]:
    """Measure one call over stdio."""
    with sandbox() as variables:
        servers = Stdio(OURS, variables), Stdio([*BARE, "stdio"], variables)

        def median_seconds(server: Stdio) -> float:
            times: list[float] = []
            for _ in range(CALLS):
                started = time.perf_counter()
                server.request("tools/call", SEARCH)
                times.append(time.perf_counter() - started)
            return median(times)

        for server in servers:
            server.initialize()
        ratio, text = compare(lambda: median_seconds(servers[0]), lambda: median_seconds(servers[1]), PAIRS)
        for server in servers:
            server.close()
    yield Row("one call over stdio, against a bare server that forwards the request", text, "≤ 1.2", ratio <= 1.2)


def throughput() -> Iterator[Row]:
    """Measure the rate of concurrent calls over HTTP."""

    async def seconds_for(url: str) -> float:
        headers = {"accept": "application/json, text/event-stream", "x-memories-api-key": "sk-bench"}
        limits = httpx2.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
        async with httpx2.AsyncClient(trust_env=False, timeout=60, limits=limits, headers=headers) as client:
            initialize = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": INITIALIZE}
            session = (await client.post(url, json=initialize)).headers["mcp-session-id"]
            client.headers["mcp-session-id"] = session
            client.headers["mcp-protocol-version"] = str(INITIALIZE["protocolVersion"])
            await client.post(url, json={"jsonrpc": "2.0", "method": "notifications/initialized"})
            numbers = iter(range(1, HTTP_CALLS + 1))

            async def work() -> None:
                for number in numbers:
                    body = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": SEARCH}
                    response = await client.post(url, json=body)
                    assert '"result"' in response.text, response.text[:300]

            started = time.perf_counter()
            await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
            return time.perf_counter() - started

    with sandbox() as variables:
        ours = announced_url([*OURS, "--transport", "http", "--port", "0"], variables, "Serving MCP at ")
        port = free_port()
        bare = subprocess.Popen([*BARE, str(port)], env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with ours as url:
                reference = f"http://127.0.0.1:{port}/mcp"
                wait_for_server(reference)
                # The ratio of rates is the inverse ratio of times, so the reference comes first.
                ratio, text = compare(
                    lambda: asyncio.run(seconds_for(reference)), lambda: asyncio.run(seconds_for(url)), RUNS
                )
        finally:
            bare.terminate()
            bare.wait(timeout=30)
    title = f"calls per second over HTTP with {IN_FLIGHT} in flight, against the bare server"
    yield Row(title, text, "≥ 0.9", ratio >= 0.9)


class Recording(httpx2.AsyncHTTPTransport):
    """An HTTP transport that keeps the text of its last response."""

    last_text = ""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and read the whole response."""
        response = await super().handle_async_request(request)
        self.last_text = (await response.aread()).decode()
        return response


def tokens() -> Iterator[Row]:
    """Count the o200k tokens of results, against those of the API's JSON."""
    install()  # installs the token counter from the npm registry
    texts: list[str] = []

    async def collect(url: str) -> None:
        transport = Recording()
        api = Api("sk-bench", url, rates=NO_LIMITS, transport=transport)
        runner = Runner(Settings(api_key="sk-bench", base_url=url, sandbox=True), api=api)
        for number in range(20):  # so that the list has more than a few entries
            link = f"https://media.example/{number}-interview-with-a-customer-about-pricing.mp4"
            await runner.run(runner.operations["upload_video_url"], {"url": link})
        for name, arguments, _ in QUESTIONS:
            answer = await runner.run(runner.operations[name], arguments)
            texts.extend([answer.text, transport.last_text])
        await runner.aclose()

    with sandbox() as variables:
        asyncio.run(collect(variables["MEMORIES_BASE_URL"]))
    script = (
        "import { encode } from 'gpt-tokenizer/encoding/o200k_base';"
        "import { readFileSync } from 'node:fs';"
        "console.log(JSON.stringify(JSON.parse(readFileSync(0)).map((text) => encode(text).length)))"
    )
    command = [str(NODE), "--input-type=module", "-e", script]
    done = subprocess.run(
        command, input=json.dumps(texts), capture_output=True, text=True, cwd=MODULES.parent, check=True, timeout=60
    )
    counts = json.loads(done.stdout)
    for number, (name, _, limit) in enumerate(QUESTIONS):
        ours, raw = counts[2 * number : 2 * number + 2]
        yield Row(f"tokens of `{name}`, against the API's JSON", f"{ours / raw:.2f}", f"≤ {limit}", ours / raw <= limit)


def memory() -> Iterator[Row]:
    """Measure the memory that the client process adds for one gigabyte in each direction."""

    def added_mib() -> float:
        with sandbox() as variables, tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, str(HERE / "transfer.py"), variables["MEMORIES_BASE_URL"], folder, str(FILE_MIB)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
        return int(done.stdout.split()[0]) / 1024

    added = sorted(added_mib() for _ in range(RUNS))
    title = f"memory that the client adds while it uploads and downloads {FILE_MIB} MiB"
    text = f"{median(added):.1f} MiB ({added[0]:.1f} to {added[-1]:.1f} in {RUNS} runs)"
    yield Row(title, text, "≤ 32 MiB", median(added) <= 32)


# ---- helpers


def free_port() -> int:
    """Return a loopback port that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_server(url: str) -> None:
    """Wait until a server accepts connections, for at most 20 seconds plus the time of the attempts."""
    for _ in range(200):
        try:
            httpx2.get(url, trust_env=False, timeout=5)
        except httpx2.TransportError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"No server answered at {url}.")


def compile_all() -> None:
    """Write the bytecode, which Python may not be allowed to do by itself: compiling would distort the measurements."""
    for folder in (sysconfig.get_path("purelib"), str(ROOT / "memories_mcp"), str(HERE)):
        compileall.compile_dir(folder, quiet=2, workers=os.cpu_count() or 1)


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| Measurement | Result | Limit | |", "| --- | --- | --- | --- |"]
    for row in rows:
        lines.append(f"| {row.title} | {row.value} | {row.limit} | {'ok' if row.passed else '**missed**'} |")
    return "\n".join(lines)


def main() -> int:
    """Run the named measurements or all of them; only a complete run writes the results."""
    measurements = {measurement.__name__: measurement for measurement in (start, call, throughput, tokens, memory)}
    names = sys.argv[1:] or list(measurements)
    compile_all()
    rows: list[Row] = []
    for name in names:
        for row in measurements[name]():
            rows.append(row)
            print(f"{'ok    ' if row.passed else 'missed'} {row.title}: {row.value} (limit {row.limit})", flush=True)
    if not sys.argv[1:]:
        python, system = platform.python_version(), platform.system()
        machine = f"Python {python}, {system}, {os.cpu_count()} processors, mcp {version('mcp')}"
        method = "Times and rates are ratios of the medians of alternating runs. "
        method += "Token counts do not vary, so they are taken once."
        text = f"# Benchmark results\n\nWritten by `make bench`: {machine}. {method}\n\n{table(rows)}\n"
        (HERE / "results.md").write_text(text, encoding="utf-8")
    return 0 if all(row.passed for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
