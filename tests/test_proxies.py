"""Proxies that the environment names: they are used, or the variable is named with a remedy, never its value."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from command_line import run_cli
from conftest import error_of, run
from loopback_servers import http_response, serve
from pydantic import SecretStr

from langchain_tools import MemoriesToolkit
from memories_mcp import errors
from memories_mcp.cli.doctor import check
from memories_mcp.runner import Runner
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

REMOTE = "http://api.example"
SECRET = "hunter2"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)


VALUES = [
    "http://[",
    "foo:bar",
    f"http://user:{SECRET}@proxy:port",
    "http://proxy:99999",
    "http://",
    "://",
    "socks4://127.0.0.1:1080",
    "ftp://127.0.0.1:21",
    "file:///etc/proxy",
    "http://pro\x7fxy",
    "http://a b:8080",
    "http://[::1",
    f"http://{'a' * 70}.example",
]


@pytest.mark.parametrize(
    "variable", ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"]
)
@pytest.mark.parametrize("value", VALUES)
async def test_a_malformed_proxy_is_named_by_its_variable(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    for base_url in (REMOTE, "https://api.example"):
        error = await error_of(base_url)

        assert isinstance(error, errors.ConfigurationError)
        assert variable in str(error)
        assert "http://proxy.example:8080" in error.next_step
        assert value not in error.summary
        assert SECRET not in str(error)


@pytest.fixture
def _no_socks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")


@pytest.mark.usefixtures("_no_socks")
async def test_a_socks_proxy_without_its_package_is_named_on_every_surface(tmp_path: Path) -> None:
    error = await error_of(REMOTE)
    toolkit = MemoriesToolkit(api_key=SecretStr("sk-x"), base_url=REMOTE)
    [tool] = [tool for tool in toolkit.get_tools() if tool.name == "list_sessions"]
    with pytest.raises(errors.ConfigurationError, match="ALL_PROXY"):
        await tool.ainvoke({})
    findings = [
        finding async for finding in check(Settings(api_key="sk-x", base_url=REMOTE), tmp_path, {"ALL_PROXY": "x"})
    ]

    assert isinstance(error, errors.ConfigurationError)
    assert "ALL_PROXY" in error.summary
    assert "socksio" in error.next_step
    assert any(finding.state == "problem" and "ALL_PROXY" in finding.message for finding in findings)


def test_the_command_line_names_the_variable() -> None:
    result = run_cli("search", "pricing", ALL_PROXY="foo:bar", MEMORIES_API_KEY="sk-x", MEMORIES_BASE_URL=REMOTE)

    assert result.returncode != 0
    assert "ALL_PROXY" in result.stderr


@pytest.mark.parametrize("value", ["http://[", "a b", "[::1", "*.example.*, 10.0.0.0/99", "http://x:port"])
async def test_an_invalid_exemption_is_ignored_or_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", value)
    error = await error_of(REMOTE)

    assert "NO_PROXY" in error.summary if isinstance(error, errors.ConfigurationError) else "HTTP_PROXY" in str(error)


@pytest.mark.parametrize("value", ["http://127.0.0.1:{}", "127.0.0.1:{}", "http://user:pass@127.0.0.1:{}/"])
async def test_a_request_goes_through_the_proxy(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    heads = list[bytes]()

    async def forward(head: bytes, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        writer.write(http_response({"sessions": []}))

    async with serve(forward) as port:
        monkeypatch.setenv("all_proxy", value.format(port))
        runner = Runner(Settings(api_key="sk-x", base_url=REMOTE))
        await run(runner, "list_sessions")
        await runner.aclose()

    assert heads[0].startswith(b"GET http://api.example/serve/api/v1/list_sessions")


@pytest.mark.parametrize(
    ("status", "kind"), [("407 Hand over", errors.ConfigurationError), ("502 Hand over", errors.Unreachable)]
)
async def test_a_proxy_that_refuses_is_named(
    status: str, kind: type[errors.MemoriesError], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode())

    async with serve(refuse) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        error = await error_of("https://api.example")

    assert type(error) is kind or isinstance(error, kind)
    assert f"HTTP {status[:3]}" in error.summary
    assert "HTTPS_PROXY" in error.next_step
    assert "Hand over" not in str(error)


async def test_a_proxy_without_an_answer_is_named_beside_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    error = await error_of("https://api.example")

    assert isinstance(error, errors.Unreachable)
    assert "HTTPS_PROXY" in error.next_step


async def test_a_request_goes_through_a_socks_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("socksio")
    targets = list[bytes]()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        await reader.readexactly(count)
        writer.write(b"\x05\x00")  # no authentication
        *_, length = await reader.readexactly(5)
        targets.append(await reader.readexactly(length))
        await reader.readexactly(2)
        writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http_response({"sessions": []}))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(forward, "127.0.0.1", 0)
    for scheme in ("socks5", "socks5h"):
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        runner = Runner(Settings(api_key="sk-x", base_url=REMOTE))
        await run(runner, "list_sessions")
        await runner.aclose()
    server.close()

    assert targets == [b"api.example", b"api.example"]
