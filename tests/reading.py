"""Reading resources, and a server over a fake wire."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
import webvtt
from conftest import MEETING, FakeWire
from mcp import Client, MCPError
from mcp_types import (
    BlobResourceContents,
    TextResourceContents,
)
from webvtt.models import Caption

from memories_mcp.api import Api
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

SAID = f"memories://videos/{MEETING}/transcripts/audio"


def only(contents: list[TextResourceContents | BlobResourceContents]) -> TextResourceContents:
    assert len(contents) == 1
    assert isinstance(contents[0], TextResourceContents)
    return contents[0]


async def read(client: Client, uri: str) -> TextResourceContents:
    return only((await client.read_resource(uri)).contents)


async def refused(client: Client, uri: str) -> MCPError:
    with pytest.raises(MCPError) as caught:
        await client.read_resource(uri)
    return caught.value


def cues_of(text: str) -> list[Caption]:
    return webvtt.from_string(text).captions


def faked(*answers: Any, **settings: Any) -> tuple[FakeWire, Client]:
    wire = FakeWire(*answers)
    given = Settings(api_key="sk-x", **settings)
    api = Api("sk-x", "https://api.example", rates={}, transport=httpx2.MockTransport(wire))
    return wire, Client(make_server(given, api=api))
