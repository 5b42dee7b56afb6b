"""Lines of stdin that are no messages: each is answered with its id and the reason, and the server goes on."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from processes import Process, start_process

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
ENVELOPE = {
    "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": HELLO["clientInfo"],
        "io.modelcontextprotocol/clientCapabilities": {},
    }
}


class Server:
    """A server over stdio; `era` decides what every request carries."""

    def __init__(self, process: Process, log: Path, era: str) -> None:
        self.process = process
        self._log = log
        self.envelope = ENVELOPE if era == "2026-07-28" else {}

    def send(self, line: bytes) -> dict[str, Any]:
        """Send a line and return the next answer."""
        assert self.process.stdin
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()
        return self.receive()

    def receive(self) -> dict[str, Any]:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def request(self, number: int, method: str, **params: Any) -> bytes:
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, **self.envelope}}
        return json.dumps(message).encode()

    def logged(self) -> str:
        return self._log.read_text()


@pytest.fixture(scope="module", params=["legacy", "2026-07-28"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MEMORIES_")}
    path = tmp_path_factory.mktemp("server") / "log"
    with path.open("wb") as log:
        process = start_process("--sandbox", stderr=log.fileno(), text=False, env=variables)
    assert process.stdin
    assert process.stdout
    guard = threading.Timer(600, process.kill)  # no read below waits for ever
    guard.start()
    server = Server(process, path, request.param)
    try:
        if request.param == "legacy":
            assert "result" in server.send(server.request(1, "initialize", **HELLO))
        else:
            assert "result" in server.send(server.request(1, "tools/list"))
        yield server
        process.stdin.close()
        assert process.wait(timeout=60) == 0
    finally:
        guard.cancel()
        process.kill()
        process.stdout.close()
        with suppress(OSError):
            process.stdin.close()
        process.wait(timeout=60)


def test_a_line_that_is_no_message_is_answered_logged_and_leaves_the_server_running(server: Server) -> None:
    listed = server.request(7, "tools/call", name="list_videos", arguments={"video_name": "MARK"})
    cases: list[tuple[bytes, int, int | str | None, str]] = [
        (listed.replace(b"MARK", b"\\ud800"), -32700, 7, "surrogate pair"),
        (listed.replace(b"MARK", b"\\udc00 x"), -32700, 7, "surrogate pair"),
        (listed.replace(b"MARK", b"\xff\xfe"), -32700, 7, "not valid UTF-8"),
        (listed.replace(b"MARK", b"a\xed\xa0\x80"), -32700, 7, "not valid UTF-8"),
        (b"\xef\xbb\xbf" + listed, -32700, 7, "byte order mark"),
        (listed.replace(b'"id": 7', b'"id": "seven"').replace(b"MARK", b"\xff"), -32700, "seven", "not valid UTF-8"),
        (listed[:-1], -32700, 7, "EOF"),
        (listed.replace(b'"MARK"', b"[" * 5000), -32700, 7, "recursion limit"),
        (b"hello", -32700, None, "expected value"),
        (b"", -32700, None, "the line is empty"),
        (b"[" + listed + b"]", -32600, 7, "batches are not supported"),
        (b"[]", -32600, None, "batches are not supported"),
        (b"5", -32600, None, "no JSON-RPC 2.0 message"),
        (b'{"id": 9}', -32600, 9, "no JSON-RPC 2.0 message"),
        (b'{"jsonrpc": "2.0", "id": 9, "method": "tools/list", "params": []}', -32602, 9, "params is not an object"),
        (b"x" * (17 * 1024**2), -32700, None, "longer than"),
    ]
    before = server.logged()
    for line, code, request_id, reason in cases:
        answer = server.send(line)

        assert (answer["error"]["code"], answer["id"]) == (code, request_id), line[:200]
        assert reason in answer["error"]["message"]
        assert len(answer["error"]["message"]) < 300
    again = server.send(server.request(8, "tools/call", name="list_videos", arguments={"size": 1}))
    log = server.logged().removeprefix(before)

    assert again["id"] == 8
    assert again["result"]["structuredContent"]["videos"]
    assert log.count("refused a line of stdin") == len(cases)
    assert "MARK" not in log
    assert "Traceback" not in log


def test_every_request_of_a_batch_is_answered(server: Server) -> None:
    first = server.send(b"[" + server.request(5, "tools/list") + b"," + server.request(6, "tools/list") + b"]")

    assert (first["id"], server.receive()["id"]) == (5, 6)


@pytest.mark.parametrize("arguments", ["[]", "null", "{}"])
def test_empty_arguments_may_be_written_as_a_list_or_null(server: Server, arguments: str) -> None:
    call = server.request(2, "tools/call", name="list_sessions", arguments="MARK")
    answer = server.send(call.replace(b'"MARK"', arguments.encode()))

    assert answer["result"]["structuredContent"]["sessions"]


def test_a_long_message_is_served(server: Server) -> None:
    arguments = {"query": "price", "tag": "x" * 3_000_000}
    answer = server.send(server.request(2, "tools/call", name="search_videos", arguments=arguments))

    assert "tag: " in answer["result"]["content"][0]["text"]
