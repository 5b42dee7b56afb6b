"""Scopes narrow the tools, and what belongs to one person is not accepted from another with the same key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from anyio.from_thread import BlockingPortal
from conftest import BIKE, MEETING, settings_of
from http_clients import Transport, connect, each_transport, structured, text, video_numbers
from identity_provider import AUDIENCE, IdentityProvider, run_identity_provider
from test_oauth import ask, bearer, challenge_of, message_of

from memories_mcp.server.http.app import run_http_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with run_identity_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def oauth(tmp_path_factory: pytest.TempPathFactory, sandbox_url: str, provider: IdentityProvider) -> Settings:
    path = tmp_path_factory.mktemp("map") / "map.toml"
    rules = '[[allow]]\ngroup = "team"\nkey = "operator"\nnamespace = "*"\n'
    rules += '[[allow]]\ngroup = "readers"\nkey = "operator"\nnamespace = "*"\nread_only = true\n'
    path.write_text(rules)
    return settings_of("sk-test-of-the-team", sandbox_url).change(
        sandbox=False,
        rate_limits={},
        secret="s" * 32,
        oauth_issuer=provider.issuer,
        oauth_audience=(AUDIENCE,),
        oauth_map=path,
    )


@pytest.fixture(scope="module")
def url(portal: BlockingPortal, oauth: Settings) -> Iterator[str]:
    with portal.wrap_async_context_manager(run_http_server(oauth)) as url:
        yield url


def member(provider: IdentityProvider, subject: str, **claims: Any) -> dict[str, str]:
    return bearer(provider.token(subject, groups=["team"], **claims))


def delete(name: str = "delete_videos") -> dict[str, Any]:
    return {"name": name, "arguments": {"video_nos": [MEETING]}}


@pytest.mark.parametrize("scope", ["memories:read", ["memories:read"], "openid memories:read profile"])
async def test_a_tool_outside_of_the_scope_is_a_challenge(url: str, provider: IdentityProvider, scope: Any) -> None:
    headers = member(provider, "alice", scope=scope)

    reading = await ask(url, headers, name="list_videos", arguments={})
    deleting = await ask(url, headers, **delete())

    assert reading.status_code == 200
    assert deleting.status_code == 403
    challenge = challenge_of(deleting)
    assert challenge["error"] == "insufficient_scope"
    assert challenge["scope"] == "memories:read memories:write"
    assert challenge["resource_metadata"].endswith("/.well-known/oauth-protected-resource/mcp")
    assert deleting.json()["id"] == 7
    assert "delete_videos needs the scope memories:write" in message_of(deleting)


async def test_tools_that_a_wider_scope_would_open_are_listed(url: str, provider: IdentityProvider) -> None:
    answers = [await ask(url, member(provider, "alice", scope=scope)) for scope in ("memories:read", "memories:write")]

    assert len({answer.text for answer in answers}) == 1
    assert "delete_videos" in answers[0].text


async def test_a_tool_outside_of_the_scope_is_a_challenge_in_a_session_too(
    url: str, provider: IdentityProvider
) -> None:
    headers = member(provider, "alice", scope="memories:read")
    call = {"jsonrpc": "2.0", "id": "x", "method": "tools/call", "params": delete()}
    base = {"content-type": "application/json", "accept": "application/json, text/event-stream", **headers}
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        async with client.stream("GET", "/sse", headers=base) as stream:
            lines = stream.aiter_lines()
            endpoint = next(line for line in [await anext(lines), await anext(lines)] if line.startswith("data: "))
            posted = await client.post(endpoint.removeprefix("data: "), json=call, headers=base)
        streamed = await client.post("/mcp", json=call, headers=base)

    for answer in (posted, streamed):
        assert (answer.status_code, challenge_of(answer)["error"]) == (403, "insufficient_scope")
        assert answer.json()["id"] == "x"


@pytest.mark.parametrize(
    "claims", [{"scope": "openid"}, {"scope": None}, {"scope": 7}, {"scope": "memories:readwrite"}]
)
async def test_a_token_without_a_scope_of_this_server_is_a_challenge(
    url: str, provider: IdentityProvider, claims: dict[str, Any]
) -> None:
    answer = await ask(url, member(provider, "alice", **claims))

    assert answer.status_code == 403
    assert challenge_of(answer)["error"] == "insufficient_scope"
    assert challenge_of(answer)["scope"] == "memories:read"


async def test_scopes_are_read_from_scp_too(url: str, provider: IdentityProvider) -> None:
    headers = member(provider, "alice", scope=None, scp=["memories:write"])

    assert (await ask(url, headers, **delete())).status_code == 200


async def test_a_rule_that_only_reads_offers_nothing_else(url: str, provider: IdentityProvider) -> None:
    headers = bearer(provider.token("carol", groups=["readers"]))

    listed = await ask(url, headers)
    called = await ask(url, headers, **delete())

    assert "delete_videos" not in listed.text
    assert "is not offered" in message_of(called)


@each_transport
async def test_a_confirmation_token_of_one_person_is_not_accepted_from_another(
    url: str, provider: IdentityProvider, transport: Transport
) -> None:
    arguments = {"video_nos": [BIKE]}
    async with (
        connect(url, transport, member(provider, "alice")) as alice,
        connect(url, transport, member(provider, "bob")) as bob,
    ):
        preview = await alice.call_tool("delete_videos", arguments)
        confirmed = {**arguments, "confirmation_token": structured(preview)["confirmation"]["confirmation_token"]}
        stolen = await bob.call_tool("delete_videos", confirmed)

        assert stolen.is_error
        assert "confirmation_token" in text(stolen)
        assert BIKE in await video_numbers(alice)


async def test_a_confirmation_token_serves_its_person_after_a_new_sign_in(
    oauth: Settings, url: str, provider: IdentityProvider
) -> None:
    arguments = {"video_nos": [BIKE]}
    async with connect(url, "http modern", member(provider, "alice")) as client:
        preview = await client.call_tool("delete_videos", {"video_nos": [MEETING]})
    token = structured(preview)["confirmation"]["confirmation_token"]
    async with (
        run_http_server(oauth) as replica,
        connect(replica, "http legacy", member(provider, "alice", jti="another")) as client,
    ):
        others = await client.call_tool("delete_videos", {**arguments, "confirmation_token": token})
        result = await client.call_tool("delete_videos", {"video_nos": [MEETING], "confirmation_token": token})

    assert others.is_error
    assert structured(result) == {"deleted": [MEETING]}


async def test_sealed_state_of_one_person_is_not_accepted_from_another(url: str, provider: IdentityProvider) -> None:
    arguments: dict[str, Any] = {"name": "delete_videos", "arguments": {"video_nos": [BIKE]}}
    form: dict[str, Any] = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}
    asked = (await ask(url, member(provider, "alice"), meta=form, **arguments)).json()["result"]
    answer: dict[str, Any] = {
        "inputResponses": {"confirm": {"action": "accept", "content": {"confirm": True}}},
        "requestState": asked["requestState"],
    }

    stolen = await ask(url, member(provider, "bob"), meta=form, **arguments, **answer)
    own = await ask(url, member(provider, "alice"), meta=form, **arguments, **answer)

    assert "error" in stolen.json()
    assert own.json()["result"]["structuredContent"] == {"deleted": [BIKE]}


async def test_a_session_of_one_person_is_not_served_to_another(url: str, provider: IdentityProvider) -> None:
    hello = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }  # fmt: skip
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    base = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        begun = await client.post("/mcp", json=hello, headers={**base, **member(provider, "alice")})
        session = {**base, "mcp-session-id": begun.headers["mcp-session-id"]}
        refreshed = {**session, **member(provider, "alice", scope="memories:read")}
        stolen = await client.post("/mcp", json=listing, headers={**session, **member(provider, "bob")})
        ended = await client.delete("/mcp", headers={**session, **member(provider, "bob")})
        own = await client.post("/mcp", json=listing, headers=refreshed)
        async with client.stream("GET", "/sse", headers={**base, **member(provider, "alice")}) as stream:
            lines = stream.aiter_lines()
            endpoint = next(line for line in [await anext(lines), await anext(lines)] if line.startswith("data: "))
            path = endpoint.removeprefix("data: ")
            posted = await client.post(path, json=hello, headers={**base, **member(provider, "bob")})

    assert (stolen.status_code, ended.status_code, own.status_code, posted.status_code) == (404, 404, 200, 404)
