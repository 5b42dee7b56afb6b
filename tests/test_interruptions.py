"""What ends a command from outside: signals, closed streams, a missing home folder, a deleted current folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import MEETING

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
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEMORIES_")}
    return kept | variables


def until(condition: Callable[[], Any]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("the condition did not become true in time")


@contextmanager
def running(*arguments: str, service: str, root: Path, **options: Any) -> Generator[subprocess.Popen[str]]:
    variables = environment(
        MEMORIES_BASE_URL=service, MEMORIES_API_KEY="sk-x", MEMORIES_FILES_ROOT=str(root), MEMORIES_HTTP_FILES="true"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "memories_mcp", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables, cwd=root,
        **options,
    )  # fmt: skip
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
    def ignore_interrupts() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    arguments = ("call", "download_video", '{"video_no": "VI1", "path": "new/a.mp4"}')
    with running(*arguments, service=stalled_service, root=tmp_path, preexec_fn=ignore_interrupts) as process:
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


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_to_a_stdio_server_leaves_no_incomplete_download(
    stalled_service: str, tmp_path: Path, number: signal.Signals
) -> None:
    with running(service=stalled_service, root=tmp_path) as process:
        assert process.stdin
        for message in (HELLO, {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": DOWNLOAD}):
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
        until(lambda: has_part(tmp_path))
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)

    assert (process.returncode, errors) == (128 + number, "")
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
    "transcript": ["transcript", MEETING],
    "upload": ["upload", "door.jpg"],
    "download": ["download", MEETING],
    "tools": ["tools"],
    "call": ["call", "list_videos"],
    "install": ["install", "cursor", "--dry-run"],
    "doctor": ["doctor"],
    "sandbox": ["sandbox", "--port", "0"],
    "--version": ["--version"],
    "--help": ["--help"],
}
SERVING = {"sandbox"}


def test_every_command_is_tried() -> None:
    [commands] = [action.choices for action in make_parser()._actions if action.dest == "command"]  # pyright: ignore
    assert set(commands or ()) <= COMMANDS.keys()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    import shutil

    from memories_mcp.sandbox import demo_data

    shutil.copy(demo_data.MEDIA / "red-door.jpg", tmp_path / "door.jpg")
    return tmp_path


def finish(
    command: str, launcher: list[str], folder: Path, stdout: int = subprocess.PIPE, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, by SIGTERM if it serves."""
    process = subprocess.Popen(
        [*launcher, "--sandbox", *COMMANDS[command]],
        stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, cwd=folder, env=env or environment(),
    )  # fmt: skip
    if command in SERVING:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=2)
        process.terminate()
    output, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess([], process.returncode, output, errors)


ENDED = {0, 143, -signal.SIGTERM}
"""The ends of a command without a failure; a command that serves may still be starting when it is stopped."""
MODULE = [sys.executable, "-m", "memories_mcp"]


@pytest.mark.parametrize(
    ("command", "unbuffered"), [*((command, []) for command in COMMANDS), ("search", ["-u"]), ("sandbox", ["-u"])]
)
def test_a_closed_pipe_is_no_error_to_report(command: str, unbuffered: list[str], folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = finish(command, [MODULE[0], *unbuffered, *MODULE[1:]], folder, stdout=writer)
    os.close(writer)

    assert result.stderr == b""


def test_the_demo_ends_in_silence_when_its_reader_has_enough(folder: Path) -> None:
    process = subprocess.Popen(
        [*MODULE, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), cwd=folder
    )
    assert process.stdout
    assert process.stderr
    for _ in range(4):
        process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()

    assert (process.wait(timeout=30), errors) == (141, b"")


@pytest.mark.parametrize(
    ("command", "closed"),
    [*((command, (0, 1, 2)) for command in COMMANDS), ("download", (1,)), ("call", (0,)), ("upload", (2,))],
)
def test_closed_streams_are_no_bug(command: str, closed: tuple[int, ...], folder: Path) -> None:
    closing = "; ".join(["import os, sys", *(f"os.close({number})" for number in closed)])
    launcher = [sys.executable, "-c", f"{closing}; os.execv(sys.executable, sys.argv[1:])", *MODULE]
    result = finish(command, launcher, folder)

    assert b"Traceback" not in result.stderr
    assert result.returncode in ENDED
    if command == "download":
        assert (folder / f"{MEETING}.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device is Linux's")
@pytest.mark.parametrize("command", ["demo", "search", "tools"])
def test_output_that_cannot_be_written_is_one_line(command: str, folder: Path) -> None:
    with open("/dev/full", "w") as full:
        result = finish(command, MODULE, folder, stdout=full.fileno())

    assert b"No space left on device" in result.stderr
    assert result.stderr.count(b"\n") == 1
    assert result.returncode in {1, 2}


@pytest.mark.parametrize("command", ["demo", "ask", "upload", "tools", "call", "doctor"])
def test_a_console_of_ascii_shows_question_marks(command: str, folder: Path) -> None:
    variables = environment(LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    result = finish(command, MODULE, folder, env=variables)

    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.isascii()


WITHOUT_HOME = """
import os, pwd, sys
def getpwuid(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = getpwuid
from memories_mcp.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
"""The program under a user without a name, as `docker run --user 1234` gives it."""


@pytest.mark.parametrize(
    ("command", "root"), [*((command, "") for command in COMMANDS), ("tools", "~/videos"), ("doctor", "~/videos")]
)
def test_without_a_home_folder_the_error_is_clear(command: str, root: str, folder: Path) -> None:
    variables = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    variables |= {"MEMORIES_FILES_ROOT": root} if root else {}
    result = finish(command, [sys.executable, "-c", WITHOUT_HOME], folder, env=variables)
    output = result.stdout + result.stderr

    assert b"Traceback" not in output
    if root:
        assert b"MEMORIES_FILES_ROOT is '~/videos'" in output
    elif command == "install":
        assert b"The home folder is unknown: HOME is not set. Set HOME" in output
    else:
        assert result.returncode in ENDED


@pytest.mark.parametrize("command", ["", "demo", "search", "upload", "download", "install", "doctor", "sandbox"])
def test_a_deleted_current_folder_is_no_bug(command: str, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    deleting = f"import os, sys; os.rmdir({str(gone)!r}); os.execv(sys.executable, sys.argv[1:])"
    result = finish(command, [sys.executable, "-c", deleting, *MODULE], gone)

    assert b"Traceback" not in result.stderr
    if command in {"upload", "download"}:
        assert result.returncode == 1
        assert b"leads nowhere. Check the path and the current folder." in result.stderr
    else:
        assert result.returncode in ENDED
