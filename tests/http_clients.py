"""Clients of a server over real HTTP, one for each transport and protocol era."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal, cast

import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import (
    CallToolResult,
    TextContent,
)

TOKEN = "operator-token-0123456789"
Transport = Literal["http modern", "http legacy", "sse legacy"]
TRANSPORTS: list[Transport] = ["http modern", "http legacy", "sse legacy"]
each_transport = pytest.mark.parametrize("transport", TRANSPORTS)


@asynccontextmanager
async def connect(url: str, transport: Transport, headers: dict[str, str], **more: Any) -> AsyncGenerator[Client, None]:
    mode = "auto" if transport == "http modern" else "legacy"
    if transport.startswith("sse"):
        async with Client(sse_client(f"{url}/sse", headers=headers), mode=mode, cache=None, **more) as client:
            yield client
        return
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode, cache=None, **more) as client,
    ):
        yield client


def bearer_key() -> dict[str, str]:
    return {"Authorization": f"Bearer sk-{uuid.uuid4().hex}"}


def header_key() -> dict[str, str]:
    return {"X-Memories-Api-Key": f"sk-{uuid.uuid4().hex}"}


def structured(result: CallToolResult) -> dict[str, Any]:
    assert result.structured_content is not None, text(result)
    return cast(dict[str, Any], result.structured_content)


def text(result: CallToolResult) -> str:
    assert isinstance(result.content[0], TextContent)
    return result.content[0].text


async def video_numbers(client: Client) -> set[str]:
    listed = await client.call_tool("list_videos", {})
    assert not listed.is_error, text(listed)
    return {video["video_no"] for video in structured(listed).get("videos", [])}
