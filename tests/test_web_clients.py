"""Web pages: which may use the server, and paths with a final slash, which proxies and people add."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from anyio.from_thread import BlockingPortal
from http_clients import TOKEN, bearer_key

from memories_mcp.errors import ConfigurationError
from memories_mcp.server.http.app import run_http_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

PAGE = "https://app.example.com"
INSPECTOR = "http://localhost:6274"
BASE = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}  # fmt: skip


@pytest.fixture(scope="module")
def web_url(portal: BlockingPortal, sandbox_url: str) -> Iterator[str]:
    settings = Settings(
        base_url=sandbox_url, allowed_origins=(PAGE,), allowed_hosts=("mcp.example.com",), http_token=TOKEN
    )
    with portal.wrap_async_context_manager(run_http_server(settings)) as url:
        yield url


@pytest.fixture
async def client(web_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=web_url, trust_env=False, headers=BASE) as client:
        yield client


def preflight(origin: str) -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,mcp-protocol-version",
    }


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/sse", "/messages/", "/messages"])
@pytest.mark.parametrize(
    "origin", [PAGE, INSPECTOR, "http://127.0.0.1:3000", "http://[::1]:80", "https://mcp.example.com"]
)
async def test_a_preflight_from_an_allowed_page_is_answered_without_credentials(
    client: httpx2.AsyncClient, path: str, origin: str
) -> None:
    answer = await client.options(path, headers=preflight(origin))

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == origin
    assert {"GET", "POST", "DELETE"} <= {*answer.headers["access-control-allow-methods"].split(", ")}
    allowed = {*answer.headers["access-control-allow-headers"].lower().split(", ")}
    assert allowed >= {
        "authorization", "content-type", "accept", "mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name",
        "last-event-id", "x-memories-api-key", "x-memories-caption-api-key", "x-memories-unique-id",
        "x-memories-toolsets", "x-memories-read-only",
    }  # fmt: skip
    assert int(answer.headers["access-control-max-age"]) > 0
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "null", "*", "https://app.example.com.evil.example", "https://evil.example/app.example.com",
        "http://app.example.com", "https://app.example.com:444", "http://localhost:1@evil.example", "http://localhost.evil",
        "http://localhost:6274, https://evil.example", "ftp://localhost", "localhost",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["OPTIONS", "POST", "GET", "DELETE"])
async def test_a_strange_page_is_refused_without_cors_headers(
    client: httpx2.AsyncClient, origin: str, method: str
) -> None:
    answer = await client.request(method, "/mcp", headers={**preflight(origin), **bearer_key()})

    assert answer.status_code == 403
    assert "MEMORIES_ALLOWED_ORIGINS" in answer.json()["error"]["message"]
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_a_page_reads_every_answer_and_the_headers_that_it_needs(client: httpx2.AsyncClient) -> None:
    page = {"origin": PAGE}
    key = bearer_key()
    begun = await client.post("/mcp", json=INITIALIZE, headers={**page, **key})
    async with client.stream("GET", "/sse", headers={**page, **key}) as stream:
        pass
    answers = {
        200: begun,
        401: await client.post("/mcp", json=INITIALIZE, headers=page),
        400: await client.post("/mcp", json=[], headers={**page, **key}),
        404: await client.get("/mcp", headers={**page, **key, "mcp-session-id": "unknown"}),
        421: await client.post("/mcp", json=INITIALIZE, headers={**page, "host": "evil.example"}),
        413: await client.post("/mcp", content=b" " * (4 * 1024 * 1024 + 1), headers={**page, **key}),
    }

    assert {status: answer.status_code for status, answer in answers.items()} == {status: status for status in answers}
    for answer in [*answers.values(), stream, await client.get("/healthz", headers=page)]:
        assert answer.headers["access-control-allow-origin"] == PAGE
        exposed = {*answer.headers["access-control-expose-headers"].lower().split(", ")}
        assert exposed >= {"mcp-session-id", "www-authenticate", "retry-after"}
        assert "Origin" in answer.headers["vary"]
    assert begun.headers["mcp-session-id"]
    assert answers[401].headers["www-authenticate"]


async def test_what_no_page_sends_gets_no_cors_headers(client: httpx2.AsyncClient) -> None:
    answers = [
        await client.post("/mcp", json=INITIALIZE, headers=bearer_key()),
        await client.options("/mcp", headers=bearer_key()),
        await client.get("/healthz"),
    ]

    assert [answer.status_code for answer in answers] == [200, 405, 200]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("https://app.example.com", ("https://app.example.com",)),
        ("HTTPS://App.Example.com/ , http://b.example:8080", ("https://app.example.com", "http://b.example:8080")),
        ("https://app.example.com:443,http://b.example:80", ("https://app.example.com", "http://b.example")),
        ("https://app.example.com:80", ("https://app.example.com:80",)),
        ("chrome-extension://abcdef,vscode-webview://x", ("chrome-extension://abcdef", "vscode-webview://x")),
    ],
)
def test_origins_are_read_as_browsers_write_them(text: str, origins: tuple[str, ...]) -> None:
    assert Settings.from_environment({"MEMORIES_ALLOWED_ORIGINS": text}).allowed_origins == origins


@pytest.mark.parametrize("text", ["*", "null", "app.example.com", "https://*.example.com", "https://a.example/path"])
def test_a_setting_that_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="MEMORIES_ALLOWED_ORIGINS"):
        Settings.from_environment({"MEMORIES_ALLOWED_ORIGINS": text})


async def test_a_final_slash_changes_nothing(client: httpx2.AsyncClient) -> None:
    key = bearer_key()
    begun = await client.post("/mcp/", json=INITIALIZE, headers=key)
    session = {**key, "mcp-session-id": begun.headers["mcp-session-id"]}
    ended = await client.delete("/mcp/", headers=session)
    async with client.stream("GET", "/sse/", headers=key) as stream:
        lines = stream.aiter_lines()
        endpoint = ""
        while not endpoint:
            endpoint = (await anext(lines)).partition("data: ")[2]
        path, _, query = endpoint.partition("?")
        accepted = [
            (await client.post(f"{variant}?{query}", json=INITIALIZE, headers=key)).status_code
            for variant in (path.rstrip("/"), path.rstrip("/") + "/")
        ]
    health = await client.get("/healthz/")

    assert (begun.status_code, ended.status_code, stream.status_code, health.status_code) == (200, 200, 200, 200)
    assert accepted == [202, 202]


@pytest.mark.parametrize("path", ["/mcp//", "//mcp", "/mcp/x", "/", "/sse//", "/messages//", "/messages/x"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_other_paths_are_unknown_and_nothing_redirects(
    client: httpx2.AsyncClient, path: str, method: str
) -> None:
    answer = await client.request(method, f"{str(client.base_url).rstrip('/')}{path}", headers=bearer_key())

    assert answer.status_code == 404
    assert "location" not in answer.headers
