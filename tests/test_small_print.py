"""Rules that are small and cost much when lost: figures, kinds, continuations, what is sent and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import FakeWire, calling, envelope, run

from memories_mcp import errors
from memories_mcp.api.rate_limits import DEFAULT_RATES
from memories_mcp.models.evidence import parse_ref
from memories_mcp.operations.common.chat import _THINKING_CHARACTERS  # pyright: ignore[reportPrivateUsage]

pytestmark = pytest.mark.anyio


def test_the_default_rates_are_the_documents_figures() -> None:
    assert DEFAULT_RATES == {
        "upload": (1, 1), "scrape": (1, 60), "search": (10, 1), "chat": (1, 1), "read": (5, 1), "list": (5, 1),
        "delete": (5, 1), "download": (12, 60), "task": (1, 1), "detail": (1, 2), "caption": (1, 1),
    }  # fmt: skip


async def test_reasoning_steps_share_their_room() -> None:
    steps = [{"title": str(number), "content": "step " * 2000} for number in range(4)]
    wire = FakeWire(envelope({"content": "answer", "session_id": "1", "thinkings": steps}))
    async with calling(wire) as runner:
        answer = await run(runner, "chat_with_library", prompt="x", include_thinkings=True)

    lengths = [len(step.content) for step in answer.thinkings]
    assert len(lengths) == 4
    assert all(length <= _THINKING_CHARACTERS // 4 + 1 for length in lengths)
    assert sum(lengths) > _THINKING_CHARACTERS * 0.9


async def test_a_transcript_says_how_many_segments_are_left(files_root: Path) -> None:
    segments = [{"index": n, "content": f"{n} {'word ' * 40}", "start_time": n, "end_time": n + 1} for n in range(500)]
    async with calling(FakeWire(envelope({"transcriptions": segments}))) as runner:
        whole = await run(runner, "get_audio_transcription", video_no="VI1")
        part = await run(runner, "get_audio_transcription", video_no="VI1", start_seconds=100, skip=1)

    for page, asked in ((whole, 500), (part, 399)):
        assert 0 < len(page.segments) < asked
        assert f"{asked - len(page.segments)} " in page.note


@pytest.mark.parametrize(("search_type", "kind"), [("BY_AUDIO", "audio"), ("BY_VIDEO", "clip")])
async def test_a_public_hit_is_of_the_kind_that_was_searched(search_type: str, kind: str) -> None:
    hit = {"videoNo": "PI-1", "startTime": "1", "endTime": "2"}
    async with calling(FakeWire(envelope([hit]))) as runner:
        result = await run(runner, "search_public_videos", query="x", search_type=search_type)

    assert [moment.kind for moment in result.moments] == [kind]


@pytest.mark.parametrize("name", ["chat_with_library", "get_session_detail"])
async def test_arguments_of_ours_are_not_sent_to_the_service(name: str) -> None:
    wire = FakeWire(envelope({"content": "a", "session_id": "1", "messages": []}))
    arguments: dict[str, Any] = {"prompt": "x"} if name == "chat_with_library" else {"session_id": "1"}
    async with calling(wire) as runner:
        await run(runner, name, include_thinkings=True, **arguments)

    [request] = wire.requests
    assert b"thinkings" not in request.content
    assert "thinkings" not in str(request.url)


async def test_videos_are_looked_up_in_pages_of_200() -> None:
    wire = FakeWire(envelope({"videos": [{"video_no": "VI1", "status": "PARSE"}]}))
    async with calling(wire) as runner:
        await run(runner, "wait_until_ready", video_nos=["VI1"], max_seconds=0)

    assert b'"size":200' in wire.requests[0].content


async def test_one_moment_too_long_for_a_result_is_cut_with_the_way_on() -> None:
    segments = [{"content": f"{n} {'word ' * 100}", "start_time": n, "end_time": n + 1} for n in range(200)]

    def answer(request: httpx2.Request) -> httpx2.Response:
        return envelope({"transcriptions": segments} if "transcription" in request.url.path else {"video_name": "Talk"})

    async with calling(FakeWire(answer)) as runner:
        report = await run(runner, "get_evidence", refs=["VI1#t=0,200&kind=clip"])

    [moment] = report.moments
    assert 0 < len(moment.segments) < 400
    assert "lines of the first moment" in report.note
    assert "fewer context_seconds" in report.note


@pytest.mark.parametrize(
    ("ref", "words"), [("612990037562867712", "session"), ("https://youtu.be/abc", "URL"), ("null#", "evidence ref")]
)
def test_a_ref_of_another_kind_is_named(ref: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_ref(ref)


@pytest.mark.parametrize("data", [{}, None, [], ""])
async def test_details_without_anything_in_them_are_no_video(data: Any) -> None:
    async with calling(FakeWire(envelope(data))) as runner:
        with pytest.raises((errors.NotFound, errors.UnexpectedResponse)):
            await run(runner, "get_private_video_details", video_no="VI1")


async def test_a_status_beyond_success_without_a_code_is_a_failure() -> None:
    for status in (300, 418):
        async with calling(FakeWire(httpx2.Response(status, json={"sessions": []}))) as runner:
            with pytest.raises(errors.MemoriesError):
                await run(runner, "list_sessions")
