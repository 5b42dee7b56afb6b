"""What is sent, byte for byte where it matters: methods, paths, encodings, and where unique_id goes (API 2.5, 3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import FakeWire, calling, envelope, run

pytestmark = pytest.mark.anyio

P = "/serve/api/v1/"

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
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
async def test_it_sends_exactly(case: tuple[str, dict[str, Any], str, str, str, str]) -> None:
    name, arguments, method, target, content_type, body = case
    wire = FakeWire(envelope({"videoNo": "VI1", "video_no": "VI1", "content": "yes"}))
    async with calling(wire) as caller:
        await run(caller, name, **arguments)
    request = wire.requests[0]

    assert request.method == method
    assert request.url.raw_path.decode() == target
    assert request.headers.get("content-type", "") == content_type
    assert request.content.decode() == body


async def test_the_key_goes_bare_into_authorization() -> None:
    wire = FakeWire(envelope({"videos": []}))
    async with calling(wire) as caller:
        await run(caller, "list_videos")

    assert wire.requests[0].headers["authorization"] == "sk-secret-key"


async def test_delete_sends_a_bare_array_and_the_namespace_in_the_query() -> None:
    listed = envelope({"videos": [{"video_no": "VI1", "status": "PARSE"}]})
    wire = FakeWire(listed, envelope(None), envelope({"videos": []}))
    async with calling(wire, confirm=False) as caller:
        deleted = await run(caller, "delete_videos", video_nos=["VI1"], unique_id="ws")
    request = wire.requests[1]

    assert request.url.raw_path.decode() == P + "delete_videos?unique_id=ws"
    assert request.content == b'["VI1"]'
    assert deleted.deleted == ["VI1"]


async def test_download_asks_with_json_and_takes_bytes(tmp_path: Path) -> None:
    wire = FakeWire(httpx2.Response(200, content=b"\0\0video", headers={"content-type": "application/octet-stream"}))
    async with calling(wire, files_root=tmp_path) as caller:
        await run(caller, "download_video", video_no="VI1", path="a.mp4")

    assert str(wire.requests[0].url).endswith(P + "download")
    assert json.loads(wire.requests[0].content) == {"video_no": "VI1"}
    assert (tmp_path / "a.mp4").read_bytes() == b"\0\0video"


async def test_a_pinned_namespace_is_sent_with_every_private_call() -> None:
    wire = FakeWire(envelope({"videos": []}))
    async with calling(wire, unique_id="pinned") as caller:
        await run(caller, "list_videos")

    assert json.loads(wire.requests[0].content)["unique_id"] == "pinned"


async def test_failures_are_looked_for_under_both_spellings() -> None:
    wire = FakeWire(envelope({"videos": []}))
    async with calling(wire) as caller:
        await run(caller, "list_videos", status="failed")

    assert [json.loads(each.content)["status"] for each in wire.requests] == ["FAIL", "FAILED"]
