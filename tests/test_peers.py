"""What one worker passes on to another: whole bodies both ways, a client's leaving, and the end of the other."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from memories_mcp.errors import ConfigurationError
from memories_mcp.server.http.peers import PeerAway, Peers
from memories_mcp.server.http.workers import settings_of_workers
from memories_mcp.settings import Settings

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no Unix sockets in asyncio"),
]

PART = bytes(range(256)) * 4096
SCOPE: Scope = {
    "type": "http", "http_version": "1.1", "method": "POST", "path": "/mcp", "root_path": "", "scheme": "http",
    "query_string": b"a=%C3%A4", "headers": [(b"x-name", b"\xe4")], "client": ("127.0.0.1", 1), "server": ("h", 2),
}  # fmt: skip


class Caller:
    """The client's side of a request: sends parts of a body, then leaves if asked to, and keeps the response."""

    def __init__(self, *parts: bytes, leaves: bool = False) -> None:
        self.sent: list[Message] = [
            {"type": "http.request", "body": part, "more_body": number < len(parts)}
            for number, part in enumerate(parts, 1)
        ]
        self.leaves = leaves
        self.received: list[Message] = []

    async def receive(self) -> Message:
        if self.sent:
            return self.sent.pop(0)
        if not self.leaves:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.received.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.received)


def peers(folder: Path) -> tuple[Peers, Peers]:
    sockets = {name: folder / name for name in ("1", "2")}
    return Peers("1", sockets), Peers("2", sockets)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    body = await request.body()  # a response that streams would read from it too, to notice the client's leaving
    seen = f"{request.url.query} {request.headers['x-name']} {request.client}".encode()

    async def parts() -> AsyncIterator[bytes]:
        yield seen
        yield body

    await StreamingResponse(parts(), 201, {"x-back": "\xe4"})(scope, receive, send)


def ignore(tenant: str, uris: Any) -> None: ...


async def test_a_request_and_its_response_arrive_as_they_are(tmp_path: Path) -> None:
    one, two = peers(tmp_path)
    await two.listen(echo, ignore)
    caller = Caller(PART, PART, b"")
    await asyncio.wait_for(one.forward("2", SCOPE, caller.receive, caller.send), 30)
    await two.close()

    assert caller.received[0]["status"] == 201
    assert (b"x-back", b"\xe4") in caller.received[0]["headers"]
    assert (
        caller.body == b"a=%C3%A4 \xe4 Address(host='127.0.0.1', port=1)".replace(b"\xe4", "\xe4".encode()) + 2 * PART
    )
    assert caller.received[-1]["more_body"] is False


async def test_the_app_hears_that_the_client_has_left(tmp_path: Path) -> None:
    one, two = peers(tmp_path)
    heard: list[str] = []

    async def listens(scope: Scope, receive: Receive, send: Send) -> None:
        heard.extend([(await receive())["type"] for _ in range(3)])

    await two.listen(listens, ignore)
    caller = Caller(b"", leaves=True)
    await asyncio.wait_for(one.forward("2", SCOPE, caller.receive, caller.send), 30)
    await two.close()

    assert heard == ["http.request", "http.disconnect", "http.disconnect"]


async def test_a_worker_that_ends_during_a_call_is_an_error_and_an_absent_one_is_known(tmp_path: Path) -> None:
    one, two = peers(tmp_path)

    async def ends(scope: Scope, receive: Receive, send: Send) -> None:
        """Answer nothing."""

    await two.listen(ends, ignore)
    caller = Caller(b"")
    await asyncio.wait_for(one.forward("2", SCOPE, caller.receive, caller.send), 30)
    await two.close()

    assert caller.received[0]["status"] == 502
    assert b"took effect" in caller.body
    with pytest.raises(PeerAway):
        await one.forward("2", SCOPE, caller.receive, caller.send)


def test_workers_share_the_signing_key_and_divide_the_rates() -> None:
    settings = settings_of_workers(Settings(rate_limits={"chat": (8, 60)}), 4)

    assert len(settings.secret) >= 32
    assert settings_of_workers(settings, 4).secret == settings.secret
    assert settings.rate_limits is not None
    assert settings.rate_limits["chat"] == (2, 60)
    assert settings.rate_limits["search"] == (2.5, 1)
    assert settings_of_workers(Settings(rate_limits={}), 4).rate_limits == {}


def test_workers_divide_what_a_caller_may_spend() -> None:
    settings = Settings(spend_limit={"chat": 100, "upload": 0})

    assert settings_of_workers(settings, 4).spend_limit == {"chat": 25, "upload": 0}
    assert settings_of_workers(Settings(), 4).spend_limit is None
    with pytest.raises(ConfigurationError, match="chat is too small"):
        settings_of_workers(Settings(spend_limit={"chat": 3}), 4)
