"""The measured servers and what they need: processes, their processor time, and a client over stdio."""

from __future__ import annotations

import compileall
import json
import os
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.rows import Unavailable
from interop.environments import environment_python

HERE = Path(__file__).parent
ROOT = HERE.parent
SHARED_PACKAGES = ("mcp", "mcp-types", "httpx2", "pydantic", "starlette", "uvicorn", "anyio")
"""What the package and the references use; all in one version, so that only the servers differ."""
REFERENCES = {"mcp": SHARED_PACKAGES, "fastmcp": ("fastmcp", *SHARED_PACKAGES)}
"""The references with an environment of their own, and its packages."""
TITLES = {"mcp": "the SDK's `MCPServer`", "fastmcp": "FastMCP", "bare": "the bare server"}
SEARCH = {"name": "search_videos", "arguments": {"query": "price of the Team plan"}}
CLIENT = {"name": "bench", "version": "1"}
SESSION_REVISION = "2025-11-25"
INITIALIZE = {"protocolVersion": SESSION_REVISION, "capabilities": {}, "clientInfo": CLIENT}


# ---- commands


@cache
def reference_python(name: str) -> str:
    """Return the interpreter of a reference's environment, which has the versions that are installed here."""
    python = environment_python(f"bench-{name}", [f"{package}=={version(package)}" for package in REFERENCES[name]])
    # Python may not be allowed to write bytecode by itself, and compiling would distort the measurements.
    compileall.compile_dir(python.parents[1], quiet=2, workers=os.cpu_count() or 1)
    return str(python)


def compile_package() -> None:
    """Write the bytecode of the package and of what it uses."""
    for folder in (sysconfig.get_path("purelib"), ROOT / "memories_mcp", ROOT / "langchain_tools", HERE):
        compileall.compile_dir(folder, quiet=2, workers=os.cpu_count() or 1)


def command(name: str, port: int | None = None) -> list[str]:
    """Return the command of a server: `ours`, or a reference with the same tool; over HTTP with `port`."""
    if name == "ours":
        over_http = [] if port is None else ["--transport", "http", "--port", str(port)]
        return [sys.executable, "-m", "memories_mcp", *over_http]
    python = reference_python(name) if name in REFERENCES else sys.executable
    return [python, str(HERE / f"{name}_server.py"), "stdio" if port is None else str(port)]


# ---- the API


def with_api(url: str) -> dict[str, str]:
    """Return the environment in which a server uses the API at a URL."""
    return {**os.environ, "MEMORIES_BASE_URL": url, "MEMORIES_API_KEY": "sk-bench", "MEMORIES_RATE_LIMITS": "off"}


@contextmanager
def _announced(arguments: list[str], after: str) -> Generator[str, None, None]:
    """Run a Python module and yield the URL that its first line announces after a text."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", *arguments],
        text=True, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout
        yield process.stdout.readline().split(after)[1].split()[0].rstrip(";")
    finally:
        process.terminate()
        process.communicate(timeout=30)


@contextmanager
def stub() -> Generator[str, None, None]:
    """Run the stub in a process of its own and yield its URL."""
    with _announced(["benchmarks.stub"], "runs at ") as url:
        yield url


@contextmanager
def sandbox() -> Generator[str, None, None]:
    """Run the sandbox in a process of its own and yield its URL."""
    with _announced(["memories_mcp", "sandbox", "--port", "0"], "runs at ") as url:
        yield url


# ---- servers


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

    def search(self) -> None:
        """Call the measured tool."""
        result = self.request("tools/call", SEARCH)
        assert not result.get("isError"), result

    def initialize(self) -> None:
        """Open a session."""
        self.request("initialize", INITIALIZE)
        self.send("notifications/initialized", notify=True)

    def close(self) -> None:
        """Stop the server by closing its input."""
        self.process.communicate(timeout=30)


class HttpServer:
    """A server over HTTP, in a process of its own."""

    def __init__(self, name: str, variables: dict[str, str]) -> None:
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}/mcp"
        self.process = subprocess.Popen(
            command(name, port), env=variables,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def wait(self) -> None:
        """Wait until the server accepts connections, for at most 20 seconds plus the time of the attempts."""
        for _ in range(200):
            try:
                httpx2.get(self.url, trust_env=False, timeout=5)
            except httpx2.TransportError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError(f"No server answered at {self.url}.")

    def close(self) -> None:
        """Stop the server."""
        self.process.terminate()
        self.process.wait(timeout=30)


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """Return the processor time that a running process has used."""
    if sys.platform != "linux":
        raise Unavailable("The processor time of another process is read only on Linux.")
    return time.clock_gettime(~process.pid << 3 | 2)  # clock_getcpuclockid(3), which Python does not offer


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
