"""Transcripts are kept for a while: pages, evidence and resources share one request, and no change is missed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import httpx2
import pytest
from conftest import BIKE, MEETING, FakeWire, calling, envelope, run
from mcp import Client

from memories_mcp import transcript_cache
from memories_mcp.api import Api
from memories_mcp.errors import NotReady, Unreachable
from memories_mcp.models.transcripts import Segments
from memories_mcp.operations.common.transcripts import fetch_transcript
from memories_mcp.runner import Runner
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings
from memories_mcp.transcript_cache import TranscriptCache

pytestmark = pytest.mark.anyio


def rows(count: int, words: str = "a person says about ten words here.") -> list[dict[str, Any]]:
    return [
        {"index": i, "content": f" Segment {i}: {words}", "startTime": str(i * 2), "endTime": str(i * 2 + 2)}
        for i in range(count)
    ]


def transcript(count: int = 3, words: str = "words") -> httpx2.Response:
    return envelope({"videoNo": "VI1", "transcriptions": rows(count, words)})


def requests_of(wire: FakeWire, path: str = "transcription") -> int:
    return sum(request.url.path.endswith(path) for request in wire.requests)


async def read_to_the_end(runner: Runner) -> list[str]:
    segments: list[str] = []
    arguments: dict[str, Any] = {"video_no": "VI1"}
    for _ in range(2000):
        page = await run(runner, "get_audio_transcription", **arguments)
        segments += [segment.text for segment in page.segments]
        if page.next_start_seconds is None:
            return segments
        arguments |= {"start_seconds": page.next_start_seconds, "skip": page.next_skip}
    raise AssertionError("the pages do not end")


async def test_all_pages_of_a_long_transcript_cost_one_request() -> None:
    wire = FakeWire(transcript(3000))
    async with calling(wire) as runner:
        texts = await read_to_the_end(runner)

    assert len(texts) == 3000
    assert len(wire.requests) == 1


async def test_evidence_and_resources_share_the_request_of_a_tool() -> None:
    wire = FakeWire(transcript())
    api = Api("sk-x", "https://api.example", rates={}, transport=httpx2.MockTransport(wire))
    async with Client(make_server(Settings(), api=api)) as client:
        await client.call_tool("get_audio_transcription", {"video_no": "VI1"})
        await client.call_tool("get_video_transcription", {"video_no": "VI1"})
        await client.call_tool("get_evidence", {"refs": ["VI1#t=1,2&kind=audio"]})
        for track in ("audio", "visual"):
            await client.read_resource(f"memories://videos/VI1/transcripts/{track}?start=2")

    assert requests_of(wire) == 2  # one for each track


async def test_tracks_and_namespaces_and_libraries_are_kept_apart() -> None:
    wire = FakeWire(lambda request: transcript(words=f"of {request.url.raw_path.decode()}"))
    calls: list[tuple[str, dict[str, Any]]] = [
        ("get_audio_transcription", {"video_no": "VI1"}),
        ("get_video_transcription", {"video_no": "VI1"}),
        ("get_audio_transcription", {"video_no": "VI1", "unique_id": "team"}),
        ("get_audio_transcription", {"video_no": "VI2"}),
        ("get_public_audio_transcription", {"video_no": "PI-1"}),
    ]
    async with calling(wire) as runner:
        first = [await run(runner, name, **arguments) for name, arguments in calls]
        again = [await run(runner, name, **arguments) for name, arguments in calls]

    assert len(wire.requests) == len(calls)
    assert again == first
    assert len({page.segments[0].text for page in first}) == len(calls)


async def test_callers_with_other_keys_share_nothing() -> None:
    shared, wires = TranscriptCache(), [FakeWire(transcript(words="of one")), FakeWire(transcript(words="of two"))]
    texts: list[str] = []
    for number, wire in enumerate(wires):
        api = Api("sk-x", "https://api.example", rates={}, transport=httpx2.MockTransport(wire))
        runner = Runner(Settings(api_key=f"sk-{number}"), api=api, transcripts=shared)
        texts.append((await run(runner, "get_audio_transcription", video_no="VI1")).segments[0].text)
        await runner.aclose()

    assert texts == ["Segment 0: of one", "Segment 0: of two"]


async def test_readers_at_the_same_time_share_one_request() -> None:
    wire = FakeWire(transcript())
    async with calling(wire) as runner:
        pages = await asyncio.gather(*(run(runner, "get_audio_transcription", video_no="VI1") for _ in range(5)))

    assert len(wire.requests) == 1
    assert all(page == pages[0] for page in pages)


class SlowWire(FakeWire):
    """Answers when it is released."""

    def __init__(self, *answers: Any) -> None:
        super().__init__(*answers)
        self.asked, self.released, self.cancelled = asyncio.Event(), asyncio.Event(), False

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.set()
        try:
            await asyncio.wait_for(self.released.wait(), 30)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return await super().__call__(request)


async def test_a_cancelled_reader_does_not_take_the_request_from_the_others() -> None:
    wire = SlowWire(transcript())
    async with calling(wire) as runner:
        first = asyncio.create_task(run(runner, "get_audio_transcription", video_no="VI1"))
        await wire.asked.wait()
        second = asyncio.create_task(run(runner, "get_audio_transcription", video_no="VI1"))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait({first})
        wire.released.set()
        page = await asyncio.wait_for(second, 30)

    assert first.cancelled()
    assert len(page.segments) == 3
    assert len(wire.requests) == 1


async def test_the_last_reader_that_is_cancelled_ends_the_request_and_the_next_one_starts_another() -> None:
    wire = SlowWire(transcript())
    async with calling(wire) as runner:
        readers = [asyncio.create_task(run(runner, "get_audio_transcription", video_no="VI1")) for _ in range(2)]
        await wire.asked.wait()
        for reader in readers:
            reader.cancel()
        await asyncio.wait(readers)
        wire.released.set()
        page = await asyncio.wait_for(run(runner, "get_audio_transcription", video_no="VI1"), 30)

    assert wire.cancelled
    assert len(page.segments) == 3
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    "first",
    [envelope(None), envelope({"transcriptions": []}), envelope(None, "0001", "Video is not parsed: VI1"),
     httpx2.ConnectError("away")],
    ids=["null", "empty", "not ready", "unreachable"],
)  # fmt: skip
async def test_what_was_not_ready_or_failed_is_not_kept(
    first: httpx2.Response | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)
    wire = FakeWire(first, transcript())
    async with calling(wire) as runner:
        with suppress(NotReady, Unreachable):
            assert not (await run(runner, "get_audio_transcription", video_no="VI1")).segments
        page = await run(runner, "get_audio_transcription", video_no="VI1")

    assert len(page.segments) == 3


async def test_a_failure_reaches_every_reader_of_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)
    wire = FakeWire(httpx2.ConnectError("away"))
    async with calling(wire) as runner:
        calls = (run(runner, "get_audio_transcription", video_no="VI1") for _ in range(3))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert [isinstance(outcome, Unreachable) for outcome in outcomes] == [True] * 3
    assert len(wire.requests) == 1


async def test_a_deleted_video_has_no_kept_transcript(settings: Settings) -> None:
    runner = Runner(settings.change(confirm=False))
    try:
        assert (await run(runner, "get_audio_transcription", video_no=MEETING)).segments
        await run(runner, "delete_videos", video_nos=[MEETING])
        with pytest.raises(Exception, match="not found"):
            await run(runner, "get_audio_transcription", video_no=MEETING)
    finally:
        await runner.aclose()


async def test_new_descriptions_replace_the_kept_ones_once_they_are_there(settings: Settings) -> None:
    runner = Runner(settings.change(confirm=False))
    try:
        before = await run(runner, "get_video_transcription", video_no=BIKE)
        await run(runner, "update_video_transcription", video_no=BIKE, prompt="Name the tools.")
        during = await run(runner, "get_video_transcription", video_no=BIKE)
        await run(runner, "wait_until_ready", video_nos=[BIKE], max_seconds=10)
        after = await run(runner, "get_video_transcription", video_no=BIKE)
    finally:
        await runner.aclose()

    assert not during.segments
    assert after.segments[0].text.startswith("[Name the tools.]")
    assert len(after.segments) == len(before.segments)


async def test_descriptions_that_the_service_replaces_without_a_word_are_read_again() -> None:
    # The state stays PARSE and the old transcript is sent for a while, as nothing is documented about either.
    words = iter(["old", "old", "new", "new"])

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("transcription") and request.method == "GET":
            return transcript(words=next(words))
        return envelope({"videos": [{"video_no": "VI1", "status": "PARSE"}], "video_no": "VI1"})

    async with calling(FakeWire(answer), confirm=False) as runner:
        texts = [(await run(runner, "get_video_transcription", video_no="VI1")).segments[0].text]
        await run(runner, "update_video_transcription", video_no="VI1", prompt="x")
        for _ in range(2):
            await run(runner, "wait_until_ready", video_nos=["VI1"])
            texts.append((await run(runner, "get_video_transcription", video_no="VI1")).segments[0].text)

    assert texts == [f"Segment 0: {word}" for word in ("old", "old", "new")]


async def test_a_part_of_a_transcript_is_not_kept_while_the_video_is_in_processing() -> None:
    states = iter(["UNPARSE", "PARSE"])
    counts = iter([1, 2, 3])

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("list_videos"):
            return envelope({"videos": [{"video_no": "VI1", "status": next(states)}]})
        return transcript(next(counts))

    wire = FakeWire(answer)
    async with calling(wire) as runner:
        await run(runner, "list_videos")
        lengths = [len((await run(runner, "get_audio_transcription", video_no="VI1")).segments) for _ in range(2)]
        await run(runner, "wait_until_ready", video_nos=["VI1"])
        lengths += [len((await run(runner, "get_audio_transcription", video_no="VI1")).segments) for _ in range(2)]

    assert lengths == [1, 2, 3, 3]


async def test_a_transcript_that_arrives_after_the_change_is_not_kept() -> None:
    wire = SlowWire(transcript(words="old"), transcript(words="new"))
    async with calling(wire) as runner:
        first = asyncio.create_task(run(runner, "get_audio_transcription", video_no="VI1"))
        await wire.asked.wait()
        runner.context().changed("memories://videos/VI1")
        runner.context().transcripts.settle("VI1")
        wire.released.set()
        before = await asyncio.wait_for(first, 30)
        after = await run(runner, "get_audio_transcription", video_no="VI1")

    assert (before.segments[0].text, after.segments[0].text) == ("Segment 0: old", "Segment 0: new")


async def test_a_change_of_one_video_leaves_the_others_kept() -> None:
    wire = FakeWire(transcript())
    async with calling(wire) as runner:
        for video_no in ("VI1", "VI11"):
            await run(runner, "get_audio_transcription", video_no=video_no)
        runner.context().changed("memories://videos", "memories://sessions", "memories://videos/VI1")
        await run(runner, "get_audio_transcription", video_no="VI11")

    assert len(wire.requests) == 2


async def test_a_transcript_is_requested_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript_cache, "KEEP_SECONDS", -1.0)
    wire = FakeWire(transcript())
    async with calling(wire) as runner:
        for _ in range(2):
            await run(runner, "get_audio_transcription", video_no="VI1")

    assert len(wire.requests) == 2


async def test_the_least_recently_read_transcripts_make_room_over_all_callers() -> None:
    size = Segments("VI1", "audio", rows(100)).size
    shared, wire = TranscriptCache(size * 5 // 2), FakeWire(transcript(100, "a person says about ten words here."))

    async with calling(wire) as plain:
        first, second = (Runner(Settings(api_key=f"sk-{n}"), api=plain.api, transcripts=shared) for n in range(2))

        async def read(runner: Runner, video_no: str) -> int:
            await fetch_transcript(runner.context(), video_no, "audio", None)
            return len(wire.requests)

        assert await read(first, "VI1") == 1
        assert await read(second, "VI2") == 2
        assert await read(first, "VI1") == 2
        assert await read(first, "VI3") == 3  # VI2, the least recently read, makes room
        assert await read(first, "VI1") == 3
        assert await read(second, "VI2") == 4


async def test_a_transcript_larger_than_the_room_is_read_but_takes_the_place_of_no_other() -> None:
    cache, small = TranscriptCache(100_000), transcript(3)
    wire = FakeWire(small, transcript(5000), small)
    async with calling(wire) as plain:
        runner = Runner(Settings(api_key="sk-1"), api=plain.api, transcripts=cache)
        lengths = [
            len(await fetch_transcript(runner.context(), number, "audio", None)) for number in ("VI1", "VI2", "VI1")
        ]

    assert lengths == [3, 5000, 3]
    assert len(wire.requests) == 2


async def test_every_page_says_what_was_unreadable_in_its_transcript() -> None:
    wire = FakeWire(envelope({"transcriptions": ["odd", *rows(3)]}))
    async with calling(wire) as runner:
        pages = [await run(runner, "get_audio_transcription", video_no="VI1") for _ in range(2)]

    assert len(wire.requests) == 1
    assert pages[0].note == "1 row without an id was skipped."
    assert pages[1] == pages[0]
