"""`get_evidence` with a query: one call that finds the best moments and reads them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import httpx2
import pytest
from conftest import BIKE, MEETING, FakeWire, calling, envelope, run
from mcp import Client
from mcp_types import TextContent

from langchain_tools import MemoriesToolkit
from memories_mcp.errors import InvalidArguments, Unauthorized
from memories_mcp.models.evidence import parse_ref
from memories_mcp.runner import Runner
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

QUESTION = "which price was decided for the Team plan?"


@pytest.fixture
async def client(live: Settings) -> AsyncIterator[Client]:
    async with Client(make_server(live)) as client:
        yield client


def service(*hits: dict[str, Any], fail: str = "", segments: int = 60) -> Callable[[httpx2.Request], httpx2.Response]:
    """A service that finds these hits; each video has segments of ten seconds, except one without transcripts."""
    rows = [
        {"content": f"line {n} " + "word " * 30, "startTime": str(n * 10), "endTime": str(n * 10 + 10)}
        for n in range(segments)
    ]

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/search"):
            return envelope(list(hits))
        video_no = request.url.params["video_no"]
        if video_no == fail:
            return httpx2.Response(200, content=b"<html>")
        return envelope({"video_no": video_no, "video_name": f"name of {video_no}", "transcriptions": rows})

    return answer


def hit(video_no: str, start: int | None, score: float | None = 0.5, **fields: Any) -> dict[str, Any]:
    end = None if start is None else start + 5
    return {
        "videoNo": video_no,
        "videoName": "n",
        "startTime": str(start),
        "endTime": str(end),
        "score": score,
    } | fields


async def test_one_call_answers_a_question_with_what_is_seen_and_said(client: Client) -> None:
    result = await client.call_tool("get_evidence", {"query": QUESTION})
    [content] = result.content
    assert isinstance(content, TextContent)

    assert not result.is_error
    assert "Decision one: the Team plan costs twenty-four euros a month" in content.text  # said
    assert "DECISION 1: Team plan 24 euros" in content.text  # seen
    assert re.search(r"^\[1\] \d+:\d\d-\d+:\d\d score 0\.\d\d VI612515093881740229 Quarterly", content.text, re.M)
    assert len(content.text) < 8000
    moments = cast(dict[str, Any], result.structured_content)["moments"]
    assert moments[0]["score"] >= moments[-1]["score"] > 0
    assert f"score {moments[0]['score']:.2f}" in content.text


async def test_langchain_gives_the_same_answer(client: Client, account: dict[str, Any]) -> None:
    def content_of(text: str) -> str:
        return re.sub(r"untrusted-\w+", "", text)

    [content] = (await client.call_tool("get_evidence", {"query": QUESTION})).content
    assert isinstance(content, TextContent)
    with MemoriesToolkit(**account) as toolkit:
        answer = await toolkit.get_tool("get_evidence").ainvoke({"query": QUESTION})

    assert content_of(answer) == content_of(content.text)


async def test_the_best_moment_comes_first_whatever_its_video_and_its_time() -> None:
    hits = [hit("VI2", 300, 0.9), hit("VI1", 500, 0.8), hit("VI2", 100, 0.7), hit("VI1", 505, 0.6), hit("VI3", 0, None)]
    async with calling(FakeWire(service(*hits))) as runner:
        report = await run(runner, "get_evidence", query="x", context_seconds=0)

    assert [(moment.video_no, moment.score, len(moment.refs)) for moment in report.moments] == [
        ("VI2", 0.9, 1),
        ("VI1", 0.8, 2),
        ("VI2", 0.7, 1),
        ("VI3", None, 1),
    ]


async def test_video_nos_narrow_the_question_even_if_the_service_ignores_them(runner: Runner) -> None:
    report = await run(runner, "get_evidence", query="price of a new chain", video_nos=[BIKE])
    wire = FakeWire(service(hit("VI2", 0), hit("VI1", 0)))
    async with calling(wire) as other:
        narrowed = await run(other, "get_evidence", query="x", video_nos="VI1", unique_id="team")

    assert {moment.video_no for moment in report.moments} == {BIKE}
    assert [moment.video_no for moment in narrowed.moments] == ["VI1"]
    body = json.loads(wire.requests[0].content)
    assert body["video_nos"] == ["VI1"]
    assert (body["search_param"], body["search_type"], body["unique_id"]) == ("x", "BY_CLIP", "team")


async def test_each_transcript_is_fetched_once_however_many_hits_there_are() -> None:
    wire = FakeWire(service(*(hit(f"VI{n % 2}", n * 40) for n in range(8))))
    async with calling(wire) as runner:
        await run(runner, "get_evidence", query="x")

    requests = [
        f"{request.url.path.rsplit('/', 1)[1]} {request.url.params.get('video_no')}" for request in wire.requests
    ]
    assert len(requests) == len(set(requests)) == 1 + 2 * 3


async def test_moments_that_do_not_fit_are_named_and_can_be_read_with_the_next_call() -> None:
    hits = [hit("VI1", start) for start in range(0, 4800, 600)]
    async with calling(FakeWire(service(*hits, segments=500))) as runner:
        result = await runner.run(runner.operations["get_evidence"], {"query": "x", "context_seconds": 150})
        report: Any = result.output
        rest = await run(runner, "get_evidence", refs=report.left_out, context_seconds=10)

    shown = [ref for moment in report.moments for ref in moment.refs]
    assert 0 < len(shown) < len(hits)
    assert len(shown) + len(report.left_out) == len(hits)
    assert len(result.text) <= 24_000
    assert all(ref in result.text for ref in report.left_out)
    assert [ref for moment in rest.moments for ref in moment.refs] == report.left_out


async def test_the_trouble_of_one_video_leaves_the_others_and_is_named() -> None:
    async with calling(FakeWire(service(hit("VI1", 0), hit("VI2", 0), fail="VI1"))) as runner:
        report = await run(runner, "get_evidence", query="x")
    async with calling(FakeWire(envelope(None, "0401", "no"))) as runner:
        with pytest.raises(Unauthorized):
            await run(runner, "get_evidence", query="x")

    assert [moment.video_no for moment in report.moments] == ["VI2"]
    assert [str(parse_ref(text.split(": ")[0])) for text in report.unread] == ["VI1#t=0,5&kind=clip"]


async def test_a_hit_without_times_gives_the_start_of_its_video() -> None:
    async with calling(FakeWire(service(hit("VI1", None), hit("VI1", None)))) as runner:
        [moment] = (await run(runner, "get_evidence", query="x")).moments

    assert moment.refs == ["VI1#kind=clip"]
    assert len(moment.segments) == 24


async def test_a_question_without_a_hit_gets_the_note_of_a_search(runner: Runner) -> None:
    report = await run(runner, "get_evidence", query="zebra xylophone", unique_id="other-team")
    search = await run(runner, "search_videos", query="zebra xylophone", unique_id="other-team")

    assert report.moments == []
    assert report.note == search.note
    assert "other-team" in report.note


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "exactly one of query, refs and session_id"),
        ({"query": "  ", "refs": []}, "exactly one of query, refs and session_id"),
        ({"query": "x", "refs": [f"{MEETING}#t=1,2"]}, "exactly one of query, refs and session_id"),
        ({"query": "x", "session_id": "123"}, "exactly one of query, refs and session_id"),
        ({"session_id": "123", "video_nos": [MEETING]}, "video_nos narrows a query"),
        ({"refs": [f"{MEETING}#t=1,2"], "video_nos": [MEETING]}, "video_nos narrows a query"),
        ({"query": "x", "video_nos": ["PI-604418309112233984"]}, "get_public_video_detail"),
        ({"question": "x"}, "use query"),
    ],
)
async def test_what_does_not_go_together_is_refused_before_a_request(arguments: dict[str, Any], problem: str) -> None:
    wire = FakeWire(envelope(None))
    async with calling(wire) as runner:
        with pytest.raises(InvalidArguments, match=problem):
            await run(runner, "get_evidence", **arguments)

    assert wire.requests == []


async def test_blank_arguments_beside_a_query_count_as_left_out(runner: Runner) -> None:
    report = await run(runner, "get_evidence", query=QUESTION, refs=[], session_id="", video_nos="")

    assert report.moments
