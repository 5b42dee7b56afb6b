"""A body that is no JSON-RPC message is refused in a plain sentence that repeats nothing of the body."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Any, Literal

import httpx2
import pytest
from http_clients import bearer_key
from mcp import Client, MCPError
from mcp_types import CallToolResult, EmptyResult, Request

from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

SECRET = "zebra-4711"
"""Part of each input; no answer holds it."""
MODERN = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list"}
HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}  # fmt: skip

PARSE_ERROR, INVALID_REQUEST, INVALID_PARAMS = -32700, -32600, -32602

UNREADABLE: list[tuple[bytes, str]] = [
    (b"", "is empty"),
    (b" \n", "is empty"),
    (f'{{"jsonrpc":"2.0","id":1,"method":"{SECRET}'.encode(), "not valid JSON at line 1, column"),
    (f"{SECRET}".encode(), "not valid JSON at line 1, column 1"),
    (f'{{"jsonrpc":"2.0","id":1,"method":"{SECRET}"}} x'.encode(), "not valid JSON"),
    (f'{{"jsonrpc":"2.0","id":NaN,"method":"{SECRET}"}}'.encode(), "not valid JSON"),
    (f'{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"x":"{SECRET}\\ud800"}}}}'.encode(), "not valid JSON"),
    (f'{{"jsonrpc":"2.0","id":1,"method":"{SECRET}\xff"}}'.encode("latin-1"), "not UTF-8"),
    (f'{{"jsonrpc":"2.0","id":1,"method":"{SECRET}"}}'.encode("utf-16"), "not UTF-8"),
    (f'{{"jsonrpc":"2.0","id":1,"method":"{SECRET}"}}'.encode("utf-8-sig"), "byte order mark"),
    (b"[" * 300 + b"]" * 300, "not valid JSON"),
]


def fields(**changes: Any) -> dict[str, Any]:
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {"x": SECRET}, **changes}
    return {name: value for name, value in message.items() if value is not ...}


INVALID: list[tuple[Any, int, Any, str]] = [
    (None, INVALID_REQUEST, None, "not a JSON object"),
    (SECRET, INVALID_REQUEST, None, "not a JSON object"),
    (42, INVALID_REQUEST, None, "not a JSON object"),
    ([], INVALID_REQUEST, None, "a list"),
    ([None], INVALID_REQUEST, None, "a list"),
    ([fields(), fields(id=8)], INVALID_REQUEST, None, "request of its own"),
    ({}, INVALID_REQUEST, None, "jsonrpc"),
    (fields(jsonrpc="1.0"), INVALID_REQUEST, 7, "jsonrpc"),
    (fields(jsonrpc=2.0), INVALID_REQUEST, 7, "jsonrpc"),
    (fields(jsonrpc=...), INVALID_REQUEST, 7, "jsonrpc"),
    (fields(method=...), INVALID_REQUEST, 7, "method is missing"),
    (fields(method=..., id="abc"), INVALID_REQUEST, "abc", "method is missing"),
    (fields(method=..., id=...), INVALID_REQUEST, None, "method is missing"),
    (fields(method=3), INVALID_REQUEST, 7, "method is not"),
    (fields(method=""), INVALID_REQUEST, 7, "method is not"),
    (fields(method=None), INVALID_REQUEST, 7, "method is not"),
    (fields(method=SECRET * 100), INVALID_REQUEST, 7, "method is not"),
    (fields(params=[1, SECRET]), INVALID_PARAMS, 7, "params is not an object"),
    (fields(params=SECRET), INVALID_REQUEST, 7, "params is not an object"),
    (fields(id=None), INVALID_REQUEST, None, "id is not"),
    (fields(id=True), INVALID_REQUEST, None, "id is not"),
    (fields(id=1.5), INVALID_REQUEST, 1.5, "id is not"),
    (fields(id={"a": SECRET}), INVALID_REQUEST, None, "id is not"),
    (fields(id=[1]), INVALID_REQUEST, None, "id is not"),
    (fields(id=SECRET * 100), INVALID_REQUEST, None, "id is not"),
    (fields(id=10**30), INVALID_REQUEST, None, "id is not"),
    (fields(jsonrpc="1.0", id=SECRET * 100), INVALID_REQUEST, None, "jsonrpc"),
    (fields(method=..., result=SECRET), INVALID_REQUEST, 7, "Invalid response"),
    (fields(method=..., result={}, id=[1]), INVALID_REQUEST, None, "Invalid response"),
    (fields(method=..., error={"message": SECRET}), INVALID_REQUEST, 7, "Invalid response"),
]


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=url, trust_env=False, headers={**HEADERS, **bearer_key()}) as client:
        yield client


@pytest.fixture(params=["modern", "legacy", "new", "sse"])
async def post(request: pytest.FixtureRequest, client: httpx2.AsyncClient) -> Any:
    """Send a body to an endpoint: of the modern era, of a session, of none, or of the SSE transport."""
    kind: Literal["modern", "legacy", "new", "sse"] = request.param
    headers = MODERN if kind == "modern" else {}
    if kind == "legacy":
        begun = await client.post("/mcp", json=INITIALIZE)
        headers = {"mcp-session-id": begun.headers["mcp-session-id"]}
    path = f"/messages/?session_id={'0' * 32}" if kind == "sse" else "/mcp"

    async def send(body: bytes) -> httpx2.Response:
        return await client.post(path, content=body, headers=headers)

    return send


def check(response: httpx2.Response, code: int, request_id: Any, words: str) -> None:
    answer = response.json()
    assert response.status_code == 400, response.request.content
    assert response.headers["content-type"] == "application/json"
    assert answer["jsonrpc"] == "2.0"
    assert "id" in answer
    assert (answer["id"], answer["error"]["code"]) == (request_id, code), response.request.content
    assert words in answer["error"]["message"]
    assert answer["error"]["message"].endswith(".")
    for word in (SECRET, "pydantic", "validation error", "JSONRPC"):
        assert word not in response.text


async def test_a_body_that_is_not_json_is_a_parse_error(post: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for body, words in UNREADABLE:
            check(await post(body), PARSE_ERROR, None, words)

    assert SECRET not in caplog.text
    assert not [record for record in caplog.records if record.exc_info]


async def test_json_that_is_no_message_is_an_invalid_request(post: Any) -> None:
    for body, code, request_id, words in INVALID:
        check(await post(json.dumps(body).encode()), code, request_id, words)


@pytest.mark.parametrize("request_id", [0, -1, 2**53, "", "a" * 200, "ü"])
async def test_ids_of_common_size_are_served(client: httpx2.AsyncClient, request_id: Any) -> None:
    response = await client.post("/mcp", json={**INITIALIZE, "id": request_id})

    assert response.status_code == 200
    assert json.loads(response.text.partition("data: ")[2])["id"] == request_id


@pytest.mark.parametrize(
    "body",
    [
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/initialized", "id": None, "params": None},
        {"jsonrpc": "2.0", "id": 99, "result": {}},
        {"jsonrpc": "2.0", "id": 99, "error": {"code": -1, "message": "no"}},
    ],
)
async def test_notifications_and_responses_are_accepted(client: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    begun = await client.post("/mcp", json=INITIALIZE)
    response = await client.post("/mcp", json=body, headers={"mcp-session-id": begun.headers["mcp-session-id"]})

    assert (response.status_code, response.content) == (202, b"")


@pytest.fixture(params=["auto", "legacy"])
async def in_memory(request: pytest.FixtureRequest, live: Settings) -> AsyncIterator[Client]:
    async with Client(make_server(live), mode=request.param) as client:
        yield client


async def refusal(client: Client, method: str, params: dict[str, Any]) -> MCPError:
    request = Request[dict[str, Any], str](method=method, params=params)
    with pytest.raises(MCPError) as caught:
        await client.session.send_request(request, EmptyResult)  # pyright: ignore[reportArgumentType]
    return caught.value


@pytest.mark.parametrize("method", ["no/such", SECRET * 1000])
async def test_an_unknown_method_is_named(in_memory: Client, method: str) -> None:
    error = (await refusal(in_memory, method, {})).error

    assert (error.code, error.data) == (-32601, None)
    assert error.message == f"Unknown method: {method[:80]}."


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("tools/call", {"arguments": {}}, "name is missing"),
        ("tools/call", {"name": 4711}, "name is not a string"),
        ("tools/call", {"name": "list_videos", "arguments": SECRET}, "arguments is not an object"),
        ("resources/read", {"uri": 4711}, "uri is not a string"),
        ("prompts/get", {"name": "find_moment", "arguments": {"description": 4711}}, "arguments.description is not"),
        ("prompts/get", {"name": "find_moment", "arguments": dict.fromkeys("abcdef", 1)}, "arguments.a is not"),
        ("completion/complete", {"ref": {"type": "ref/prompt"}}, "argument is missing"),
    ],
)  # fmt: skip
async def test_parameters_of_a_wrong_shape_are_named(
    in_memory: Client, method: str, params: dict[str, Any], words: str
) -> None:
    error = (await refusal(in_memory, method, params)).error

    assert error.code == INVALID_PARAMS
    assert error.message.startswith(f"Invalid parameters of {method}: ")
    assert words in error.message
    assert SECRET not in error.message
    assert "4711" not in error.message


async def test_a_request_before_initialize_says_so(client: httpx2.AsyncClient, url: str) -> None:
    async with client.stream("GET", "/sse") as stream:
        lines = stream.aiter_lines()
        endpoint = ""
        while not endpoint:
            endpoint = (await anext(lines)).partition("data: ")[2]
        await client.post(endpoint, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
        answer = ""
        while not answer:
            answer = (await anext(lines)).partition("data: ")[2]

    assert "tools/list came before the session was initialized. Send initialize first." in answer


async def test_an_empty_list_of_arguments_counts_as_none(in_memory: Client) -> None:
    request = Request[dict[str, Any], str](method="tools/call", params={"name": "list_videos", "arguments": []})
    result = await in_memory.session.send_request(request, CallToolResult)  # pyright: ignore[reportArgumentType]

    assert not result.is_error
