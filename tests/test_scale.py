"""Large things: flat memory for files, and a page of a very long transcript that costs what any page costs."""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import FILM, FakeWire, calling, envelope
from processes import run_process

from memories_mcp.models.tolerance import collect_omissions, describe_omissions
from memories_mcp.models.transcripts import Segments
from memories_mcp.operation import Operation
from memories_mcp.operations import OPERATIONS
from memories_mcp.rendering.budget import BUDGET

MIB = 1024**2
FILE = 64 * MIB
ALLOWED_KIB = 32 * 1024

TRANSFER = Path(__file__).parents[1] / "benchmarks/transfer.py"


@pytest.mark.skipif(sys.platform == "win32", reason="the peak of the resident set is read by a POSIX call")
def test_memory_stays_flat_while_64_mib_go_up_and_come_down(sandbox_url: str, tmp_path: Path) -> None:
    code = f"import runpy; runpy.run_path({str(TRANSFER)!r}, run_name='__main__')"
    result = run_process(sandbox_url, str(tmp_path), str(FILE // MIB), code=code, timeout=300)
    assert result.returncode == 0, result.stderr
    grown, reported, with_ballast, _ = map(int, result.stdout.split())

    assert (tmp_path / "large-back.mp4").stat().st_size == FILE
    assert reported == FILE
    assert grown < ALLOWED_KIB
    assert with_ballast > ALLOWED_KIB


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {"index": i, "content": f" Segment {i}: a person says about ten words here.", "startTime": str(i * 1.8),
         "endTime": str(i * 1.8 + 1.8)}
        for i in range(count)
    ]  # fmt: skip


def test_a_page_of_a_ten_hour_transcript_reads_its_own_segments_only() -> None:
    raw = rows(20_000)
    segments = Segments("VI1", "audio", raw)
    # The window is found by comparing numbers that were read with the fetch; all other segments may be nonsense.
    for number in {*range(20_000)} - {*range(10_000, 10_150)}:
        raw[number]["content"] = {"no": "text"}

    with collect_omissions() as omissions:
        page = [segment.text for _, segment in segments.evidence(segments.between(18_000, None)[:150])]

    assert describe_omissions(omissions.values()) is None
    assert page == [f"Segment {number}: a person says about ten words here." for number in range(10_000, 10_150)]
    with collect_omissions() as omissions:
        list(segments.evidence(segments.between(0, 10)))
    assert describe_omissions(omissions.values())


@pytest.mark.anyio
async def test_fifty_refs_into_a_ten_hour_video_fit_one_result() -> None:
    def answer(request: Any) -> Any:
        return envelope({"video_name": "n", "video_no": "VI1", "transcriptions": rows(20_000)})

    refs = [f"VI1#t={start},{start + 5}&kind=audio" for start in range(0, 36_000, 720)]
    async with calling(FakeWire(answer)) as runner:
        answer_ = await runner.run(runner.operations["get_evidence"], {"refs": refs, "context_seconds": 1})

    assert len(answer_.text) <= BUDGET
    assert len(json.dumps(answer_.structured)) <= BUDGET + 2000
    shown = [ref for moment in answer_.output.moments for ref in moment.refs]
    assert [*shown, *answer_.output.left_out] == refs


LONG_TEXT = "word " * 1200
TIMES_AS_MANY_ROWS = {
    **dict.fromkeys(("get_task_status", "upload_creator", "upload_hashtag", "upload_platform_urls"), 2),
    **dict.fromkeys(("generate_summary", "list_images", "list_sessions", "upload_images"), 6),
}
"""What fills a page with many more rows than the others do; to read them takes time."""


@cache
def everything(words: str, count: int, *, caption: bool, bare: bool) -> bytes:
    """An answer with every field of every endpoint, and so many rows in each list; `bare` is nothing but rows."""
    moment = {"videoNo": "VI1", "startTime": 1, "endTime": 2, "type": "audio_ts", "text": words}
    refs = [{"video": {"video_no": "VI1", "video_name": words}, "refItems": [moment] * 3}] * 2
    row = {
        "video_no": "VI612515093881740229", "video_name": words, "status": "FAIL", "cause": words, "id": "1",
        "sessionId": "1", "title": words, "startTime": "1", "endTime": "2", "text": words, "content": words,
        "description": words, "role": "user", "task_id": "1", "videoNo": "VI612515093881740229",
        "summary": words, "session_id": "1",
        "music_name": words, "hash_tag": words, "video_url": words, "taskId": "1",
    }  # fmt: skip
    message = {**row, "refs": refs, "thinkings": [{"title": words, "content": words}] * 3}
    folders = [{"folder_id": 671631448308117504, "folder_name": words}] * count
    lists = ("videos", "sessions", "transcriptions", "items", "item")
    data = {**message, **dict.fromkeys(lists, [row] * count), "messages": [message] * count, "folders": folders}
    data = [row] * count * 4 if bare else data
    return json.dumps({"code": 0 if caption else "0000", "data": data}).encode()


@pytest.mark.anyio
@pytest.mark.parametrize(("words", "count"), [(LONG_TEXT, 5), ("short", 150)], ids=["long texts", "many rows"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_no_result_is_over_the_budget_whatever_the_service_sends(
    operation: Operation[Any, Any], words: str, count: int, files_root: Path
) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("download"):
            return httpx2.Response(200, content=FILM)
        rows = count * TIMES_AS_MANY_ROWS.get(operation.name, 1)
        bare = request.url.path.endswith(("search", "search_public", "search_similar_images", "upload_img"))
        content = everything(words, rows, caption=request.url.host == "caption.example", bare=bare)
        return httpx2.Response(200, content=content, headers={"content-type": "application/json"})

    settings: dict[str, Any] = {"files_root": files_root, "callback_url": "https://c.example"}
    async with calling(FakeWire(answer), **settings) as runner:
        arguments = {**operation.example}
        if "include_thinkings" in operation.input.model_fields:
            arguments["include_thinkings"] = True
        result = await runner.run(operation, arguments)

    note = result.output.note or ""
    tools = [operation, *(other for other in OPERATIONS if re.search(rf"\b{other.name}\b", note))]
    named = set(re.findall(r"\b([a-z_]+)=", note))
    assert named <= {name for tool in tools for name in tool.input.model_fields}
    assert len(result.text) <= BUDGET
    assert len(json.dumps(result.structured, ensure_ascii=False, separators=(",", ":"))) <= BUDGET
