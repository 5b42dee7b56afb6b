"""The details of a video come from the path that the account has: older and newer accounts have different ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from conftest import MEETING, FakeWire, calling, envelope, run

from memories_mcp.errors import ApiError, MemoriesError, NotFound, RateLimited
from memories_mcp.runner import Runner

pytestmark = pytest.mark.anyio

OLD, NEW = "get_private_video_details", "get_metadata"

METADATA: dict[str, Any] = {
    "video_no": "VI606404158946574336", "video_name": "182082-867762198_tiny", "duration": 12, "size": 3284512,
    "create_time": 1754037217992, "status": "PARSE", "resolution_label": "720P", "fps": 30, "width": 1280,
    "height": 720, "datetime_taken": 1729388400000, "camera_model": "Canon EOS 5D", "latitude": 39.9042,
    "longitude": 116.4074, "tags": ["holiday", "beijing", "api"], "bucket": "mavi-resource",
    "blob": "VI606404158946574336.mp4",
}  # fmt: skip
AS_TEXT: dict[str, Any] = {name: value if isinstance(value, list) else str(value) for name, value in METADATA.items()}

NOT_OFFERED: dict[str, Callable[[], httpx2.Response]] = {
    "404": lambda: httpx2.Response(404, json={"status": 404, "error": "Not Found", "path": "/serve/api/v1/x"}),
    "405": lambda: httpx2.Response(405, json={"status": 405, "error": "Method Not Allowed"}),
    "410": lambda: httpx2.Response(410, content=b"gone"),
    "no resource": lambda: envelope(None, "0001", "No static resource api."),
    "no method": lambda: envelope(None, "0001", "Request method 'GET' not supported"),
}
NOT_FOUND: dict[str, Callable[[], httpx2.Response]] = {
    "not found": lambda: envelope(None, "0001", "video not found"),
    "null": lambda: envelope(None),
    "nothing": lambda: envelope({}),
}


def paths(wire: FakeWire) -> list[str]:
    return [request.url.path.rsplit("/", 1)[1] for request in wire.requests]


@pytest.mark.parametrize("answer", [METADATA, AS_TEXT], ids=["numbers", "texts"])
async def test_every_documented_field_is_read_in_either_form(answer: dict[str, Any]) -> None:
    wire = FakeWire(envelope(answer))
    async with calling(wire) as runner:
        result = await runner.run(runner.operations[NEW], {"video_no": "VI606404158946574336"})

    assert paths(wire) == [NEW]
    assert wire.requests[0].url.params["video_no"] == "VI606404158946574336"
    assert result.structured == {
        "video_no": "VI606404158946574336", "video_name": "182082-867762198_tiny", "status": "ready",
        "raw_status": "PARSE", "duration_seconds": 12, "size_bytes": 3284512, "created_at": "2025-08-01T08:33:37Z",
        "resolution": "720P", "fps": 30, "width": 1280, "height": 720, "taken_at": "2024-10-20T01:40:00Z",
        "camera": "Canon EOS 5D", "latitude": 39.9042, "longitude": 116.4074, "tags": ["holiday", "beijing", "api"],
        "bucket": "mavi-resource", "blob": "VI606404158946574336.mp4",
    }  # fmt: skip
    for fact in ("Canon EOS 5D", "39.9042", "116.4074", "holiday, beijing, api", "2024-10-20T01:40:00Z", "720P"):
        assert fact in result.text
    for handle in ("mavi-resource", ".mp4"):
        assert handle not in result.text


@pytest.mark.parametrize(
    ("word", "status"),
    [("PARSE", "ready"), ("UNPARSE", "processing"), ("FAILED", "failed"), ("FAIL", "failed"), ("failed", "failed")],
)
async def test_the_words_for_the_state_are_translated(word: str, status: str) -> None:
    async with calling(FakeWire(envelope({**METADATA, "status": word, "cause": "Indexing failed. "}))) as runner:
        details = await run(runner, NEW, video_no="VI606404158946574336")

    assert (details.status, details.raw_status, details.cause) == (status, word, "Indexing failed.")


@pytest.mark.parametrize(("tool", "other"), [(OLD, NEW), (NEW, OLD)])
@pytest.mark.parametrize("first", [*NOT_OFFERED, *NOT_FOUND])
async def test_a_path_that_is_not_offered_or_finds_nothing_is_replaced_by_the_other(
    tool: str, other: str, first: str
) -> None:
    wire = FakeWire((NOT_OFFERED | NOT_FOUND)[first](), envelope(METADATA))
    async with calling(wire) as runner:
        details = await run(runner, tool, video_no="VI606404158946574336")

    assert paths(wire) == [tool, other]
    assert (details.video_no, details.duration_seconds) == ("VI606404158946574336", 12)


@pytest.mark.parametrize("tool", [OLD, NEW, "get_video_transcription", "get_evidence"])
@pytest.mark.parametrize("is_listed", [True, False])
async def test_a_path_without_namespaces_is_asked_only_for_videos_of_the_namespace(tool: str, is_listed: bool) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.rsplit("/", 1)[1]
        if path == "list_videos":
            assert json.loads(request.content)["unique_id"] == "ws"
            return envelope({"videos": [{"video_no": "VI1", "status": "PARSE"}] if is_listed else []})
        if path in {NEW, "get_video_caption"}:
            return envelope({**METADATA, "video_no": "VI1", "transcriptions": [SCENE]})
        return envelope(None) if path == "get_audio_transcription" else NOT_FOUND["not found"]()

    wire = FakeWire(answer)
    arguments = {"refs": ["VI1#t=1,5&kind=visual"]} if tool == "get_evidence" else {"video_no": "VI1"}
    async with calling(wire, unique_id="ws") as runner:
        try:
            text = (await runner.run(runner.operations[tool], arguments)).text
        except NotFound as error:
            text = str(error)

    assert bool({NEW, "get_video_caption"} & set(paths(wire))) == is_listed
    assert any(fact in text for fact in ("182082", "A boat.")) == is_listed


@pytest.mark.parametrize(
    ("first", "second", "error"),
    [("not found", "404", NotFound), ("404", "not found", NotFound), ("null", "not found", NotFound),
     ("not found", "null", NotFound), ("404", "no resource", ApiError), ("no method", "405", ApiError)],
)  # fmt: skip
async def test_a_failed_look_up_says_what_was_tried(first: str, second: str, error: type[MemoriesError]) -> None:
    answers = NOT_OFFERED | NOT_FOUND
    async with calling(FakeWire(answers[first](), answers[second]())) as runner:
        with pytest.raises(error, match=f"Tried {OLD} and {NEW}"):
            await run(runner, OLD, video_no="VI1")


async def test_a_key_that_may_not_use_the_other_path_is_no_wrong_key() -> None:
    answers = envelope(None, "0001", "video not found"), envelope(None, "9009", "permission denied")
    async with calling(FakeWire(*answers)) as runner:
        with pytest.raises(NotFound, match=f"Tried {OLD} and {NEW}"):
            await run(runner, OLD, video_no="VI1")


async def test_a_fault_of_the_other_path_is_reported_as_it_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.FIRST_BACKOFF", 0.0)
    answers = NOT_FOUND["not found"](), httpx2.Response(429, headers={"retry-after": "7200"})
    async with calling(FakeWire(*answers)) as runner:
        with pytest.raises(RateLimited, match=f"Tried {OLD} and {NEW}"):
            await run(runner, OLD, video_no="VI1")


@pytest.mark.parametrize("code", ["0401", "0402", "0003"])
async def test_other_refusals_are_not_sent_to_the_other_path(code: str) -> None:
    wire = FakeWire(envelope(None, code, "no"))
    async with calling(wire) as runner:
        with pytest.raises(ApiError, match=code):
            await run(runner, OLD, video_no="VI1")

    assert paths(wire) == [OLD]


# Scene descriptions have a newer name too. No answer of it is recorded, so any likely shape is read.

SCENE = {"index": 0, "content": "A boat.", "startTime": "0", "endTime": "26"}


@pytest.mark.parametrize(
    "answer",
    [{"videoNo": "VI1", "transcriptions": [SCENE]}, [SCENE], {"video_no": "VI1", "captions": [SCENE]},
     {"transcriptions": [{"start_time": 0, "end_time": 26.0, "caption": "A boat."}]}],
    ids=["as before", "rows", "captions", "snake case"],
)  # fmt: skip
@pytest.mark.parametrize("first", [*NOT_OFFERED, "not found"])
async def test_scene_descriptions_come_from_the_newer_path_where_the_older_is_missing(first: str, answer: Any) -> None:
    wire = FakeWire((NOT_OFFERED | NOT_FOUND)[first](), envelope(answer))
    async with calling(wire) as runner:
        transcript = await run(runner, "get_video_transcription", video_no="VI1")

    assert paths(wire) == ["get_video_transcription", "get_video_caption"]
    assert [(scene.start_seconds, scene.end_seconds, scene.text) for scene in transcript.segments] == [
        (0, 26, "A boat.")
    ]


async def test_evidence_is_read_from_the_newer_paths() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.rsplit("/", 1)[1]
        if path in {OLD, "get_video_transcription"}:
            return NOT_OFFERED["404"]()
        return envelope({"get_metadata": METADATA, "get_video_caption": {"transcriptions": [SCENE]}}.get(path))

    async with calling(FakeWire(answer)) as runner:
        report = await run(runner, "get_evidence", refs=["VI1#t=1,5&kind=visual"])

    assert "A boat." in str(report)
    assert "182082-867762198_tiny" in str(report)


async def test_speech_and_public_videos_have_no_newer_path() -> None:
    for tool, number in (("get_audio_transcription", "VI1"), ("get_public_video_transcription", "PI-1")):
        wire = FakeWire(NOT_FOUND["not found"]())
        async with calling(wire) as runner:
            with pytest.raises(NotFound):
                await run(runner, tool, video_no=number)

        assert len(wire.requests) == 1


async def test_the_sandbox_has_the_details_of_both_accounts(runner: Runner) -> None:
    old = await run(runner, OLD, video_no=MEETING)
    new = await run(runner, NEW, video_no=MEETING)

    shared = {"video_no", "video_name", "status", "duration_seconds", "size_bytes", "created_at", "resolution", "fps"}
    assert old.model_dump(include=shared) == new.model_dump(include=shared)
    assert new.tags
