"""What is read: answers of the real service's shapes, each quirk of the wire by its number (API 2.7, 9, 10)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import FakeWire, answered, calling, envelope, run

pytestmark = pytest.mark.anyio

RECORDINGS = Path(__file__).parents[2] / "shared" / "recordings"


def recorded(name: str) -> httpx2.Response:
    path = RECORDINGS / name
    if not path.is_file():
        pytest.skip("the recordings of the real service stay outside the repository")
    return httpx2.Response(200, content=path.read_bytes(), headers={"content-type": "application/json"})


async def test_a_recorded_search_of_whole_videos_has_neither_times_nor_scores() -> None:
    search = await answered(recorded("10-search.json"), "search_videos", query="x", search_type="BY_VIDEO")

    assert search.moments[0].video_no == "VI611471886560694272"
    assert [moment.start_seconds for moment in search.moments] == [None, None, None]
    assert search.moments[2].video_name == "足球"


async def test_a_recorded_chat_keeps_answer_session_and_reasoning() -> None:
    answer = await answered(
        recorded("12-chat.json"), "chat_with_videos", prompt="x", video_nos=["VI1"], include_thinkings=True
    )

    assert answer.answer.startswith("Here are the key highlights")
    assert answer.session_id == "611587302624489472"
    assert [thinking.title for thinking in answer.thinkings] == [
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
        texts += [segment.text for segment in page.segments if segment.text not in texts]
        start = page.next_start_seconds
    sent = json.loads(recorded("16-get_video_transcription.json").content)["data"]["transcriptions"]

    assert texts == list(dict.fromkeys(row["content"].strip() for row in sent))


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

    assert {video.status for video in page.videos} == {"ready", "processing", "failed"}
    failed = next(video for video in page.videos if video.status == "failed")
    assert (failed.raw_status, failed.cause, failed.duration_seconds) == ("FAIL", "Indexing failed.", None)
    assert page.total == int(json.loads(recorded("23-list_videos.json").content)["data"]["total_count"])
    assert (await answered(recorded("8-list_videos.json"), "list_videos")).videos[0].size_bytes == 169612362


async def test_recorded_sessions_keep_ids_as_strings_and_messages_in_order() -> None:
    sessions = await answered(recorded("25-list_sessions.json"), "list_sessions")
    detail = await answered(recorded("27-get_session_detail.json"), "get_session_detail", session_id="1")

    assert sessions.sessions[3].session_id == "553235038557175809"
    assert [message.role for message in detail.messages] == ["user", "assistant", "user", "assistant"]
    assert detail.title == "Learn How to Make Sushi"


async def test_a_recorded_upload_names_the_video() -> None:
    uploaded = await answered(recorded("6-upload_url.json"), "upload_video_url", url="https://example.com/a.mp4")

    assert (uploaded.video_no, uploaded.video_name) == ("VI611471886560694272", "ElephantsDream")
    assert uploaded.status == "processing"


async def test_a_recorded_delete_is_success_with_null(tmp_path: Path) -> None:
    listed = envelope({"videos": [{"video_no": "VI1", "status": "PARSE"}]})
    wire = FakeWire(listed, recorded("29-delete_videos.json"), envelope({"videos": []}))
    async with calling(wire, confirm=False) as runner:
        deleted = await run(runner, "delete_videos", video_nos=["VI1"])

    assert deleted.deleted == ["VI1"]


# ---- the same shapes without the recordings, and those that were never recorded

CLIP = {"videoNo": "VI1", "videoName": "Talk", "startTime": "13", "endTime": "18", "score": 0.52}


async def test_quirk_9_22_search_rows_come_bare_or_under_several_keys() -> None:
    for data in ([CLIP], {"videos": [CLIP]}, {"results": [CLIP]}, {"items": [CLIP]}):
        search = await answered(data, "search_videos", query="x")

        assert [moment.ref for moment in search.moments] == ["VI1#t=13,18&kind=clip"]


async def test_quirk_9_22_the_oldest_search_answers_with_code_success() -> None:
    old = httpx2.Response(200, json={"code": "SUCCESS", "data": {"videos": [CLIP]}})

    assert (await answered(old, "search_videos", query="x")).moments[0].score == 0.52


async def test_quirk_10_14_image_search_is_an_object_with_item() -> None:
    data = {"item": [{"id": 568102998803353601, "name": "dog", "img_url": "https://i/1.jpg"}], "current_page": 0}
    search = await answered(data, "search_videos", query="x", search_type="BY_IMAGE")

    assert search.moments[0].ref == "image:568102998803353601"
    assert search.moments[0].uri is None


async def test_quirk_10_16_caption_rows_lose_their_vectors() -> None:
    row = {"video_no": "VI1", "text": "A dog", "vector": [0.1] * 9, "user_id": "u", "start_time": 1.5, "end_time": 3}
    search = await answered([row], "search_videos", query="x", search_type="BY_CAPTION")

    assert search.moments[0].model_dump(exclude_defaults=True).keys() == {
        "ref", "video_no", "kind", "start_seconds", "end_seconds", "text", "uri",
    }  # fmt: skip
    assert search.moments[0].ref == "VI1#t=1.5,3&kind=visual"


@pytest.mark.parametrize("nothing", ["null", "", None, "absent"])
async def test_quirk_10_4_every_spelling_of_nothing_is_nothing(nothing: str | None) -> None:
    row: dict[str, Any] = {"videoNo": "VI1", "endTime": nothing, "startTime": nothing, "score": nothing}
    if nothing == "absent":
        row = {"videoNo": "VI1"}
    search = await answered([row], "search_videos", query="x")

    assert search.moments[0].ref == "VI1#kind=clip"
    assert search.moments[0].score is None


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

    assert [moment.ref for moment in answer.evidence] == REFS
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
    assert [moment.ref for moment in session.messages[0].evidence] == REFS


async def test_quirk_9_18_transcriptions_in_the_documented_spelling() -> None:
    data = {"transcription": [{"start": 0.5, "end": 2.25, "text": " hi"}]}
    transcript = await answered(data, "get_audio_transcription", video_no="VI1")

    assert transcript.segments[0].ref == "VI1#t=0.5,2.25&kind=audio"
    assert transcript.segments[0].text == "hi"


async def test_a_segment_without_times_is_not_lost() -> None:
    data = {"transcriptions": [{"content": "hi", "startTime": "null", "endTime": "null"}]}
    transcript = await answered(data, "get_audio_transcription", video_no="VI1")

    assert [segment.text for segment in transcript.segments] == ["hi"]


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

    with pytest.raises(UnexpectedResponse, match=r"upload_url is not as documented: video_no"):
        await answered({"videoNo": {"n": 1}}, "upload_video_url", url="https://x.example/a.mp4")


async def test_an_empty_search_says_why_it_can_be_empty() -> None:
    search = await answered([], "search_videos", query="x", unique_id="team")

    assert search.moments == []
    for reason in ("namespace 'team'", "unique_id", "processed", "matches"):
        assert reason in search.note
