"""Sign-in over real HTTP: which access tokens are accepted, and what the server answers to the others."""

from __future__ import annotations

import base64
import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from anyio.from_thread import BlockingPortal
from conftest import settings_of
from http_clients import connect, each_transport, video_numbers
from identity_provider import AUDIENCE, IdentityProvider, run_identity_provider

from memories_mcp.server.http.app import run_http_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

KEY = "sk-of-the-map-0123456789"
MAP = """
[[allow]]
subject = "alice"
key = "file:alice.key"
namespace = "*"

[[allow]]
group = "video"
key = "file:alice.key"
namespace = "team"

[[allow]]
email_domain = "Example.com"
key = "file:alice.key"
namespace = "user-{subject}"
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with run_identity_provider() as provider:
        provider.add_key("second")
        provider.add_key("edwards", "EdDSA")
        provider.add_key("rsa", "RS256")
        yield provider


@pytest.fixture(scope="module")
def oauth(tmp_path_factory: pytest.TempPathFactory, sandbox_url: str, provider: IdentityProvider) -> Settings:
    folder = tmp_path_factory.mktemp("map")
    (folder / "map.toml").write_text(MAP)
    (folder / "alice.key").write_text(f"{KEY}\n")
    return settings_of("sk-test-of-the-operator", sandbox_url).change(
        sandbox=False,
        rate_limits={},
        oauth_issuer=provider.issuer,
        oauth_audience=(AUDIENCE,),
        oauth_map=folder / "map.toml",
    )


@pytest.fixture(scope="module")
def url(portal: BlockingPortal, oauth: Settings) -> Iterator[str]:
    with portal.wrap_async_context_manager(run_http_server(oauth)) as url:
        yield url


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def ask(
    url: str, headers: dict[str, str], path: str = "/mcp", meta: dict[str, Any] | None = None, **params: Any
) -> httpx2.Response:
    """List the tools in the stateless era, or call one."""
    method = "tools/call" if params else "tools/list"
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        **(meta or {}),
    }
    base = {
        "content-type": "application/json", "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28", "mcp-method": method, **({"mcp-name": params["name"]} if params else {}),
    }  # fmt: skip
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {**params, "_meta": meta}}
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        return await client.post(path, json=body, headers={**base, **headers})


def challenge_of(answer: httpx2.Response) -> dict[str, str]:
    scheme, _, fields = answer.headers["www-authenticate"].partition(" ")
    assert scheme == "Bearer"
    return dict(re.findall(r'(\w+)="([^"]*)"', fields))


def message_of(answer: httpx2.Response) -> str:
    return answer.json()["error"]["message"]


@each_transport
async def test_who_signed_in_uses_the_key_of_the_map(url: str, provider: IdentityProvider, transport: Any) -> None:
    async with connect(url, transport, bearer(provider.token())) as client:
        assert len(await video_numbers(client)) > 3


@pytest.mark.parametrize(("key", "kid"), [("first", "first"), ("edwards", "edwards"), ("rsa", "rsa"), ("rsa", None)])
async def test_each_algorithm_of_the_list_is_accepted(
    url: str, provider: IdentityProvider, key: str, kid: str | None
) -> None:
    assert (await ask(url, bearer(provider.token(key=key, kid=kid)))).status_code == 200


@pytest.mark.parametrize("path", ["/mcp", "/messages/?session_id=" + "0" * 32])
async def test_without_a_token_the_challenge_says_where_to_sign_in(url: str, provider: Any, path: str) -> None:
    answer = await ask(url, {}, path)
    challenge = challenge_of(answer)

    assert answer.status_code == 401
    assert challenge["resource_metadata"] == "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    assert challenge["scope"] == "memories:read"
    assert "error" not in challenge
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        document = await client.get("/.well-known/oauth-protected-resource/mcp")
    assert document.json() == {
        "resource": AUDIENCE,
        "authorization_servers": [provider.issuer],
        "scopes_supported": ["memories:read", "memories:write"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Memories.ai",
    }


async def test_a_page_may_read_where_to_sign_in_and_another_host_may_not(url: str) -> None:
    path = "/.well-known/oauth-protected-resource/mcp"
    page = {"origin": "http://localhost:6274"}
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        preflight = await client.options(path, headers={**page, "access-control-request-method": "GET"})
        read = await client.get(path, headers=page)
        foreign = await client.get(path, headers={"host": "evil.example"})

    assert (preflight.status_code, read.status_code, foreign.status_code) == (204, 200, 421)
    assert read.headers["access-control-allow-origin"] == page["origin"]


@pytest.mark.parametrize(
    ("audience", "path", "resource"),
    [
        (("https://a.example/mcp", "https://a.example/sse"), "/sse", "https://a.example/sse"),
        (("https://a.example/mcp",), "/sse", "https://a.example/mcp"),
        (("https://a.example/mcp", "https://a.example/sse"), "/messages/", "https://a.example/sse"),
        (("api://memories", "https://a.example/video/mcp"), "/mcp", "https://a.example/video/mcp"),
        (("https://a.example",), "/mcp", "https://a.example"),
        (("api://memories",), "/mcp", "URL/mcp"),
    ],
)
async def test_the_metadata_names_the_address_that_clients_use(
    oauth: Settings, audience: tuple[str, ...], path: str, resource: str
) -> None:
    async with (
        run_http_server(oauth.change(oauth_audience=audience)) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        place = challenge_of(await client.get(path))["resource_metadata"]
        expected = resource.replace("URL", url)
        document = await client.get(httpx2.URL(place).path)

    assert place.startswith("/".join(expected.split("/")[:3]))
    assert document.json()["resource"] == expected


def forge(header: dict[str, Any], claims: object, signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def sign(**claims: Any) -> Callable[[IdentityProvider], str]:
    return lambda provider: provider.token(**claims)


def claim_seconds_from_now(name: str, seconds: int) -> Callable[[IdentityProvider], str]:
    return lambda provider: sign(**{name: int(time.time()) + seconds})(provider)


def unsigned(header: dict[str, Any], **claims: Any) -> Callable[[IdentityProvider], str]:
    return lambda provider: forge({"kid": "first", **header}, {**provider.claims(), **claims}, b"x" * 64)


def with_shared_secret(provider: IdentityProvider) -> str:
    return jwt.encode(provider.claims(), "x" * 32, "HS256", headers={"kid": "first"})


def with_claims_of_another(provider: IdentityProvider) -> str:
    head, _, signature = provider.token("mallory").split(".")
    return ".".join([head, provider.token().split(".")[1], signature])


def without_signature(provider: IdentityProvider) -> str:
    return provider.token().rpartition(".")[0] + "."


NESTED = base64.urlsafe_b64encode(b"[" * 5000).rstrip(b"=").decode()
BAD_TOKENS: dict[str, tuple[Callable[[IdentityProvider], str], str]] = {
    "wrong issuer": (sign(iss="https://evil.example"), "another issuer"),
    "issuer is a list": (sign(iss=["https://evil.example"]), "another issuer"),
    "no issuer": (sign(iss=None), "another issuer"),
    "wrong audience": (sign(aud="https://other.example"), "another server"),
    "no audience": (sign(aud=None), "lacks a claim"),
    "audience is a number": (sign(aud=[7]), "another server"),
    "expired": (claim_seconds_from_now("exp", -60), "expired"),
    "no expiry": (sign(exp=None), "lacks a claim"),
    "expiry is no number": (sign(exp="soon"), "malformed"),
    "expiry is infinite": (sign(exp=float("inf")), "malformed"),
    "not yet valid": (claim_seconds_from_now("nbf", 300), "not valid yet"),
    "issued in the future": (claim_seconds_from_now("iat", 300), "not valid yet"),
    "no subject": (sign(sub=None), "lacks a claim"),
    "empty subject": (sign(sub=""), "subject"),
    "subject is a number": (sign(sub=7), "malformed"),
    "subject with a line break": (sign(sub="alice\nbob"), "subject"),
    "unsigned": (lambda provider: forge({"alg": "none", "kid": "first"}, provider.claims()), "not signed with"),
    "no algorithm": (unsigned({}), "not signed with"),
    "algorithm is a list": (unsigned({"alg": ["ES256"]}), "not signed with"),
    "shared secret": (with_shared_secret, "not signed with"),
    "algorithm of another key": (sign(key="rsa", kid="first"), "no key"),
    "unknown key": (sign(kid="made-up"), "no key"),
    "no key is named, and several are there": (sign(key="first", kid=None), "no key"),
    "key name is a number": (unsigned({"alg": "ES256", "kid": 7}), "malformed"),
    "signature of other claims": (with_claims_of_another, "signature"),
    "no signature": (without_signature, "signature"),
    "demands an extension": (unsigned({"alg": "ES256", "crit": ["x"]}), "refused"),
    "claims are a list": (lambda _: forge({"alg": "ES256", "kid": "first"}, ["x"]), "malformed"),
    "nested deeply": (lambda _: f"{NESTED}.{NESTED}.x", "malformed"),
    "five parts": (lambda provider: f"{provider.token()}.x.y", "malformed"),
    "too long": (sign(extra="x" * 20_000), "too long"),
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
async def test_a_token_that_is_not_valid_is_refused_with_the_reason(
    url: str, provider: IdentityProvider, kind: str
) -> None:
    make, reason = BAD_TOKENS[kind]
    token = make(provider)

    answer = await ask(url, bearer(token))

    challenge = challenge_of(answer)
    assert (answer.status_code, challenge["error"]) == (401, "invalid_token")
    assert challenge["scope"] == "memories:read"
    assert reason in message_of(answer)
    assert token not in answer.text


@pytest.mark.parametrize(("seconds", "status"), [(-10, 200), (-60, 401)])
async def test_clocks_may_differ_a_little(url: str, provider: IdentityProvider, seconds: int, status: int) -> None:
    token = provider.token(exp=int(time.time()) + seconds)

    assert (await ask(url, bearer(token))).status_code == status


async def test_an_unknown_subject_is_refused_with_the_reason(url: str, provider: IdentityProvider) -> None:
    answer = await ask(url, bearer(provider.token("mallory")))

    assert answer.status_code == 403
    assert "'mallory'" in message_of(answer)
    assert "no access" in message_of(answer)
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"groups": ["sales", "video"]}, 200),
        ({"groups": "video"}, 200),
        ({"groups": ["Video"]}, 403),
        ({"groups": {"video": True}}, 403),
        ({"email": "m@EXAMPLE.com", "email_verified": True}, 200),
        ({"email": "m@example.com", "email_verified": False}, 403),
        ({"email": "m@example.com"}, 403),
        ({"email": "m@example.com.evil.example", "email_verified": True}, 403),
        ({"email": "m@evil-example.com", "email_verified": True}, 403),
        ({"email": ["m@example.com"], "email_verified": True}, 403),
    ],
)
async def test_groups_and_verified_mail_domains_give_access(
    url: str, provider: IdentityProvider, claims: dict[str, Any], status: int
) -> None:
    assert (await ask(url, bearer(provider.token("mallory", **claims)))).status_code == status


async def test_the_namespace_of_the_map_is_forced(url: str, provider: IdentityProvider) -> None:
    headers = bearer(provider.token("mallory", groups=["video"]))

    listed = await ask(url, headers)
    argument = await ask(url, headers, name="list_videos", arguments={"unique_id": "default"})
    header = await ask(url, {**headers, "X-Memories-Unique-Id": "default"})
    same = await ask(url, {**headers, "X-Memories-Unique-Id": "team"})
    resource = await ask(url, headers, name="list_videos", arguments={})

    tools = {tool["name"]: tool for tool in listed.json()["result"]["tools"]}
    assert "unique_id" not in tools["list_videos"]["inputSchema"]["properties"]
    assert "list_folders" not in tools
    assert argument.json()["result"]["isError"]
    assert "unique_id" in argument.text
    assert (header.status_code, same.status_code) == (403, 200)
    assert "fixed by the operator" in message_of(header)
    assert not resource.json()["result"].get("isError")


async def test_lists_of_a_person_are_kept_out_of_shared_caches(url: str, provider: IdentityProvider) -> None:
    listed = await ask(url, bearer(provider.token()))

    assert listed.json()["result"]["cacheScope"] == "private"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer sk-my-own-key-0123456789"},
        {"Authorization": "sk-my-own-key-0123456789"},
        {"X-Memories-Api-Key": "sk-my-own-key-0123456789"},
        {"X-Memories-Caption-Api-Key": "sk-my-own-key-0123456789"},
        {"Authorization": "Bearer operator-token-0123456789"},
        {"Authorization": "Basic YWxpY2U6c2VjcmV0"},
    ],
)
async def test_with_sign_in_the_other_ways_are_off(url: str, headers: dict[str, str]) -> None:
    answer = await ask(url, headers)

    assert answer.status_code == 401
    assert challenge_of(answer)["resource_metadata"]


async def test_an_access_token_beside_a_key_is_refused(url: str, provider: IdentityProvider) -> None:
    token = provider.token()

    beside = await ask(url, {**bearer(token), "X-Memories-Api-Key": "sk-my-own-key"})
    in_place = await ask(url, {"X-Memories-Api-Key": token})

    assert (beside.status_code, in_place.status_code) == (400, 400)


async def test_a_token_that_fails_is_not_tried_in_another_way(
    portal: BlockingPortal, oauth: Settings, provider: IdentityProvider
) -> None:
    every_way = oauth.change(http_token="operator-token-0123456789", http_auth=frozenset({"oauth", "token", "key"}))
    async with run_http_server(every_way) as url:
        statuses = [
            (await ask(url, headers)).status_code
            for headers in (
                bearer(provider.token()),
                bearer("operator-token-0123456789"),
                bearer("sk-my-own-key-0123456789"),
                {"X-Memories-Api-Key": "sk-my-own-key-0123456789"},
                {},
                bearer(provider.token(aud="other")),
                bearer(forge({"alg": "none"}, {})),
                bearer("operator-token-0123456788"),
            )
        ]

    assert statuses == [200, 200, 200, 200, 401, 401, 401, 401]


@pytest.mark.parametrize(
    ("ways", "statuses"), [({"key"}, [401, 200, 401]), ({"token"}, [200, 401, 401]), (None, [200, 200, 401])]
)
async def test_without_sign_in_an_access_token_is_never_taken_for_a_key(
    open_house: Settings, provider: IdentityProvider, ways: set[str] | None, statuses: list[int]
) -> None:
    token = "operator-token-0123456789"
    settings = open_house.change(http_token=token, http_auth=frozenset(ways) if ways else None)
    async with run_http_server(settings) as url:
        sent = [bearer(token), bearer("sk-my-own-key-0123456789"), bearer(provider.token())]
        answers = [await ask(url, headers) for headers in sent]

        async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
            document = await client.get("/.well-known/oauth-protected-resource/mcp")

    assert [answer.status_code for answer in answers] == statuses
    assert document.status_code == 404
    assert "resource_metadata" not in challenge_of(answers[2])


async def test_no_token_and_no_key_is_logged(
    url: str, provider: IdentityProvider, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = [provider.token(), provider.token("mallory"), provider.token(aud="other"), provider.token(kid="made-up-2")]
    with caplog.at_level(logging.DEBUG):
        answers = [await ask(url, bearer(token), name="list_videos", arguments={}) for token in tokens]

    written = caplog.text + repr([vars(record) for record in caplog.records]) + "".join(a.text for a in answers)
    assert [secret for secret in (*tokens, KEY) if secret in written or secret.split(".")[-1] in written] == []


async def test_the_operators_own_key_serves_people_in_namespaces_of_their_own(
    oauth: Settings, provider: IdentityProvider, tmp_path: Path
) -> None:
    path = tmp_path / "map.toml"
    path.write_text(
        'groups_claim = "realm.roles"\n[[allow]]\ngroup = "staff"\nkey = "operator"\nnamespace = "u-{subject}"'
    )
    async with run_http_server(oauth.change(oauth_map=path)) as url:
        headers = bearer(provider.token("al/ice", realm={"roles": ["staff"]}))
        listed = await ask(url, headers, name="list_videos", arguments={})

    assert listed.json()["result"]["structuredContent"].get("videos", []) == []
