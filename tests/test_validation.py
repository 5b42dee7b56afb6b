"""Bad arguments: refused before anything is sent, one line a problem, naming the tool that takes them."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import FakeWire, calling, envelope, run

from memories_mcp import errors

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("get_audio_transcription", {"video_no": ""}, "video_no: "),
        ("get_audio_transcription", {"video_no": "VI" + "1" * 63}, "at most 64"),
        ("get_audio_transcription", {"video_no": "V" * 301}, "at most 300"),
        ("get_public_video_detail", {"video_no": "PI-" + "1" * 62}, "at most 64"),
        ("get_audio_transcription", {"video_no": "PI-603068775285264430"}, "PI- numbers are public"),
        ("get_public_video_detail", {"video_no": "VI1"}, "get_private_video_details"),
        ("get_audio_transcription", {"video_no": "31b0fccb-d6f9-4135-922d-1e8828499812"}, "task id"),
        ("get_audio_transcription", {"video_no": "https://x.example/a.mp4"}, "upload_video_url"),
        ("get_public_audio_transcription", {"video_no": "PI-1/../2"}, "only letters"),
        ("get_audio_transcription", {"video_no": "!"}, "nor the name of a video"),
        ("get_audio_transcription", {"video_no": 5}, "valid string"),
        ("get_audio_transcription", {}, "video_no: required"),
        ("get_audio_transcription", {"video_no": "VI1", "start_seconds": 9, "end_seconds": 3}, "before start_seconds"),
        ("get_session_detail", {"session_id": "abc"}, "string of digits"),
        ("get_session_detail", {"session_id": 611587302624489472}, "quote it: numbers of this size lose digits"),
        ("search_videos", {"query": ""}, "query: "),
        ("search_videos", {"query": "x", "top_k": 0}, "greater than or equal to 1"),
        ("search_videos", {"query": "x", "top_k": 201, "search_type": "BY_CAPTION"}, "at most 200 with BY_CAPTION"),
        ("search_videos", {"query": "x", "top_k": "many"}, "valid integer"),
        ("search_videos", {"query": "x", "serch_type": "BY_CLIP"}, "did you mean search_type?"),
        ("search_videos", {"query": "x", "search_type": "BY_SMELL"}, "'BY_CLIP'"),
        ("delete_videos", {"video_nos": ["VI1"] * 101}, "at most 100"),
        ("delete_videos", {"video_nos": []}, "at least 1"),
        ("upload_video_url", {"url": "ftp://x/a.mp4"}, "not an http or https URL"),
        (
            "upload_video_url",
            {"url": "https://www.youtube.com/watch?v=1"},
            "upload_platform_urls takes it",
        ),
        ("upload_video_url", {"url": "https://www.tiktok.com/@a"}, "upload_creator takes it"),
        ("upload_platform_urls", {"video_urls": ["https://x.example/a.mp4"]}, "upload_video_url takes direct links"),
        ("upload_platform_urls", {"video_urls": ["https://www.tiktok.com/@a"]}, "upload_creator takes it"),
        (
            "upload_platform_urls",
            {"video_urls": ["https://youtu.be/1", "https://www.tiktok.com/@a/video/1"]},
            "one platform only, these are of TikTok and YouTube",
        ),
        ("upload_platform_urls", {"video_urls": ["https://youtu.be/1"] * 51}, "at most 50"),
        ("upload_creator", {"profile_url": "https://www.tiktok.com/@a/video/1"}, "upload_platform_urls takes it"),
        ("upload_creator", {"profile_url": "@a"}, "not an http or https URL"),
        ("upload_hashtag", {"hashtags": ["two words"]}, "one hashtag without #"),
        ("upload_hashtag", {"hashtags": ["https://www.tiktok.com/@a"]}, "upload_creator profiles"),
        ("upload_video_url", {"url": "https://x.example/a.mp4", "latitude": 1}, "go together"),
        ("upload_video_url", {"url": "https://x.example/a.mp4", "tags": ["t"] * 21}, "at most 20"),
        ("get_task_status", {"task_id": "VI611471886560694272"}, "pass it as video_nos"),
        ("get_public_audio_transcription", {"video_no": "VI1"}, "get_audio_transcription takes"),
        ("get_evidence", {}, "exactly one of query, refs and session_id"),
        ("get_evidence", {"refs": ["VI1"]}, "not an evidence ref"),
        ("wait_until_ready", {"video_nos": ["VI1"], "max_seconds": -1}, "greater than or equal to 0"),
    ],
)
async def test_bad_arguments_are_refused_before_anything_is_sent(
    name: str, arguments: dict[str, Any], says: str
) -> None:
    wire = FakeWire(envelope(None))
    async with calling(wire) as runner:
        with pytest.raises(errors.InvalidArguments) as caught:
            await run(runner, name, **arguments)

    assert says in str(caught.value)
    assert "pydantic" not in str(caught.value)
    assert wire.requests == []


async def test_several_problems_are_told_at_once_one_a_line() -> None:
    async with calling(FakeWire(envelope(None))) as runner:
        with pytest.raises(errors.InvalidArguments) as caught:
            await run(runner, "search_videos", q="x", top_k=-1)

    assert len(caught.value.problems) == 3
