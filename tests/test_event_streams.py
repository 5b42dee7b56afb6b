"""The framing of event streams: chunks, line ends, fields, dialects (WHATWG "server-sent events", API 4)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from conftest import FakeWire, calling, envelope
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memories_mcp.context import Progress
from memories_mcp.errors import ApiError, MemoriesError, UnexpectedResponse
from memories_mcp.models.chat import ChatAnswer

pytestmark = pytest.mark.anyio
KEYS = st.sampled_from(
    ["type", "content", "code", "data", "error", "msg", "title", "ref", "refs", "sessionId", "session_id", "token"]
)
properties = settings(
    deadline=None, max_examples=50, database=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
"""Independent of the speed of the machine, and of earlier runs."""

RECORDINGS = Path(__file__).parents[2] / "shared" / "recordings"
SESSION = "606122521255088128"


def record(**fields: Any) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


REFS = [
    {
        "video": {"duration": "10", "video_no": "VI1", "video_name": "naïve 足球 \u2028 🎬"},
        "refItems": [{"videoNo": "VI1", "startTime": 30, "type": "visual_ts", "endTime": 36, "text": "t\u0085x"}],
    }
]
RECORDS = [
    record(type="thinking", title="Look", content="Okay, ", sessionId=SESSION),
    record(type="thinking", title="Look", content="the user", sessionId=SESSION),
    record(type="ref", ref=REFS, sessionId=SESSION),
    record(type="content", role="assistant", content="Grüße 😀 at ", sessionId=SESSION),
    record(type="content", role="assistant", content="\u2028 3:00\n", sessionId=SESSION),
    '{"type":"content","content":"cut \\ud83d"}',
    '{"type":"content","content":"\\ude00 whole"}',
    record(code="SUCCESS", data="Done"),
]


class Chunked(httpx2.AsyncByteStream):
    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk


async def read(body: bytes | list[bytes], heard: list[str] | None = None) -> ChatAnswer:
    """The answer of a chat whose stream has these chunks."""

    async def follow(progress: Progress) -> None:
        if heard is not None:
            heard.append(progress.message)

    def respond(request: httpx2.Request) -> httpx2.Response:
        if not request.url.path.endswith("chat_stream"):
            return envelope({})
        stream = Chunked(body if isinstance(body, list) else [body])
        return httpx2.Response(200, stream=stream, headers={"content-type": "text/event-stream"})

    arguments = {"prompt": "x", "video_nos": ["VI1"], "include_thinkings": True}
    async with calling(FakeWire(respond)) as runner:
        operation = runner.operations["chat_with_videos"]
        output = (await runner.run(operation, arguments, on_progress=follow)).output
    assert isinstance(output, ChatAnswer)
    return output


def answer_of(body: bytes | list[bytes]) -> dict[str, Any]:
    return anyio.run(read, body).structured()


def framed(records: list[str], *, end: str = "\n", prefix: str = "data:") -> bytes:
    return "".join(f"{prefix}{text}{end}{end}" for text in records).encode()


EXPECTED = {
    "answer": "Grüße 😀 at \n 3:00\ncut 😀 whole",
    "evidence": [
        {
            "ref": "VI1#t=30,36&kind=visual",
            "video_no": "VI1",
            "video_name": "naïve 足球 🎬",
            "kind": "visual",
            "start_seconds": 30,
            "end_seconds": 36,
            "text": "t\nx",
        }
    ],
    "session_id": SESSION,
    "complete": True,
    "thinkings": [{"title": "Look", "content": "Okay, the user"}],
}


def without_uris(answer: dict[str, Any]) -> dict[str, Any]:
    moments = [{name: value for name, value in moment.items() if name != "uri"} for moment in answer["evidence"]]
    return {**answer, "evidence": moments}


def test_a_stream_is_read_whole() -> None:
    assert without_uris(answer_of(framed(RECORDS))) == EXPECTED


@properties
@given(st.data())
def test_any_split_into_chunks_gives_the_same_answer(data: st.DataObject) -> None:
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    body = b"\xef\xbb\xbf" + framed(RECORDS, end=end)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=40)))
    chunks = [body[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(body)], strict=True)]

    assert without_uris(answer_of(chunks)) == EXPECTED


def test_a_stream_that_arrives_byte_by_byte_gives_the_same_answer() -> None:
    body = framed(RECORDS, end="\r\n")

    assert without_uris(answer_of([body[index : index + 1] for index in range(len(body))])) == EXPECTED


def recorded_pieces(name: str) -> Iterator[str]:
    """The records of a stream that would bring a recorded answer."""
    path = RECORDINGS / name
    if not path.is_file():
        pytest.skip("the recordings of the real service stay outside the repository")
    message = json.loads(path.read_bytes())["data"]
    for thinking in message["thinkings"]:
        yield record(type="thinking", title=thinking["title"], content=thinking["content"])
        if thinking.get("refs"):
            yield record(type="ref", ref=thinking["refs"])
    content = message["content"]
    for start in range(0, len(content), 7):
        yield record(type="content", content=content[start : start + 7], sessionId=message["session_id"])
    yield record(code="SUCCESS", data="Done")


@pytest.mark.parametrize("name", ["12-chat.json", "14-marketer_chat.json"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_a_recorded_answer_is_the_same_streamed(name: str, end: str) -> None:
    body = framed(list(recorded_pieces(name)), end=end)
    whole = httpx2.Response(200, content=(RECORDINGS / name).read_bytes(), headers={"content-type": "application/json"})
    async with calling(FakeWire(whole)) as runner:
        arguments = {"prompt": "x", "video_nos": ["VI1"], "include_thinkings": True}
        plain = (await runner.run(runner.operations["chat_with_videos"], arguments)).output

    assert await read([body[start : start + 11] for start in range(0, len(body), 11)]) == plain


COMMENTS = [":", ": keep-alive", ":data: x"]
UNKNOWN_FIELDS = [
    "id: 7",
    "id",
    "retry: 3000",
    "event: message",
    "event",
    "foo: bar",
    "foo",
    "Data: x",
    " data: x",
    "x:y",
]


@properties
@given(st.data())
def test_comments_and_unknown_fields_change_nothing(data: st.DataObject) -> None:
    lines = framed(RECORDS).decode().split("\n")
    for line in data.draw(st.lists(st.sampled_from(COMMENTS + UNKNOWN_FIELDS), max_size=20)):
        lines.insert(data.draw(st.integers(0, len(lines))), line)

    assert without_uris(answer_of("\n".join(lines).encode())) == EXPECTED


@properties
@given(st.data())
def test_a_record_over_several_data_lines_is_one_record(data: st.DataObject) -> None:
    """Line feeds may stand between the tokens of JSON; an encoder of event streams writes a `data` line for each."""
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    spread = [json.dumps(json.loads(text), indent=data.draw(st.integers(0, 2))) for text in RECORDS]
    events = [f"data: {text}".replace("\n", f"{end}data: ") for text in spread]

    assert without_uris(answer_of((end * 2).join([*events, ""]).encode())) == EXPECTED


VISIBLE = st.characters(exclude_categories=["Cs", "Cc", "Cf", "Co", "Cn", "Mn", "Zl", "Zp"])


@properties
@given(st.text(VISIBLE, min_size=1).map(lambda text: f"[{text}]"), st.data())
def test_a_text_is_the_same_wherever_its_utf_16_units_are_cut(text: str, data: st.DataObject) -> None:
    units = text.encode("utf-16-le")
    count = len(units) // 2
    cuts = sorted(data.draw(st.sets(st.integers(1, count), max_size=8)) | {count})
    pieces = [units[2 * start : 2 * stop] for start, stop in zip([0, *cuts], cuts, strict=False)]
    records = [json.dumps({"type": "content", "content": p.decode("utf-16-le", "surrogatepass")}) for p in pieces]

    assert answer_of(framed([*records, "[DONE]"]))["answer"] == text


async def test_the_progress_shows_a_split_character_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.operations.common.chat._ANSWER_INTERVAL_SECONDS", 0.0)
    heard = list[str]()
    await read(framed(RECORDS), heard)

    assert heard[-2:] == ["Grüße 😀 at \n 3:00\ncut ", EXPECTED["answer"]]


DIALECTS = {
    "fields without blank lines": 'data:{"content":"Hel"}\ndata:{"content":"lo"}\ndata:[DONE]\n',
    "no line end at the end": 'data:{"content":"Hello"}\n\ndata: {"code":"SUCCESS","data":"Done"}',
    "bare records": '{"content":"Hel"}\n{"content":"lo"}\n[DONE]\n',
    "bare texts": "Hel\nlo\n\ndone\n",
    "bare text between bare records": '{"content":"He"}\nl\n{"content":"lo"}\n[DONE]\n',
    "a bare terminator": 'data:{"content":"Hello"}\n\ndone\n',
    "texts": "data: Hel\n\ndata: lo\n\ndata: [DONE]\n\n",
    "texts without blank lines but the last": "data: Hello\ndata: [DONE]\n\n",
    "a list of records": 'data:[{"content":"Hel"},{"content":"lo"}]\n\ndata: done\n\n',
    "records in envelopes": 'data:{"code":"0000","data":{"type":"content","content":"Hel"}}\n\n'
    'data:{"code":"0000","data":{"type":"content","content":"lo"}}\n\ndata:done\n\n',
    "codes that mean nothing": 'data:{"type":"content","content":"Hello","code":null}\n\ndata:done\n\n',
    "codes of success beside a text": 'data:{"type":"content","content":"Hello","code":"0000"}\n\ndata:done\n\n',
    "an end record with a session": 'data:{"content":"Hello"}\n\ndata:{"code":"SUCCESS","data":{"session_id":"1"}}\n\n',
    "the whole answer at the end": 'data:{"content":"Hel"}\n\ndata:{"code":"0000","data":{"content":"Hello"}}\n\n',
    "a document over several lines": '{\n "code": "0000",\n "data":\n  {"content": "Hello"}\n}\n',
    "a document over data lines": 'data: {\ndata: "code": "0000",\ndata: "data": {"content": "Hello"}\ndata: }\n\n',
    "event names": "event: ping\ndata: x\n\nevent: token\ndata: Hello\n\nevent: message\ndata: [DONE]\n\n",
    "an event name as the type": 'event: thinking\ndata: {"content":"hm"}\n\ndata:{"content":"Hello"}\n\ndata:done\n\n',
}


@pytest.mark.parametrize("body", DIALECTS.values(), ids=DIALECTS)
async def test_each_dialect_of_the_service_is_read(body: str) -> None:
    answer = await read(body.encode())

    assert (answer.answer, answer.complete) == ("Hello", True)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("data: one\ndata: two\n\ndata: [DONE]\n\n", "one\ntwo"),
        ("data: one\ndata:\ndata: two\n\ndata: [DONE]\n\n", "one\n\ntwo"),
        ("data: one\n\ndata\ndata\n\ndata:two\n\ndata: [DONE]\n\n", "one\ntwo"),
        ('data: {"content":"one\ndata: two"}\n\ndata: [DONE]\n\n', "one\ntwo"),
        ("data: we are\ndata: done\n\ndata: [DONE]\n\n", "we are\ndone"),
        ("data: [1]\n\ndata:  and [2]\n\ndata: [DONE]\n\n", "[1] and [2]"),
    ],
)
async def test_the_data_lines_of_an_event_are_joined_by_line_feeds(body: str, text: str) -> None:
    assert (await read(body.encode())).answer == text


@pytest.mark.parametrize("end", ["\n\n", ""])
async def test_a_damaged_record_is_no_text_and_leaves_the_answer_incomplete(end: str) -> None:
    damaged = 'data:{"type":"content",\ndata:"content":"He' + end

    with pytest.raises(UnexpectedResponse):
        await read(damaged.encode())
    answer = await read(f'data:{{"content":"Hello"}}\n\n{damaged}\n\ndata:[DONE]\n\n'.encode())
    assert (answer.answer, answer.complete) == ("Hello", False)
    assert "could not be read" in str(answer.note)


async def test_bytes_that_are_not_utf_8_are_replaced_and_lose_nothing_else() -> None:
    answer = await read([b'data:{"content":"a\xff', b'b\xe2\x82"}\n\ndata:[DONE]\n\n'])

    assert (answer.answer, answer.complete) == ("a\ufffdb\ufffd", True)


async def test_a_page_of_html_is_no_answer() -> None:
    with pytest.raises(UnexpectedResponse, match="HTML"):
        await read(b"<!doctype html>\n<html>\n<p>Sign in</p></html>\n")


async def test_an_envelope_over_several_lines_is_the_refusal_that_it_means() -> None:
    with pytest.raises(ApiError) as caught:
        await read(b'{\n "code": "0003",\n "msg": "no",\n "data": null\n}\n')

    assert caught.value.code == "0003"


@pytest.mark.parametrize("length", [2, 20, 40, 60, 70])
async def test_a_truncated_document_over_several_lines_is_no_text(length: int) -> None:
    document = json.dumps({"code": "0000", "data": {"content": "Hello", "refs": [{}]}}, indent=1)
    for body in (document[:length], "data: " + document[:length].replace("\n", "\ndata: ")):
        with pytest.raises(UnexpectedResponse):
            await read(body.encode())


async def test_a_damaged_bare_record_loses_no_other() -> None:
    answer = await read(b'{"type":"content","con\n{"content":"Hello"}\n[DONE]\n')

    assert (answer.answer, answer.complete) == ("Hello", False)


async def test_a_wrapping_without_end_is_no_bug() -> None:
    body = 'data:{"content":"Hello"}\n\ndata:' + '{"data":' * 900 + "{}" + "}" * 900 + "\n\ndata:[DONE]\n\n"

    assert (await read(body.encode())).answer == "Hello"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["content", "thinking", "ref", "error"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=8,
)
LINES = JSON.map(json.dumps) | st.text(max_size=8) | st.sampled_from(["", "{", "}", "[DONE]", "\\ud83d", *RECORDS])


@properties
@given(st.lists(st.tuples(st.sampled_from(["data:", "data: ", "", "event:", ":"]), LINES), max_size=12))
def test_any_lines_give_an_answer_or_an_error_for_the_caller(lines: list[tuple[str, str]]) -> None:
    body = "\n".join(prefix + line for prefix, line in lines).encode("utf-8", "surrogatepass")
    with contextlib.suppress(MemoriesError):
        answer_of(body)
