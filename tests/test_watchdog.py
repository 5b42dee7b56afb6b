"""No request keeps the server's event loop from the others, whatever its size."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import anyio.from_thread
import httpx2
import pytest
from conftest import MEETING
from http_clients import TOKEN
from mcp import Client, MCPError

from memories_mcp.rendering.budget import BUDGET
from memories_mcp.server.app import make_server
from memories_mcp.server.http.app import run_http_server
from memories_mcp.settings import Settings

CEILING_SECONDS = 0.4
"""Processor time, so other processes do not count; the worst inputs took ten times as long before they were bounded."""
ALLOWED_RATIO = 40
MANY = 190_000
LONG = 4_000_000
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": dict[str, Any](),
}
VIDEO_TEMPLATE = {"type": "ref/resource", "uri": "memories://videos/{video_no}"}
PROMPT = {"type": "ref/prompt", "name": "meeting_minutes"}


class Watchdog:
    """Records the most processor time that one pass of an event loop takes."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0.001)
            now = time.thread_time()
            self.longest = max(self.longest, now - before)
            before = now


@dataclass
class WatchedServer:
    """A server in a thread of its own, and the watchdog of its event loop."""

    url: str
    watchdog: Watchdog

    def post(self, body: bytes, method: str, name: str = "", **headers: str) -> tuple[httpx2.Response, float]:
        """Send one request of the modern era, and return the response and the longest pass meanwhile."""
        base = {
            "content-type": "application/json", "accept": "application/json, text/event-stream",
            "authorization": "Bearer sk-1", "mcp-protocol-version": "2026-07-28", "mcp-method": method[:200],
        }  # fmt: skip
        self.watchdog.longest = 0.0
        with httpx2.Client(trust_env=False, timeout=120) as client:
            response = client.post(
                f"{self.url}/mcp", content=body, headers={**base, **({"mcp-name": name} if name else {}), **headers}
            )
        return response, self.watchdog.longest


@pytest.fixture(scope="module")
def watched(sandbox_url: str) -> Iterator[WatchedServer]:
    settings = Settings(api_key="sk-own", base_url=sandbox_url, caption_base_url=sandbox_url, rate_limits={})
    with (
        anyio.from_thread.start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(run_http_server(settings.change(toolsets=("all",)))) as url,
    ):
        watchdog = Watchdog()
        task = portal.start_task_soon(watchdog.run)
        yield WatchedServer(url, watchdog)
        task.cancel()


def message(method: str, **params: Any) -> bytes:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": META, **params}}
    return json.dumps(body, separators=(",", ":")).encode()


def call(name: str, **arguments: Any) -> bytes:
    return message("tools/call", name=name, arguments=arguments)


def search_with(arguments: bytes) -> bytes:
    return call("search_videos", query="@").replace(b'{"query":"@"}', arguments)


def many(value: Any = 1, count: int = MANY) -> dict[str, Any]:
    return {f"a{number}": value for number in range(count)}


INPUTS: dict[str, Callable[[], tuple[str, str, bytes]]] = {
    "a long name of an argument": lambda: ("tools/call", "search_videos", call("search_videos", **{"q" * LONG: 1})),
    "unknown arguments": lambda: ("tools/call", "search_videos", call("search_videos", query="x", **many())),
    "lists nested deeply": lambda: ("tools/call", "search_videos", search_with(b'{"query":' + b"[" * LONG)),
    "empty lists": lambda: ("tools/call", "search_videos", search_with(b'{"query":[' + b"[]," * 1_300_000 + b"1]}")),
    "numbers": lambda: ("tools/call", "search_videos", search_with(b'{"query":[' + b"1," * 1_900_000 + b"1]}")),
    "names in one text": lambda: (
        "tools/call", "chat_with_videos", call("chat_with_videos", prompt="x", video_nos="VI1," * 990_000),
    ),
    "a long text": lambda: ("tools/call", "search_videos", call("search_videos", query="a b " * 990_000)),
    "escapes": lambda: ("tools/call", "search_videos", search_with(b'{"query":"' + b"\\u0041" * 660_000 + b'"}')),
    "a long number": lambda: (
        "tools/call", "search_videos", search_with(b'{"query":"x","top_k":' + b"1" * LONG + b"}"),
    ),
    "evidence": lambda: (
        "tools/call", "get_evidence", call("get_evidence", refs=[f"VI1#t={n},9999" for n in range(10_000)]),
    ),
    "a long name of a tool": lambda: ("tools/call", "", message("tools/call", name="s" * LONG)),
    "a long method": lambda: ("tools/call", "", message("t" * LONG)),
    "a long value of a prompt": lambda: (
        "prompts/get", "find_moment", message("prompts/get", name="find_moment", arguments={"description": "x" * LONG}),
    ),
    "arguments of a prompt": lambda: (
        "prompts/get", "find_moment", message("prompts/get", name="find_moment", arguments=many("x", 19_000)),
    ),
    "wrong arguments of a prompt": lambda: (
        "prompts/get", "find_moment", message("prompts/get", name="find_moment", arguments=many(1, 19_000)),
    ),
    "a long completion": lambda: (
        "completion/complete", "",
        message("completion/complete", ref=PROMPT, argument={"name": "video", "value": "q" * LONG}),
    ),
    "the context of a completion": lambda: (
        "completion/complete", "",
        message(
            "completion/complete", ref=VIDEO_TEMPLATE, argument={"name": "video_no", "value": "q"},
            context={"arguments": many("x")},
        ),
    ),
    "a template": lambda: (
        "completion/complete", "",
        message(
            "completion/complete", ref={"type": "ref/resource", "uri": "memories://{a}" + "{a}" * 1600},
            argument={"name": "a", "value": "q"},
        ),
    ),
    "answers of forms": lambda: (
        "tools/call", "search_videos",
        message("tools/call", name="search_videos", arguments={}, inputResponses=many({"action": "accept"}, 4_900)),
    ),
    "a sealed state": lambda: (
        "tools/call", "search_videos", message("tools/call", name="search_videos", requestState="x" * LONG),
    ),
    "a cursor": lambda: ("resources/list", "", message("resources/list", cursor="1" * LONG)),
    "metadata": lambda: ("tools/list", "", message("tools/list", _meta={**META, **many(count=19_000)})),
    "a confirmation token": lambda: (
        "tools/call", "delete_videos", call("delete_videos", video_nos=[MEETING], confirmation_token="a." * 1_900_000),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", INPUTS)
def test_no_input_holds_the_loop_and_every_answer_is_short(watched: WatchedServer, name: str) -> None:
    method, target, body = INPUTS[name]()
    listed, trivial = watched.post(message("tools/list"), "tools/list")
    response, longest = watched.post(body, method, target)
    again, _ = watched.post(message("tools/list"), "tools/list")

    assert listed.status_code == again.status_code == 200
    assert len(body) <= 4 * 1024 * 1024
    assert len(response.content) <= max(BUDGET, len(listed.content))
    assert longest < max(CEILING_SECONDS, ALLOWED_RATIO * trivial)


def test_many_headers_do_not_hold_the_loop(watched: WatchedServer) -> None:
    toolsets = ",".join(["search"] * 4000)
    _, trivial = watched.post(message("tools/list"), "tools/list")
    _, longest = watched.post(message("tools/list"), "tools/list", **{"x-memories-toolsets": toolsets})
    _, repeated = watched.post(message("tools/list"), "tools/list", **{f"x-header-{n}": "1" for n in range(2000)})

    assert max(longest, repeated) < max(CEILING_SECONDS, ALLOWED_RATIO * trivial)


def test_the_watchdog_sees_a_loop_that_is_held() -> None:
    async def hold() -> float:
        watchdog = Watchdog()
        task = asyncio.create_task(watchdog.run())
        await asyncio.sleep(0.01)
        until = time.thread_time() + CEILING_SECONDS
        while time.thread_time() < until:
            pass
        await asyncio.sleep(0.01)
        task.cancel()
        return watchdog.longest

    assert asyncio.run(hold()) >= CEILING_SECONDS


def test_others_are_served_while_a_large_body_is_under_way(watched: WatchedServer) -> None:
    address = urlsplit(watched.url)
    assert address.hostname
    assert address.port
    body = call("search_videos", query="x" * LONG)
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer sk-1\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(head.encode() + body[: len(body) // 2])
        served, _ = watched.post(call("list_videos"), "tools/call", "list_videos")
        connection.sendall(body[len(body) // 2 :])
        status = connection.makefile("rb").readline()

    assert served.json()["result"]["structuredContent"]["videos"]
    assert b" 400 " in status  # a request without a session is not `initialize`


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Host: evil.example", 421),
        ("Origin: https://evil.example", 403),
        ("X-Memories-Read-Only: perhaps", 400),
        ("", 401),
    ],
)
def test_a_request_is_refused_before_its_body_is_sent(sandbox_url: str, header: str, status: int) -> None:
    settings = Settings(base_url=sandbox_url, http_token=TOKEN)
    with (
        anyio.from_thread.start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(run_http_server(settings)) as url,
    ):
        address = urlsplit(url)
        assert address.hostname
        assert address.port
        host = "" if header.startswith("Host") else f"Host: {address.netloc}\r\n"
        lines = f"{host}{header}\r\n" if header else host
        head = f"POST /mcp HTTP/1.1\r\n{lines}Content-Type: application/json\r\nContent-Length: {LONG}\r\n\r\n"
        with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
            connection.sendall(head.encode())
            answer = connection.makefile("rb").readline()

    assert f" {status} ".encode() in answer


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_refusals_in_memory_are_short_too(live: Settings, mode: Any) -> None:
    async with Client(make_server(live), mode=mode) as client:
        with pytest.raises(MCPError) as tool:
            await client.call_tool("s" * LONG, {})
        with pytest.raises(MCPError) as prompt:
            await client.get_prompt("find_moment", many("x"))
        with pytest.raises(MCPError) as values:
            await client.get_prompt("find_moment", {"description": "x" * LONG})

    for refusal in (tool, prompt, values):
        assert len(refusal.value.error.message) < 1000
    assert "more problems" in prompt.value.error.message
