"""What is read of answers that were never recorded: every shape that documents and clients tell of, and nonsense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from conftest import FakeWire, answered, calling, envelope, run

pytestmark = pytest.mark.anyio


async def test_quirk_9_17_transcript_search_in_its_real_and_its_documented_shape() -> None:
    real = {
        "videos": [{"videoNo": "VI1", "videoName": "n", "startTime": "34", "audio_ts": " And welcome back."}],
        "current_page": 1, "page_size": 100, "total_count": "1",
    }  # fmt: skip
    documented = httpx2.Response(
        200, json={"results": [{"id": "9", "audio_id": "VI1", "snippet": "x", "timestamp": "00:05:23"}], "total": 1}
    )
    first = (await answered(real, "search_audio_transcripts", query="welcome")).moments[0]
    second = (await answered(documented, "search_audio_transcripts", query="x")).moments[0]

    assert (first.ref, first.text) == ("VI1#t=34&kind=audio", "And welcome back.")
    assert (second.ref, second.text) == ("VI1#t=323&kind=audio", "x")


async def test_quirk_10_14_a_full_page_may_have_a_next_one_whatever_the_total_says() -> None:
    row = {"videoNo": "VI1", "startTime": "1", "audio_ts": "x"}
    full = await answered({"videos": [row] * 2, "total_count": "1"}, "search_audio_transcripts", query="x", page_size=2)

    assert "page=2" in full.note


async def test_quirk_9_17_similar_images_in_both_shapes(files_root: Path) -> None:
    real = envelope([{"videoNo": "VI1", "videoName": "n", "startTime": "45", "score": 0.874}])
    documented = httpx2.Response(
        200, json={"results": [{"id": "7", "image_url": "https://i", "similarity_score": 0.9}]}
    )
    async with calling(FakeWire(real, documented), files_root=files_root) as runner:
        first = (await run(runner, "search_similar_images", path="bicycle.jpg")).moments[0]
        second = (await run(runner, "search_similar_images", path="bicycle.jpg")).moments[0]

    assert (first.ref, first.score) == ("VI1#t=45&kind=keyframe", 0.874)
    assert second.score == 0.9
    assert second.text == "https://i"


@pytest.mark.parametrize(
    "data",
    [
        {"videos": [{"video_no": "VI1", "status": "PARSE", "duration": "1487", "size": None, "fps": None}]},
        {"videos": [{"videoNo": "VI1", "status": "PARSE", "duration": "1487"}]},
        {"taskId": "t", "video_ids": ["VI1"]},
        {"videos": ["VI1"]},
    ],
)
async def test_quirk_9_30_a_task_names_its_videos_in_every_shape(data: Any) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        listed = {"videos": [{"video_no": "VI1", "status": "PARSE"}]}
        return envelope(listed if request.url.path.endswith("list_videos") else data)

    async with calling(FakeWire(answer)) as runner:
        status = await run(runner, "get_task_status", task_id="t")
        ready = await run(runner, "wait_until_ready", task_id="t")

    assert [(each.video_no, each.status) for each in status.videos] == [("VI1", "ready")]
    assert ready.ready


async def test_an_import_without_videos_yet_says_that_failure_looks_the_same() -> None:
    for data in cast(list[Any], [{"videos": []}, {"videos": None}, None]):
        status = await answered(data, "get_task_status", task_id="t")

        assert "Still downloading, or failed" in status.note


async def test_images_are_listed_under_either_name() -> None:
    documented = {"images": [{"image_no": "1", "image_name": "a", "status": "PARSE", "upload_time": "1755245460412"}]}
    sibling = {"item": [{"id": 568102998803353601, "name": "b", "img_url": "https://i", "latitude": "1.25"}]}

    assert (await answered(documented, "list_images")).images[0].image_id == "1"
    image = (await answered(sibling, "list_images")).images[0]
    assert (image.image_id, image.name, image.url, image.latitude) == ("568102998803353601", "b", "https://i", 1.25)


@pytest.mark.parametrize(
    "data", [{"session_id": "1", "response": "yes", "metadata": {}}, {"content": "yes"}, {"text": "yes"}]
)
async def test_quirk_9_15_personal_chat_answers_with_and_without_an_envelope(data: Any) -> None:
    bare = httpx2.Response(200, json=data)

    assert (await answered(bare, "chat_with_library", prompt="x")).answer == "yes"
    assert (await answered(data, "chat_with_library", prompt="x")).answer == "yes"


async def test_quirk_9_32_captions_answer_with_integer_or_string_codes() -> None:
    data = {"text": " A dog ", "token": {"input": 5, "output": "7", "total": 12}}
    for code in (0, "0000", "0"):
        made = await answered(
            httpx2.Response(200, json={"code": code, "msg": "success", "data": data}),
            "caption_image_url", url="https://x.example/a.jpg", user_prompt="x",
        )  # fmt: skip
        assert (made.text, made.input_tokens, made.output_tokens) == ("A dog", 5, 7)


async def test_quirk_2_3_each_surface_has_its_own_codes_of_success() -> None:
    from memories_mcp.errors import ApiError

    with pytest.raises(ApiError):
        await answered(httpx2.Response(200, json={"code": 0, "data": {}}), "list_sessions")
    with pytest.raises(ApiError):
        await answered(
            httpx2.Response(200, json={"code": -1, "msg": "no", "data": None}),
            "caption_image_url", url="https://x.example/a.jpg", user_prompt="x",
        )  # fmt: skip


async def test_quirk_9_20_public_sessions_and_uploads_read_both_casings() -> None:
    sessions = await answered({"sessions": [{"session_id": "1", "title": "t"}]}, "list_sessions")
    uploaded = await answered({"video_no": "VI1", "video_name": "n"}, "upload_video_url", url="https://x.example/a.mp4")

    assert sessions.sessions[0].session_id == "1"
    assert uploaded.video_no == "VI1"


async def test_quirk_9_8_deleting_what_is_gone_already_is_done() -> None:
    gone = False

    def answer(request: httpx2.Request) -> httpx2.Response:
        nonlocal gone
        if request.url.path.endswith("delete_videos"):
            gone = True
            return envelope(None, "0409", "duplicate")
        return envelope({"videos": [] if gone else [{"video_no": "VI1", "status": "PARSE"}]})

    async with calling(FakeWire(answer), confirm=False) as runner:
        deleted = await run(runner, "delete_videos", video_nos=["VI1", "VI2"])

    assert (deleted.deleted, deleted.not_found) == (["VI1"], ["VI2"])


async def test_an_older_service_that_ignores_the_filter_is_searched_page_by_page() -> None:
    pages = [
        envelope({"videos": [{"video_no": f"VI{page}{row:03}", "status": "PARSE"} for row in range(200)]})
        for page in (1, 2)
    ]
    async with calling(FakeWire(*pages, envelope({"videos": []}))) as runner:
        ready = await run(runner, "wait_until_ready", video_nos=["VI1005", "VI2007"])

    assert [each.video_no for each in ready.videos] == ["VI1005", "VI2007"]


# ---- JSON null in any place, and values that make no sense


@pytest.mark.parametrize(
    ("name", "arguments", "data"),
    [
        ("chat_with_videos", {"prompt": "x", "video_nos": ["VI1"]}, {"content": "yes", "thinkings": [{"title": None}]}),
        ("chat_with_videos", {"prompt": "x", "video_nos": ["VI1"]},
         {"content": "yes", "role": None, "refs": [{"video": None, "refItems": [{"videoNo": None, "type": None}]}]}),
        ("chat_with_library", {"prompt": "x"}, {"content": None, "response": "yes"}),
        ("list_sessions", {}, {"sessions": [{"sessionId": "1", "title": None}], "current_page": None}),
        ("get_session_detail", {"session_id": "1"}, {"title": None, "messages": [{"role": None, "content": None}]}),
        ("get_private_video_details", {"video_no": "VI1"},
         {"video_no": "VI1", "status": "PARSE", "resolution_label": None, "fps": "null", "video_url": None}),
        ("list_videos", {}, {"videos": [{"video_no": "VI1", "status": None}], "total_count": "null"}),
        ("list_videos", {}, {"videos": [{"video_no": "VI1", "create_time": "99999999999999999999"}]}),
        ("list_videos", {}, {"videos": [{"video_no": "VI1", "duration": "1e999"}]}),
        ("list_images", {}, {"images": None, "item": [{"id": 1}], "total_count": None}),
        ("get_task_status", {"task_id": "t"}, {"videos": None, "video_ids": []}),
        ("generate_summary", {"video_no": "VI1"}, {"summary": None, "items": [{"title": None, "start": None}]}),
    ],
)  # fmt: skip
async def test_quirk_10_3_null_in_any_place_is_nothing(name: str, arguments: dict[str, Any], data: Any) -> None:
    result = await answered(data, name, **arguments)

    assert "null" not in str(result.structured())


async def test_identifiers_are_cleaned_like_any_text() -> None:
    page = await answered({"videos": [{"video_no": "VI\u202e1\u200b\x1b", "status": "PARSE"}]}, "list_videos")

    assert page.videos[0].video_no == "VI1"


@pytest.mark.parametrize(
    "item",
    [
        {"videoNo": "VI1", "startTime": -1, "type": "keyframe"},
        {"videoNo": "VI1", "startTime": 23, "endTime": 0, "type": "visual_ts", "text": "t"},
        {"videoNo": "VI.1", "startTime": 2, "type": "audio_ts", "text": "t"},
    ],
)
async def test_odd_moments_of_a_conversation_can_be_read_and_passed_back(item: dict[str, Any]) -> None:
    from memories_mcp.models.evidence import parse_ref

    session = {"title": "t", "messages": [{"role": "assistant", "content": "c", "refs": [{"refItems": [item]}]}]}
    report = await answered(session, "get_evidence", session_id="1")
    detail = await answered(session, "get_session_detail", session_id="1")

    assert report.moments[0].refs == [detail.messages[0].evidence[0].ref]
    assert str(parse_ref(report.moments[0].refs[0])) == report.moments[0].refs[0]


async def test_a_service_that_caps_its_pages_and_ignores_filters_still_finds_every_video() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        rows = [{"video_no": f"VI{n}", "status": "PARSE"} for n in range(250)]
        if "video_no" in body:
            rows = [row for row in rows if row["video_no"] == body["video_no"]]
        return envelope({"videos": rows[(body["page"] - 1) * 100 : body["page"] * 100]})

    async with calling(FakeWire(answer)) as runner:
        ready = await run(runner, "wait_until_ready", video_nos=["VI5", "VI150", "VI249"])

    assert {each.video_no for each in ready.videos} == {"VI5", "VI150", "VI249"}


async def test_a_video_that_is_unknown_at_the_first_poll_is_waited_for() -> None:
    ready = envelope({"videos": [{"video_no": "VI1", "status": "PARSE"}]})
    async with calling(FakeWire(envelope({"videos": []}), ready)) as runner:
        assert (await run(runner, "wait_until_ready", video_nos=["VI1"])).ready


async def test_looking_once_at_many_public_videos_does_not_outlast_its_time() -> None:
    from memories_mcp.api import Api
    from memories_mcp.runner import Runner
    from memories_mcp.settings import Settings

    wire = FakeWire(lambda request: envelope({"video_no": request.url.params["video_no"], "status": "PARSE"}))
    api = Api("k", "https://api.example", transport=httpx2.MockTransport(wire))  # with the API's own limits
    state = await run(
        Runner(Settings(), api=api), "wait_until_ready", video_nos=[f"PI-{n}" for n in range(12)], max_seconds=0
    )

    assert len(wire.requests) == 1  # the next would have to wait for two seconds
    assert not state.ready
    assert "call again with only PI-1, PI-2" in state.note


@pytest.mark.parametrize(
    ("name", "arguments", "data"),
    [
        ("chat_with_videos", {"prompt": "x", "video_nos": ["VI1"]}, {"content": "null\n"}),
        ("get_video_transcription", {"video_no": "VI1"}, {"transcriptions": [{"content": "null"}]}),
        ("get_session_detail", {"session_id": "1"}, {"messages": [{"role": "NULL", "content": "null"}]}),
        ("list_videos", {}, httpx2.Response(200, content=b'{"code":"0000","data":{"videos":[{"video_no":"VI1",'
                                            b'"create_time":1e999}],"current_page":"null"}}')),
        ("search_videos", {"query": "x"}, [{"videoNo": "VI1", "startTime": "1:inf"}]),
        ("get_private_video_details", {"video_no": "VI1"}, {"video_no": "VI1", "fps": ""}),
    ],
)  # fmt: skip
async def test_words_that_look_like_nothing_break_nothing(name: str, arguments: dict[str, Any], data: Any) -> None:
    import jsonschema

    from memories_mcp.operations import OPERATIONS

    result = await answered(data, name, **arguments)
    schema = next(each.output_schema for each in OPERATIONS if each.name == name)

    jsonschema.validate(result.structured(), schema)


async def test_a_role_of_any_length_ends() -> None:
    session = await answered(
        {"messages": [{"role": "r" * 30_000, "content": "c" * 30_000}]}, "get_session_detail", session_id="1"
    )

    assert session.messages[0].role == "r" * 20


async def test_dates_with_another_zone_are_told_in_utc() -> None:
    async with calling(
        FakeWire(envelope({"videos": [{"video_no": "VI1", "create_time": "2026-01-01T08:00:00+08:00"}]}))
    ) as runner:
        answer = await runner.run(runner.operations["list_videos"], {})

    assert "2026-01-01 00:00" in answer.text
    assert answer.structured["videos"][0]["created_at"] == "2026-01-01T00:00:00Z"


async def test_a_service_that_hangs_does_not_outlast_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    async def hang(request: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        return envelope(None)

    from memories_mcp.api import Api
    from memories_mcp.runner import Runner
    from memories_mcp.settings import Settings

    monkeypatch.setattr("memories_mcp.operations.common.polling._POLL_SECONDS", 0.1)
    api = Api("k", "https://api.example", rates={}, transport=httpx2.MockTransport(hang))
    state = await run(Runner(Settings(), api=api), "wait_until_ready", video_nos=["VI1"], max_seconds=0)

    assert not state.ready  # an Unreachable in place of it would be the client's own, later limit


async def test_times_that_are_no_numbers_do_not_hide_other_segments() -> None:
    rows = [{"content": f"c{n}", "startTime": "nan" if n == 5 else str(n), "endTime": str(n + 1)} for n in range(10)]
    transcript = await answered({"transcriptions": rows}, "get_audio_transcription", video_no="VI1")

    assert {each.text for each in transcript.segments} == {f"c{n}" for n in range(10)}


async def test_segments_without_words_are_in_no_evidence() -> None:
    rows = [{"content": " " if n % 2 else f"c{n}", "startTime": str(n), "endTime": str(n + 1)} for n in range(6)]
    report = await answered({"transcriptions": rows, "video_name": "n"}, "get_evidence", refs=["VI1#t=0,6&kind=audio"])

    assert {each.text for each in report.moments[0].segments} == {"c0", "c2", "c4"}


async def test_a_video_that_was_not_found_in_a_short_wait_is_not_called_ready_or_unlooked_at(
    skipped_pauses: None,
) -> None:
    state = await answered({"videos": []}, "wait_until_ready", video_nos=["VI1"], max_seconds=1)

    assert not state.ready
    assert "Not listed yet" in state.note


async def test_more_moments_than_can_be_named_are_told_of() -> None:
    items = [{"videoNo": "VI1", "startTime": n * 1000, "type": "audio_ts"} for n in range(150)]
    data = {
        "title": "t", "messages": [{"role": "assistant", "content": "c", "refs": [{"refItems": items}]}],
        "video_name": "n",
        "transcriptions": [{"content": "w " * 300, "startTime": n * 1000, "endTime": n * 1000 + 5} for n in range(150)],
    }  # fmt: skip
    report = await answered(data, "get_evidence", session_id="1")
    shown = sum(len(each.refs) for each in report.moments)

    assert f"{150 - shown - len(report.left_out)} more refs" in report.note
