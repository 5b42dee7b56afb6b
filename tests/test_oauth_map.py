"""The map of sign-in and the keys of the issuer: what is refused at the start, and what changes later."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import settings_of
from identity_provider import AUDIENCE, KEYS, METADATA, OPENID, IdentityProvider, run_identity_provider
from loopback_servers import serve
from test_oauth import ask, bearer, message_of

from memories_mcp.api import documents
from memories_mcp.errors import ConfigurationError
from memories_mcp.loopback import bind, url_of
from memories_mcp.server.http import issuer_keys, sign_in
from memories_mcp.server.http.app import run_http_server, serve_http
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

SECRET = "sk-literal-0123456789abcdef"
RULE = '[[allow]]\nsubject = "alice"\nkey = "operator"\nnamespace = "*"\n'


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with run_identity_provider() as provider:
        yield provider


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "map.toml"
    path.write_text(RULE)
    return path


@pytest.fixture
def oauth(sandbox_url: str, provider: IdentityProvider, path: Path) -> Settings:
    return settings_of("sk-test-of-the-operator", sandbox_url).change(
        sandbox=False,
        rate_limits={},
        oauth_issuer=provider.issuer,
        oauth_audience=(AUDIENCE,),
        oauth_map=path,
    )


@pytest.fixture
async def url(oauth: Settings) -> AsyncIterator[str]:
    async with run_http_server(oauth) as url:
        yield url


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock for the issuer's keys, moved by hand."""

    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(issuer_keys, "time", clock)
    return clock


async def status(url: str, token: str) -> int:
    return (await ask(url, bearer(token))).status_code


def replace(path: Path, text: str) -> None:
    """Replace a file as an orchestrator does, in one step."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


async def test_a_changed_map_counts_at_once(url: str, provider: IdentityProvider, path: Path) -> None:
    alice, bob = provider.token("alice"), provider.token("bob")
    before = [await status(url, alice), await status(url, bob)]

    replace(path, RULE.replace("alice", "bob"))

    assert before == [200, 403]
    assert [await status(url, alice), await status(url, bob)] == [403, 200]


@pytest.mark.parametrize("text", [None, "", "[[allow", "\xff", RULE.replace('"operator"', f'"{SECRET}"'), RULE * 2])
async def test_a_broken_map_leaves_the_last_one_in_use_and_is_logged(
    url: str, provider: IdentityProvider, path: Path, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        if text is None:
            path.unlink()
        else:
            replace(path, text or "allow = 3")
        statuses = [await status(url, provider.token("alice")) for _ in range(3)]
        reported = [record for record in caplog.records if "access map" in record.message]
        replace(path, RULE.replace("alice", "bob"))
        statuses.append(await status(url, provider.token("alice")))

    assert statuses == [200, 200, 200, 403]
    assert len(reported) == 1
    assert "reason" in vars(reported[0])
    assert SECRET not in repr([vars(record) for record in caplog.records])


async def test_a_key_file_is_read_again_when_it_changes(
    oauth: Settings, provider: IdentityProvider, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = path.parent / "key"
    key.write_text("sk-first-0123456789\n")
    path.write_text(RULE.replace("operator", "file:key"))
    listing: dict[str, Any] = {"name": "list_videos", "arguments": {}}
    async with run_http_server(oauth) as url:
        answers = [await ask(url, bearer(provider.token()), **listing)]
        replace(key, "two words")
        answers.append(await ask(url, bearer(provider.token()), **listing))
        replace(key, "sk-refused-by-the-sandbox")
        answers.append(await ask(url, bearer(provider.token()), **listing))

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert sum("key file" in record.message for record in caplog.records) == 1
    assert "two words" not in caplog.text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("allow = [}", "not valid TOML: at line 1, column 10"),
        ("nested = " + "[" * 5000, "not valid TOML"),
        ("rule = 1", "unknown entry 'rule'"),
        ("groups_claim = 3", "groups_claim is not"),
        ("allow = 3", "allow is not a list"),
        ("allow = [3]", "allow is not a list"),
        ('[[allow]]\nkey = "operator"', "rule 1: not exactly one condition"),
        (f'{RULE}group = "x"', "rule 1: not exactly one condition"),
        (RULE.replace('"alice"', "7"), "rule 1: subject is not a text"),
        (RULE.replace('"alice"', '" "'), "rule 1: subject is not a text"),
        (RULE + RULE, "rule 2: an earlier rule has the same subject"),
        (f"{RULE}readonly = true", "rule 1: unknown field 'readonly'"),
        (f'{RULE}read_only = "yes"', "rule 1: read_only is not"),
        (RULE.replace('"operator"', f'"{SECRET}"'), "rule 1: key is not a reference to a key"),
        (RULE.replace('"operator"', '"file:missing"'), "No such file"),
        (RULE.replace('"operator"', '"file:."'), "rule 1: key: "),
        (RULE.replace('"operator"', '"file:map.toml"'), "rule 1, key"),
        (RULE.replace('"operator"', '"env:NOT_SET_ANYWHERE"'), "NOT_SET_ANYWHERE is not set"),
        (RULE.replace('"operator"', '"env:TWO_WORDS"'), "printable ASCII characters without spaces"),
        (RULE.replace('namespace = "*"', ""), "rule 1: no namespace"),
        (RULE.replace('"*"', '"{email}"'), "unknown placeholder"),
        (RULE.replace('"*"', '"a\\nb"'), "namespace is not one"),
    ],
)
async def test_a_map_that_cannot_be_used_is_refused_at_the_start(
    oauth: Settings, path: Path, text: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWO_WORDS", "two words")
    path.write_text(text)

    with pytest.raises(ConfigurationError) as caught:
        async with run_http_server(oauth):
            pass

    assert "MEMORIES_OAUTH_MAP" in str(caught.value)
    assert reason in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "two words" not in str(caught.value)


async def test_keys_come_from_variables_too_and_a_subject_must_fit_into_its_namespace(
    oauth: Settings, provider: IdentityProvider, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_KEY", " sk-of-the-team-0123456789 ")
    rule = RULE.replace("subject", "group").replace("operator", "env:TEAM_KEY").replace("*", "{subject}")
    path.write_text(f'{rule}caption_key = "env:TEAM_KEY"\n')
    async with run_http_server(oauth) as url:
        answers = [await ask(url, bearer(provider.token(name, groups=["alice"]))) for name in ("a" * 200, "ä" * 200)]

    assert [answer.status_code for answer in answers] == [200, 403]
    assert "too long" in message_of(answers[1])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"oauth_audience": ()}, "MEMORIES_OAUTH_AUDIENCE missing"),
        ({"oauth_map": None}, "MEMORIES_OAUTH_MAP missing"),
        ({"oauth_issuer": ""}, "MEMORIES_OAUTH_ISSUER missing"),
        ({"http_auth": frozenset({"oauth", "token"})}, "MEMORIES_HTTP_TOKEN is missing"),
        ({"api_key": ""}, "the operator's own key is not set"),
        ({"unique_id": "fixed"}, "MEMORIES_UNIQUE_ID fixes another namespace"),
    ],
)
async def test_settings_that_do_not_fit_are_refused_at_the_start(
    oauth: Settings, path: Path, changes: dict[str, Any], reason: str
) -> None:
    path.write_text(RULE.replace('"*"', '"other"'))
    settings = Settings(**{**vars(oauth), **changes})

    with pytest.raises(ConfigurationError, match=reason):
        async with run_http_server(settings):
            pass


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("MEMORIES_OAUTH_ISSUER", "http://login.example.com"),
        ("MEMORIES_OAUTH_ISSUER", "login.example.com"),
        ("MEMORIES_OAUTH_ISSUER", "https://user:password@login.example.com"),
        ("MEMORIES_OAUTH_ISSUER", "https://login.example.com/?tenant=1"),
        ("MEMORIES_OAUTH_AUDIENCE", "two words"),
        ("MEMORIES_OAUTH_AUDIENCE", 'a"b'),
        ("MEMORIES_OAUTH_AUDIENCE", ","),
        ("MEMORIES_OAUTH_MAP", "/no/such/file"),
        ("MEMORIES_HTTP_AUTH", "oauth,password"),
        ("MEMORIES_HTTP_AUTH", ","),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(variable: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{variable} is "):
        Settings.from_environment({variable: text})


def test_an_issuer_keeps_its_slash_at_the_end() -> None:
    environment = {"MEMORIES_OAUTH_ISSUER": "https://login.example.com/", "MEMORIES_OAUTH_AUDIENCE": "a, https://b/mcp"}
    settings = Settings.from_environment(environment)

    assert settings.oauth_issuer == "https://login.example.com/"
    assert settings.oauth_audience == ("a", "https://b/mcp")
    assert settings.ways == {"oauth"}


def test_sign_in_lets_the_server_listen_on_every_address_and_keys_alone_do_not(oauth: Settings, path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"Refusing to listen"):
        serve_http(oauth.change(http_auth=frozenset({"key"})), "0.0.0.0", 0, lambda _: None)
    path.unlink()
    with pytest.raises(ConfigurationError, match=r"MEMORIES_OAUTH_MAP"):
        serve_http(oauth, "0.0.0.0", 0, lambda _: None)


@pytest.mark.parametrize("place", [METADATA, OPENID, "/.well-known/openid-configuration/company"])
async def test_the_keys_are_found_at_each_place_of_the_metadata(
    url: str, provider: IdentityProvider, place: str
) -> None:
    metadata = provider.answers.pop(METADATA)
    provider.answers[METADATA] = 200, b"<html>a page for every path</html>"
    provider.answers[place] = metadata

    assert await status(url, provider.token()) == 200


async def test_an_issuer_may_write_its_name_with_a_slash_at_the_end(url: str, provider: IdentityProvider) -> None:
    name = f"{provider.issuer}/"
    keys = provider.issuer.removesuffix("/company") + KEYS
    provider.publish(METADATA, {"issuer": name, "jwks_uri": keys})

    assert await status(url, provider.token(iss=name)) == 200
    assert await status(url, provider.token()) == 401


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.example", "jwks_uri": "KEYS"},
        {"jwks_uri": "KEYS"},
        {"issuer": "ISSUER"},
        {"issuer": "ISSUER", "jwks_uri": "http://evil.example/keys"},
        {"issuer": "ISSUER", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "ISSUER", "jwks_uri": ["KEYS"]},
        ["KEYS"],
        "x" * 600_000,
    ],
    ids=lambda document: str(document)[:50],
)
async def test_metadata_that_cannot_be_used_is_no_answer_of_the_issuer(
    url: str, provider: IdentityProvider, document: object, caplog: pytest.LogCaptureFixture
) -> None:
    keys = provider.issuer.removesuffix("/company") + KEYS
    body = json.dumps(document).replace('"ISSUER"', f'"{provider.issuer}"').replace('"KEYS"', f'"{keys}"')
    provider.answers[METADATA] = 200, body.encode()

    answer = await ask(url, bearer(provider.token()))

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "identity provider does not answer" in message_of(answer)
    assert any("keys of the issuer" in record.message for record in caplog.records)


@pytest.mark.parametrize("broken", ["nothing listens", "status 500", "no keys", "keys of other kinds"])
async def test_an_issuer_without_keys_and_nothing_kept_is_unavailable(
    oauth: Settings, provider: IdentityProvider, broken: str
) -> None:
    provider.publish(KEYS, {"keys": []})
    if broken == "keys of other kinds":
        provider.remove_keys()
        provider.add_key("encrypts", use="enc")
        provider.add_key("other", alg="ES384")
        provider.add_key("private", d="AAAA")
        provider.add_key("malformed", x="!")
        provider.add_key("numbered", kid=7)
    elif broken == "status 500":
        provider.publish(KEYS, {}, 500)
    token = provider.token()
    if broken == "nothing listens":
        with closing(bind("127.0.0.1", 0)) as listener:
            issuer = url_of(listener)
        oauth, token = oauth.change(oauth_issuer=issuer), provider.token(iss=issuer)
    async with run_http_server(oauth) as url:
        answers = [await ask(url, bearer(token)) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [503] * 3
    assert all(int(answer.headers["retry-after"]) in range(1, 6) for answer in answers)
    assert provider.requests.count(KEYS) <= 1


async def test_kept_keys_serve_while_the_issuer_is_away_and_not_for_ever(
    url: str, provider: IdentityProvider, clock: Any
) -> None:
    first = await status(url, provider.token())
    provider.publish(KEYS, {}, 500)
    clock.now += issuer_keys.VALID_SECONDS + 1
    later = [await status(url, provider.token()) for _ in range(3)]
    clock.now += issuer_keys.KEPT_SECONDS
    last = await status(url, provider.token())

    assert (first, later, last) == (200, [200, 200, 200], 503)


async def test_a_new_key_is_found_and_a_removed_one_is_refused(
    url: str, provider: IdentityProvider, clock: Any
) -> None:
    old = provider.token()
    first = await status(url, old)
    provider.remove_keys()
    provider.add_key("next")

    assert (first, await status(url, provider.token(key="next")), await status(url, old)) == (200, 200, 401)


async def test_a_token_is_checked_again_with_a_new_key_of_the_same_name(
    url: str, provider: IdentityProvider, clock: Any
) -> None:
    old = provider.token()
    before = [await status(url, old), await status(url, old)]
    provider.remove_keys()
    provider.add_key("first")
    clock.now += issuer_keys.VALID_SECONDS + 1

    assert (before, await status(url, old), await status(url, provider.token())) == ([200, 200], 401, 200)


async def test_made_up_key_names_do_not_make_the_server_ask_again_and_again(
    url: str, provider: IdentityProvider, clock: Any
) -> None:
    statuses = {await status(url, provider.token(kid=f"made-up-{number}")) for number in range(20)}
    asked = provider.requests.count(KEYS)
    provider.add_key("next")
    too_soon = await status(url, provider.token(key="next"))
    clock.now += issuer_keys.REFETCH_SECONDS + 1

    assert (statuses, asked) == ({401}, 2)
    assert (too_soon, await status(url, provider.token(key="next"))) == (401, 200)
    assert provider.requests.count(METADATA) == 1


async def test_requests_that_need_the_keys_at_once_share_one_fetch(url: str, provider: IdentityProvider) -> None:
    token = provider.token()

    assert await asyncio.gather(*(status(url, token) for _ in range(10))) == [200] * 10
    assert provider.requests.count(KEYS) == 1


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"])
async def test_an_issuer_that_does_not_finish_its_answer_holds_nothing_up(
    oauth: Settings, provider: IdentityProvider, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stall(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await reader.read()

    monkeypatch.setattr(documents, "SECONDS", 0.1)
    async with serve(stall) as port:
        issuer = f"http://127.0.0.1:{port}"
        async with run_http_server(oauth.change(oauth_issuer=issuer)) as url:
            answer = await ask(url, bearer(provider.token(iss=issuer)))

    assert answer.status_code == 503


async def test_a_token_that_was_valid_before_is_refused_when_it_has_expired(
    url: str, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = provider.token()
    before = [await status(url, token), await status(url, token)]
    now = time.time()
    monkeypatch.setattr(sign_in, "time", SimpleNamespace(time=lambda: now + 1000))
    monkeypatch.setattr(sign_in, "LEEWAY_SECONDS", -1000)

    assert (before, await status(url, token)) == ([200, 200], 401)


async def test_a_token_of_another_issuer_costs_the_issuer_no_request(url: str, provider: IdentityProvider) -> None:
    assert await status(url, provider.token(iss="https://evil.example")) == 401
    assert provider.requests == []
