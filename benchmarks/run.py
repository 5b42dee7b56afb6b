"""`make bench`: speed and size as ratios, each against a reference in the same run, in turn; medians of several runs.

Absolute times say little on a shared machine, so none is a result. Prints a table and writes `benchmarks/results.md`.
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
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
QUESTIONS = [
    ("search_videos", {"query": "what is said about the price of the plans", "top_k": 20}, 0.6),
    ("search_audio_transcripts", {"query": "the", "page_size": 20}, 0.6),
    ("list_videos", {"size": 200}, 0.6),
    ("get_audio_transcription", {"video_no": "VI612515093881740229"}, 0.9),
    ("get_video_transcription", {"video_no": "VI612515093881740229"}, 0.9),
]


class Row(NamedTuple):
    """One line of the table."""

    what: str
    value: str
    limit: str
    good: bool


# ---- processes


def environment(**more: str) -> dict[str, str]:
    """This environment without our own settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MEMORIES_")} | more


class Stdio:
    """A server over stdio, spoken to in bare JSON-RPC so that no client's own cost counts."""

    def __init__(self, command: list[str], variables: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=variables
        )
        self.last = 0

    def send(self, method: str, params: dict[str, Any] | None = None, *, notify: bool = False) -> None:
        """Send a request or a notification."""
        assert self.process.stdin
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params or {}}
        if not notify:
            self.last += 1
            message["id"] = self.last
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        assert self.process.stdout
        self.send(method, params)
        while line := self.process.stdout.readline():
            answer = json.loads(line)
            if answer.get("id") == self.last:
                assert "result" in answer, answer
                return answer["result"]
        raise RuntimeError("the server ended")

    def hello(self) -> None:
        """Open a session."""
        self.ask("initialize", HELLO)
        self.send("notifications/initialized", notify=True)

    def close(self) -> None:
        """End it by the end of its input."""
        self.process.communicate(timeout=30)


@contextmanager
def said(command: list[str], variables: dict[str, str], after: str) -> Generator[str, None, None]:
    """A process that says on its first line where it serves."""
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
    """The offline twin in a process of its own, and the variables that lead there."""
    command = [sys.executable, "-u", "-m", "memories_mcp", "sandbox", "--port", "0"]
    with said(command, environment(), "runs at ") as url:
        yield environment(MEMORIES_BASE_URL=url, MEMORIES_API_KEY="sk-bench", MEMORIES_RATE_LIMITS="off")


def in_turn(one: Callable[[], float], other: Callable[[], float], pairs: int) -> tuple[float, str]:
    """The ratio of medians, one over the other, of alternating runs; and how far single pairs lie apart."""
    one()  # warm both
    other()
    runs = [(one(), other()) for _ in range(pairs)]
    ratios = sorted(first / second for first, second in runs)
    ratio = median(first for first, _ in runs) / median(second for _, second in runs)
    return ratio, f"{ratio:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f} in {pairs} pairs)"


# ---- the five


def start() -> Iterator[Row]:
    """From nothing to the first list of tools."""

    def first_list(command: list[str]) -> float:
        begun = time.perf_counter()
        server = Stdio(command, environment())
        server.hello()
        server.ask("tools/list")
        spent = time.perf_counter() - begun
        server.close()
        return spent

    ratio, shown = in_turn(lambda: first_list(OURS), lambda: first_list(ONE_TOOL), PAIRS)
    yield Row("start to the first `tools/list`, against the SDK's server with one tool", shown, "≤ 1.15", ratio <= 1.15)


def call() -> Iterator[Row]:
    """One call over stdio."""
    with sandbox() as variables:
        servers = Stdio(OURS, variables), Stdio([*BARE, "stdio"], variables)

        def typical(server: Stdio) -> float:
            times: list[float] = []
            for _ in range(CALLS):
                begun = time.perf_counter()
                server.ask("tools/call", SEARCH)
                times.append(time.perf_counter() - begun)
            return median(times)

        for each in servers:
            each.hello()
        ratio, shown = in_turn(lambda: typical(servers[0]), lambda: typical(servers[1]), PAIRS)
        for each in servers:
            each.close()
    yield Row("one call over stdio, against a bare server that forwards the request", shown, "≤ 1.2", ratio <= 1.2)


def throughput() -> Iterator[Row]:
    """Calls a second over HTTP, many in flight."""

    async def spent(url: str) -> float:
        headers = {"accept": "application/json, text/event-stream", "x-memories-api-key": "sk-bench"}
        limits = httpx2.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
        async with httpx2.AsyncClient(trust_env=False, timeout=60, limits=limits, headers=headers) as client:
            hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": HELLO}
            session = (await client.post(url, json=hello)).headers["mcp-session-id"]
            client.headers["mcp-session-id"] = session
            client.headers["mcp-protocol-version"] = str(HELLO["protocolVersion"])
            await client.post(url, json={"jsonrpc": "2.0", "method": "notifications/initialized"})
            numbers = iter(range(1, HTTP_CALLS + 1))

            async def work() -> None:
                for number in numbers:
                    body = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": SEARCH}
                    answer = await client.post(url, json=body)
                    assert '"result"' in answer.text, answer.text[:300]

            begun = time.perf_counter()
            await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
            return time.perf_counter() - begun

    with sandbox() as variables:
        ours = said([*OURS, "--transport", "http", "--port", "0"], variables, "Serving MCP at ")
        port = free_port()
        bare = subprocess.Popen([*BARE, str(port)], env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with ours as url:
                reference = f"http://127.0.0.1:{port}/mcp"
                until_answers(reference)
                # Calls a second are the inverse of the time that so many take: the reference's over ours.
                ratio, shown = in_turn(lambda: asyncio.run(spent(reference)), lambda: asyncio.run(spent(url)), RUNS)
        finally:
            bare.terminate()
            bare.wait(timeout=30)
    what = f"calls a second over HTTP at {IN_FLIGHT} in flight, against the bare server"
    yield Row(what, shown, "≥ 0.9", ratio >= 0.9)


class Recording(httpx2.AsyncHTTPTransport):
    """The network, keeping the text of its last answer."""

    last = ""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and read its answer."""
        response = await super().handle_async_request(request)
        self.last = (await response.aread()).decode()
        return response


def tokens() -> Iterator[Row]:
    """Text of results against the API's raw JSON, in o200k tokens."""
    install()  # the token counter comes from the npm registry
    texts: list[str] = []

    async def collect(url: str) -> None:
        wire = Recording()
        api = Api("sk-bench", url, rates=NO_LIMITS, transport=wire)
        runner = Runner(Settings(api_key="sk-bench", base_url=url, sandbox=True), api=api)
        for number in range(20):  # a list worth the name
            link = f"https://media.example/{number}-interview-with-a-customer-about-pricing.mp4"
            await runner.run(runner.operations["upload_video_url"], {"url": link})
        for name, arguments, _ in QUESTIONS:
            answer = await runner.run(runner.operations[name], arguments)
            texts.extend([answer.text, wire.last])
        await runner.aclose()

    with sandbox() as variables:
        asyncio.run(collect(variables["MEMORIES_BASE_URL"]))
    script = (
        "import { encode } from 'gpt-tokenizer/encoding/o200k_base';"
        "import { readFileSync } from 'node:fs';"
        "console.log(JSON.stringify(JSON.parse(readFileSync(0)).map((text) => encode(text).length)))"
    )
    command = [str(NODE), "--input-type=module", "-e", script]
    counted = subprocess.run(
        command, input=json.dumps(texts), capture_output=True, text=True, cwd=MODULES.parent, check=True, timeout=60
    )
    counts = json.loads(counted.stdout)
    for number, (name, _, limit) in enumerate(QUESTIONS):
        ours, raw = counts[2 * number : 2 * number + 2]
        yield Row(f"tokens of `{name}`, against the API's JSON", f"{ours / raw:.2f}", f"≤ {limit}", ours / raw <= limit)


def memory() -> Iterator[Row]:
    """What a gigabyte in each direction takes, in the process of the client."""

    def once() -> float:
        with sandbox() as variables, tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, str(HERE / "transfer.py"), variables["MEMORIES_BASE_URL"], folder, str(FILE_MIB)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
        return int(done.stdout.split()[0]) / 1024

    grown = sorted(once() for _ in range(RUNS))
    what = f"memory of the client over rest while {FILE_MIB} MiB go up and come down"
    shown = f"{median(grown):.1f} MiB ({grown[0]:.1f} to {grown[-1]:.1f} in {RUNS} runs)"
    yield Row(what, shown, "≤ 32 MiB", median(grown) <= 32)


# ---- the rest


def free_port() -> int:
    """A port of the loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until_answers(url: str) -> None:
    """Wait until a server takes connections, at most 20 seconds."""
    for _ in range(200):
        try:
            httpx2.get(url, trust_env=False, timeout=5)
        except httpx2.TransportError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"nothing answers at {url}")


def compile_all() -> None:
    """Byte-code first: the environment may forbid Python to write it, and reading sources would be what is measured."""
    for folder in (sysconfig.get_path("purelib"), str(ROOT / "memories_mcp"), str(HERE)):
        compileall.compile_dir(folder, quiet=2, workers=os.cpu_count() or 1)


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| What | Ours | Limit | |", "| --- | --- | --- | --- |"]
    for each in rows:
        lines.append(f"| {each.what} | {each.value} | {each.limit} | {'ok' if each.good else '**missed**'} |")
    return "\n".join(lines)


def main() -> int:
    """Run what is named, or all of it; only a whole run writes the results."""
    parts = {each.__name__: each for each in (start, call, throughput, tokens, memory)}
    chosen = sys.argv[1:] or list(parts)
    compile_all()
    rows: list[Row] = []
    for name in chosen:
        for row in parts[name]():
            rows.append(row)
            print(f"{'ok    ' if row.good else 'missed'} {row.what}: {row.value} (limit {row.limit})", flush=True)
    if not sys.argv[1:]:
        python, system = platform.python_version(), platform.system()
        machine = f"Python {python}, {system}, {os.cpu_count()} processors, mcp {version('mcp')}"
        how = "Times and rates are ratios of medians of runs in turn. Tokens are counted once, as they do not vary."
        text = f"# Measured\n\nWritten by `make bench`: {machine}. {how}\n\n{table(rows)}\n"
        (HERE / "results.md").write_text(text, encoding="utf-8")
    return 0 if all(each.good for each in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
