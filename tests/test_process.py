"""The server as a real process: how it starts, what it prints, how it stops."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from command_line import run_cli
from http_clients import bearer_key
from processes import Process, start_process

from memories_mcp.loopback import bind
from memories_mcp.server.http.app import run_http_server
from memories_mcp.settings import Settings

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
def process(*arguments: str, **variables: str) -> Generator[Process, None, None]:
    started = start_process(*arguments, env=environment(**variables))
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
def http(*arguments: str, **variables: str) -> Generator[tuple[Process, httpx2.Client], None, None]:
    with process("--transport", "http", "--port", "0", *arguments, **variables) as started:
        assert started.stderr
        line = started.stderr.readline()
        url = line.split()[3].removesuffix("/mcp,")
        assert url.startswith("http://127.0.0.1:"), line
        with httpx2.Client(base_url=url, trust_env=False, timeout=60) as client:
            until(lambda: answers(client))
            yield started, client


def answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx2.TransportError:
        return False


def until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("the condition did not become true in time")


def interrupt(started: Process) -> int:
    started.send_signal(signal.SIGINT)
    return started.wait(timeout=60)


def exchange(started: Process, message: dict[str, Any]) -> dict[str, Any]:
    """Send a message over stdio and return the next one."""
    assert started.stdin
    assert started.stdout
    started.stdin.write(json.dumps(message) + "\n")
    started.stdin.flush()
    return json.loads(started.stdout.readline())


def test_ctrl_c_stops_a_stdio_server_that_idles_or_never_received_a_message() -> None:
    with process() as silent, process() as idle:
        exchange(idle, HELLO)

        assert interrupt(idle) == 130
        # Both started at the same time; on a busy machine this one still starts, and Python itself is interrupted.
        assert interrupt(silent) in {130, -signal.SIGINT}
        assert idle.stderr
        assert idle.stderr.read() == ""


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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
def test_sigterm_leaves_nothing_of_the_downloaded_videos_behind(tmp_path: Path) -> None:
    call = {"name": "get_frame", "arguments": {"ref": "VI612515093881740229#t=3,5"}}
    with process("--sandbox", "--toolsets", "frames", TMPDIR=str(tmp_path)) as started:
        exchange(started, HELLO)
        answer = exchange(started, {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call})
        kept = [path for path in tmp_path.glob("memories-mcp-videos-*/*") if path.stat().st_size]
        started.send_signal(signal.SIGTERM)
        assert started.wait(timeout=60) in {130, 143}

    assert [block["type"] for block in answer["result"]["content"]] == ["text", "image"]
    assert len(kept) == 1
    assert list(tmp_path.iterdir()) == []


def begin(client: httpx2.Client) -> dict[str, str]:
    """Begin a session and return the headers of its requests."""
    begun = client.post("/mcp", json=HELLO, headers=BASE)
    headers = {**BASE, "mcp-session-id": begun.headers["mcp-session-id"]}
    client.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=headers)
    return headers


def test_an_http_server_stops_cleanly_while_clients_listen() -> None:
    with http("--sandbox") as (started, client):
        session = begin(client)
        with client.stream("GET", "/sse") as stream, client.stream("GET", "/mcp", headers=session):
            next(stream.iter_lines())
            started.send_signal(signal.SIGINT)
            assert started.wait(timeout=60) == 0
        assert started.stderr
        assert started.stderr.read() == ""


def test_sigterm_lets_a_call_under_way_finish() -> None:
    with http("--sandbox") as (started, client):
        with client.stream("POST", "/mcp", json=WAITING, headers=begin(client)) as stream:
            lines = (line for line in stream.iter_lines() if line.startswith("data: {"))
            assert "notifications/progress" in next(lines)
            started.send_signal(signal.SIGTERM)
            *_, answer = lines

        assert '"status":"ready"' in answer.replace(" ", "")
        assert started.wait(timeout=60) == 0


def test_neither_a_malformed_message_nor_a_client_that_leaves_during_a_call_is_logged() -> None:
    with http("--sandbox") as (started, client):
        with client.stream("POST", "/mcp", json=WAITING, headers=begin(client)) as stream:
            assert any("notifications/progress" in line for line in stream.iter_lines())
        with client.stream("GET", "/sse") as stream:
            lines = stream.iter_lines()  # the stream is open for as long as these are
            endpoint = next(line for line in lines if line.startswith("data: "))[6:]
            answer = client.post(endpoint, content=b'{"jsonrpc": "my secret prompt"}', headers=BASE)
        started.send_signal(signal.SIGTERM)
        started.wait(timeout=60)
        assert started.stderr
        log = started.stderr.read()

    assert answer.status_code == 400
    assert "secret prompt" not in log
    assert "Traceback" not in log


@pytest.fixture
def no_serving(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an HTTP server end as soon as it would serve."""

    async def end(*_: Any) -> None: ...

    monkeypatch.setattr("uvicorn.Server.serve", end)


def test_a_key_that_serves_nobody_is_explained_at_start(no_serving: None) -> None:
    result = run_cli("--transport", "http", "--port", "0", MEMORIES_API_KEY="sk-own")

    assert result.returncode == 0
    assert "MEMORIES_API_KEY is not used for HTTP requests without MEMORIES_HTTP_TOKEN" in result.stderr


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
    arguments: list[str], variables: dict[str, Any], words: str, no_serving: None
) -> None:
    result = run_cli(*arguments, **variables)

    assert result.returncode == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert "short" not in result.stderr


def test_a_port_that_is_taken_is_refused_at_start(no_serving: None) -> None:
    with closing(bind("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        result = run_cli("--transport", "http", "--port", port)

    assert result.returncode == 2
    assert f"Cannot listen on port {port} of 127.0.0.1" in result.stderr


def test_an_answer_to_a_form_that_is_none_counts_as_no() -> None:
    delete = {"name": "delete_videos", "arguments": {"video_nos": ["VI612515093881740229"]}}
    answers: list[dict[str, Any]] = [{"action": "bogus"}, {}, {"action": "accept", "content": {"confirm": {"x": 1}}}]
    with process("--sandbox") as started:
        exchange(started, {**HELLO, "params": {**HELLO["params"], "capabilities": {"elicitation": {}}}})
        results: list[dict[str, Any]] = []
        for number, answer in enumerate(answers, 2):
            form = exchange(started, {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": delete})
            assert form["method"] == "elicitation/create"
            results.append(exchange(started, {"jsonrpc": "2.0", "id": form["id"], "result": answer})["result"])
        assert started.stdin
        assert started.stderr
        started.stdin.close()
        started.wait(timeout=60)
        log = started.stderr.read()

    for result in results:
        assert result["isError"]
        assert "declined; nothing was changed" in result["content"][0]["text"]
    assert log == ""


@pytest.mark.anyio
@pytest.mark.parametrize("links", ["", "true"])
@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_clients_of_every_handshake_version_are_served(live: Settings, version: str, links: str) -> None:
    settings = live.change(links=Settings.from_environment({"MEMORIES_LINKS": links}).links)
    headers = {**BASE, **bearer_key()}
    async with (
        run_http_server(settings) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, headers=headers, timeout=60) as client,
    ):

        async def ask(number: int, method: str, **params: Any) -> tuple[dict[str, Any], httpx2.Headers]:
            message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            response = await client.post("/mcp", json=message)
            return json.loads(response.text.partition("data: ")[2])["result"], response.headers

        hello, answered = await ask(1, "initialize", **HELLO["params"] | {"protocolVersion": version})
        client.headers |= {"mcp-session-id": answered["mcp-session-id"], "mcp-protocol-version": version}
        call, _ = await ask(2, "tools/call", name="search_videos", arguments={"query": "price"})
        resources, _ = await ask(3, "resources/list")

    kinds = [block["type"] for block in call["content"]]
    assert hello["protocolVersion"] == version
    assert kinds[0] == "text"
    assert ("resource_link" in kinds) == (bool(links) and version >= "2025-06-18")
    assert len(resources["resources"]) > 2
