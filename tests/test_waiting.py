"""Waiting for processing: told at once and at each look, short, polite to the service, and left off when cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import MEETING, FakeWire, calling, envelope
from mcp import Client

from memories_mcp.context import Progress
from memories_mcp.errors import NotFound, RateLimited
from memories_mcp.operations import OPERATIONS
from memories_mcp.operations.common.polling import LONGEST_SECONDS, WaitArguments
from memories_mcp.runner import Runner
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

TASK = "31b0fccb-d6f9-4135-922d-1e8828499812_84f9d9b4b6e5940b67e67e2d17ef1f97"
UPLOAD: dict[str, Any] = {"url": "https://videos.example/holiday.mp4"}


def row(status: str, number: int = 1) -> dict[str, Any]:
    return {"video_no": f"VI{number}", "video_name": f"Video {number}", "status": status}


def listing(*statuses: str) -> Iterator[httpx2.Response]:
    """One answer a look; the last one stays."""
    for status in statuses:
        yield envelope({"videos": [row(status)] if status else []})


class Followed:
    """The progress messages of a call."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.done: list[float] = []
        self.totals: set[float | None] = set()

    async def __call__(self, progress: Progress) -> None:
        self.messages.append(progress.message)
        self.done.append(progress.done)
        self.totals.add(progress.total)


async def run(runner: Runner, name: str, follow: Any = None, /, **arguments: Any) -> Any:
    return (await runner.run(runner.operations[name], arguments, on_progress=follow)).output


async def test_it_tells_at_once_and_at_each_look_how_far_it_is_in_words() -> None:
    followed = Followed()
    async with calling(FakeWire(*listing("", "UNPARSE", "UNPARSE", "PARSE"))) as runner:
        waited = await run(runner, "wait_until_ready", followed, video_nos=["VI1"], max_seconds=20)

    assert waited.ready
    assert waited.note is None
    assert followed.messages == [
        "Waiting until 1 video is processed",
        "The service does not list the video yet",
        "0 of 1 ready, 1 processing (Video 1)",
        "0 of 1 ready, 1 processing (Video 1)",
        "1 of 1 ready",
    ]
    assert followed.done == sorted(followed.done)
    assert followed.totals == {20}
    assert max(followed.done) <= 20


async def test_a_failed_video_ends_the_wait_with_its_cause() -> None:
    failed = {**row("FAIL"), "cause": "Indexing failed. "}
    async with calling(FakeWire(envelope({"videos": [failed]}))) as runner:
        waited = await run(runner, "wait_until_ready", video_nos=["VI1"])

    assert not waited.ready
    assert waited.videos[0].cause == "Indexing failed."
    assert "failed" in waited.note


async def test_downloads_that_never_appear_are_told_after_the_time_with_how_to_look_again(skipped_pauses: None) -> None:
    followed = Followed()
    async with calling(FakeWire(envelope({"videos": []}))) as runner:
        waited = await run(runner, "wait_until_ready", followed, task_id=TASK, max_seconds=1)

    assert not waited.ready
    assert "brought no video within 1 s" in waited.note
    assert f"call wait_until_ready with task_id={TASK}" in waited.note
    assert followed.messages[:2] == ["Waiting for the downloads of the import", "Downloading; no video has arrived yet"]


async def test_a_service_that_is_asked_too_often_is_given_time_and_the_wait_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)
    now = asyncio.get_running_loop().time
    times, answers = list[float](), iter([*listing("UNPARSE"), _LIMITED, *listing("PARSE")])

    def answer(request: httpx2.Request) -> httpx2.Response:
        times.append(now())
        return next(answers)

    followed = Followed()
    async with calling(FakeWire(answer)) as runner:
        waited = await run(runner, "wait_until_ready", followed, video_nos=["VI1"])

    assert waited.ready
    assert times[2] - times[1] >= 0.49  # not the usual pause, which is 0.01 s here
    assert any(each.startswith("Rate limit reached") for each in followed.messages)


_LIMITED = httpx2.Response(429, headers={"retry-after": "0.5"})


async def test_a_service_that_only_says_wait_is_an_error_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)
    async with calling(FakeWire(httpx2.Response(429, headers={"retry-after": "1"}))) as runner:
        with pytest.raises(RateLimited):
            await run(runner, "wait_until_ready", video_nos=["VI1"], max_seconds=1)


async def test_a_video_that_is_not_there_is_told_after_a_few_looks() -> None:
    wire = FakeWire(envelope({"videos": []}))
    async with calling(wire) as runner:
        with pytest.raises(NotFound, match="VI1"):
            await run(runner, "wait_until_ready", video_nos=["VI1"])

    assert len(wire.requests) == 3


async def test_cancelling_over_mcp_stops_the_looks_at_once() -> None:
    wire = FakeWire(envelope({"videos": [row("UNPARSE")]}))
    looked = asyncio.Event()

    async def follow(progress: float, total: float | None, message: str | None) -> None:
        if message and "processing" in message:
            looked.set()

    from memories_mcp.api import Api

    api = Api("sk-x", "https://api.example", rates={}, transport=httpx2.MockTransport(wire))
    async with Client(make_server(Settings(), api=api), mode="legacy") as client:
        arguments = {"video_nos": ["VI1"], "max_seconds": 45}
        call = asyncio.create_task(client.call_tool("wait_until_ready", arguments, progress_callback=follow))
        await asyncio.wait_for(looked.wait(), 30)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        sent = -1
        for _ in range(100):  # the looks, a hundred a second, end as soon as the server hears of it
            if len(wire.requests) == sent:
                break
            sent = len(wire.requests)
            await asyncio.sleep(0.2)

    assert len(wire.requests) == sent


# ---- on uploads


@pytest.mark.parametrize(
    "operation",
    [
        each
        for each in OPERATIONS
        if each.toolset in {"upload", "public_upload"} and each.name not in {"upload_images", "list_local_files"}
    ],
    ids=lambda operation: operation.name,
)
def test_every_upload_of_videos_can_wait(operation: Any) -> None:
    assert issubclass(operation.input, WaitArguments)
    assert operation.input_schema["properties"]["wait_seconds"]["maximum"] == LONGEST_SECONDS


async def test_an_upload_waits_until_its_video_is_ready(runner: Runner) -> None:
    followed = Followed()
    uploaded = await run(runner, "upload_video_url", followed, **UPLOAD, wait_seconds=20)

    assert uploaded.status == "ready"
    assert uploaded.raw_status == "PARSE"
    assert uploaded.note is None
    assert followed.messages[0] == "Waiting until 1 video is processed"


async def test_a_file_is_sent_first_and_waited_for_then_in_one_line_of_progress(
    settings: Settings, files_root: Path
) -> None:
    followed = Followed()
    runner = Runner(settings.change(files_root=files_root))
    uploaded = await run(runner, "upload_video_file", followed, path="talk.mp4", wait_seconds=20)
    await runner.aclose()

    assert uploaded.status == "ready"
    assert followed.done == sorted(followed.done)
    assert any("kB sent" in each for each in followed.messages)
    assert followed.messages[-1] == "1 of 1 ready"


async def test_a_failed_upload_says_so_when_it_was_waited_for(runner: Runner) -> None:
    uploaded = await run(runner, "upload_video_url", url="https://videos.example/broken.mp4", wait_seconds=20)

    assert uploaded.status == "failed"
    assert uploaded.cause == "Indexing failed."


async def test_an_import_waits_for_its_videos(runner: Runner) -> None:
    imported = await run(runner, "upload_platform_urls", video_urls=["https://youtu.be/a"], wait_seconds=20)

    assert [each.status for each in imported.videos] == ["ready"]
    assert imported.task_id
    assert imported.note is None


async def test_time_that_runs_out_gives_the_state_and_what_to_call_next(skipped_pauses: None) -> None:
    wire = FakeWire(envelope({"videoNo": "VI1"}), *listing("UNPARSE"))
    async with calling(wire) as runner:
        uploaded = await run(runner, "upload_video_url", **UPLOAD, wait_seconds=1)

    assert uploaded.status == "processing"
    assert uploaded.note == "Still processing; call wait_until_ready with video_nos=VI1 again."


async def test_an_upload_is_not_lost_when_waiting_for_it_fails() -> None:
    wire = FakeWire(envelope({"videoNo": "VI1"}), envelope(None, "0401", "no"))
    async with calling(wire) as runner:
        uploaded = await run(runner, "upload_video_url", **UPLOAD, wait_seconds=5)

    assert uploaded.video_no == "VI1"
    assert "its state could not be read" in uploaded.note
    assert "call wait_until_ready with video_nos=VI1" in uploaded.note


async def test_an_upload_is_not_lost_when_its_file_is_gone_afterwards(files_root: Path) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        (files_root / "talk.mp4").unlink(missing_ok=True)
        return envelope({"videoNo": "VI1"})

    async with calling(FakeWire(answer, *listing("PARSE")), files_root=files_root) as runner:
        uploaded = await run(runner, "upload_video_file", path="talk.mp4", wait_seconds=1)

    assert (uploaded.video_no, uploaded.status) == ("VI1", "ready")


async def test_no_word_of_progress_is_lost_and_it_grows_all_the_same(live: Settings) -> None:
    heard, done = list[str](), list[float]()

    async def follow(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")
        done.append(progress)

    async with Client(make_server(live), mode="legacy") as client:
        arguments = {"video_nos": [MEETING], "max_seconds": 0}
        await client.call_tool("wait_until_ready", arguments, progress_callback=follow)

    assert heard == ["Waiting until 1 video is processed", "1 of 1 ready"]
    assert done[0] < done[1]


async def test_without_wait_seconds_nothing_is_looked_up() -> None:
    wire = FakeWire(envelope({"videoNo": "VI1"}))
    async with calling(wire) as runner:
        uploaded = await run(runner, "upload_video_url", **UPLOAD)

    assert len(wire.requests) == 1
    assert "wait_until_ready" in uploaded.note
