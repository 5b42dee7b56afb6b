"""The server as a real process: how it starts, what it prints, how it stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

BASE = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
HELLO: dict[str, Any] = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}  # fmt: skip


# A call that lasts some seconds and reports its progress.
WAITING: dict[str, Any] = {
    "jsonrpc": "2.0", "id": 2, "method": "tools/call",
    "params": {
        "name": "upload_video_url", "arguments": {"url": "https://x.example/a.mp4", "wait_seconds": 40},
        "_meta": {"progressToken": 1},
    },
}  # fmt: skip


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEMORIES_")}
    return kept | variables


@contextmanager
def process(*arguments: str, **variables: str) -> Generator[subprocess.Popen[str], None, None]:
    started = subprocess.Popen(
        [sys.executable, "-m", "memories_mcp", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**variables),
    )  # fmt: skip
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        for stream in (started.stdin, started.stdout, started.stderr):
            with suppress(OSError):
                assert stream
                stream.close()
        started.wait(timeout=60)


@contextmanager
def http(*arguments: str, **variables: str) -> Generator[tuple[subprocess.Popen[str], httpx2.Client], None, None]:
    with process("--transport", "http", "--port", "0", *arguments, **variables) as started:
        assert started.stderr
        said = started.stderr.readline()
        url = said.split()[3].removesuffix("/mcp,")
        assert url.startswith("http://127.0.0.1:"), said
        with httpx2.Client(base_url=url, trust_env=False, timeout=60) as client:
            until(lambda: answers(client))
            yield started, client


def answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx2.TransportError:
        return False


def until(true: Callable[[], bool]) -> None:
    for _ in range(1200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come true in time")


def interrupted(started: subprocess.Popen[str]) -> int:
    started.send_signal(signal.SIGINT)
    return started.wait(timeout=60)


@pytest.mark.parametrize("arguments", [["--sandbox"], []])
def test_ctrl_c_stops_a_stdio_server_that_idles(arguments: list[str]) -> None:
    with process(*arguments) as started:
        assert started.stdin
        assert started.stdout
        assert started.stderr
        started.stdin.write(json.dumps(HELLO) + "\n")
        started.stdin.flush()
        started.stdout.readline()

        assert interrupted(started) == 130
        assert started.stderr.read() == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
@pytest.mark.parametrize("command", [["--sandbox"], ["sandbox", "--port", "0"]])
def test_sigterm_leaves_nothing_of_the_sandbox_behind(command: list[str], tmp_path: Path) -> None:
    with process(*command, TMPDIR=str(tmp_path)) as started:
        assert started.stdin
        assert started.stdout
        started.stdin.write(json.dumps(HELLO) + "\n")
        started.stdin.flush()
        started.stdout.readline()
        started.send_signal(signal.SIGTERM)
        assert started.wait(timeout=60) in {130, 143}

    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_stops_a_stdio_server_to_which_nobody_ever_spoke() -> None:
    with process() as started:
        time.sleep(1.5)  # nothing tells from outside that it waits; on a slow machine Python itself is interrupted

        assert interrupted(started) in {130, -signal.SIGINT}


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_an_http_server_stops_cleanly_while_clients_listen(sign: signal.Signals) -> None:
    with http("--sandbox") as (started, client):
        begun = client.post("/mcp", json=HELLO, headers=BASE)
        session = {**BASE, "mcp-session-id": begun.headers["mcp-session-id"]}
        with client.stream("GET", "/sse") as stream, client.stream("GET", "/mcp", headers=session):
            next(stream.iter_lines())
            started.send_signal(sign)
            assert started.wait(timeout=60) == 0
        assert started.stderr
        assert started.stderr.read() == ""


def test_sigterm_lets_a_call_under_way_finish() -> None:
    with http("--sandbox") as (started, client):
        begun = client.post("/mcp", json=HELLO, headers=BASE)
        session = {**BASE, "mcp-session-id": begun.headers["mcp-session-id"]}
        client.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=session)
        with client.stream("POST", "/mcp", json=WAITING, headers=session) as stream:
            lines = (line for line in stream.iter_lines() if line.startswith("data: {"))
            assert "notifications/progress" in next(lines)
            started.send_signal(signal.SIGTERM)
            *_, answer = lines

        assert '"status":"ready"' in answer.replace(" ", "")
        assert started.wait(timeout=60) == 0


def test_a_client_that_leaves_in_the_middle_of_a_call_leaves_no_word_behind() -> None:
    with http("--sandbox") as (started, client):
        begun = client.post("/mcp", json=HELLO, headers=BASE)
        session = {**BASE, "mcp-session-id": begun.headers["mcp-session-id"]}
        with client.stream("POST", "/mcp", json=WAITING, headers=session) as stream:
            lines = stream.iter_lines()
            assert any("notifications/progress" in line for line in lines)
        with client.stream("GET", "/sse") as stream:
            next(stream.iter_lines())
        time.sleep(0.5)
        started.send_signal(signal.SIGTERM)
        started.wait(timeout=60)
        assert started.stderr
        assert "Traceback" not in started.stderr.read()


def test_what_a_caller_sends_is_not_logged_even_where_it_is_malformed() -> None:
    with http("--sandbox") as (started, client):
        with client.stream("GET", "/sse") as stream:
            lines = stream.iter_lines()  # the stream is open for as long as these are
            endpoint = next(line for line in lines if line.startswith("data: "))[6:]
            answer = client.post(endpoint, content=b'{"jsonrpc": "my secret prompt"}', headers=BASE)
        started.send_signal(signal.SIGTERM)
        started.wait(timeout=60)
        assert started.stderr
        said = started.stderr.read()

    assert answer.status_code == 400
    assert "secret prompt" not in said
    assert "Traceback" not in said


def test_a_key_that_serves_nobody_is_explained_at_start() -> None:
    with http(MEMORIES_API_KEY="sk-own") as (started, _):
        assert started.stderr
        assert "MEMORIES_API_KEY is not used for HTTP requests without MEMORIES_HTTP_TOKEN" in started.stderr.readline()


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (["--transport", "http", "--host", "0.0.0.0"], {}, "Refusing to listen on 0.0.0.0 without MEMORIES_HTTP_TOKEN"),
        (["--transport", "sse", "--host", ""], {}, "Refusing to listen on every address"),
        (["--transport", "http", "--host", "no.such.invalid"], {"MEMORIES_HTTP_TOKEN": "0" * 16}, "Cannot listen on"),
        (["--transport", "http", "--port", "99999"], {}, "Cannot listen on port 99999"),
        (["--transport", "http"], {"MEMORIES_HTTP_TOKEN": "short"}, "MEMORIES_HTTP_TOKEN: use at least 16"),
        ([], {"MEMORIES_SECRET": "short"}, "MEMORIES_SECRET: use at least 32 random characters"),
        (["--transport", "http"], {"MEMORIES_ALLOWED_HOSTS": "https://x.example"}, "is not a host name"),
        ([], {"MEMORIES_LOG_LEVEL": "loud"}, "use debug, info, warning or error"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_refused_at_start_with_the_reason(
    arguments: list[str], variables: dict[str, str], words: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "memories_mcp", *arguments],
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, env=environment(**variables),
    )  # fmt: skip

    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "short" not in done.stderr


def test_a_port_that_is_taken_is_refused_at_start() -> None:
    with http() as (_, client):
        port = str(client.base_url.port)
        done = subprocess.run(
            [sys.executable, "-m", "memories_mcp", "--transport", "http", "--port", port],
            capture_output=True, text=True, timeout=60, env=environment(),
        )  # fmt: skip

    assert done.returncode == 2
    assert f"Cannot listen on port {port} of 127.0.0.1" in done.stderr


@pytest.mark.parametrize("answer", [{"action": "bogus"}, {}, {"action": "accept", "content": {"confirm": {"x": 1}}}])
def test_an_answer_to_a_form_that_is_none_counts_as_no(answer: dict[str, Any]) -> None:
    delete = {"name": "delete_videos", "arguments": {"video_nos": ["VI612515093881740229"]}}
    messages: list[dict[str, Any]] = [
        {**HELLO, "params": {**HELLO["params"], "capabilities": {"elicitation": {}}}},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": delete},
    ]
    with process("--sandbox") as started:
        assert started.stdin
        assert started.stdout
        assert started.stderr
        received: dict[str, Any] = {}
        for message in messages:
            started.stdin.write(json.dumps(message) + "\n")
            started.stdin.flush()
            received = json.loads(started.stdout.readline())
        assert received["method"] == "elicitation/create"
        started.stdin.write(json.dumps({"jsonrpc": "2.0", "id": received["id"], "result": answer}) + "\n")
        started.stdin.flush()
        result = json.loads(started.stdout.readline())["result"]
        started.stdin.close()
        started.wait(timeout=60)
        said = started.stderr.read()

    assert result["isError"]
    assert "declined; nothing was changed" in result["content"][0]["text"]
    assert said == ""


@pytest.mark.parametrize("links", ["", "true"])
@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_clients_of_every_handshake_version_are_served(version: str, links: str) -> None:
    with process("--sandbox", MEMORIES_LINKS=links) as started:

        def ask(number: int, method: str, **params: Any) -> Any:
            assert started.stdin
            assert started.stdout
            message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            started.stdin.write(json.dumps(message) + "\n")
            started.stdin.flush()
            return json.loads(started.stdout.readline())

        hello = ask(1, "initialize", **HELLO["params"] | {"protocolVersion": version})
        call = ask(2, "tools/call", name="search_videos", arguments={"query": "price"})
        listed = ask(3, "resources/list")

    kinds = [each["type"] for each in call["result"]["content"]]
    assert hello["result"]["protocolVersion"] == version
    assert kinds[0] == "text"
    assert ("resource_link" in kinds) == (bool(links) and version >= "2025-06-18")
    assert len(listed["result"]["resources"]) > 2
