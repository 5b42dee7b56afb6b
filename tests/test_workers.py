"""Several processes at one address: each session finds its process, and no process is missed for long."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from command_line import run_cli
from conftest import MEETING
from http_clients import bearer_key, connect
from mcp_types import EmptyResult, SubscribeRequest, SubscribeRequestParams
from processes import Process
from test_process import BASE, HELLO, http, until
from test_updates import Heard

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no forks"),
]

MODERN = {**BASE, "mcp-protocol-version": "2026-07-28"}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, str, Path]]:
    """Two workers with the sandbox: the process that was started, the URL, and its folder for temporary files."""
    folder = tmp_path_factory.mktemp("t")
    with http("--sandbox", "--workers", "2", TMPDIR=str(folder), MEMORIES_REPLICA="a") as (started, client):
        yield started, str(client.base_url).rstrip("/"), folder


@pytest.fixture
def url(server: tuple[Process, str, Path]) -> str:
    return server[1]


@pytest.fixture
async def fresh(url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Opens a connection for each request, which any worker may accept."""
    limits = httpx2.Limits(max_keepalive_connections=0)
    async with httpx2.AsyncClient(base_url=url, trust_env=False, limits=limits, timeout=60) as client:
        yield client


async def begin_with(client: httpx2.AsyncClient, worker: str, headers: dict[str, str]) -> dict[str, str]:
    """Begin a session with one worker, and return the headers of its requests."""
    for _ in range(200):
        begun = await client.post("/mcp", json=HELLO, headers={**BASE, **headers})
        session = begun.headers["mcp-session-id"]
        if session.startswith(f"a.{worker}."):
            return {**BASE, **headers, "mcp-session-id": session}
        await client.delete("/mcp", headers={**BASE, **headers, "mcp-session-id": session})
    raise AssertionError(f"worker {worker} accepted no connection")


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments, "_meta": META}
    return {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}


async def test_a_session_is_served_whatever_worker_accepts_the_connection(fresh: httpx2.AsyncClient) -> None:
    key = bearer_key()
    for worker in ("1", "2"):
        session = await begin_with(fresh, worker, key)
        answers = [await fresh.post("/mcp", json=call("list_sessions"), headers=session) for _ in range(10)]
        ended = [(await fresh.delete("/mcp", headers=session)).status_code]
        ended.append((await fresh.post("/mcp", json=call("list_sessions"), headers=session)).status_code)

        assert [answer.status_code for answer in answers] == [200] * 10
        assert all('"structuredContent"' in answer.text for answer in answers)
        assert ended == [200, 404]


async def test_messages_find_the_worker_of_their_sse_stream(fresh: httpx2.AsyncClient) -> None:
    key = bearer_key()
    async with fresh.stream("GET", "/sse", headers=key) as stream:
        events = (line.removeprefix("data: ") async for line in stream.aiter_lines() if line.startswith("data: "))
        endpoint = await anext(events)
        assert re.match(r"/messages/a\.[12]/\?session_id=", endpoint)
        statuses = [(await fresh.post(endpoint, json=HELLO, headers={**BASE, **key})).status_code]
        assert '"protocolVersion"' in await anext(events)
        for _ in range(10):
            sent = await fresh.post(endpoint, json=INITIALIZED, headers={**BASE, **key})
            statuses.append(sent.status_code)

    assert statuses == [202] * 11


async def test_a_confirmation_of_one_worker_counts_with_the_other(fresh: httpx2.AsyncClient) -> None:
    key = bearer_key()
    asking, confirming = [await begin_with(fresh, worker, key) for worker in ("1", "2")]
    preview = await fresh.post("/mcp", json=call("delete_videos", video_nos=[MEETING]), headers=asking)
    token = re.search(r'"confirmation_token":"([^"]+)"', preview.text)
    assert token, preview.text
    delete = call("delete_videos", video_nos=[MEETING], confirmation_token=token[1])
    deleted = await fresh.post("/mcp", json=delete, headers=confirming)

    assert "token" not in deleted.text
    assert MEETING in deleted.text


async def test_a_subscriber_hears_of_a_change_that_another_worker_made(fresh: httpx2.AsyncClient, url: str) -> None:
    key = bearer_key()
    heard = Heard()
    async with connect(url, "http legacy", key, message_handler=heard) as subscriber:
        request = SubscribeRequest(params=SubscribeRequestParams(uri="memories://videos"))
        await subscriber.session.send_request(request, EmptyResult)
        for worker in ("1", "2"):
            session = await begin_with(fresh, worker, key)
            added = await fresh.post(
                "/mcp", json=call("upload_video_url", url=f"https://x.example/{worker}.mp4"), headers=session
            )
            assert '"isError":true' not in added.text.replace(" ", "")

            assert await heard.next() == "memories://videos"


async def test_the_next_call_works_after_a_worker_was_killed(
    server: tuple[Process, str, Path], fresh: httpx2.AsyncClient
) -> None:
    key = bearer_key()
    lost, kept = await begin_with(fresh, "1", key), await begin_with(fresh, "2", key)
    victim = worker_ids(server[0].pid)[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in worker_ids(server[0].pid))

    answers = [await fresh.post("/mcp", json=call("list_sessions"), headers=session) for session in (kept, lost)]
    assert [answer.status_code for answer in answers] == [200, 404]
    until(lambda: len(worker_ids(server[0].pid)) == 2)
    assert await begin_with(fresh, "1", key)
    assert server[0].stderr
    assert '"job": "worker a.1"' in server[0].stderr.readline()


async def test_a_stop_drains_every_worker_and_leaves_nothing_behind(
    server: tuple[Process, str, Path], fresh: httpx2.AsyncClient
) -> None:
    """The last test of this server."""
    started, _, folder = server
    key = bearer_key()
    sessions = [await begin_with(fresh, worker, key) for worker in ("1", "2")]
    async with AsyncExitStack() as streams:
        waiting = call("upload_video_url", url="https://x.example/a.mp4", wait_seconds=40)
        waiting["params"]["_meta"] = {"progressToken": 1}
        calls = [await streams.enter_async_context(fresh.stream("POST", "/mcp", json=waiting, headers=session))
                 for session in sessions]  # fmt: skip
        silent = [await streams.enter_async_context(fresh.stream("GET", "/mcp", headers=session))
                  for session in sessions]  # fmt: skip
        lines = [(line async for line in stream.aiter_lines() if line.startswith("data: {")) for stream in calls]
        for stream in lines:
            assert "notifications/progress" in await anext(stream)
        started.send_signal(signal.SIGTERM)
        answers = [[line async for line in stream][-1] for stream in lines]
        for stream in silent:
            await stream.aread()  # the stream is complete

    assert ['"status":"ready"' in answer.replace(" ", "") for answer in answers] == [True, True]
    assert started.wait(timeout=60) == 0
    assert list(folder.iterdir()) == []
    assert started.stderr
    assert started.stderr.read() == ""


def worker_ids(supervisor: int) -> list[int]:
    """The processes of the workers, oldest first; that of the sandbox is older than all."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [(int(pid), int(parent)) for pid, parent in (line.split() for line in listed.splitlines())]
    return sorted(pid for pid, parent in pairs if parent == supervisor)[1:]


def test_workers_are_for_http_and_their_number_is_checked() -> None:
    for arguments, problem in [
        (["--workers", "2"], "--workers are only for a server over HTTP"),
        (["--transport", "http", "--workers", "0"], "not between 1 and"),
        (["--transport", "http", "--workers", "65"], "not between 1 and"),
    ]:
        done = run_cli(*arguments)

        assert done.returncode == 2
        assert problem in done.stderr
