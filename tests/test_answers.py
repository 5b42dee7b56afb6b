"""What is read: answers of the real service's shapes, each quirk of the wire by its number (API 2.7, 9, 10)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from conftest import FakeWire, calling, envelope, run

pytestmark = pytest.mark.anyio

RECORDINGS = Path(__file__).parents[2] / "shared" / "recordings"


async def answered(data: Any, name: str, /, **arguments: Any) -> Any:
    response = data if isinstance(data, httpx2.Response) else envelope(data)
    async with calling(FakeWire(response), confirm=False) as caller:
        return await run(caller, name, **arguments)


def recorded(name: str) -> httpx2.Response:
    path = RECORDINGS / name
    if not path.is_file():
        pytest.skip("the recordings of the real service stay outside the repository")
    return httpx2.Response(200, content=path.read_bytes(), headers={"content-type": "application/json"})


async def test_a_recorded_search_of_whole_videos_has_neither_times_nor_scores() -> None:
    found = await answered(recorded("10-search.json"), "search_videos", query="x", search_type="BY_VIDEO")

    assert found.moments[0].video_no == "VI611471886560694272"
    assert [each.start_seconds for each in found.moments] == [None, None, None]
    assert found.moments[2].video_name == "足球"


async def test_a_recorded_chat_keeps_answer_session_and_reasoning() -> None:
    answer = await answered(
        recorded("12-chat.json"), "chat_with_videos", prompt="x", video_nos=["VI1"], include_thinkings=True
    )

    assert answer.answer.startswith("Here are the key highlights")
    assert answer.session_id == "611587302624489472"
    assert [each.title for each in answer.thinkings] == [
        "Based on selected videos, fetch detailed information",
        "Rerank detailed information",
    ]


async def test_a_recorded_public_chat_keeps_the_references_inside_its_thinkings() -> None:
    answer = await answered(recorded("14-marketer_chat.json"), "chat_with_public_videos", prompt="x")
    first = answer.evidence[0]

    assert first.video_no == "PI-602413436596523027"
    assert first.kind == "metadata"
    assert first.text == "331400 views, 28200 likes, 1167 shares, 713 comments"
    assert "\u0003" not in str(answer.model_dump())


async def test_a_recorded_transcription_keeps_every_segment_over_its_pages() -> None:
    start, texts = 0.0, list[str]()
    while start is not None:
        page = await answered(
            recorded("16-get_video_transcription.json"), "get_video_transcription", video_no="VI1", start_seconds=start
        )
        texts += [each.text for each in page.segments if each.text not in texts]
        start = page.next_start_seconds
    sent = json.loads(recorded("16-get_video_transcription.json").content)["data"]["transcriptions"]

    assert texts == list(dict.fromkeys(each["content"].strip() for each in sent))


async def test_a_recorded_silent_video_is_an_empty_transcript_that_says_why() -> None:
    transcript = await answered(recorded("18-get_audio_transcription.json"), "get_audio_transcription", video_no="VI1")

    assert transcript.segments == []
    assert "not ready" in transcript.note


async def test_a_recorded_summary_by_topics_has_no_times() -> None:
    summary = await answered(recorded("20-generate_summary.json"), "generate_summary", video_no="VI1")

    assert summary.items[0].title == "The Journey Begins"
    assert summary.items[0].start_seconds is None
    assert (summary.input_tokens, summary.output_tokens) == (13773, 554)


async def test_recorded_video_lists_keep_states_and_causes() -> None:
    page = await answered(recorded("23-list_videos.json"), "list_videos", size=200)

    assert {each.status for each in page.videos} == {"ready", "processing", "failed"}
    failed = next(each for each in page.videos if each.status == "failed")
    assert (failed.raw_status, failed.cause, failed.duration_seconds) == ("FAIL", "Indexing failed.", None)
    assert page.total == int(json.loads(recorded("23-list_videos.json").content)["data"]["total_count"])
    assert (await answered(recorded("8-list_videos.json"), "list_videos")).videos[0].size_bytes == 169612362


async def test_recorded_sessions_keep_ids_as_strings_and_messages_in_order() -> None:
    sessions = await answered(recorded("25-list_sessions.json"), "list_sessions")
    detail = await answered(recorded("27-get_session_detail.json"), "get_session_detail", session_id="1")

    assert sessions.sessions[3].session_id == "553235038557175809"
    assert [each.role for each in detail.messages] == ["user", "assistant", "user", "assistant"]
    assert detail.title == "Learn How to Make Sushi"


async def test_a_recorded_upload_names_the_video() -> None:
    uploaded = await answered(recorded("6-upload_url.json"), "upload_video_url", url="https://example.com/a.mp4")

    assert (uploaded.video_no, uploaded.video_name) == ("VI611471886560694272", "ElephantsDream")
    assert uploaded.status == "processing"


async def test_a_recorded_delete_is_success_with_null(tmp_path: Path) -> None:
    listed = envelope({"videos": [{"video_no": "VI1", "status": "PARSE"}]})
    wire = FakeWire(listed, recorded("29-delete_videos.json"), envelope({"videos": []}))
    async with calling(wire, confirm=False) as caller:
        deleted = await run(caller, "delete_videos", video_nos=["VI1"])

    assert deleted.deleted == ["VI1"]


# ---- the same shapes without the recordings, and those that were never recorded

CLIP = {"videoNo": "VI1", "videoName": "Talk", "startTime": "13", "endTime": "18", "score": 0.52}


async def test_quirk_9_22_search_rows_come_bare_or_under_several_keys() -> None:
    for data in ([CLIP], {"videos": [CLIP]}, {"results": [CLIP]}, {"items": [CLIP]}):
        found = await answered(data, "search_videos", query="x")

        assert [each.ref for each in found.moments] == ["VI1#t=13,18&kind=clip"]


async def test_quirk_9_22_the_oldest_search_answers_with_code_success() -> None:
    old = httpx2.Response(200, json={"code": "SUCCESS", "data": {"videos": [CLIP]}})

    assert (await answered(old, "search_videos", query="x")).moments[0].score == 0.52


async def test_quirk_10_14_image_search_is_an_object_with_item() -> None:
    data = {"item": [{"id": 568102998803353601, "name": "dog", "img_url": "https://i/1.jpg"}], "current_page": 0}
    found = await answered(data, "search_videos", query="x", search_type="BY_IMAGE")

    assert found.moments[0].ref == "image:568102998803353601"
    assert found.moments[0].uri is None


async def test_quirk_10_16_caption_rows_lose_their_vectors() -> None:
    row = {"video_no": "VI1", "text": "A dog", "vector": [0.1] * 9, "user_id": "u", "start_time": 1.5, "end_time": 3}
    found = await answered([row], "search_videos", query="x", search_type="BY_CAPTION")

    assert found.moments[0].model_dump(exclude_defaults=True).keys() == {
        "ref", "video_no", "kind", "start_seconds", "end_seconds", "text", "uri",
    }  # fmt: skip
    assert found.moments[0].ref == "VI1#t=1.5,3&kind=visual"


@pytest.mark.parametrize("nothing", ["null", "", None, "absent"])
async def test_quirk_10_4_every_spelling_of_nothing_is_nothing(nothing: str | None) -> None:
    row: dict[str, Any] = {"videoNo": "VI1", "endTime": nothing, "startTime": nothing, "score": nothing}
    if nothing == "absent":
        row = {"videoNo": "VI1"}
    found = await answered([row], "search_videos", query="x")

    assert found.moments[0].ref == "VI1#kind=clip"
    assert found.moments[0].score is None


async def test_quirk_10_5_numbers_as_strings_and_ids_beyond_2_53() -> None:
    data = {"role": "ASSISTANT", "content": "yes", "session_id": 611587302624489473}
    answer = await answered(data, "chat_with_videos", prompt="x", video_nos=["VI1"])

    assert answer.session_id == "611587302624489473"


REF = {
    "video": {"duration": "10", "video_no": "VI1", "video_name": "Talk"},
    "refItems": [
        {"videoNo": "VI1", "startTime": 23, "type": "keyframe"},
        {"videoNo": "VI1", "startTime": 30, "endTime": 36, "type": "visual_ts", "text": "A box"},
        {"videoNo": "VI1", "startTime": 30, "endTime": 36, "type": "audio_ts", "text": "A box!"},
        {"videoNo": "VI1", "startTime": 40, "type": "brand_new", "text": "?"},
    ],
}
REFS = ["VI1#t=23&kind=keyframe", "VI1#t=30,36&kind=visual", "VI1#t=30,36&kind=audio", "VI1#t=40&kind=clip"]


@pytest.mark.parametrize("place", ["message", "thinkings", "both"])
async def test_quirk_9_11_references_are_found_wherever_they_hide(place: str) -> None:
    data: dict[str, Any] = {"content": "yes", "session_id": "1"}
    if place != "thinkings":
        data["refs"] = [REF]
    if place != "message":
        data["thinkings"] = [{"title": "a", "content": "b"}, {"title": "c", "content": "d", "refs": [REF]}]
    answer = await answered(data, "chat_with_videos", prompt="x", video_nos=["VI1"])

    assert [each.ref for each in answer.evidence] == REFS
    assert answer.evidence[1].video_name == "Talk"


async def test_quirk_9_10_a_session_with_references_and_its_id_beside_data() -> None:
    body = {
        "code": "0000",
        "data": {"title": "t", "messages": [{"role": "ASSISTANT", "content": "c", "refs": [REF]}]},
        "session_id": "590197794380320770",
    }
    session = await answered(httpx2.Response(200, json=body), "get_session_detail", session_id="590197794380320770")

    assert session.session_id == "590197794380320770"
    assert session.messages[0].role == "assistant"
    assert [each.ref for each in session.messages[0].evidence] == REFS


async def test_quirk_9_18_transcriptions_in_the_documented_spelling() -> None:
    data = {"transcription": [{"start": 0.5, "end": 2.25, "text": " hi"}]}
    transcript = await answered(data, "get_audio_transcription", video_no="VI1")

    assert transcript.segments[0].ref == "VI1#t=0.5,2.25&kind=audio"
    assert transcript.segments[0].text == "hi"


async def test_a_segment_without_times_is_not_lost() -> None:
    data = {"transcriptions": [{"content": "hi", "startTime": "null", "endTime": "null"}]}
    transcript = await answered(data, "get_audio_transcription", video_no="VI1")

    assert [each.text for each in transcript.segments] == ["hi"]


async def test_quirk_10_12_every_word_for_a_state_is_understood() -> None:
    words = {
        "PARSE": "ready", "UNPARSE": "processing", "FAIL": "failed", "FAILED": "failed", "PARSE_ERROR": "failed",
        "DONE": "processing", "SOMETHING": "processing",
    }  # fmt: skip
    for word, meaning in words.items():
        page = await answered({"videos": [{"video_no": "VI1", "status": word}]}, "list_videos")

        assert (page.videos[0].status, page.videos[0].raw_status) == (meaning, word)


async def test_quirk_10_13_titles_are_cleaned_and_kept_on_one_line() -> None:
    name = "A\u0003 \u202etitle\u202c\n\nwith\u200b lines\t🥲"
    page = await answered({"videos": [{"video_no": "VI1", "status": "PARSE", "video_name": name}]}, "list_videos")

    assert page.videos[0].video_name == "A title with lines 🥲"


async def test_quirk_10_18_dates_are_milliseconds_here_and_seconds_there() -> None:
    detail = {"video_no": "PI-1", "status": "PARSE", "create_time": "1753242002121", "publish_time": "1730947213"}
    video = await answered(detail, "get_public_video_detail", video_no="PI-1")

    assert video.structured()["created_at"] == "2025-07-23T03:40:02Z"
    assert video.structured()["published_at"] == "2024-11-07T02:40:13Z"


async def test_quirk_9_34_sizes_may_be_absent_null_or_numbers() -> None:
    for size in ({"size": None}, {"size": "null"}, {}, {"size": 12}, {"size": "12"}):
        page = await answered({"videos": [{"video_no": "VI1", "status": "PARSE", **size}]}, "list_videos")

        assert page.videos[0].size_bytes in (None, 12)


async def test_what_cannot_be_read_names_the_field() -> None:
    from memories_mcp.errors import UnexpectedResponse

    with pytest.raises(UnexpectedResponse, match=r"list_videos is not as documented: videos\.0\.duration"):
        await answered({"videos": [{"video_no": "VI1", "status": "PARSE", "duration": {"s": 1}}]}, "list_videos")


async def test_an_empty_search_says_why_it_can_be_empty() -> None:
    found = await answered([], "search_videos", query="x", unique_id="team")

    assert found.moments == []
    for reason in ("namespace 'team'", "unique_id", "processed", "matches"):
        assert reason in found.note


# ---- operations that were never recorded, in every shape that documents and clients tell of


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
    async with calling(FakeWire(real, documented), files_root=files_root) as caller:
        first = (await run(caller, "search_similar_images", path="bicycle.jpg")).moments[0]
        second = (await run(caller, "search_similar_images", path="bicycle.jpg")).moments[0]

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

    async with calling(FakeWire(answer)) as caller:
        status = await run(caller, "get_task_status", task_id="t")
        ready = await run(caller, "wait_until_ready", task_id="t")

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

    async with calling(FakeWire(answer), confirm=False) as caller:
        deleted = await run(caller, "delete_videos", video_nos=["VI1", "VI2"])

    assert (deleted.deleted, deleted.not_found) == (["VI1"], ["VI2"])


async def test_an_older_service_that_ignores_the_filter_is_searched_page_by_page() -> None:
    pages = [
        envelope({"videos": [{"video_no": f"VI{page}{row:03}", "status": "PARSE"} for row in range(200)]})
        for page in (1, 2)
    ]
    async with calling(FakeWire(*pages, envelope({"videos": []}))) as caller:
        ready = await run(caller, "wait_until_ready", video_nos=["VI1005", "VI2007"])

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
    from memories_mcp.models import parse_ref

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

    async with calling(FakeWire(answer)) as caller:
        ready = await run(caller, "wait_until_ready", video_nos=["VI5", "VI150", "VI249"])

    assert {each.video_no for each in ready.videos} == {"VI5", "VI150", "VI249"}


async def test_a_video_that_is_unknown_at_the_first_poll_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.operations.evidence._POLLS", (0.01,))
    ready = envelope({"videos": [{"video_no": "VI1", "status": "PARSE"}]})
    async with calling(FakeWire(envelope({"videos": []}), ready)) as caller:
        assert (await run(caller, "wait_until_ready", video_nos=["VI1"])).ready


async def test_looking_once_at_many_public_videos_does_not_outlast_its_time() -> None:
    import time

    from memories_mcp.api import Api
    from memories_mcp.call import Caller
    from memories_mcp.settings import Settings

    wire = FakeWire(lambda request: envelope({"video_no": request.url.params["video_no"], "status": "PARSE"}))
    api = Api("k", "https://api.example", transport=httpx2.MockTransport(wire))  # with the API's own limits
    began = time.perf_counter()
    state = await run(
        Caller(Settings(), api=api), "wait_until_ready", video_nos=[f"PI-{n}" for n in range(12)], max_seconds=0
    )

    assert time.perf_counter() - began < 1
    assert not state.ready
    assert "Not looked at yet: PI-1" in state.note
