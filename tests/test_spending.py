"""What costs money is counted for each caller and day, refused above the operator's limit, and audited."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from conftest import BIKE, MEETING
from http_clients import TOKEN, bearer_key, connect, text
from identity_provider import AUDIENCE, run_identity_provider
from mcp import Client
from mcp_types import CallToolResult
from test_layers import ROOT
from test_logs import HELLO, call, logged

from memories_mcp.api import Target
from memories_mcp.api.endpoints import Rate
from memories_mcp.api.prices import PRICE_CLASSES, PRICES, prices_of
from memories_mcp.errors import ConfigurationError, SpendLimitReached
from memories_mcp.media.cache import VideoCache, VideoSource
from memories_mcp.models.transcripts import Segments
from memories_mcp.operations import OPERATIONS
from memories_mcp.server.http.app import run_http_server
from memories_mcp.server.http.credentials import Credentials
from memories_mcp.server.oversight import describe_caller
from memories_mcp.server.tenants import Tenants
from memories_mcp.settings import Settings
from memories_mcp.transcript_cache import TranscriptCache

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def calling(settings: Settings, **limits: int) -> AsyncGenerator[tuple[Client, str], None]:
    """A caller of a server with these limits, and the server's URL."""
    async with (
        run_http_server(settings.change(http_token=TOKEN, spend_limit=limits)) as url,
        connect(url, "http modern", bearer_key()) as client,
    ):
        yield client, url


async def ask(client: Client) -> CallToolResult:
    return await client.call_tool("chat_with_videos", {"video_nos": [MEETING], "prompt": "What is decided?"})


async def read(client: Client, video_no: str) -> CallToolResult:
    return await client.call_tool("get_audio_transcription", {"video_no": video_no})


async def test_above_its_limit_a_caller_is_refused_and_others_are_not(open_house: Settings) -> None:
    async with calling(open_house, chat=1) as (client, url):
        first, second = await ask(client), await ask(client)
        async with connect(url, "http legacy", bearer_key()) as other:
            others = await ask(other)
        free = await read(client, MEETING)

    assert [result.is_error for result in (first, second, others, free)] == [False, True, False, False]
    assert "The daily limit of this caller is reached: chat=1. The request was not sent." in text(second)
    assert "Try again after 00:00 UTC, in " in text(second)


async def test_the_namespaces_of_a_caller_count_together_and_calls_at_once_exactly(open_house: Settings) -> None:
    key = bearer_key()
    async with calling(open_house, search=2) as (_, url):
        results = list[CallToolResult]()

        async def search(number: int) -> None:
            headers = {**key, "X-Memories-Unique-Id": f"n{number}"}
            async with connect(url, "http modern", headers) as client:
                results.append(await client.call_tool("search_videos", {"query": "price"}))

        await asyncio.gather(*map(search, range(4)))

    assert sorted(result.is_error for result in results) == [False, False, True, True]


async def test_people_who_share_a_key_have_a_limit_each_and_are_audited_by_name(
    live: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "memories_mcp.audit")
    rules = tmp_path / "map.toml"
    rules.write_text('[[allow]]\ngroup = "team"\nkey = "operator"\nnamespace = "*"\n')
    results = list[bool]()
    with run_identity_provider() as provider:
        settings = live.change(
            oauth_issuer=provider.issuer, oauth_audience=(AUDIENCE,), oauth_map=rules, spend_limit={"chat": 1}
        )
        async with run_http_server(settings) as url:
            for person in ("ann", "ann", "ben"):
                headers = {"Authorization": f"Bearer {provider.token(person, groups=['team'])}"}
                async with connect(url, "http modern", headers) as client:
                    results.append((await ask(client)).is_error or False)
        names = [record.__dict__["who"] for record in caplog.records if record.name == "memories_mcp.audit"]

    assert results == [False, True, False]
    assert names == [f"{provider.issuer} {person}" for person in ("ann", "ann", "ben")]


async def test_what_the_service_did_not_do_is_not_counted(open_house: Settings) -> None:
    async with calling(open_house, transcript=1) as (client, _):
        results = [await read(client, video_no) for video_no in ("VI404", MEETING, MEETING, BIKE)]

    assert [result.is_error for result in results] == [True, False, False, True]  # the second one is kept
    assert "daily limit" not in text(results[0])
    assert "daily limit" in text(results[3])


async def test_a_limit_is_reset_at_midnight(open_house: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(time=lambda: 20_000 * 86_400.0 - 90 * 60)
    monkeypatch.setattr("memories_mcp.api.spending.time", clock)
    async with calling(open_house, chat=1) as (client, _):
        await ask(client)
        refused = await ask(client)
        clock.time = lambda: 20_000 * 86_400.0
        after = [await ask(client), await ask(client)]

    assert "in 1 h 30 min" in text(refused)
    assert [result.is_error for result in after] == [False, True]


async def test_resources_and_parts_of_a_call_count_too(open_house: Settings) -> None:
    refs = [f"{video}#t=0,20&kind=audio" for video in (MEETING, BIKE)]
    async with calling(open_house, transcript=2) as (client, _):
        await client.read_resource(f"memories://videos/{MEETING}/transcripts/audio")
        result = await client.call_tool("get_evidence", {"refs": refs})

    assert not result.is_error
    assert result.structured_content
    assert [moment["video_no"] for moment in result.structured_content["moments"]] == [MEETING]
    assert ["daily limit" in line for line in result.structured_content["unread"]] == [True]


def size_of(_: object, video: Path, __: Path) -> int:
    return video.stat().st_size


async def test_a_reader_at_its_limit_does_not_take_others_with_it() -> None:
    """People who share a key share what is kept, and the request under way for it."""
    began, ends = asyncio.Event(), asyncio.Event()

    async def refuse(*_: Any) -> Any:
        began.set()
        await ends.wait()
        raise SpendLimitReached("This caller is at its limit.")

    async def transcript() -> Segments:
        return Segments("VI1", "audio", [])

    async def video(target: Target, _: Any) -> int:
        (target.root / target.names[0]).write_bytes(b"video")
        return 5

    transcripts, videos = TranscriptCache(), VideoCache(1)

    def read(fetch: Any) -> Awaitable[object]:
        return transcripts.of("sk").get("VI1", "audio", None, fetch)

    def cut(download: Any) -> Awaitable[object]:
        return videos.of("sk").use("VI1", None, VideoSource(None, download, None), size_of)

    for use, fetch in ((read, transcript), (cut, video)):
        began.clear()
        ends.clear()
        at_limit = asyncio.ensure_future(use(refuse))
        await asyncio.wait_for(began.wait(), 30)
        other = asyncio.ensure_future(use(fetch))
        for _ in range(10):
            await asyncio.sleep(0)  # until it waits for the same request
        ends.set()
        await asyncio.wait_for(other, 30)
        with pytest.raises(SpendLimitReached):
            await at_limit
    await videos.aclose()


def test_every_class_of_requests_has_a_price_or_none_and_operations_have_those_of_their_endpoints() -> None:
    prices = {operation.name: prices_of(operation.endpoints) for operation in OPERATIONS}

    assert set(PRICES) == set(get_args(Rate))
    assert prices["chat_with_videos"] == prices["generate_summary"] == ["chat"]
    assert prices["update_video_transcription"] == ["transcript", "retranscribe"]
    assert prices["get_evidence"] == ["search", "transcript"]
    assert prices["list_videos"] == prices["delete_videos"] == []


def test_the_documentation_names_every_price_class() -> None:
    section = (
        (ROOT / "docs" / "serving.md").read_text(encoding="utf-8").partition("\n## Spending\n")[2].partition("\n## ")[0]
    )
    rows = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]

    assert sorted(rows) == sorted(PRICE_CLASSES)


@pytest.mark.parametrize("value", ["chat", "chat=", "chat=many", "chat=-1", "=3", "chat=1,chat=2", "chat=1.5"])
def test_a_limit_that_cannot_be_read_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match="MEMORIES_SPEND_LIMIT"):
        Settings.from_environment({"MEMORIES_SPEND_LIMIT": value})


def test_a_limit_of_an_unknown_class_is_refused_with_the_known_ones() -> None:
    settings = Settings.from_environment({"MEMORIES_SPEND_LIMIT": "chat=100, uploads=20"})

    assert settings.spend_limit == {"chat": 100, "uploads": 20}
    with pytest.raises(ConfigurationError, match=r"unknown class: uploads\. Use one of these: search, chat"):
        Tenants(settings)


def audited(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    records = [record.__dict__ for record in caplog.records if record.name == "memories_mcp.audit"]
    fields = ("method", "tool", "spent", "over_limit", "irreversible", "confirmation", "outcome")
    return [{name: record[name] for name in fields if record[name]} for record in records]


async def test_calls_that_cost_or_cannot_be_undone_are_audited(
    open_house: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "memories_mcp.audit")
    async with calling(open_house, chat=1) as (client, _):
        await client.call_tool("list_videos", {})
        await ask(client)
        await ask(client)
        preview = await client.call_tool("delete_videos", {"video_nos": [BIKE]})
        assert preview.structured_content
        token = preview.structured_content["confirmation"]["confirmation_token"]
        await client.call_tool("delete_videos", {"video_nos": [BIKE], "confirmation_token": token})
        await client.call_tool("delete_videos", {})
        await client.read_resource(f"memories://videos/{MEETING}/transcripts/audio")

    method = {"method": "tools/call"}
    delete = {**method, "tool": "delete_videos", "irreversible": True}
    chat = {**method, "tool": "chat_with_videos"}
    assert audited(caplog) == [
        {**chat, "spent": {"chat": 1}, "outcome": "ok"},
        {**chat, "over_limit": ["chat"], "outcome": "SpendLimitReached"},
        {**delete, "confirmation": "asked", "outcome": "ok"},
        {**delete, "confirmation": "given", "outcome": "ok"},
        {**delete, "outcome": "InvalidArguments"},
        {"method": "resources/read", "spent": {"transcript": 1}, "outcome": "ok"},
    ]
    records = [record.__dict__ for record in caplog.records if record.name == "memories_mcp.audit"]
    [who] = {record["who"] for record in records}
    assert who.startswith("key ")
    assert len(who) == 20
    assert not any(secret in str(records) for secret in (BIKE, MEETING, "decided", token))


def test_the_audit_names_people_tokens_and_keys_without_secrets() -> None:
    assert describe_caller(Credentials(subject="https://login.example ann", api_key="sk-1")) == (
        "https://login.example ann"
    )
    assert describe_caller(Credentials(holds_token=True)) == "token"
    assert describe_caller(Credentials(api_key="sk-1")) != describe_caller(Credentials(api_key="sk-2"))
    assert "sk-1" not in describe_caller(Credentials(api_key="sk-1"))
    assert describe_caller(Credentials()) == "none"


def test_the_audit_is_logged_at_any_level() -> None:
    messages = [HELLO, call(2, "search_videos", query="price"), call(3, "list_videos")]
    lines = logged(messages, "--sandbox", MEMORIES_AUDIT="true")

    assert [(line["name"], line["who"], line["tool"], line["spent"]) for line in lines] == [
        ("memories_mcp.audit", "local", "search_videos", {"search": 1})
    ]
    assert lines[0]["request"]
