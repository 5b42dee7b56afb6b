"""Videos that an answer does not cover: the service ignores numbers that it does not know, and the note names them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from conftest import BIKE, MEETING, FakeWire, calling, envelope, run

from memories_mcp.context import Progress
from memories_mcp.errors import NotFound
from memories_mcp.models.chat import ChatAnswer
from memories_mcp.runner import Runner

pytestmark = pytest.mark.anyio

ANSWER = {"content": "yes", "session_id": "1"}
LISTED = {"VI1": "PARSE", "VI2": "PARSE", "VI3": "FAIL", "VI4": "UNPARSE"}


def refs(*video_nos: str) -> list[dict[str, Any]]:
    return [{"video": {"video_no": number}, "refItems": [{"startTime": 1, "type": "keyframe"}]} for number in video_nos]


def library(answer: dict[str, Any], listing: httpx2.Response | Exception | None = None) -> FakeWire:
    """A service that knows the listed videos, and answers every question with `answer`."""

    def respond(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/chat"):
            return envelope(answer)
        assert request.url.path.endswith("/list_videos"), request.url
        if isinstance(listing, Exception):
            raise listing
        body = json.loads(request.content)
        numbers: list[str] = body.get("video_nos") or [body["video_no"]]
        rows = [{"video_no": number, "status": LISTED[number]} for number in numbers if number in LISTED]
        return listing or envelope({"videos": rows})

    return FakeWire(respond)


async def note_about(wire: FakeWire, *video_nos: str) -> str:
    async with calling(wire) as runner:
        answer = await run(runner, "chat_with_videos", prompt="x", video_nos=list(video_nos))
    assert isinstance(answer, ChatAnswer)
    assert answer.answer == "yes"
    return answer.note or ""


async def test_a_number_that_the_sandbox_does_not_know_is_named(runner: Runner) -> None:
    arguments = {"prompt": "What is the price of the Team plan?", "video_nos": [MEETING, "VI999", BIKE]}

    async def follow(progress: Progress) -> None: ...

    for follower in (None, follow):
        result = await runner.run(runner.operations["chat_with_videos"], arguments, on_progress=follower)
        assert "VI999" in str(result.output.note)
        assert "Not in this namespace" in result.text
        assert MEETING not in str(result.output.note)
        assert BIKE not in str(result.output.note)


@pytest.mark.parametrize(
    ("video_nos", "reason", "names"),
    [
        (["VI1", "VI9"], "Not in this namespace", "VI9"),
        (["VI1", "VI9", "VI8", "VI9"], "Not in this namespace", "VI9, VI8"),
        (["VI1", "VI3"], "processing failed", "VI3"),
        (["VI1", "VI4"], "still being processed", "VI4"),
        (["VI3", "VI3"], "", ""),
        (["VI1", "VI2"], "", ""),
    ],
)
async def test_the_note_names_the_videos_and_the_reason(video_nos: list[str], reason: str, names: str) -> None:
    note = await note_about(library(ANSWER), *video_nos)

    assert reason in note
    assert names in note
    assert "VI1" not in note
    assert bool(note) == bool(reason)


async def test_many_unknown_videos_are_counted() -> None:
    note = await note_about(library(ANSWER), "VI1", *(f"VI9{number}" for number in range(20)))

    assert "VI90, VI91, VI92, VI93, VI94 and 15 more" in note


async def test_a_video_that_the_answer_refers_to_is_covered_whatever_the_list_says() -> None:
    assert await note_about(library({**ANSWER, "refs": refs("VI1", "VI9")}), "VI1", "VI9") == ""


@pytest.mark.parametrize(
    "listing",
    [
        httpx2.Response(503),
        httpx2.ReadTimeout("slow"),
        envelope(None, "0429", "Request has exceeded the limit."),
        envelope(None, "0402", "Not enough points"),
        httpx2.Response(200, content=b"<html>"),
        httpx2.Response(200, json={"code": "0000", "data": {"videos": 7}}),
    ],
)
async def test_a_look_up_that_fails_is_no_failure_of_the_answer(
    listing: httpx2.Response | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)

    assert await note_about(library(ANSWER, listing), "VI1", "VI9") == ""


async def test_public_videos_are_not_looked_up_and_named_only_beside_references_to_others() -> None:
    wire = library({**ANSWER, "refs": refs("PI-1")})

    assert "PI-2" in await note_about(wire, "PI-1", "PI-2")
    assert len(wire.requests) == 1
    assert await note_about(library(ANSWER), "PI-1", "PI-2") == ""


async def test_a_single_video_costs_no_look_up() -> None:
    wire = library(ANSWER)
    await note_about(wire, "VI1")

    assert len(wire.requests) == 1


class Gate(httpx2.AsyncByteStream):
    """A body that opens one event and then waits for another one."""

    def __init__(self, body: bytes, *, opens: asyncio.Event, after: asyncio.Event) -> None:
        self.body, self.opens, self.after = body, opens, after

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.opens.set()
        await self.after.wait()
        yield self.body


async def test_question_and_look_up_run_side_by_side() -> None:
    asking, looking = asyncio.Event(), asyncio.Event()

    def respond(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/chat"):
            body = Gate(envelope(ANSWER).content, opens=asking, after=looking)
        else:
            body = Gate(envelope({"videos": [{"video_no": "VI1"}]}).content, opens=looking, after=asking)
        return httpx2.Response(200, stream=body, headers={"content-type": "application/json"})

    assert "VI9" in await asyncio.wait_for(note_about(FakeWire(respond), "VI1", "VI9"), 30)


async def test_an_answer_does_not_wait_long_for_a_look_up_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.operations.common.coverage._LOOKUP_SECONDS", 0.01)

    def respond(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/chat"):
            return envelope(ANSWER)
        return httpx2.Response(200, stream=Gate(b"", opens=asyncio.Event(), after=asyncio.Event()))

    assert await asyncio.wait_for(note_about(FakeWire(respond), "VI1", "VI9"), 30) == ""


async def test_a_question_that_fails_ends_the_look_up() -> None:
    tasks = asyncio.all_tasks()

    def respond(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/chat"):
            return envelope(None, "0001", "No videos found for the provided video numbers.")
        return httpx2.Response(200, stream=Gate(b"", opens=asyncio.Event(), after=asyncio.Event()))

    async with calling(FakeWire(respond)) as runner:
        with pytest.raises(NotFound):
            await run(runner, "chat_with_videos", prompt="x", video_nos=["VI8", "VI9"])
    assert asyncio.all_tasks() == tasks
