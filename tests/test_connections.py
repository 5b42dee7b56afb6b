"""Connections: all keys of a process share them, and share nothing else."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator

import httpx2
import pytest
from conftest import FakeWire, envelope, run
from loopback_servers import serve

from memories_mcp import errors
from memories_mcp.api import Api
from memories_mcp.api.rate_limits import NO_LIMITS, RateLimiter
from memories_mcp.runner import Runner
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

ENVELOPE = json.dumps({"code": "0000", "msg": "success", "data": {"videos": [], "sessions": []}}).encode()


class Service:
    """The API with connections that stay open."""

    def __init__(self) -> None:
        self.heads = list[bytes]()
        self.open = 0
        self.peak = 0

    async def __call__(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.peak = max(self.peak, self.open)
        try:
            while True:
                self.heads.append(head)
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length or 0))
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nset-cookie: user=%d; Path=/\r\n"
                    b"content-length: %d\r\n\r\n%b" % (len(self.heads), len(ENVELOPE), ENVELOPE)
                )
                head = await reader.readuntil(b"\r\n\r\n")
        finally:
            self.open -= 1


@pytest.fixture
async def service() -> AsyncIterator[tuple[Service, str]]:
    service = Service()
    async with serve(service) as port:
        yield service, f"http://127.0.0.1:{port}"


def runner_of(key: str, url: str) -> Runner:
    return Runner(Settings(api_key=key, base_url=url, rate_limits={}))


async def test_many_keys_use_one_connection_in_turn(service: tuple[Service, str]) -> None:
    api, url = service
    runners = [runner_of(f"sk-{number}", url) for number in range(50)]
    for runner in runners:
        await run(runner, "list_sessions")
    for runner in runners:
        await runner.aclose()

    assert api.peak == 1
    assert len(api.heads) == 50
    assert {head.lower().partition(b"authorization: ")[2].split()[0] for head in api.heads} == {
        f"sk-{number}".encode() for number in range(50)
    }


async def test_no_cookie_of_one_key_is_sent_with_another(service: tuple[Service, str]) -> None:
    api, url = service
    last = runner_of("sk-0", url)  # keeps the connections open
    await run(last, "list_sessions")
    for key in ("sk-1", "sk-2", "sk-1"):
        runner = runner_of(key, url)
        await run(runner, "list_sessions")
        await run(runner, "list_sessions")
        await runner.aclose()

    await last.aclose()

    assert not any(b"cookie:" in head.lower() for head in api.heads)


async def test_connections_close_with_their_last_user_and_open_again(service: tuple[Service, str]) -> None:
    api, url = service
    first, second = runner_of("sk-1", url), runner_of("sk-2", url)
    await run(first, "list_sessions")
    await run(second, "list_sessions")
    await first.aclose()
    assert api.open == 1
    await run(second, "list_sessions")
    await second.aclose()
    async with asyncio.timeout(10):
        while api.open:  # noqa: ASYNC110 (the server notices in its own time)
            await asyncio.sleep(0)
    await run(first, "list_sessions")
    await first.aclose()

    assert len(api.heads) == 4


def test_one_client_serves_several_event_loops(sandbox_url: str) -> None:
    api = Api("sk-loops", sandbox_url, rates=NO_LIMITS)
    runner = Runner(Settings(api_key="sk-loops", base_url=sandbox_url), api=api)

    async def call() -> None:
        await run(runner, "list_sessions")
        await runner.aclose()

    for _ in range(3):
        asyncio.run(call())


async def test_a_key_with_many_requests_leaves_connections_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.api.rate_limits.LONGEST_WAIT", 0.05)
    monkeypatch.setattr("memories_mcp.api.rate_limits.MAX_CONCURRENT", 2)
    wire, release = FakeWire(envelope({"sessions": []})), asyncio.Event()

    async def answer(request: httpx2.Request) -> httpx2.Response:
        if request.headers["authorization"] == "sk-busy":
            await release.wait()
        return await wire(request)

    def runner(key: str) -> Runner:
        transport = httpx2.MockTransport(answer)
        api = Api(key, "https://api.example", rates=RateLimiter(NO_LIMITS), transport=transport)
        return Runner(Settings(), api=api)

    busy, other = runner("sk-busy"), runner("sk-other")
    waiting = [asyncio.create_task(run(busy, "list_sessions")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(errors.RateLimited, match="nothing was sent"):
        await run(busy, "list_sessions")
    await run(other, "list_sessions")
    release.set()
    await asyncio.gather(*waiting)


SWARM = """
import asyncio, json, os, resource, sys
import httpx2

KEYS, LIMIT, URL = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
    "name": "list_videos", "arguments": {}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }}}
HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28",
           "Mcp-Method": "tools/call", "Mcp-Name": "list_videos"}

async def main():
    from memories_mcp.server.http.app import run_http_server
    from memories_mcp.settings import Settings

    resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
    slots = asyncio.Semaphore(8)
    settings = Settings(base_url=URL, rate_limits={})
    async with run_http_server(settings) as server, httpx2.AsyncClient(trust_env=False, timeout=60) as client:

        async def call(number):
            async with slots:
                key = {"Authorization": f"Bearer sk-{number}"}
                response = await client.post(f"{server}/mcp", json=CALL, headers=HEADERS | key)
            return '"isError":true' not in response.text and '"result"' in response.text

        served = await asyncio.gather(*(call(number) for number in range(KEYS)))
        print(sum(served), len(os.listdir("/dev/fd")))

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of file descriptors")
async def test_more_keys_than_file_descriptors_are_all_served(service: tuple[Service, str]) -> None:
    keys, limit = 110, 80
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SWARM, str(keys), str(limit), service[1],
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, log = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, log.decode()
    served, descriptors = map(int, output.split())

    assert served == keys
    assert descriptors < limit / 2
