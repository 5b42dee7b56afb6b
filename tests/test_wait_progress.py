"""Waiting: progress in sensible units, replaced descriptions, transcripts on request; what uploads echo."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import BIKE, BREAD, MEETING, FakeWire, calling, envelope, run
from mcp import Client

from memories_mcp.api import Api
from memories_mcp.context import Progress
from memories_mcp.runner import Runner
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

UPLOAD: dict[str, Any] = {"url": "https://videos.example/holiday.mp4"}


class Heard:
    """The notifications of progress that a client received."""

    def __init__(self) -> None:
        self.all: list[tuple[float, float | None]] = []

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        self.all.append((progress, total))

    def check(self) -> None:
        steps = [later - earlier for (earlier, _), (later, _) in pairwise(self.all)]
        assert steps
        assert min(steps) > 0.09  # a tenth of a second, or one unit
        assert all(total is None or progress <= total for progress, total in self.all)


async def test_a_wait_grows_by_tenths_of_a_second_up_to_its_length() -> None:
    states = iter(["UNPARSE"] * 5 + ["PARSE"])
    wire = FakeWire(lambda _: envelope({"videos": [{"video_no": "VI1", "status": next(states)}]}))
    api, heard = Api("sk-x", "https://api.example", rates={}, transport=httpx2.MockTransport(wire)), Heard()
    async with Client(make_server(Settings(), api=api), mode="legacy") as client:
        arguments = {"video_nos": ["VI1"], "max_seconds": 20}
        await client.call_tool("wait_until_ready", arguments, progress_callback=heard)

    heard.check()
    assert heard.all[0] == (0, 20)
    assert len(heard.all) == 7
    assert {total for _, total in heard.all} == {20}
    assert all(round(progress, 1) == progress for progress, _ in heard.all)


async def test_every_message_of_a_wait_grows_for_every_surface() -> None:
    states, done = iter(["UNPARSE"] * 5 + ["PARSE"]), list[float]()

    async def follow(progress: Progress) -> None:
        done.append(progress.done)

    wire = FakeWire(lambda _: envelope({"videos": [{"video_no": "VI1", "status": next(states)}]}))
    async with calling(wire) as runner:
        arguments = {"video_nos": ["VI1"], "max_seconds": 20}
        await runner.run(runner.operations["wait_until_ready"], arguments, on_progress=follow)

    assert len(done) == 7
    assert all(earlier < later <= 20 for earlier, later in pairwise(done))


async def test_an_upload_with_a_wait_grows_in_one_line(live: Settings, files_root: Path) -> None:
    heard = Heard()
    async with Client(make_server(live.change(files_root=files_root)), mode="legacy") as client:
        arguments = {"path": "talk.mp4", "wait_seconds": 20}
        result = await client.call_tool("upload_video_file", arguments, progress_callback=heard)

    assert not result.is_error
    heard.check()
    assert heard.all[-1][0] >= (files_root / "talk.mp4").stat().st_size


async def test_a_message_without_progress_counts_one_unit_and_never_more_than_the_total(live: Settings) -> None:
    # A wait of no length reports twice at 0 of 0.
    heard = Heard()
    async with Client(make_server(live), mode="legacy") as client:
        arguments = {"video_nos": [MEETING], "max_seconds": 0}
        await client.call_tool("wait_until_ready", arguments, progress_callback=heard)

    heard.check()


# ---- a replaced transcription


Answer = Callable[[httpx2.Request], httpx2.Response]


def service(words: Iterator[str], states: Iterator[str]) -> Answer:
    """A service that sends these descriptions and states in turn; the last ones stay."""
    word, state = next(words), next(states)

    def answer(request: httpx2.Request) -> httpx2.Response:
        nonlocal word, state
        path = request.url.path
        if path.endswith("get_video_transcription"):
            sent, word = word, next(words, word)
            rows = [{"content": sent, "startTime": "0", "endTime": "9"}] if sent else []
            return envelope({"transcriptions": rows})
        if path.endswith("list_videos"):
            sent, state = state, next(states, state)
            return envelope({"videos": [{"video_no": "VI1", "status": sent, "cause": "no"}]})
        return envelope({"video_no": "VI1"})

    return answer


async def update(answer: Answer, **arguments: Any) -> tuple[Any, FakeWire]:
    wire = FakeWire(answer)
    async with calling(wire, confirm=False) as runner:
        return await run(runner, "update_video_transcription", video_no="VI1", prompt="x", **arguments), wire


async def test_an_update_waits_until_the_sandbox_has_processed_the_video_again(settings: Settings) -> None:
    runner = Runner(settings.change(confirm=False))
    try:
        arguments = {"video_no": BIKE, "prompt": "Name the tools.", "wait_seconds": 20}
        updated = await run(runner, "update_video_transcription", **arguments)
        page = await run(runner, "get_video_transcription", video_no=BIKE)
    finally:
        await runner.aclose()

    assert updated.status == "ready"
    assert updated.note == "The new descriptions are there; get_video_transcription returns them."
    assert page.segments[0].text.startswith("[Name the tools.]")


async def test_a_state_that_never_leaves_parse_is_no_proof_but_other_descriptions_are() -> None:
    updated, wire = await update(service(iter(["old", "old", "", "new"]), iter(["PARSE"])), wait_seconds=20)

    assert updated.status == "ready"
    reads = [request.url.path for request in wire.requests if request.url.path.endswith("get_video_transcription")]
    assert len(reads) == 4


async def test_a_video_that_was_in_processing_and_is_ready_is_done_even_if_the_words_are_the_same() -> None:
    updated, wire = await update(service(iter(["same"]), iter(["PARSE", "UNPARSE", "PARSE"])), wait_seconds=20)

    assert updated.status == "ready"
    assert sum(request.url.path.endswith("get_video_transcription") for request in wire.requests) == 1


@pytest.mark.usefixtures("skipped_pauses")
async def test_descriptions_that_do_not_change_in_time_are_not_called_new() -> None:
    updated, _ = await update(service(iter(["old"]), iter(["PARSE"])), wait_seconds=1)

    assert updated.status == "processing"
    assert "have not changed yet" in updated.note


@pytest.mark.usefixtures("skipped_pauses")
async def test_a_video_still_in_processing_says_what_to_call() -> None:
    updated, _ = await update(service(iter(["old"]), iter(["PARSE", "UNPARSE"])), wait_seconds=1)

    assert updated.status == "processing"
    assert updated.note == "Still processing; call wait_until_ready with video_nos=VI1 again."


async def test_a_failed_replacement_shows_its_cause() -> None:
    updated, _ = await update(service(iter(["old"]), iter(["PARSE", "UNPARSE", "FAIL"])), wait_seconds=20)

    assert (updated.status, updated.cause) == ("failed", "no")


async def test_a_wait_that_fails_does_not_lose_the_update() -> None:
    usual, asked = service(iter(["old"]), iter(["PARSE"])), list[str]()

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        ordered = any(path.endswith("update_video_transcription") for path in asked[:-1])
        return envelope(None, "0401", "no") if ordered else usual(request)

    updated, _ = await update(answer, wait_seconds=20)

    assert "The new descriptions are being made, but the state could not be read" in updated.note
    assert "call wait_until_ready with video_nos=VI1" in updated.note


async def test_an_update_without_a_wait_or_a_preview_reads_nothing() -> None:
    updated, wire = await update(service(iter(["old"]), iter(["PARSE"])))

    assert [request.url.path.rsplit("/", 1)[1] for request in wire.requests] == [
        "list_videos",
        "update_video_transcription",
    ]
    assert updated.status is None


# ---- which transcripts are there


async def test_transcripts_are_checked_on_request_alone(settings: Settings) -> None:
    runner = Runner(settings)
    try:
        unchecked = await run(runner, "wait_until_ready", video_nos=[MEETING, BREAD])
        result = await runner.run(
            runner.operations["wait_until_ready"], {"video_nos": [MEETING, BREAD], "check_transcripts": True}
        )
    finally:
        await runner.aclose()

    assert unchecked.transcripts == []
    assert result.structured["transcripts"] == [
        {"video_no": MEETING, "visual": True, "audio": True},
        {"video_no": BREAD, "visual": True, "audio": True},
    ]
    assert f"video_no {MEETING}, visual yes, audio yes" in result.text


def library(state: str, audio: httpx2.Response) -> Answer:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("list_videos"):
            return envelope({"videos": [{"video_no": "VI1", "status": state}]})
        if request.url.path.endswith("get_audio_transcription"):
            return audio
        return envelope({"transcriptions": [{"content": "a", "startTime": "0", "endTime": "1"}]})

    return answer


NOT_READY = envelope(None, "0001", "Video is not parsed: VI1")


@pytest.mark.parametrize("state", ["PARSE", "UNPARSE"])
@pytest.mark.parametrize("audio", [envelope(None), NOT_READY], ids=["null", "not ready"])
async def test_a_part_that_is_not_there_is_named_and_not_explained_away(state: str, audio: httpx2.Response) -> None:
    async with calling(FakeWire(library(state, audio))) as runner:
        arguments = {"video_nos": ["VI1"], "max_seconds": 0, "check_transcripts": True}
        waited = await run(runner, "wait_until_ready", **arguments)

    [transcripts] = waited.transcripts
    assert (transcripts.visual, transcripts.audio) == (True, False)
    assert waited.ready is (state == "PARSE")
    assert ("if nothing is seen or said, or if it is not made yet" in (waited.note or "")) is (state == "PARSE")


async def test_a_transcript_that_cannot_be_read_is_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)
    async with calling(FakeWire(library("PARSE", envelope(None, "0429", "slow down")))) as runner:
        waited = await run(runner, "wait_until_ready", video_nos=["VI1"], check_transcripts=True)

    assert waited.ready
    assert waited.transcripts == []
    assert waited.note == "Transcripts not read: VI1. Call again with max_seconds=0."


async def test_a_check_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.operations.common.polling._CHECK_SECONDS", 0)
    usual = library("PARSE", envelope(None))
    async with calling(FakeWire(usual)) as runner:
        before = asyncio.all_tasks()
        waited = await run(runner, "wait_until_ready", video_nos=["VI1"], check_transcripts=True)
        started = asyncio.all_tasks() - before

    assert waited.note == "Transcripts not read: VI1. Call again with max_seconds=0."
    assert not [task for task in started if not task.done()]


async def test_a_failed_video_is_not_checked() -> None:
    wire = FakeWire(library("FAIL", envelope(None)))
    async with calling(wire) as runner:
        waited = await run(runner, "wait_until_ready", video_nos=["VI1"], check_transcripts=True)

    assert waited.transcripts == []
    assert len(wire.requests) == 1


async def test_a_checked_transcript_is_kept_for_the_reading_after_it(settings: Settings) -> None:
    wire = FakeWire(library("PARSE", envelope({"transcriptions": [{"content": "a", "startTime": "0"}]})))
    async with calling(wire) as runner:
        await run(runner, "wait_until_ready", video_nos=["VI1"], check_transcripts=True)
        checked = len(wire.requests)
        await run(runner, "get_audio_transcription", video_no="VI1")
        await run(runner, "get_video_transcription", video_no="VI1")

    assert len(wire.requests) == checked == 3


# ---- what an upload echoes


async def test_an_upload_repeats_the_tags_that_were_sent(settings: Settings, files_root: Path) -> None:
    runner = Runner(settings.change(files_root=files_root))
    tags = ["board", "2026"]
    try:
        outputs = [
            await run(runner, "upload_video_url", **UPLOAD, tags=tags),
            await run(runner, "upload_video_file", path="talk.mp4", tags="board, 2026"),
            await run(runner, "upload_images", paths=["bicycle.jpg"], tags=tags),
        ]
        result = await runner.run(runner.operations["upload_video_url"], {**UPLOAD, "tags": tags})
        plain = await run(runner, "upload_video_url", **UPLOAD)
    finally:
        await runner.aclose()

    assert [output.tags for output in outputs] == [tags] * 3
    assert "tags: board, 2026" in result.text
    assert "tags" not in plain.structured()


async def test_an_upload_that_waits_says_which_video_has_its_name_already(runner: Runner) -> None:
    first = await run(runner, "upload_video_url", **UPLOAD, wait_seconds=20)
    second = await run(runner, "upload_video_url", **UPLOAD, wait_seconds=20)
    other = await run(runner, "upload_video_url", url="https://videos.example/holiday-2.mp4", wait_seconds=20)

    assert first.note is None
    assert second.status == "ready"
    assert second.note == (
        f"The name is also that of {first.video_no}. If it is the same recording, offer to remove one with "
        "delete_videos."
    )
    assert other.note is None


@pytest.mark.parametrize("refusal", [envelope(None, "0429", "slow"), envelope("odd"), httpx2.ConnectError("away")])
async def test_a_list_of_names_that_fails_says_nothing(
    refusal: httpx2.Response | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)
    ready = envelope({"videos": [{"video_no": "VI1", "status": "PARSE", "video_name": "holiday"}]})
    wire = FakeWire(envelope({"videoNo": "VI1", "videoName": "holiday"}), refusal, ready)
    async with calling(wire) as runner:
        uploaded = await run(runner, "upload_video_url", **UPLOAD, wait_seconds=20)

    assert uploaded.status == "ready"
    assert uploaded.note is None
