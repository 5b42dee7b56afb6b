"""No answer of the service keeps the process from its other tasks, whatever its size and shape."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import httpx2
import pytest
from conftest import MEETING_SESSION, FakeWire, answered, calling, run

from memories_mcp.api import large_json
from memories_mcp.errors import MemoriesError
from memories_mcp.operations.evidence import EvidenceReport
from memories_mcp.runner import Runner
from memories_mcp.server.resources import RESOURCE_TYPES
from memories_mcp.validation import validate

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
UNTRACED_CEILING_SECONDS = 0.25
CEILING_SECONDS = UNTRACED_CEILING_SECONDS if sys.gettrace() is None else 1.0  # coverage multiplies the work of Python
"""The aim is 0.1 s on a quiet machine."""
ATTEMPTS = 3
"""What the code does recurs in every attempt; what other processes do, such as filling the caches, does not."""

VIDEO = {
    "videoNo": "VI612515093881740229", "videoName": "n" * 50, "duration": "12", "size": "12345", "status": "PARSE",
    "createTime": "1754000000000",
}  # fmt: skip
SEGMENT = {"index": 1, "content": "A person says about ten words here.", "startTime": "1.8", "endTime": "3.6"}
MOMENT = {"videoNo": "VI612515093881740229", "startTime": 1, "endTime": 2, "type": "audio_ts", "text": "words"}
REF = {"video": {"video_no": "VI612515093881740229", "video_name": "n"}, "refItems": [MOMENT]}
MESSAGE = {"role": "user", "content": "c" * 400, "refs": [REF]}


def ref_at(second: int) -> dict[str, Any]:
    return {**REF, "refItems": [{**MOMENT, "startTime": second, "endTime": second + 1}]}


CHAT = {"prompt": "x", "video_nos": ["VI612515093881740229"]}


class Watchdog:
    """Records the most processor time of the process between two turns of a task of the loop.

    A step that keeps the loop's thread, and one that keeps the interpreter's lock in another thread, are both in it;
    the time of other processes is not.
    """

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        before = time.process_time()
        while True:
            await asyncio.sleep(0.001)
            now = time.process_time()
            self.longest = max(self.longest, now - before)
            before = now


class Pieces(httpx2.AsyncByteStream):
    """A body that arrives in pieces, as over a socket."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), 65536):
            yield self._body[start : start + 65536]


async def longest_pass(body: bytes, kind: str, use: Callable[[Runner], Any]) -> float:
    wire = FakeWire(lambda _: httpx2.Response(200, headers={"content-type": kind}, stream=Pieces(body)))
    watchdog = Watchdog()
    async with calling(wire) as runner:
        gc.collect()
        task = asyncio.create_task(watchdog.run())
        await asyncio.sleep(0)
        with suppress(MemoriesError):
            await use(runner)
        await asyncio.sleep(0.005)
        task.cancel()
    return watchdog.longest


async def assert_never_held(body: bytes, use: Callable[[Runner], Any], kind: str = "application/json") -> None:
    passes: list[float] = []
    while len(passes) < ATTEMPTS:
        passes.append(await longest_pass(body, kind, use))
        if passes[-1] < CEILING_SECONDS:
            return
    pytest.fail(f"The loop was held for {min(passes):.3f} s of processor time.")


def rows(row: Any, count: int, *, name: str = "", **more: Any) -> bytes:
    """An envelope with many equal rows, bare or in a field."""
    items = b"[" + b",".join([json.dumps(row, separators=(",", ":")).encode()] * count) + b"]"
    data = items
    if name:
        data = json.dumps({**more, name: 0}).encode().removesuffix(b"0}") + items + b"}"
    return b'{"code":"0000","data":' + data + b"}"


def text(name: str, value: str) -> bytes:
    return json.dumps({"code": "0000", "data": {name: value}}, ensure_ascii=False).encode()


ANSWERS: dict[str, Callable[[], tuple[bytes, str, dict[str, Any]]]] = {
    "14 MiB of videos": lambda: (rows(VIDEO, 85_000, name="videos"), "list_videos", {}),
    "sessions": lambda: (rows({"sessionId": "1", "title": "t" * 50}, 30_000, name="sessions"), "list_sessions", {}),
    "hits": lambda: (rows({**VIDEO, "startTime": "1"}, 20_000), "search_videos", {"query": "x"}),
    "videos of an import": lambda: (
        rows(VIDEO, 25_000, name="videos"), "get_task_status", {"task_id": f"{'a' * 8}-b_c"},
    ),
    "chapters": lambda: (
        rows({"title": "t", "description": "d"}, 20_000, name="items"), "generate_summary", {"video_no": "VI1"},
    ),
    "rows that are no objects": lambda: (rows("x", 50_000, name="videos"), "list_videos", {}),
    "rows with unreadable values": lambda: (rows({**VIDEO, "duration": "x"}, 10_000, name="videos"), "list_videos", {}),
    "80,000 segments": lambda: (
        rows(SEGMENT, 80_000, name="transcriptions"), "get_audio_transcription", {"video_no": "VI1"},
    ),
    "segments without a text": lambda: (
        rows({**SEGMENT, "content": None}, 25_000, name="transcriptions"), "get_audio_transcription",
        {"video_no": "VI1"},
    ),
    "a whole video as a document": lambda: (
        rows(SEGMENT, 8_000, name="transcriptions"), "fetch", {"id": "VI612515093881740229"},
    ),
    "25,000 messages": lambda: (
        rows({**MESSAGE, "refs": []}, 25_000, name="messages"), "get_session_detail",
        {"session_id": MEETING_SESSION, "from_message": 24_000},
    ),
    "a message of many references": lambda: (
        rows(REF, 15_000, name="refs").replace(b'"data":{', b'"data":{"messages":[{').removesuffix(b"}}") + b"}]}}",
        "get_session_detail", {"session_id": MEETING_SESSION, "include_thinkings": True},
    ),
    "the moments of a conversation": lambda: (
        b'{"code":"0000","data":{"messages":['
        + b",".join(json.dumps({**MESSAGE, "refs": [ref_at(number)]}).encode() for number in range(6000))
        + b"]}}",
        "get_evidence", {"session_id": MEETING_SESSION},
    ),
    "a chat with many references": lambda: (rows(REF, 25_000, name="refs", content="c"), "chat_with_videos", CHAT),
    "a chat with many steps": lambda: (
        rows({"title": "t", "content": "c\n"}, 20_000, name="thinkings", content="c"), "chat_with_videos",
        {**CHAT, "include_thinkings": True},
    ),
    "a name of 30 MiB": lambda: (rows({**VIDEO, "videoName": "n" * 30 * MIB}, 1, name="videos"), "list_videos", {}),
    "an answer of line feeds": lambda: (text("content", "\n" * 8 * MIB), "chat_with_videos", CHAT),
    "a text beyond ASCII": lambda: (text("summary", "é\u200b " * 3 * MIB), "generate_summary", {"video_no": "VI1"}),
    "lists nested deeply": lambda: (b'{"code":"0000","data":' + b"[" * 20 * MIB, "list_videos", {}),
    "objects nested deeply": lambda: (b'{"code":"0000","data":' + b'{"a":' * MIB, "list_videos", {}),
    "many nested lists": lambda: (rows([[[[[]]]]], 60_000, name="videos"), "list_videos", {}),
    "numbers": lambda: (rows(1.2345678901, 150_000, name="videos"), "list_videos", {}),
    "fields": lambda: (
        b'{"code":"0000","data":{' + b",".join(b'"f%d":1' % number for number in range(100_000)) + b"}}",
        "list_videos", {},
    ),
    "a refusal of any size": lambda: (
        json.dumps({"code": ["x"] * 10, "msg": [{"a": "\u00e9"}] * 120_000, "success": False}).encode(),
        "list_videos", {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
async def test_no_answer_holds_the_loop(name: str) -> None:
    body, operation, arguments = ANSWERS[name]()

    await assert_never_held(body, lambda runner: run(runner, operation, **arguments))


def records(*values: Any) -> bytes:
    return b"".join(b"data:" + json.dumps(value, separators=(",", ":")).encode() + b"\n\n" for value in values)


BEGINNING = records({"type": "content", "content": "The answer."})
STREAMS: dict[str, Callable[[], bytes]] = {
    "50,000 references in one record": lambda: BEGINNING
    + b'data:{"type":"ref","ref":['
    + b",".join([json.dumps(REF).encode()] * 50_000)
    + b"]}\n\ndata:[DONE]\n\n",
    "references in many records": lambda: BEGINNING + records({"type": "ref", "ref": [REF]}) * 10_000,
    "steps": lambda: (
        BEGINNING + records({"type": "thinking", "title": "a"}, {"type": "thinking", "title": "b"}) * 10_000
    ),
    "one piece": lambda: records({"type": "content", "content": "a \n" * 4 * MIB}),
    "a title": lambda: BEGINNING + records({"type": "thinking", "title": "é\u200b" * MIB}),
    "many pieces": lambda: BEGINNING * 25_000,
    "bare lines": lambda: b"word\n" * 100_000 + b'{"type":"content"\n',
    "blanks before a text": lambda: b" " * 60_000 + b"x",
    "one bare line": lambda: b"word " * 6 * MIB,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind"), [*((name, "text/event-stream") for name in STREAMS), ("many pieces", "application/json")]
)
async def test_no_stream_holds_the_loop(name: str, kind: str) -> None:
    async def follow(_: Any) -> None: ...

    def ask(runner: Runner) -> Any:
        return runner.run(runner.operations["chat_with_videos"], CHAT, on_progress=follow)

    await assert_never_held(STREAMS[name](), ask, kind)


@pytest.mark.parametrize(
    ("name", "body", "variables"),
    [
        ("transcript", rows(SEGMENT, 8_000, name="transcriptions"), {"video_no": "VI1", "track": "audio"}),
        ("session", rows(MESSAGE, 3_000, name="messages"), {"session_id": MEETING_SESSION}),
        ("session", rows(MESSAGE, 3_000, name="messages"), {"session_id": MEETING_SESSION, "format": "json"}),
        ("videos", rows(VIDEO, 40_000, name="videos"), {}),
    ],
)
async def test_no_resource_holds_the_loop(name: str, body: bytes, variables: dict[str, Any]) -> None:
    resource_type = next(resource_type for resource_type in RESOURCE_TYPES if resource_type.name == name)
    checked = validate(resource_type.variables, variables)

    await assert_never_held(body, lambda runner: resource_type.read(runner, checked))


async def test_the_watchdog_sees_a_lock_that_is_held_in_a_thread() -> None:
    body = ",".join(["1.2345678901"] * 2_000_000)

    def parse_at_once(_: Runner) -> Any:
        return asyncio.to_thread(json.loads, f"[{body}]")

    assert await longest_pass(b"", "application/json", parse_at_once) >= UNTRACED_CEILING_SECONDS


async def test_rows_and_characters_beyond_the_quota_are_counted() -> None:
    videos = await answered({"videos": [VIDEO] * 2_005}, "list_videos")
    long = await answered({"videos": [VIDEO | {"videoName": "n" * 1_000_001}]}, "list_videos")

    assert "5 further rows were left out." in videos.note
    assert "1 long text was cut." in long.note


async def test_a_page_that_was_asked_for_has_no_quota_to_reach() -> None:
    hits = [{**MOMENT, "videoName": "n", "startTime": number, "text": "t" * 900} for number in range(1000)]
    last = await answered(hits, "search_videos", query="x", top_k=1000, offset=999)

    assert [moment.start_seconds for moment in last.moments] == [999]
    assert last.note is None


async def test_each_message_of_a_long_conversation_is_whole_where_it_is_read() -> None:
    messages = [{"role": "user", "content": f"{number} " + "c" * 400, "refs": [REF] * 3} for number in range(3000)]
    page = await answered({"messages": messages}, "get_session_detail", session_id=MEETING_SESSION, from_message=3000)
    report: EvidenceReport = await answered({"messages": messages}, "get_evidence", session_id=MEETING_SESSION)

    assert page.messages[0].content.startswith("2999 ")
    assert page.messages[0].evidence
    assert page.note is None
    assert report.moments[0].refs == ["VI612515093881740229#t=1,2&kind=audio"]
    assert "further" not in (report.note or "")


async def test_the_last_segments_of_a_day_can_be_read() -> None:
    segments = [{**SEGMENT, "startTime": str(second), "endTime": str(second + 1)} for second in range(86_400)]
    page = await answered({"transcriptions": segments}, "get_audio_transcription", video_no="VI1", start_seconds=86_390)

    assert [segment.start_seconds for segment in page.segments] == [*range(86_390, 86_400)]
    assert page.note is None


async def test_evidence_of_many_videos_takes_a_bounded_number_of_requests() -> None:
    refs = [{**REF, "video": {"video_no": f"VI{number}"}, "refItems": []} for number in range(900)]
    body = json.dumps({"code": "0000", "data": {"messages": [{**MESSAGE, "refs": refs}]}}).encode()
    wire = FakeWire(lambda _: httpx2.Response(200, content=body))
    async with calling(wire) as runner:
        report = await run(runner, "get_evidence", session_id=MEETING_SESSION)

    assert len(wire.requests) <= 1 + 3 * 50
    assert (len(report.moments), len(report.left_out)) == (50, 50)
    assert "850 moments were left out" in (report.note or "")


def json_value(source: random.Random, depth: int = 0) -> Any:
    kind = source.random()
    if depth > 4 or kind < 0.4:
        return source.choice([1, -2.5, 1e30, "", "x" * 20, 'q"\\\né\U0001f600', True, False, None, 2**60])
    inner = [json_value(source, depth + 1) for _ in range(source.randrange(5))]
    return inner if kind < 0.7 else {f"{'n' * number}": value for number, value in enumerate(inner)}


def outcome(parse: Callable[[str], Any], document: str) -> str:
    try:
        return repr(parse(document))
    except (ValueError, RecursionError):
        return "refused"


def test_parsing_in_steps_gives_what_parsing_at_once_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_json, "STRETCH", 7)
    source = random.Random(1)
    refused = 0
    for _ in range(3000):
        document = json.dumps(json_value(source), indent=source.choice([None, 1]), ensure_ascii=source.random() < 0.5)
        if source.random() < 0.5:
            place = source.randrange(len(document) + 1)
            damage = source.choice(["", ",", "]", "}", "1", '"', ".", "e", "-", " ", "NaN", "[", "{", ":", "\n"])
            document = document[:place] + damage + document[place + source.randrange(2) :]
        at_once = outcome(json.loads, document)
        refused += at_once == "refused"
        assert outcome(large_json.parse_in_steps, document) == at_once, document

    assert 300 < refused < 2700
