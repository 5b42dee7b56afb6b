"""A server behind a proxy leaves in steps, and names itself in what it hands out."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest
from http_clients import bearer_key
from test_session_limits import BASE, INITIALIZE, INITIALIZED

from memories_mcp.errors import ConfigurationError
from memories_mcp.server.http.app import run_http_server
from memories_mcp.server.tenants import Tenants
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

LIST: dict[str, Any] = {
    "jsonrpc": "2.0", "id": 1, "method": "tools/list",
    "params": {"_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    }},
}  # fmt: skip
MODERN = {**BASE, "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list"}


async def test_a_server_that_leaves_is_not_ready_first_and_refuses_later(open_house: Settings) -> None:
    tenants = Tenants(open_house.change(stop_delay=3600.0))
    async with (
        run_http_server(tenants.settings, tenants=tenants) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        under_way = tenants.count_request()  # else the server ends at once

        async def statuses() -> list[int]:
            answers = [
                await client.get("/readyz"),
                await client.get("/healthz"),
                await client.post("/mcp", json=LIST, headers=MODERN),
                await client.post("/mcp", json=INITIALIZE, headers=BASE),
            ]
            return [answer.status_code for answer in answers]

        before = await statuses()
        session = (await client.post("/mcp", json=INITIALIZE, headers=BASE)).headers["mcp-session-id"]
        tenants.stop()
        announced = await statuses()
        tenants.settings = tenants.settings.change(stop_delay=0.0)
        with under_way:
            tenants.stop()
            refusing = await statuses()
            answered = await client.post("/mcp", json=INITIALIZED, headers={**BASE, "mcp-session-id": session})
            refused = await client.post("/mcp", json=LIST, headers=MODERN)

    assert before == [200, 200, 200, 200]
    assert announced == [503, 200, 200, 200]
    assert refusing == [503, 503, 503, 503]
    assert answered.status_code == 202
    assert refused.headers["retry-after"] == "1"
    assert "stopping" in refused.json()["error"]["message"]


async def test_a_replica_is_named_in_its_sessions_and_serves_them(open_house: Settings) -> None:
    key = bearer_key()
    async with (
        run_http_server(open_house.change(replica="east-1")) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False, headers={**BASE, **key}) as client,
    ):
        session = (await client.post("/mcp", json=INITIALIZE)).headers["mcp-session-id"]
        own = await client.post("/mcp", json=INITIALIZED, headers={"mcp-session-id": session})
        others = await client.post("/mcp", json=INITIALIZED, headers={"mcp-session-id": f"west.{session}"})
        async with client.stream("GET", "/sse") as stream:
            lines = (line.removeprefix("data: ") async for line in stream.aiter_lines() if line.startswith("data: "))
            endpoint = await anext(lines)
            posted = await client.post(endpoint, json=INITIALIZED)
        ended = await client.delete("/mcp", headers={"mcp-session-id": session})

    assert re.fullmatch(r"east-1\.[0-9a-f]{32}", session)
    assert endpoint.startswith("/messages/east-1/?session_id=")
    assert [answer.status_code for answer in (own, others, posted, ended)] == [202, 404, 202, 200]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MEMORIES_REPLICA", "a.b"), ("MEMORIES_REPLICA", "a/b"), ("MEMORIES_REPLICA", "x" * 64),
        ("MEMORIES_STOP_DELAY", "-1"), ("MEMORIES_DRAIN_SECONDS", "soon"), ("MEMORIES_DRAIN_SECONDS", "1e9"),
        ("MEMORIES_SESSION_IDLE_SECONDS", "0"), ("MEMORIES_MAX_ALL_SESSIONS", "0"),
    ],
)  # fmt: skip
def test_a_value_that_makes_no_sense_is_refused(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        Settings.from_environment({variable: value})
