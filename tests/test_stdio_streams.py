"""stdin and stdout of every kind: pipes, a file as stdin, a pipe that stdout shares with stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MESSAGES: list[dict[str, Any]] = [
    {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "ping"},
]  # fmt: skip
LINES = "".join(json.dumps(message) + "\n" for message in MESSAGES)
SERVER = [sys.executable, "-m", "memories_mcp"]


def answered(output: str) -> set[int]:
    return {json.loads(line)["id"] for line in output.splitlines()}


@pytest.mark.parametrize("stderr", [subprocess.PIPE, subprocess.STDOUT], ids=["of its own", "shared with stdout"])
def test_a_pipe_is_served_to_its_last_line(stderr: int) -> None:
    process = subprocess.Popen(SERVER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True)
    assert process.stdin
    assert process.stdout
    process.stdin.write(LINES.removesuffix("\n"))  # the last message without an end of the line
    process.stdin.flush()
    first = process.stdout.readline()
    rest, _ = process.communicate(timeout=60)

    assert json.loads(first)["id"] == 1
    assert answered(rest) <= {2}  # the end of stdin may overtake the answer
    assert process.returncode == 0


def test_a_file_as_stdin_is_served(tmp_path: Path) -> None:
    messages = tmp_path / "messages.jsonl"
    messages.write_text(LINES, encoding="utf-8")
    with messages.open() as stdin:
        done = subprocess.run(SERVER, stdin=stdin, capture_output=True, text=True, timeout=60, check=True)

    assert 1 in answered(done.stdout)


def test_what_a_library_prints_does_not_reach_the_client() -> None:
    program = (
        "import sys, threading, time; from memories_mcp.settings import Settings;"
        "from memories_mcp.server import app, stdio; make = app.make_server;"
        "stdio.make_server = lambda settings: (threading.Timer(0.2, lambda: print('noise', flush=True)).start(),"
        " make(settings))[1]; stdio.serve_stdio(Settings())"
    )
    command = [sys.executable, "-c", program]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stderr
    noise = process.stderr.readline()
    output, _ = process.communicate(LINES, timeout=60)

    assert noise == "noise\n"
    assert answered(output) <= {1, 2}


def test_the_terminal_side_of_a_pipe_blocks_again_afterwards() -> None:
    reading, writing = os.pipe()
    try:
        with subprocess.Popen(SERVER, stdin=subprocess.PIPE, stdout=writing) as process:
            process.communicate(b"", timeout=60)
        assert os.get_blocking(writing)
    finally:
        os.close(reading)
        os.close(writing)
