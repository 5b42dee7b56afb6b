"""What ends a command from outside: signals, closed streams, a missing home folder, a deleted current folder."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import pytest
from command_line import run_program
from conftest import MEETING
from processes import MAIN, Process, run_process, start_process

from memories_mcp.cli.main import main
from memories_mcp.cli.parser import make_parser

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and descriptors are POSIX's")

SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


@pytest.fixture
def stalled_service() -> Iterator[str]:
    """The URL of a service that sends the first part of a download and then nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections: list[socket.socket] = []

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connections.append(connection)
                    connection.recv(65536)
                    head = b"HTTP/1.1 200 OK\r\ncontent-type: video/mp4\r\ncontent-length: 9000000\r\n\r\n"
                    connection.sendall(head + b"\0\0\0\x20ftypisom" + bytes(600_000))

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=10)
        for connection in connections:
            connection.close()


def environment(**variables: str) -> dict[str, str]:
    own = {"PYTHONUNBUFFERED"}  # by which no output would wait in a buffer
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEMORIES_") and name not in own}
    return kept | variables


def until(condition: Callable[[], Any]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("the condition did not become true in time")


@contextmanager
def running(*arguments: str, service: str, root: Path, **options: Any) -> Generator[Process]:
    variables = environment(
        MEMORIES_BASE_URL=service, MEMORIES_API_KEY="sk-x", MEMORIES_FILES_ROOT=str(root), MEMORIES_HTTP_FILES="true"
    )
    process = start_process(*arguments, env=variables, cwd=root, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=10)


def has_part(root: Path) -> bool:
    return any(path.name.endswith(".part") and path.stat().st_size for path in root.rglob("*"))


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_during_a_download_leaves_no_file(
    stalled_service: str, tmp_path: Path, number: signal.Signals
) -> None:
    with running("download", "VI1", "a.mp4", service=stalled_service, root=tmp_path) as process:
        until(lambda: has_part(tmp_path))
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)

    assert process.returncode == 128 + number
    assert errors == ""
    assert list(tmp_path.iterdir()) == []


def test_sigterm_ends_a_download_that_runs_in_the_background_of_a_script(stalled_service: str, tmp_path: Path) -> None:
    arguments = ("call", "download_video", '{"video_no": "VI1", "path": "new/a.mp4"}')
    with running(*arguments, service=stalled_service, root=tmp_path, ignored=[signal.SIGINT, signal.SIGHUP]) as process:
        until(lambda: has_part(tmp_path))
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)

    assert (process.returncode, errors) == (143, "")
    assert list(tmp_path.iterdir()) == []


HELLO: dict[str, Any] = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}  # fmt: skip
DOWNLOAD = {"name": "download_video", "arguments": {"video_no": "VI1", "path": "new/a.mp4"}}


def test_sighup_to_a_stdio_server_leaves_no_incomplete_download(stalled_service: str, tmp_path: Path) -> None:
    with running(service=stalled_service, root=tmp_path) as process:
        assert process.stdin
        for message in (HELLO, {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": DOWNLOAD}):
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
        until(lambda: has_part(tmp_path))
        process.send_signal(signal.SIGHUP)
        _, errors = process.communicate(timeout=20)

    assert (process.returncode, errors) == (128 + signal.SIGHUP, "")
    assert list(tmp_path.iterdir()) == []


def test_a_second_signal_to_an_http_server_leaves_no_incomplete_download(stalled_service: str, tmp_path: Path) -> None:
    import httpx2

    with running("--transport", "http", "--port", "0", service=stalled_service, root=tmp_path) as process:
        assert process.stderr
        url = process.stderr.readline().split()[3].rstrip(",")
        headers = {"accept": "application/json, text/event-stream", "authorization": "Bearer sk-x"}

        def post(message: dict[str, Any], **more: str) -> str:
            with suppress(httpx2.TransportError):
                response = httpx2.post(url, json=message, headers=headers | more, timeout=20, trust_env=False)
                return response.headers["mcp-session-id"]
            return ""

        sessions: list[str] = []

        def begin() -> bool:
            sessions.append(post(HELLO))
            return bool(sessions[-1])

        until(begin)
        session = {"mcp-session-id": sessions[-1]}
        call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": DOWNLOAD}
        thread = threading.Thread(target=post, args=(call,), kwargs=session)
        thread.start()
        until(lambda: has_part(tmp_path))
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        thread.join(timeout=20)

    assert list(tmp_path.iterdir()) == []


COMMANDS: dict[str, list[str]] = {
    "": [],
    "demo": ["demo"],
    "search": ["search", "pricing"],
    "ask": ["ask", "pricing"],
    "show": ["show", f"{MEETING}#t=3:32", "--no-open", "--page", "moments.html", "--overwrite"],
    "transcript": ["transcript", MEETING],
    "list": ["list"],
    "status": ["status", MEETING],
    "upload": ["upload", "door.jpg"],
    "download": ["download", MEETING],
    "delete": ["delete", MEETING, "--yes"],
    "tools": ["tools"],
    "call": ["call", "list_videos"],
    "install": ["install", "cursor", "--dry-run"],
    "doctor": ["doctor"],
    "sandbox": ["sandbox", "--port", "0"],
    "--version": ["--version"],
    "--help": ["--help"],
}


def test_every_command_is_tried() -> None:
    [commands] = [action.choices for action in make_parser()._actions if action.dest == "command"]  # pyright: ignore
    assert set(commands or ()) <= COMMANDS.keys()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    import shutil

    from memories_mcp.sandbox import demo_data

    folder = tmp_path / "files"
    folder.mkdir()
    shutil.copy(demo_data.MEDIA / "red-door.jpg", folder / "door.jpg")
    return folder


ENDED = {0, 143}
"""The ends of a command without a failure; a command that serves is stopped by SIGTERM."""


def run_here(command: str, folder: Path, stdout: TextIO) -> subprocess.CompletedProcess[str]:
    """Run a command that does not serve in this process."""
    with chdir(folder):
        return run_program(lambda: main(["--sandbox", *COMMANDS[command]]), stdout=stdout)


@contextmanager
def closed_pipe() -> Generator[int]:
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    with suppress(OSError):
        os.close(writer)


@pytest.mark.parametrize(
    "command", ["ask", "transcript", "upload", "download", "tools", "call", "install", "doctor", "--help"]
)
def test_a_closed_pipe_is_no_error_to_report(command: str, folder: Path) -> None:
    with closed_pipe() as writer, open(writer, "w", encoding="utf-8") as stdout:
        result = run_here(command, folder, stdout)

    assert result.stderr == ""
    assert result.returncode in {1, 141}  # a table of rich ends with 1


UNBUFFERED = "import sys; sys.stdout.reconfigure(line_buffering=True, write_through=True)"


@pytest.mark.parametrize(
    ("command", "unbuffered"), [("", False), ("search", False), ("search", True), ("sandbox", False)]
)
def test_a_process_with_a_closed_pipe_ends_in_silence(command: str, unbuffered: bool, folder: Path) -> None:
    with closed_pipe() as writer:
        code = f"{UNBUFFERED}\n{MAIN}" if unbuffered else MAIN
        result = run_process("--sandbox", *COMMANDS[command], code=code, stdout=writer, cwd=folder, env=environment())

    assert (result.returncode, result.stderr) == (141 if command else 0, "")


def test_the_demo_ends_in_silence_when_its_reader_has_enough(folder: Path) -> None:
    process = start_process("demo", stdin=subprocess.DEVNULL, env=environment(), cwd=folder)
    assert process.stdout
    assert process.stderr
    for _ in range(4):
        process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()

    assert (process.wait(timeout=30), errors) == (141, "")


RUNNER = """
import asyncio, json, os, signal, sys, traceback
from memories_mcp.cli.main import main
import uvicorn

startup = uvicorn.Server.startup

async def start_and_stop(self, sockets=None):
    await startup(self, sockets)
    asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), signal.SIGTERM)

def close(numbers):
    for number in numbers:
        setattr(sys, ("stdin", "stdout", "stderr")[number], None)
        try:
            os.close(number)
        except OSError:
            pass

def run(arguments):
    uvicorn.Server.startup = start_and_stop if arguments[0:1] == ["sandbox"] else startup
    try:
        return main(["--sandbox", *arguments])
    except SystemExit as end:
        return end.code
    except BaseException:
        return traceback.format_exc()

path, closed, commands = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
endings = []
for name, arguments, variables in commands:
    close(closed)
    os.environ.update(variables)
    code = run(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    endings.append((name, code, 0 if 2 in closed else os.lseek(2, 0, os.SEEK_CUR)))
with open(path, "w") as file:
    json.dump(endings, file)
"""
"""Runs commands one after another, each without the streams that the process was started without."""


def run_without_streams(
    closed: Sequence[int], runs: Sequence[tuple[str, dict[str, str]]], results: Path, preparation: str, **options: Any
) -> list[tuple[str, Any, bytes]]:
    """Run commands in one process with closed streams, and return the name, the exit code and the output of each.

    Args:
        closed: Which of the three streams are closed.
        runs: The commands and further variables for each.
        results: A folder.
        preparation: Code that runs before Python starts the commands.
        options: How to start the process.
    """
    commands = [(command, COMMANDS[command], variables) for command, variables in runs]
    with open(results / "output", "wb") as output:
        result = run_process(
            str(results / "endings"), json.dumps(closed), json.dumps(commands), code=preparation + RUNNER,
            stdout=output.fileno(), stderr=output.fileno(), timeout=240, **options,
        )  # fmt: skip
    assert result.returncode == 0
    printed = (results / "output").read_bytes()
    endings = json.loads((results / "endings").read_text())
    starts = [0, *(end for _, _, end in endings)]
    return [(name, code, printed[start:end]) for start, (name, code, end) in zip(starts, endings, strict=False)]


NAMELESS = """
import os, pwd
def getpwuid(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = getpwuid
"""
"""A user without a name, as `docker run --user 1234` gives it."""


def without_home() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}


def test_without_streams_and_a_home_commands_do_their_work(folder: Path, tmp_path: Path) -> None:
    commands = [command for command in COMMANDS if command not in {"demo", "install"}]
    runs = [*((command, dict[str, str]()) for command in commands), ("install", {"HOME": str(tmp_path)})]
    endings = run_without_streams([0, 1, 2], runs, tmp_path, NAMELESS, cwd=folder, env=without_home())

    assert [(command, code) for command, code, _ in endings if code not in ENDED] == []
    assert len(endings) == len(runs)
    assert (folder / f"{MEETING}.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.parametrize(("command", "closed"), [("download", 1), ("upload", 2)])
def test_one_closed_stream_is_no_bug(command: str, closed: int, folder: Path) -> None:
    closing = f"import os, sys; sys.{'stdout' if closed == 1 else 'stderr'} = None; os.close({closed})"
    result = run_process("--sandbox", *COMMANDS[command], code=f"{closing}\n{MAIN}", cwd=folder, env=environment())

    assert "Traceback" not in result.stderr
    assert result.returncode == 0
    if command == "download":
        assert (folder / f"{MEETING}.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device is Linux's")
@pytest.mark.parametrize("command", ["demo", "search", "tools"])
def test_output_that_cannot_be_written_is_one_line(command: str, folder: Path) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = run_here(command, folder, full)

    assert "No space left on device" in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.returncode == 1


@pytest.mark.parametrize("command", ["ask", "upload", "tools", "call", "doctor"])
def test_a_console_of_ascii_shows_question_marks(command: str, folder: Path) -> None:
    with io.TextIOWrapper(io.BytesIO(), encoding="ascii") as stdout:
        result = run_here(command, folder, stdout)
        output = stdout.buffer.getvalue()

    assert (result.returncode, result.stderr) == (0, "")
    assert output
    assert output.isascii()


def test_a_process_on_a_console_of_ascii_shows_question_marks() -> None:
    variables = environment(LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    command = [sys.executable, "-m", "memories_mcp", "--sandbox", *COMMANDS["ask"]]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=variables, timeout=60)

    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout
    assert result.stdout.isascii()


def test_without_a_home_and_a_current_folder_commands_that_need_them_say_so(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    root = {"MEMORIES_FILES_ROOT": "~/videos"}
    # The demo is a client of the server, and a process more.
    commands = [command for command in COMMANDS if command != "demo"]
    runs = [*((command, dict[str, str]()) for command in commands), ("tools", root), ("doctor", root)]
    endings = run_without_streams(
        [0], runs, tmp_path, f"{NAMELESS}\nos.rmdir({str(gone)!r})\n", cwd=gone, env=without_home()
    )

    assert [command for command, _ in runs] == [command for command, _, _ in endings]
    for command, code, output in endings[:-2]:
        assert b"Traceback" not in output
        if command in {"upload", "download", "show"}:
            assert code == 1
            assert b"leads nowhere. Check the path and the current folder." in output
        elif command == "install":
            assert code == 2
            assert b"The home folder is unknown: HOME is not set. Set HOME" in output
        else:
            assert code in ENDED, (command, code, output)
    for _, _, output in endings[-2:]:
        assert b"MEMORIES_FILES_ROOT is '~/videos'" in output
