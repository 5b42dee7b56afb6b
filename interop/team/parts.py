"""The parts that `make team` starts on loopback: nginx with the files of `deploy/`, replicas, and the API they use."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import httpx2
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from memories_mcp.loopback import EmbeddedServer, bind, run_server
from memories_mcp.sandbox.accounts import Accounts
from memories_mcp.sandbox.app import Sandbox, application
from memories_mcp.sandbox.uploads import Uploads

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
NAMES = ("a", "b", "c")
PATIENCE = 60.0
"""Seconds after which a wait fails; nothing takes nearly as long."""


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: It did not become true.
    """
    for _ in range(int(PATIENCE / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError(what)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with closing(bind("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class RecordedApi:
    """The sandbox, with a record of the chats by their prompt, and chats that can be held half-way.

    The first part of a path names the replica that sends the request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.chats = Counter[str]()
        self.senders: dict[str, str] = {}
        self._app = app
        self._held: dict[str, tuple[asyncio.Event, asyncio.Event]] = {}

    def hold(self, prompt: str) -> tuple[asyncio.Event, asyncio.Event]:
        """Hold the chat with this prompt: a stream after its first piece, a single answer before its beginning.

        Returns:
            What is set when the chat is held, and what lets it go on.
        """
        self._held[prompt] = asyncio.Event(), asyncio.Event()
        return self._held[prompt]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        _, sender, path = scope["path"].split("/", 2)
        scope = {**scope, "path": f"/{path}", "raw_path": f"/{path}".encode()}
        if not re.search(r"/chat\w*$", scope["path"]):
            await self._app(scope, receive, send)
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        prompt = str(json.loads(body)["prompt"])
        streams = scope["path"].endswith("_stream")
        self.chats[prompt] += 1
        self.senders.setdefault(prompt, sender)
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        async def hold(message: Message) -> None:
            if not streams:
                await wait()
            await send(message)
            if streams and message.get("body"):
                await wait()

        async def wait() -> None:
            if prompt in self._held:
                reached, release = self._held[prompt]
                reached.set()
                await release.wait()

        await self._app(scope, replay, hold)


@asynccontextmanager
async def run_api() -> AsyncGenerator[tuple[str, RecordedApi], None]:
    """Serve the sandbox and yield its URL and the record of it."""
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # replicas that are killed leave requests behind
    sandbox = Sandbox(Accounts(None, None, None), Uploads())
    api = RecordedApi(application(sandbox))
    config = uvicorn.Config(
        api, log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
    server = EmbeddedServer(config)

    def stop() -> None:
        server.should_exit = True

    try:
        with closing(bind("127.0.0.1", 0)) as listener:
            async with run_server(server, listener, stop) as url:
                yield url, api
    finally:
        sandbox.close()


@contextmanager
def run_redis(program: str, folder: Path) -> Generator[str, None, None]:
    """Run Redis on a free port, keeping nothing, and yield its URL.

    Args:
        program: The path of redis-server.
        folder: Where it runs.
    """
    port = free_port()
    options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = subprocess.Popen([program, "--port", str(port), *options], stdout=subprocess.PIPE)
    try:
        assert process.stdout
        if not any(b"Ready to accept connections" in line for line in process.stdout):
            raise RuntimeError("redis-server did not start")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.communicate()


class Replica:
    """One named server in a process of its own."""

    def __init__(self, name: str, api_url: str, redis_url: str, folder: Path) -> None:
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._environment = {
            **{variable: value for variable, value in os.environ.items() if not variable.startswith("MEMORIES_")},
            "MEMORIES_BASE_URL": f"{api_url}/{name}",
            "MEMORIES_RATE_LIMITS": "off",
            "MEMORIES_REDIS_URL": redis_url,
            "MEMORIES_REPLICA": name,
            "MEMORIES_SECRET_FILE": str(folder / "signing_key"),
            "MEMORIES_STOP_DELAY": "1",
            "MEMORIES_DRAIN_SECONDS": "30",
        }

    async def start(self) -> None:
        """Start the process and wait until it is ready."""
        command = [sys.executable, "-m", "memories_mcp", "--transport", "http", "--port", str(self.port)]
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdout=log, stderr=log, cwd=ROOT, env=self._environment
            )
        while await self.status("/readyz") != 200:
            if self._process.returncode is not None:
                raise RuntimeError(f"replica {self.name} did not start: {self._log.read_text()[-500:]}")
            await asyncio.sleep(0.05)

    async def status(self, path: str) -> int:
        """Return the status of a path; 0 if nothing answers."""
        try:
            async with httpx2.AsyncClient(trust_env=False, timeout=5) as client:
                return (await client.get(f"{self.url}{path}")).status_code
        except httpx2.TransportError:
            return 0

    async def until_status(self, path: str, status: int) -> None:
        """Wait until a path answers with a status."""
        async with asyncio.timeout(PATIENCE):
            while await self.status(path) != status:  # noqa: ASYNC110 (another process has no event)
                await asyncio.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if the process runs."""
        if self._process and self._process.returncode is None:
            self._process.send_signal(number)

    async def wait(self) -> int:
        """Wait for the end of the process and return its exit code."""
        assert self._process
        return await asyncio.wait_for(self._process.wait(), PATIENCE)


class Nginx:
    """nginx with `deploy/nginx.conf` as it is; only port and addresses are those of this run."""

    def __init__(self, program: str, folder: Path, replicas: list[Replica]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "access.log"
        self._errors = folder / "nginx-errors.log"
        self._sites = folder / "nginx"
        self._sites.mkdir()
        shutil.copy(DEPLOY / "nginx.conf", folder / "nginx.conf")
        (self._sites / "listen.conf").write_text(f"listen 127.0.0.1:{self.port};\n", encoding="utf-8")
        text = (DEPLOY / "nginx" / "replicas.conf").read_text(encoding="utf-8")
        for number, replica in enumerate(replicas, 11):
            address = f"10.89.64.{number}:8000"
            assert address in text
            text = text.replace(address, f"127.0.0.1:{replica.port}")
        self._addresses = text
        self.names = {f"127.0.0.1:{replica.port}": replica.name for replica in replicas}
        self._write()
        # `-p` keeps relative paths, and what the package enables, out of the run.
        pid = folder / "nginx.pid"
        self._command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
        self._options = ["-g", f"pid {pid}; daemon off;"]
        self._process: subprocess.Popen[bytes] | None = None

    def _write(self, *down: str) -> None:
        """Write the addresses; mark replicas as down where any request may go."""
        head, block, rest = re.split(r"(upstream memories \{.*?\})", self._addresses, maxsplit=1, flags=re.DOTALL)
        for address, name in self.names.items():
            if name in down:
                block = block.replace(f"server {address} max_fails=0;", f"server {address} max_fails=0 down;")
        (self._sites / "replicas.conf").write_text(head + block + rest, encoding="utf-8")

    def check(self) -> str:
        """Return what nginx says against its configuration; empty if nothing."""
        done = subprocess.run([*self._command, *self._options, "-t", "-q"], capture_output=True, text=True, timeout=30)
        return done.stderr.strip()

    def start(self) -> None:
        """Start nginx; the master process listens before it starts its workers.

        Raises:
            RuntimeError: It ended.
        """
        with self._log.open("wb") as log, self._errors.open("wb") as errors:
            self._process = subprocess.Popen([*self._command, *self._options], stdout=log, stderr=errors)
        while not self._workers():
            if self._process.poll() is not None:
                raise RuntimeError(f"nginx did not start: {self.errors()[-500:]}")
            time.sleep(0.02)

    async def mark(self, *down: str) -> None:
        """Reload nginx with these replicas marked as down, and wait until only the new processes accept connections."""
        assert self._process
        self._write(*down)
        before = set(self._workers())
        self._process.send_signal(signal.SIGHUP)
        await until(
            lambda: (
                bool(set(workers := self._workers()) - before)
                and all("shutting down" in workers[pid] for pid in before & set(workers))
            ),
            "nginx did not reload",
        )

    def _workers(self) -> dict[int, str]:
        assert self._process
        command = ["ps", "--ppid", str(self._process.pid), "-o", "pid=,args="]
        lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
        return {int(pid): title for pid, _, title in (line.strip().partition(" ") for line in lines)}

    def served_by(self) -> list[str]:
        """Return the names of the replicas that answered, one for each request so far."""
        lines = self._log.read_text(encoding="utf-8").splitlines()
        return [self.names.get(line.rsplit(" ", 1)[-1], "") for line in lines]

    def errors(self) -> str:
        """Return what nginx reported."""
        return self._errors.read_text(encoding="utf-8")

    def stop(self) -> None:
        """Stop nginx."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=PATIENCE)


def find_nginx() -> str:
    """Return the program: the system's, or the one of Debian's package, unpacked without its service.

    Raises:
        SystemExit: There is none; the text says what to do.
    """
    if program := shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"):
        return program
    folder = ROOT / ".interop" / "nginx"
    program = folder / "usr" / "sbin" / "nginx"
    if not program.is_file() and shutil.which("apt-get"):
        folder.mkdir(parents=True, exist_ok=True)
        commands = [["apt-get", "-qq", "update"]] if os.geteuid() == 0 else []
        commands += [["apt-get", "-qq", "download", "nginx"]]
        for command in commands:
            subprocess.run(command, cwd=folder, timeout=300, check=False)
        for package in folder.glob("nginx_*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], timeout=60, check=False)
    if program.is_file():
        return str(program)
    raise SystemExit("make team needs nginx. Install it (Debian: apt-get install nginx-light), then run it again.")
