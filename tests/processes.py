"""Programs as processes of their own, without the half second of imports at the start of each.

A process that has imported the package forks for each program. What a program shows is that of a real one: signals,
streams, descriptors, its end. What only a start of Python shows, such as options of the interpreter, needs one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from multiprocessing.connection import wait
from pathlib import Path
from typing import IO, Any

MAIN = "import sys\nfrom memories_mcp.cli.main import main\nsys.exit(main())"
"""What `python -m memories_mcp` runs."""

_FORKING = """
import asyncio, gc, importlib, json, os, pkgutil, signal, socket, sys, types
import memories_mcp, mcp, uvicorn.server

for module in pkgutil.walk_packages(memories_mcp.__path__, "memories_mcp."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
# Each server would stop 0.2 s late.
uvicorn.server.asyncio = types.SimpleNamespace(**{**vars(asyncio), "sleep": lambda pause: asyncio.sleep(pause / 10)})
gc.freeze()

def next_program():
    control = socket.socket(fileno=int(sys.argv[1]))
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 4)
        if not message:
            os._exit(0)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        if os.fork() == 0:
            control.close()
            return descriptors
        for descriptor in descriptors:
            os.close(descriptor)

*streams, status = next_program()
connection = socket.socket(fileno=status)
with connection.makefile("r", encoding="utf-8") as lines:
    request = json.loads(lines.readline())
if program := os.fork():  # this process waits for the program
    for stream in streams:
        os.close(stream)
    _, end = os.waitpid(program, 0)
    connection.sendall(b"%d\\n" % os.waitstatus_to_exitcode(end))
    os._exit(0)
for number, stream in enumerate(streams):
    os.dup2(stream, number)
    os.close(stream)
for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
    file = open(number, mode, 1 if name == "stderr" or os.isatty(number) else -1, encoding="utf-8", closefd=False)
    setattr(sys, name, file)
    setattr(sys, f"__{name}__", file)
os.environ.clear()
os.environ.update(request["env"])
os.chdir(request["cwd"])
for ignored in request["ignored"]:
    signal.signal(ignored, signal.SIG_IGN)
sys.argv[:] = ["memories-mcp", *request["arguments"]]
connection.sendall(b"%d\\n" % os.getpid())  # from here on it can be interrupted
connection.close()
exec(compile(request["code"], "<program>", "exec"), {"__name__": "__main__"})
"""


class Launcher:
    """The process that forks."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        path = os.pathsep.join(entry for entry in [str(Path(__file__).parent), *sys.path] if entry)
        # Its streams are those of no terminal, so that the programs buffer their output as in a pipe.
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _FORKING, str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
                env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
                | {"PYTHONPATH": path},
            )  # fmt: skip

    def fork(self, streams: Sequence[int], request: Mapping[str, Any]) -> socket.socket:
        """Start a program and return the connection on which its id and its end are reported."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [b"x"], [*streams, theirs.fileno()])
        ours.sendall(json.dumps(request).encode() + b"\n")
        return ours

    def close(self) -> None:
        self._control.close()
        self._process.wait(timeout=60)


@cache
def _launcher() -> Launcher:
    return Launcher()


def close_launcher() -> None:
    """End the process that forks, if there is one."""
    if _launcher.cache_info().currsize:
        _launcher().close()
        _launcher.cache_clear()


class Program:
    """A forked process, with the attributes of `subprocess.Popen` that tests use."""

    def __init__(self, streams: Sequence[int | None], text: bool, request: Mapping[str, Any]) -> None:
        files: list[IO[Any] | None] = []
        theirs: list[int] = []
        for number, stream in enumerate(streams):
            if stream != subprocess.PIPE:
                null = stream in (None, subprocess.DEVNULL)
                theirs.append(os.open(os.devnull, os.O_RDWR) if null else os.dup(stream or 0))
                files.append(None)
                continue
            reader, writer = os.pipe()
            ours, mode = (reader, "r") if number else (writer, "w")
            theirs.append(writer if number else reader)
            files.append(open(ours, mode if text else f"{mode}b", encoding="utf-8" if text else None))  # noqa: SIM115
        self.stdin, self.stdout, self.stderr = files
        self.returncode: int | None = None
        self._connection = _launcher().fork(theirs, request)
        for descriptor in theirs:
            os.close(descriptor)
        self._lines = self._connection.makefile("r", encoding="utf-8")
        self.pid = int(self._lines.readline())

    def poll(self) -> int | None:
        if self.returncode is None and wait([self._connection], 0):
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not wait([self._connection], timeout):
                raise subprocess.TimeoutExpired("memories-mcp", timeout or 0)
            self.returncode = int(self._lines.readline())
            self._lines.close()
            self._connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[Any, Any]:
        """Close stdin, and return what was written to stdout and stderr until the end."""
        if self.stdin:
            with suppress(BrokenPipeError):
                self.stdin.close()
        with ThreadPoolExecutor(2) as threads:
            reads = [
                threads.submit(file.read) if file and not file.closed else None for file in (self.stdout, self.stderr)
            ]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            texts = [read.result() if read else None for read in reads]
        for file in (self.stdout, self.stderr):
            if file:
                file.close()
        return texts[0], texts[1]


Process = Program | subprocess.Popen[Any]


def start_process(
    *arguments: str,
    code: str = MAIN,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int | None = subprocess.PIPE,
    stdout: int | None = subprocess.PIPE,
    stderr: int | None = subprocess.PIPE,
    text: bool = True,
    ignored: Sequence[int] = (),
) -> Process:
    """Start a program.

    Args:
        arguments: Its arguments.
        code: Its source.
        env: Its variables; those of this process are the default.
        cwd: Its current folder.
        stdin: A descriptor, `subprocess.PIPE` or `subprocess.DEVNULL`.
        stdout: The same.
        stderr: The same.
        text: Whether the pipes carry text.
        ignored: The signals that it ignores at its start.
    """
    if not hasattr(os, "fork"):
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments], env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr,
            text=text,
        )  # fmt: skip
    request = {
        "arguments": arguments, "code": code, "env": dict(os.environ if env is None else env),
        "cwd": str(cwd or Path.cwd()), "ignored": [*ignored],
    }  # fmt: skip
    return Program((stdin, stdout, stderr), text, request)


def run_process(*arguments: str, timeout: float = 60, **options: Any) -> subprocess.CompletedProcess[Any]:
    """Run a program to its end, with nothing on its standard input.

    Args:
        arguments: Its arguments.
        timeout: Seconds after which it is killed.
        options: Those of `start_process`.
    """
    options.setdefault("stdin", subprocess.DEVNULL)
    process = start_process(*arguments, **options)
    stdout, stderr = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(arguments, process.returncode or 0, stdout, stderr)
