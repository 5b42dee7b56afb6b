"""Headers that a proxy and the server could read differently are refused if they occur twice."""

from __future__ import annotations

import pytest
from http_clients import TOKEN
from httpx2 import AsyncClient

from memories_mcp.server.http.app import run_http_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

HEADERS = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")]


async def refusal(url: str, *headers: tuple[str, str]) -> tuple[int, str]:
    async with AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{url}/mcp", json={}, headers=[*HEADERS, *headers])
        return answer.status_code, answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("X-Memories-Read-Only", ("false", "true")),
        ("X-Memories-Read-Only", ("true", "true")),
        ("X-Memories-Toolsets", ("all", "search")),
        ("X-Memories-Unique-Id", ("one", "two")),
        ("X-Memories-Api-Key", ("sk-1", "sk-2")),
        ("X-Memories-Caption-Api-Key", ("sk-1", "sk-1")),
        ("Authorization", ("Bearer sk-1", "Bearer sk-2")),
        ("Authorization", ("Bearer sk-1", "Bearer sk-1")),
        ("Origin", ("http://localhost:1", "http://localhost:1")),
        ("Origin", ("http://localhost:1", "https://evil.example")),
        ("Mcp-Session-Id", ("a", "b")),
    ],
)
@pytest.mark.parametrize("spell", [str, str.lower, str.upper])
async def test_a_repeated_header_is_refused(url: str, name: str, values: tuple[str, str], spell: type[str]) -> None:
    status, message = await refusal(url, (name, values[0]), (spell(name), values[1]))

    assert (status, message) == (400, f"Repeated header: {name.lower()}. Send it once.")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Memories-Read-Only", "false, true"),
        ("X-Memories-Read-Only", "true,true"),
        ("X-Memories-Api-Key", "sk-1,sk-2"),
        ("X-Memories-Caption-Api-Key", "sk-1,sk-2"),
        ("Authorization", "Bearer sk-1,sk-2"),
        ("Authorization", "Bearer sk-1, Bearer sk-2"),
    ],
)
async def test_values_that_a_proxy_has_joined_are_refused(url: str, name: str, value: str) -> None:
    status, message = await refusal(url, (name, value))

    assert status == 400
    assert name in message
    assert "sk-" not in message


@pytest.mark.parametrize("name", ["X_Memories_Read_Only", "x-memories_read-only", "X-Memories-Readonly"])
async def test_a_misspelt_restriction_is_refused(url: str, name: str) -> None:
    status, message = await refusal(url, (name, "true"))

    assert status == 400
    assert message.startswith("Unknown header")


async def test_a_token_may_hold_a_comma(open_house: Settings) -> None:
    token = f"{TOKEN},more"
    async with run_http_server(open_house.change(http_token=token)) as url:
        status, message = await refusal(url, ("Authorization", f"Bearer {token}"))

    assert (status, message.partition(":")[0]) == (400, "Invalid request")  # the body, which is checked later
