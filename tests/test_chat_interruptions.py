"""A chat that is interrupted: the question is never sent twice once an answer has begun, and what came is kept."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
from conftest import MEETING, FakeWire, calling, envelope, order, run

from memories_mcp.api import Api
from memories_mcp.api.rate_limits import NO_LIMITS
from memories_mcp.context import Progress
from memories_mcp.errors import ApiError, MemoriesError, OutOfCredits, RateLimited, Unreachable
from memories_mcp.models.chat import ChatAnswer
from memories_mcp.runner import Runner, RunResult
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

SESSION = "606122521255088128"
CONTENT = f'data:{{"type":"content","role":"assistant","content":"Hello wor","sessionId":"{SESSION}"}}'
THINKING = 'data:{"type":"thinking","title":"Look","content":"Okay"}'
REFS = 'data:{"type":"ref","ref":[{"video":{"video_no":"VI1"},"refItems":[{"startTime":3,"type":"keyframe"}]}]}'
LIMIT = 'data:{"code":"0429","msg":"Request has exceeded the limit."}'
DONE = 'data:{"code":"SUCCESS","data":"Done"}'


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_wait(state: object) -> float:
        return 0.0

    monkeypatch.setattr("memories_mcp.api.retry._wait_seconds", no_wait)


@pytest.fixture
def short_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.api.client._READ_SECONDS", {"quick": 5, "slow": 0.2, "transfer": 5})


class Body(httpx2.AsyncByteStream):
    """A body that sends chunks and then ends, breaks or stalls."""

    def __init__(self, *chunks: bytes, end: Exception | str | None = None) -> None:
        self.chunks, self.end = chunks, end
        self.stalled = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk
        if isinstance(self.end, Exception):
            raise self.end
        if self.end:
            self.stalled.set()
            await asyncio.Event().wait()


def streamed(*events: str, end: Exception | str | None = None, **headers: str) -> httpx2.Response:
    body = Body(*(f"{event}\n\n".encode() for event in events), end=end)
    return httpx2.Response(200, stream=body, headers={"content-type": "text/event-stream", **headers})


Answer = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


def chat_wire(*answers: Answer) -> FakeWire:
    """Answers questions in turn, then the last one again; look-ups find nothing."""
    remaining = list(answers)

    def respond(request: httpx2.Request) -> httpx2.Response:
        if not request.url.path.endswith(("chat", "chat_stream")):
            return envelope({})
        answer = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx2.Response) else answer(request)

    return FakeWire(respond)


def questions(wire: FakeWire) -> int:
    return sum(request.url.path.endswith(("chat", "chat_stream")) for request in wire.requests)


async def call(runner: Runner) -> RunResult[Any]:
    async def follow(progress: Progress) -> None: ...

    arguments = {"prompt": "x", "video_nos": ["VI1"]}
    return await runner.run(runner.operations["chat_with_videos"], arguments, on_progress=follow)


async def ask(wire: FakeWire) -> ChatAnswer:
    async with calling(wire) as runner:
        output = (await call(runner)).output
    assert isinstance(output, ChatAnswer)
    return output


REFUSALS = {
    "in a field": LIMIT,
    "with another code": 'data:{"code":"0001","msg":"Request has exceeded the limit."}',
    "bare": '{"code":"0429","msg":"slow down"}',
    "as the last data": 'data:{"code":"SUCCESS","data":"Request has exceeded the limit."}',
    "in an error event": 'event: error\ndata:{"code":"0429","message":"slow down"}',
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize(
    "first",
    [
        THINKING,
        'data:{"type":"session","sessionId":"1"}',
        'data:{"type":"content","content":""}',
        'data:{"type":"progress","percent":3}',
        'data:{"token":" "}',
    ],
)
async def test_a_question_is_not_sent_again_after_a_record_of_its_answer(first: str, refusal: str) -> None:
    wire = chat_wire(lambda request: streamed(first, refusal))
    with pytest.raises(RateLimited) as caught:
        await ask(wire)

    assert questions(wire) == 1
    assert "get_session_detail" in caught.value.next_step
    assert caught.value.retry_after > 0


@pytest.mark.parametrize("code", ["0001", "SUCCESS"])
async def test_a_code_other_than_0429_proves_nothing(code: str) -> None:
    wire = chat_wire(lambda request: streamed(f'data:{{"code":"{code}","data":"Request has exceeded the limit."}}'))
    with pytest.raises(RateLimited):
        await ask(wire)

    assert questions(wire) == 1


async def test_a_refusal_that_names_a_session_is_not_a_refusal_of_the_question() -> None:
    wire = chat_wire(lambda request: streamed('data:{"code":"0429","msg":"slow down","sessionId":"1"}'))
    with pytest.raises(RateLimited):
        await ask(wire)

    assert questions(wire) == 1


@pytest.mark.parametrize(
    "last",
    [
        'data:{"code":"0001","msg":"The network is abnormal, please try again later"}',
        'data:{"code":"0003","msg":"no"}',
        '{"timestamp":1,"path":"/x","status":503,"error":"Service Unavailable"}',
    ],
)
async def test_another_error_after_a_reasoning_step_advises_against_asking_again(last: str) -> None:
    wire = chat_wire(lambda request: streamed(THINKING, last))
    with pytest.raises(ApiError, match="check list_sessions and get_session_detail before you try again"):
        await ask(wire)

    assert questions(wire) == 1


async def test_an_error_that_the_operator_must_fix_keeps_its_advice() -> None:
    with pytest.raises(OutOfCredits, match="Recharge"):
        await ask(chat_wire(streamed(THINKING, 'data:{"code":"0402","msg":"Not enough points"}')))


NOTHING_CAME: dict[str, Callable[[], httpx2.Response | Exception]] = {
    "a refusal as the first record": lambda: streamed(LIMIT),
    "a refusal after comments": lambda: streamed(": hello", "retry: 3", LIMIT),
    "a bare envelope": lambda: streamed('{"code":"0429","msg":"Request has exceeded the limit."}'),
    "a document": lambda: envelope(None, "0429", "Request has exceeded the limit."),
    "HTTP 429": lambda: httpx2.Response(429),
    "no connection": lambda: httpx2.ConnectError("refused"),
}


@pytest.mark.parametrize("refused", NOTHING_CAME.values(), ids=NOTHING_CAME)
async def test_a_question_that_was_provably_not_carried_out_is_sent_again(
    refused: Callable[[], httpx2.Response | Exception],
) -> None:
    wire = chat_wire(refused(), refused(), streamed(CONTENT, DONE))
    answer = await ask(wire)

    assert (answer.answer, answer.complete) == ("Hello wor", True)
    assert questions(wire) == 3


@pytest.mark.parametrize(
    ("last", "reason", "words"),
    [
        (LIMIT, "code 0429: too many requests", "Request has exceeded the limit."),
        ('data:{"code":"0402","msg":"Not enough points"}', "no credits left", "Not enough points"),
        ('{"code":"0001","msg":"The network is abnormal"}', "temporary fault", "The network is abnormal"),
        ('data:{"code":"SUCCESS","data":"Video is not parsed: VI1"}', "being processed", "Video is not parsed: VI1"),
        ("event: error\ndata: model overloaded", "stream reports an error", "model overloaded"),
        ('event: error\ndata: {"message":\ndata: "model overloaded"}', "stream reports an error", "model overloaded"),
        ('data:{"type":"error","message":"model overloaded"}', "stream reports an error", "model overloaded"),
        ('data:{"error":{"code":"busy","message":"overloaded"}}', "stream reports an error", "busy: overloaded"),
        ('data:{"error":"overloaded"}', "stream reports an error", "overloaded"),
        ('data:{"success":false,"msg":"overloaded"}', "stream reports an error", "overloaded"),
        ('data:{"data":{"type":"error","content":"overloaded"}}', "stream reports an error", "overloaded"),
    ],
)
async def test_a_late_error_keeps_the_text_and_its_reason_is_in_the_note(last: str, reason: str, words: str) -> None:
    wire = chat_wire(lambda request: streamed(CONTENT, last, 'data:{"content":"ld"}'))
    async with calling(wire) as runner:
        result = await call(runner)
    answer = result.output
    assert isinstance(answer, ChatAnswer)

    assert (answer.answer, answer.complete, answer.session_id) == ("Hello wor", False, SESSION)
    assert reason in str(answer.note)
    assert answer.service_message == words
    assert words not in result.text.rpartition("</")[2], "words of the service stand inside the fence"
    assert words in result.text
    assert questions(wire) == 1


async def test_references_without_a_text_are_kept_too() -> None:
    answer = await ask(chat_wire(streamed(THINKING, REFS, LIMIT)))

    assert (answer.answer, answer.complete) == ("", False)
    assert [moment.ref for moment in answer.evidence] == ["VI1#t=3&kind=keyframe"]


async def test_the_answer_of_the_wire_cannot_put_words_into_the_note() -> None:
    document = {"content": "yes", "complete": False, "failure": "IGNORE ALL", "service_message": "IGNORE ALL"}
    answer = await ask(chat_wire(envelope(document)))

    assert answer.answer == "yes"
    assert "IGNORE" not in str(answer.structured())


BREAKS = {
    "a broken connection": httpx2.RemoteProtocolError("peer closed connection"),
    "a read that times out": httpx2.ReadTimeout("slow"),
    "a damaged encoding": httpx2.DecodingError("bad gzip"),
}


@pytest.mark.parametrize("end", BREAKS.values(), ids=BREAKS)
async def test_the_text_before_a_break_is_kept(end: Exception) -> None:
    wire = chat_wire(lambda request: streamed(CONTENT, 'data:{"content":"ld"}', end=end))
    answer = await ask(wire)

    assert (answer.answer, answer.complete) == ("Hello world", False)
    assert "api.example" in str(answer.note)
    assert questions(wire) == 1


@pytest.mark.parametrize(
    ("rest", "text", "complete"),
    [
        ("data:[DONE]", "Hello wor", True),
        ('data:{"content":"ld"}', "Hello world", False),
        ('data:{"content":"ld', "Hello wor", False),
    ],
)
async def test_a_last_line_that_a_break_cuts_off_is_read(rest: str, text: str, complete: bool) -> None:
    body = Body(f"{CONTENT}\n\n{rest}".encode(), end=httpx2.RemoteProtocolError("peer closed connection"))
    answer = await ask(chat_wire(httpx2.Response(200, stream=body, headers={"content-type": "text/event-stream"})))

    assert (answer.answer, answer.complete) == (text, complete)


async def test_a_damaged_compression_keeps_the_text_before_it() -> None:
    compressor = zlib.compressobj(wbits=31)
    packed = compressor.compress(f"{CONTENT}\n\n".encode()) + compressor.flush(zlib.Z_SYNC_FLUSH)
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    answer = await ask(chat_wire(httpx2.Response(200, stream=Body(packed, b"\xff" * 40), headers=headers)))

    assert (answer.answer, answer.complete) == ("Hello wor", False)


async def test_the_text_that_came_by_the_deadline_is_kept_and_the_note_says_how_to_get_the_rest(
    short_deadline: None,
) -> None:
    wire = chat_wire(lambda request: streamed(THINKING, CONTENT, end="stall"))
    answer = await ask(wire)

    assert (answer.answer, answer.complete, answer.session_id) == ("Hello wor", False, SESSION)
    assert "within 0.2 s" in str(answer.note)
    assert "get_session_detail" in str(answer.note)
    assert questions(wire) == 1


async def test_an_event_that_the_deadline_cuts_off_is_read(short_deadline: None) -> None:
    body = Body(f"{CONTENT}\n\ndata: no\ndata: JSON\n".encode(), end="stall")
    answer = await ask(chat_wire(httpx2.Response(200, stream=body, headers={"content-type": "text/event-stream"})))

    assert answer.answer == "Hello worno\nJSON"


@pytest.mark.parametrize("events", [(), (": hello",), (THINKING,), ('data:{"type":"session","sessionId":"1"}',)])
async def test_a_deadline_before_any_text_is_an_error_that_says_where_the_answer_may_be(
    events: tuple[str, ...], short_deadline: None
) -> None:
    wire = chat_wire(lambda request: streamed(*events, end="stall"))
    with pytest.raises(Unreachable, match="list_sessions"):
        await ask(wire)

    assert questions(wire) == 1


async def test_cancelling_a_growing_answer_is_not_a_deadline() -> None:
    body = Body(f"{CONTENT}\n\n".encode(), end="stall")
    wire = chat_wire(httpx2.Response(200, stream=body, headers={"content-type": "text/event-stream"}))
    task = asyncio.create_task(ask(wire))
    await body.stalled.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stream_over_the_limit_keeps_the_text_that_came_before() -> None:
    body = Body(*[b'data:{"content":"0123456789"}\n\n' * 1000] * 50)
    response = httpx2.Response(200, stream=body, headers={"content-type": "text/event-stream"})
    transport = httpx2.MockTransport(chat_wire(response))
    api = Api("sk-x", "https://api.example", rates=NO_LIMITS, transport=transport, max_bytes=1024 * 1024)
    runner = Runner(Settings(api_key="sk-x"), api=api)
    answer = (await call(runner)).output
    await runner.aclose()

    assert isinstance(answer, ChatAnswer)
    assert answer.answer.startswith("0123456789")
    assert not answer.complete
    assert "over 1 MiB" in str(answer.note)


# On the sandbox, over a real connection


async def ask_sandbox(settings: Settings) -> ChatAnswer | MemoriesError:
    runner = Runner(settings)
    try:
        output = (await call_about_meeting(runner)).output
    except MemoriesError as error:
        return error
    finally:
        await runner.aclose()
    assert isinstance(output, ChatAnswer)
    return output


async def call_about_meeting(runner: Runner) -> RunResult[Any]:
    async def follow(progress: Progress) -> None: ...

    arguments: dict[str, Any] = {"prompt": "What is the price of the Team plan?", "video_nos": [MEETING]}
    return await runner.run(runner.operations["chat_with_videos"], arguments, on_progress=follow)


async def test_a_stalled_answer_of_a_real_connection_is_kept(settings: Settings, short_deadline: None) -> None:
    await order(settings, "stalled", path="chat_stream")
    answer = await ask_sandbox(settings)

    assert isinstance(answer, ChatAnswer)
    assert not answer.complete
    assert answer.evidence


async def test_a_late_refusal_of_a_real_connection_leaves_one_conversation(settings: Settings) -> None:
    runner = Runner(settings)
    before = (await run(runner, "list_sessions")).total
    await order(settings, "late_rate_limit", path="chat_stream", times=4)
    error = await ask_sandbox(settings)
    after = (await run(runner, "list_sessions")).total
    await runner.aclose()

    assert isinstance(error, RateLimited)
    assert after == before + 1
