"""The tools and arguments that errors and notes name are accepted when a caller follows them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import MEETING, run

from memories_mcp.errors import MemoriesError
from memories_mcp.operations import OPERATIONS
from memories_mcp.runner import Runner
from memories_mcp.sandbox import demo_data
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

BY_NAME = {operation.name: operation for operation in OPERATIONS}
PUBLIC_URL = "https://www.tiktok.com/@crumbandcroft/video/7548120936617203841"
FAILED, FRESH = "the failed video", "the fresh video"

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("get_task_status", {"task_id": MEETING}),
    ("get_public_video_detail", {"video_no": PUBLIC_URL}),
    ("get_public_video_detail", {"video_no": "PI-9"}),
    ("get_public_audio_transcription", {"video_no": "PI-9"}),
    ("get_private_video_details", {"video_no": "VI9"}),
    ("get_session_detail", {"session_id": "9"}),
    ("chat_with_videos", {"prompt": "price", "video_nos": [FAILED]}),
    ("chat_with_videos", {"prompt": "price", "video_nos": [FRESH]}),
    ("generate_summary", {"video_no": FAILED}),
    ("get_audio_transcription", {"video_no": FRESH}),
    ("wait_until_ready", {"video_nos": [FRESH], "max_seconds": 0}),
    ("upload_video_url", {"url": "https://example.com/a.mp4"}),
    ("upload_video_url", {"url": PUBLIC_URL}),
    ("upload_platform_urls", {"video_urls": [PUBLIC_URL]}),
    ("search_similar_images", {"path": "zzqq.jpg"}),
    ("search_public_similar_images", {"path": "zzqq.jpg"}),
    ("search_clips_by_image", {"path": "zzqq.jpg", "video_no": MEETING, "prompt": "zzqq"}),
    ("search_videos", {"query": "zzqq"}),
    ("list_videos", {"page": 9}),
    ("list_sessions", {"page": 99}),
    ("get_evidence", {"refs": [f"{MEETING}#kind=clip"]}),
    ("get_evidence", {"session_id": "9"}),
    ("delete_videos", {"video_nos": ["VI9"]}),
    ("update_video_transcription", {"video_no": "VI9", "prompt": "x"}),
]


def named_calls(text: str, given: dict[str, Any], own: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the calls that a text names: its tools, with `argument=value` or the caller's value `as ARGUMENT`."""
    text = re.sub(r"\bTried [^.]*\.", "", text)  # what was done already
    stated: dict[str, Any] = dict(re.findall(r"\b([a-z_]+)=([\w-]+)", text))
    value = next((item for key, item in given.items() if key not in {"prompt", "query", "path"}), None)
    stated |= dict.fromkeys(re.findall(r"\bas ([a-z]+_[a-z]+)\b", text), value)
    if "Call again" in text:
        return [(own, given | stated)]
    calls: list[tuple[str, dict[str, Any]]] = []
    for tool in dict.fromkeys(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", text)):
        if tool in BY_NAME:
            known = BY_NAME[tool].input.model_fields
            calls.append((tool, {argument: stated[argument] for argument in stated if argument in known}))
    return calls


@pytest.mark.parametrize(
    ("name", "arguments"), CALLS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(CALLS)]
)
async def test_a_named_next_step_is_accepted(
    settings: Settings, files_root: Path, name: str, arguments: dict[str, Any]
) -> None:
    shutil.copy(demo_data.MEDIA / "red-door.jpg", files_root / "zzqq.jpg")
    runner = Runner(settings.change(files_root=files_root, confirm=False))
    numbers: dict[str, str] = {}
    if FAILED in str(arguments):
        upload = await run(runner, "upload_video_url", url=f"{settings.base_url}/media/broken.mp4")
        numbers[FAILED] = upload.video_no
        await run(runner, "wait_until_ready", video_nos=[upload.video_no])
    if FRESH in str(arguments):
        numbers[FRESH] = (await run(runner, "upload_video_url", url="https://example.com/a.mp4")).video_no
    document = json.dumps(arguments)
    for stand_in, number in numbers.items():
        document = document.replace(stand_in, number)
    given: dict[str, Any] = json.loads(document)
    try:
        text = (await run(runner, name, **given)).note or ""
    except MemoriesError as error:
        text = str(error)
    assert text
    for tool, named in named_calls(text, given, name):
        await runner.run(BY_NAME[tool], named)
    await runner.aclose()


@pytest.mark.parametrize("name", ["search_similar_images", "search_public_similar_images"])
async def test_a_search_by_image_without_a_hit_suggests_another_image(
    settings: Settings, files_root: Path, name: str
) -> None:
    shutil.copy(demo_data.MEDIA / "red-door.jpg", files_root / "zzqq.jpg")
    runner = Runner(settings.change(files_root=files_root))
    note = (await run(runner, name, path="zzqq.jpg")).note
    await runner.aclose()

    assert "another image" in note
    assert "words" not in note
