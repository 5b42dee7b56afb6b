"""What is sent, byte for byte where it matters: methods, paths, encodings, and where unique_id goes (API 2.5, 3)."""

from __future__ import annotations

import email
import email.policy
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import FakeWire, calling, envelope, run

from memories_mcp.models.base import ConfirmableInput
from memories_mcp.operations import OPERATIONS

pytestmark = pytest.mark.anyio

P = "/serve/api/v1/"
VIDEO = "VI612515093881740229"
CONFIRMABLE = [operation.name for operation in OPERATIONS if issubclass(operation.input, ConfirmableInput)]

# tool, arguments, method, path with query, content type, body
CASES: list[tuple[str, dict[str, Any], str, str, str, str]] = [
    ("list_videos", {"unique_id": "ws", "status": "processing"}, "POST", P + "list_videos", "application/json",
     '{"unique_id":"ws","page":1,"size":20,"status":"UNPARSE"}'),
    ("search_videos", {"query": "dog?", "unique_id": "ws", "top_k": 5, "offset": 0}, "POST", P + "search",
     "application/json", '{"unique_id":"ws","search_param":"dog?","search_type":"BY_CLIP","top_k":5}'),
    ("chat_with_videos", {"video_nos": ["VI1"], "prompt": "why?", "session_id": "611587302624489472"}, "POST",
     P + "chat", "application/json",
     '{"prompt":"why?","session_id":"611587302624489472","video_nos":["VI1"]}'),
    ("chat_with_public_videos", {"prompt": "war", "platform": "YOUTUBE"}, "POST", P + "marketer_chat",
     "application/json", '{"prompt":"war","type":"YOUTUBE"}'),
    ("get_video_transcription", {"video_no": "VI1", "unique_id": "ws"}, "GET",
     P + "get_video_transcription?video_no=VI1&unique_id=ws", "", ""),
    ("get_audio_transcription", {"video_no": "VI1"}, "GET", P + "get_audio_transcription?video_no=VI1", "", ""),
    ("generate_summary", {"video_no": "VI1", "summary_type": "TOPIC"}, "GET",
     P + "generate_summary?video_no=VI1&type=TOPIC", "", ""),
    ("list_sessions", {"page": 2, "unique_id": "ws"}, "GET", P + "list_sessions?unique_id=ws&page=2", "", ""),
    ("get_session_detail", {"session_id": "590197794380320770"}, "GET",
     P + "get_session_detail?sessionId=590197794380320770", "", ""),
    ("upload_video_url", {"url": "https://example.com/a b.mp4", "unique_id": "ws"}, "POST", P + "upload_url",
     "application/x-www-form-urlencoded", "unique_id=ws&url=https%3A%2F%2Fexample.com%2Fa+b.mp4"),
    ("get_public_video_detail", {"video_no": "PI-603068775285264430"}, "GET",
     P + "get_public_video_detail?video_no=PI-603068775285264430", "", ""),
    ("get_private_video_details", {"video_no": "VI1"}, "GET", P + "get_private_video_details?video_no=VI1", "", ""),
    ("chat_with_library", {"prompt": "why?", "unique_id": "ws"}, "POST", P + "chat_personal", "application/json",
     '{"unique_id":"ws","prompt":"why?"}'),
    ("search_public_videos", {"query": "bread"}, "POST", P + "search_public", "application/json",
     '{"search_param":"bread","search_type":"BY_VIDEO","type":"TIKTOK","top_k":10}'),
    ("search_audio_transcripts", {"query": "a b", "unique_id": "ws"}, "GET",
     P + "search_audio_transcripts?unique_id=ws&query=a+b&page=1&page_size=50", "", ""),
    ("search_public_audio_transcripts", {"query": "a", "page": 2}, "GET",
     P + "search_public_audio_transcripts?query=a&page=2&page_size=50", "", ""),
    ("get_public_video_transcription", {"video_no": "PI-1"}, "GET", P + "get_public_video_transcription?video_no=PI-1",
     "", ""),
    ("get_public_audio_transcription", {"video_no": "PI-1"}, "GET", P + "get_public_audio_transcription?video_no=PI-1",
     "", ""),
    ("get_task_status", {"task_id": "31b0fccb-d6f9-4135-922d-1e8828499812", "unique_id": "ws"}, "GET",
     P + "get_video_ids_by_task_id?task_id=31b0fccb-d6f9-4135-922d-1e8828499812&unique_id=ws", "", ""),
    ("list_images", {"unique_id": "ws"}, "POST", P + "img_list_page", "application/json",
     '{"unique_id":"ws","page":1,"page_size":20}'),
    ("upload_platform_urls", {"video_urls": ["https://youtu.be/1"], "quality": 720, "unique_id": "ws"}, "POST",
     P + "scraper_url", "application/json",
     '{"unique_id":"ws","video_urls":["https://youtu.be/1"],"quality":720}'),
    ("upload_creator", {"profile_url": "https://www.tiktok.com/@a"}, "POST", P + "scraper", "application/json",
     '{"username":"https://www.tiktok.com/@a","scraper_cnt":4}'),
    ("upload_hashtag", {"hashtags": ["#nba"]}, "POST", P + "scraper_tag", "application/json",
     '{"hash_tags":["nba"],"scraper_cnt":2}'),
    ("caption_image_url", {"url": "https://x.example/a.jpg", "user_prompt": "what?"}, "POST",
     "/v1/understand/uploadImg", "application/json",
     '{"user_prompt":"what?","system_prompt":"You describe what is seen, precisely and briefly.","thinking":false,'
     '"url":"https://x.example/a.jpg"}'),
]  # fmt: skip


def answered(request: httpx2.Request) -> httpx2.Response:
    data = {"videoNo": "VI1", "video_no": "VI1", "content": "yes", "task_id": "1", "text": "t"}
    if request.url.host == "caption.example":
        return httpx2.Response(200, json={"code": 0, "data": data})
    return envelope(data)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
async def test_it_sends_exactly(case: tuple[str, dict[str, Any], str, str, str, str]) -> None:
    name, arguments, method, target, content_type, body = case
    wire = FakeWire(answered)
    async with calling(wire) as runner:
        await run(runner, name, **arguments)
    request = wire.requests[0]

    assert request.method == method
    assert request.url.raw_path.decode() == target
    assert request.headers.get("content-type", "") == content_type
    assert request.content.decode() == body


async def test_the_key_goes_bare_into_authorization() -> None:
    wire = FakeWire(envelope({"videos": []}))
    async with calling(wire) as runner:
        await run(runner, "list_videos")

    assert wire.requests[0].headers["authorization"] == "sk-secret-key"


async def test_delete_sends_a_bare_array_and_the_namespace_in_the_query() -> None:
    listed = envelope({"videos": [{"video_no": "VI1", "status": "PARSE"}]})
    wire = FakeWire(listed, envelope(None), envelope({"videos": []}))
    async with calling(wire, confirm=False) as runner:
        deleted = await run(runner, "delete_videos", video_nos=["VI1"], unique_id="ws")
    request = wire.requests[1]

    assert request.url.raw_path.decode() == P + "delete_videos?unique_id=ws"
    assert request.content == b'["VI1"]'
    assert deleted.deleted == ["VI1"]


async def test_download_asks_with_json_and_takes_bytes(tmp_path: Path) -> None:
    wire = FakeWire(httpx2.Response(200, content=b"\0\0video", headers={"content-type": "application/octet-stream"}))
    async with calling(wire, files_root=tmp_path) as runner:
        await run(runner, "download_video", video_no="VI1", path="a.mp4")

    assert str(wire.requests[0].url).endswith(P + "download")
    assert json.loads(wire.requests[0].content) == {"video_no": "VI1"}
    assert (tmp_path / "a.mp4").read_bytes() == b"\0\0video"


async def test_a_pinned_namespace_is_sent_with_every_private_call() -> None:
    wire = FakeWire(envelope({"videos": []}))
    async with calling(wire, unique_id="pinned") as runner:
        await run(runner, "list_videos")

    assert json.loads(wire.requests[0].content)["unique_id"] == "pinned"


async def test_failures_are_looked_for_under_both_spellings() -> None:
    wire = FakeWire(envelope({"videos": []}))
    async with calling(wire) as runner:
        await run(runner, "list_videos", status="failed")

    assert [json.loads(each.content)["status"] for each in wire.requests] == ["FAIL", "FAILED"]


def parts(request: httpx2.Request) -> list[tuple[str, str | None, str | None, bytes]]:
    """A multipart body's parts: name, file name, type, content."""
    message = email.message_from_bytes(
        b"content-type: " + request.headers["content-type"].encode() + b"\n\n" + request.content,
        policy=email.policy.HTTP,
    )
    found: list[tuple[str, str | None, str | None, bytes]] = []
    for part in message.iter_parts():
        kind = part.get_content_type() if part["content-type"] else None
        name = str(part.get_param("name", header="content-disposition"))
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found.append((name, part.get_filename(), kind, content))
    return found


async def test_a_video_file_is_sent_as_multipart_with_its_name_type_and_fields(files_root: Path) -> None:
    wire = FakeWire(answered)
    arguments: dict[str, Any] = {
        "path": "talk.mp4", "unique_id": "ws", "tags": ["a", "b"], "retain_original_video": False,
        "datetime_taken": "2026-01-02 03:04:05", "latitude": 1.5, "longitude": -2, "camera_model": "c",
        "video_transcription_prompt": "look",
    }  # fmt: skip
    async with calling(wire, files_root=files_root, callback_url="https://c.example") as runner:
        await run(runner, "upload_video_file", **arguments)
    fields = parts(wire.requests[0])

    assert fields[-1] == ("file", "talk.mp4", "video/mp4", (files_root / "talk.mp4").read_bytes())
    assert {(name, content.decode()) for name, _, _, content in fields[:-1]} == {
        ("unique_id", "ws"), ("tags", "a"), ("tags", "b"), ("retain_original_video", "false"), ("camera_model", "c"),
        ("datetime_taken", "2026-01-02 03:04:05"), ("latitude", "1.5"), ("longitude", "-2.0"),
        ("video_transcription_prompt", "look"), ("callback", "https://c.example"),
    }  # fmt: skip


async def test_images_are_sent_under_one_repeated_field(files_root: Path) -> None:
    (files_root / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n....")
    wire = FakeWire(envelope([{"id": 568102998803353601}, {"imageNo": "2"}]))
    async with calling(wire, files_root=files_root) as runner:
        uploaded = await run(runner, "upload_images", paths=["bicycle.jpg", "b.png"])

    assert [part[:3] for part in parts(wire.requests[0])] == [
        ("files", "bicycle.jpg", "image/jpeg"),
        ("files", "b.png", "image/png"),
    ]
    assert uploaded.image_ids == ["568102998803353601", "2"]


async def test_an_image_search_sends_the_file_and_always_a_prompt(files_root: Path) -> None:
    wire = FakeWire(envelope([{"start_time": 12.5, "end_time": 18.2, "score": 0.86}]))
    async with calling(wire, files_root=files_root) as runner:
        found = await run(runner, "search_clips_by_image", path="bicycle.jpg", video_no="VI1")

    assert [part[0] for part in parts(wire.requests[0])] == ["video_no", "prompt", "file"]
    assert found.moments[0].ref == "VI1#t=12.5,18.2&kind=clip"


async def test_a_caption_of_a_file_sends_its_arguments_as_a_json_part_to_its_own_host_with_its_own_key(
    files_root: Path,
) -> None:
    wire = FakeWire(answered)
    async with calling(wire, files_root=files_root, callback_url="https://c.example") as runner:
        person = {"name": "Ann", "path": "bicycle.jpg"}
        await run(runner, "caption_video_file", path="talk.mp4", user_prompt="what?", persons=[person])
    request = wire.requests[0]
    sent = parts(request)

    assert str(request.url) == "https://caption.example/v1/understand/uploadFile"
    assert request.headers["authorization"] == "sk-secret-caption-key"
    assert [part[:3] for part in sent] == [
        ("req", "req.json", "application/json"),
        ("files", "talk.mp4", "video/mp4"),
        ("file", "bicycle.jpg", "image/jpeg"),
    ]
    assert json.loads(sent[0][3]) == {
        "user_prompt": "what?",
        "system_prompt": "You describe what is seen, precisely and briefly.",
        "thinking": False,
        "persons": [{"name": "Ann"}],
        "callback": "https://c.example",
    }


@pytest.mark.parametrize(
    ("name", "field"),
    [("upload_platform_urls", "callback_url"), ("upload_creator", "callback_url"), ("upload_hashtag", "callback"),
     ("upload_platform_urls_public", "callback_url"), ("upload_creator_public", "callback_url"),
     ("upload_hashtag_public", "callback"), ("update_video_transcription", "callback")],
)  # fmt: skip
async def test_the_operators_callback_goes_where_the_endpoint_wants_it(name: str, field: str) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return envelope({"taskId": "t", "videos": [{"video_no": "VI612515093881740229", "status": "PARSE"}]})

    for callback in ("https://c.example", ""):
        wire = FakeWire(answer)
        async with calling(wire, confirm=False, callback_url=callback) as runner:
            await run(runner, name, **runner.operations[name].example)
        body = json.loads(wire.requests[-1].content)

        assert body.get(field) == (callback or None)
        assert "unique_id" not in body
        assert "confirmation_token" not in body


@pytest.mark.parametrize("name", CONFIRMABLE)
async def test_no_request_to_the_api_carries_the_confirmation_token(name: str) -> None:
    folders = [{"folder_id": 671631448308117504, "folder_name": "Archive"}]
    status = "UNPARSE" if name == "delete_folder" else "PARSE"
    rows = {"videos": [{"video_no": VIDEO, "status": status}], "folders": folders}
    wire = FakeWire(lambda _: envelope({"taskId": "t", **rows}))
    async with calling(wire) as runner:
        arguments = runner.operations[name].example
        if name == "delete_videos":
            arguments = {"video_nos": [VIDEO]}
        preview = await run(runner, name, **arguments)
        token = preview.confirmation.confirmation_token
        previewed = len(wire.requests)
        result = await run(runner, name, **arguments, confirmation_token=token)

    assert result.confirmation is None
    assert len(wire.requests) > previewed
    for request in wire.requests:
        sent = f"{request.url} {request.headers.raw} {request.content.decode()}"
        assert "confirmation" not in sent
        assert token not in sent
