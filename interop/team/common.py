"""What all checks share: the report, clients of the replicas, and small readings of their results."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal, cast

import httpx2
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import (
    CallToolResult,
)

from interop.team.parts import Nginx, RecordedApi, Replica

Transport = Literal["modern", "legacy", "sse"]
TRANSPORTS: tuple[Transport, ...] = ("modern", "legacy", "sse")
MEETING, BIKE = "VI612515093881740229", "VI611702946038315594"
BASE = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
HELLO: dict[str, Any] = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "team", "version": "1"}},
}  # fmt: skip


class Failed(Exception):
    """A check failed; the text says how."""


def expect(is_true: object, text: object) -> None:
    """Fail the check with a text unless a condition is true."""
    if not is_true:
        raise Failed(text)


def first_line(error: BaseException) -> str:
    """Return the error, or the first one of a group, as one line."""
    if isinstance(error, BaseExceptionGroup):
        return first_line(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return f"{type(error).__name__}: {error}"


class Team:
    """What runs, and the report."""

    def __init__(self, nginx: Nginx, replicas: list[Replica], api: RecordedApi) -> None:
        self.nginx = nginx
        self.replicas = replicas
        self.api = api
        self.failed = 0

    async def check(self, title: str, run: Callable[[], Awaitable[str]]) -> None:
        """Run one check and print its line, with what it returns."""
        started = time.monotonic()
        try:
            passed, text = True, await asyncio.wait_for(run(), 90)
        except Exception as error:  # whatever a check raises is its failure; the others still run
            passed, text = False, first_line(error)
        report(passed, f"{title} ({time.monotonic() - started:.1f} s)", text)
        self.failed += not passed


def report(passed: bool, title: str, text: str) -> None:
    """Print one line of the report."""
    sys.stdout.write(f"{'ok  ' if passed else 'FAIL'} {title}{': ' if text else ''}{text}\n")
    sys.stdout.flush()


def new_key() -> dict[str, str]:
    """Return the header of a caller with an account of its own."""
    return {"Authorization": f"Bearer sk-team-{secrets.token_hex(8)}"}


@asynccontextmanager
async def connect(url: str, transport: Transport, headers: dict[str, str], **more: Any) -> AsyncGenerator[Client, None]:
    """Connect the SDK's client.

    Args:
        url: The server.
        transport: Streamable HTTP of either era, or SSE.
        headers: The credentials.
        more: Further arguments of the client.
    """
    if transport == "sse":
        async with Client(sse_client(f"{url}/sse", headers=headers), mode="legacy", cache=None, **more) as client:
            yield client
        return
    mode = "auto" if transport == "modern" else "legacy"
    # A connection for each request: any process of nginx may accept it, and none is closed by a reload of nginx.
    limits = httpx2.Limits(max_keepalive_connections=0)
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=60, limits=limits) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode, cache=None, **more) as client,
    ):
        yield client


def data_of(result: CallToolResult) -> dict[str, Any]:
    """Return the structured content of a result."""
    expect(not result.is_error and result.structured_content is not None, result.content)
    return cast(dict[str, Any], result.structured_content)


async def numbers(client: Client) -> list[str]:
    """Return the numbers of the videos of the account."""
    return [video["video_no"] for video in data_of(await client.call_tool("list_videos", {}))["videos"]]


def question(prompt: str) -> dict[str, Any]:
    """Return the arguments of a chat."""
    return {"prompt": prompt, "video_nos": [MEETING]}


def new_prompt() -> str:
    """Return a question that no other chat asks."""
    return f"What is the price of the Team plan? ({secrets.token_hex(4)})"
