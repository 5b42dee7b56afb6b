"""Chat streams: both dialects, every terminator, every way to fail (API 4)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from conftest import FakeWire, calling

from memories_mcp.context import Progress
from memories_mcp.errors import ApiError, NotFound, NotReady, RateLimited, Unauthorized, UnexpectedResponse, Unreachable
from memories_mcp.runner import Runner

pytestmark = pytest.mark.anyio

CONTENT = 'data:{"type":"content","role":"assistant","content":"A\\" sha","sessionId":"606122521255088128"}'
MORE = 'data: {"type":"content","role":"assistant","content":"pe","sessionId":"606122521255088128"}'
DONE = 'data:{"code":"SUCCESS","data":"Done"}'


def stream(*lines: str, kind: str = "text/event-stream", end: str = "\n\n") -> httpx2.Response:
    return httpx2.Response(200, content=end.join(lines).encode() + end.encode(), headers={"content-type": kind})


async def ask(runner: Runner, heard: list[str] | None = None) -> Any:
    async def follow(progress: Progress) -> None:
        if heard is not None:
            heard.append(progress.message)

    arguments = {"prompt": "x", "video_nos": ["VI1"], "include_thinkings": True}
    return (await runner.run(runner.operations["chat_with_videos"], arguments, on_progress=follow)).output


async def asked(response: httpx2.Response | Exception, heard: list[str] | None = None) -> Any:
    async with calling(FakeWire(response)) as runner:
        return await ask(runner, heard)


async def test_dialect_a_gives_answer_reasoning_references_and_session() -> None:
    thinking = 'data:{"type":"thinking","title":"Look","content":"Okay, ","sessionId":"606122521255088128"}'
    again = 'data:{"type":"thinking","title":"Look","content":"the user","sessionId":"606122521255088128"}'
    refs = {
        "type": "ref",
        "ref": [
            {
                "video": {"duration": "10", "video_no": "VI1", "video_name": "n"},
                "refItems": [{"videoNo": "VI1", "startTime": 30, "type": "visual_ts", "endTime": 36, "text": "t"}],
            }
        ],
    }
    heard = list[str]()
    answer = await asked(stream(thinking, again, f"data:{json.dumps(refs)}", CONTENT, MORE, DONE), heard)

    assert answer.answer == 'A" shape'
    assert answer.session_id == "606122521255088128"
    assert [(thinking.title, thinking.content) for thinking in answer.thinkings] == [("Look", "Okay, the user")]
    assert [moment.ref for moment in answer.evidence] == ["VI1#t=30,36&kind=visual"]
    assert answer.complete
    assert heard == ["Asking", "Look", 'A" sha', 'A" shape']


async def test_dialect_b_gives_the_answer_without_a_session() -> None:
    answer = await asked(stream('data: {"token":"This "}', 'data: {"token":"is"}', "data: [DONE]"))

    assert (answer.answer, answer.session_id, answer.complete) == ("This is", None, True)


@pytest.mark.parametrize(
    "end", [DONE, 'data:"Done"', "data:[DONE]", "data:done", "[done]", "done", "DONE", 'data: {"data": "Done"}']
)
async def test_every_terminator_ends_the_answer(end: str) -> None:
    answer = await asked(stream(CONTENT, end, 'data:{"type":"content","content":" never"}'))

    assert (answer.answer, answer.complete) == ('A" sha', True)


async def test_a_missing_terminator_is_an_incomplete_answer_that_says_so() -> None:
    answer = await asked(stream(CONTENT, MORE))

    assert (answer.answer, answer.complete) == ('A" shape', False)
    assert "get_session_detail" in answer.note


@pytest.mark.parametrize(
    "line",
    [
        '{"type":"content","content":"hi"}',
        '{"data":{"content":"hi"}}',
        'data: {"text":"hi"}',
        'data: {"delta":"hi"}',
        'data: {"message":"hi"}',
        'data: "hi"',
        "data: hi",
        ': comment\n\nevent: message\n\ndata:{"type":"session","sessionId":"1"}\n\ndata:{"text":"hi"}',
    ],
)
async def test_other_spellings_of_a_delta_are_read(line: str) -> None:
    assert (await asked(stream(line, DONE))).answer == "hi"


async def test_pieces_of_text_that_happen_to_be_json_are_text() -> None:
    answer = await asked(stream("data:In", "data: 2019", "data: it was true", "data:5", DONE))

    assert answer.answer == "In2019it was true5"


async def test_progress_is_cleaned_too() -> None:
    heard = list[str]()
    await asked(stream('data:{"type":"content","content":"a\\u001b]0;x\\u0007 "}', DONE), heard)

    assert heard == ["Asking", "a]0;x "]


async def test_the_growing_answer_is_shown_a_few_times_a_second_and_by_its_end() -> None:
    pieces = [f'data:{{"type":"content","content":"{number:04} "}}' for number in range(1000)]
    heard = list[str]()
    answer = await asked(stream(*pieces, DONE), heard)

    assert len(answer.answer) == 4999
    assert len(heard) < 100
    assert heard[-1].strip() == answer.answer


async def test_a_service_that_thinks_for_long_is_heard_to_be_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.operations.common.chat._HEARTBEAT_SECONDS", 0.02)

    class Slow(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            await asyncio.sleep(0.1)
            yield f"{CONTENT}\n\n{DONE}\n\n".encode()

    heard = list[str]()
    headers = {"content-type": "text/event-stream"}
    await asked(httpx2.Response(200, stream=Slow(), headers=headers), heard)

    assert heard[0] == "Asking"
    assert heard[1].startswith("Asking; no answer yet after")
    assert heard[-1] == 'A" sha'


async def test_lines_may_end_like_on_windows_and_hold_line_separators() -> None:
    separated = 'data:{"type":"content","content":"one\u2028two"}'

    assert (await asked(stream(separated, DONE, end="\r\n\r\n"))).answer == "one\ntwo"


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream", "text/plain"])
async def test_one_json_document_in_place_of_a_stream_is_the_answer(kind: str) -> None:
    body = {"code": "0000", "data": {"role": "ASSISTANT", "content": "whole", "session_id": "1"}}
    answer = await asked(httpx2.Response(200, content=json.dumps(body).encode(), headers={"content-type": kind}))

    assert (answer.answer, answer.session_id, answer.complete) == ("whole", "1", True)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('data:{"code":"0001","data":"No videos found for the provided video numbers."}', NotFound),
        ('data:{"code":"SUCCESS","data":"Video is not parsed: VI1"}', NotReady),
        ('data:{"code":"SUCCESS","data":"user don\'t login"}', Unauthorized),
        ('data:{"code":"SUCCESS","data":"Error"}', ApiError),
        ('{"code":"0429","msg":"Request has exceeded the limit.","data":null}', RateLimited),
        ('{"code":"0401","msg":"no","data":null,"success":false}', Unauthorized),
    ],
)
async def test_a_refusal_inside_the_stream_is_the_error_it_means(
    line: str, error: type[ApiError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)
    with pytest.raises(error):
        await asked(stream(line))


async def test_a_refusal_after_a_part_of_the_answer_keeps_the_part_and_asks_nothing_again() -> None:
    wire = FakeWire(lambda request: stream('data:{"token":"Hello wor"}', '{"code":"0429","msg":"slow down"}'))
    async with calling(wire) as runner:
        answer = await ask(runner)

    assert (answer.answer, answer.complete) == ("Hello wor", False)
    assert sum(request.url.path.endswith("chat_stream") for request in wire.requests) == 1


class Chunked(httpx2.AsyncByteStream):
    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk


@pytest.mark.parametrize("kind", ["application/json", "text/html", "text/plain"])
@pytest.mark.parametrize(
    "body",
    [b'{\n "code": "0000",\n "data": {"content": "yes"}\n}', b'{"content":"yes","refs":[]}', b"<html>Sign in</html>"],
)
async def test_a_document_is_one_document_however_it_arrives(kind: str, body: bytes) -> None:
    def respond(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, stream=Chunked(body[:9], body[9:]), headers={"content-type": kind})

    async with calling(FakeWire(respond)) as runner:
        if body.startswith(b"<"):
            with pytest.raises(UnexpectedResponse):
                await ask(runner)
        else:
            assert (await ask(runner)).answer == "yes"


async def test_a_stream_that_a_proxy_calls_plain_text_is_read() -> None:
    assert (await asked(stream(CONTENT, MORE, DONE, kind="text/plain"))).answer == 'A" shape'


async def test_an_empty_stream_is_no_answer() -> None:
    with pytest.raises(UnexpectedResponse, match="before the answer began"):
        await asked(stream(""))


class Breaking(httpx2.AsyncByteStream):
    def __init__(self, *chunks: bytes, forever: bool = False) -> None:
        self.chunks, self.forever, self.closed = chunks, forever, False
        self.waits = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk
        if self.forever:
            self.waits.set()
            await asyncio.Event().wait()
        raise httpx2.RemoteProtocolError("peer closed connection")

    async def aclose(self) -> None:
        self.closed = True


async def test_a_stream_that_stops_half_way_keeps_what_came() -> None:
    broken = httpx2.Response(
        200, stream=Breaking(CONTENT.encode() + b"\n"), headers={"content-type": "text/event-stream"}
    )
    answer = await asked(broken)

    assert (answer.answer, answer.complete) == ('A" sha', False)


async def test_a_stream_that_stops_before_anything_came_is_an_error_and_is_not_asked_again() -> None:
    wire = FakeWire(httpx2.Response(200, stream=Breaking(), headers={"content-type": "text/event-stream"}))
    async with calling(wire) as runner:
        with pytest.raises(Unreachable, match="get_session_detail"):
            await ask(runner)

    assert len(wire.requests) == 1


async def test_an_answer_that_trickles_without_end_is_given_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.api.client._READ_SECONDS", {"quick": 0.1, "slow": 0.1, "transfer": 0.1})
    body = Breaking(CONTENT.encode() + b"\n", forever=True)
    answer = await asked(httpx2.Response(200, stream=body))

    assert (answer.answer, answer.complete) == ('A" sha', False)
    assert body.closed


async def test_cancelling_reaches_the_request() -> None:
    body = Breaking(CONTENT.encode() + b"\n", forever=True)
    async with calling(FakeWire(httpx2.Response(200, stream=body))) as runner:
        task = asyncio.create_task(ask(runner))
        await asyncio.wait_for(body.waits.wait(), 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert body.closed


async def test_nobody_following_means_the_plain_endpoint_and_the_same_answer(runner: Runner) -> None:
    arguments = {"prompt": "What is the price of the Team plan?", "video_nos": ["VI612515093881740229"]}
    operation = runner.operations["chat_with_videos"]

    async def follow(progress: Progress) -> None: ...

    plain = (await runner.run(operation, arguments)).output
    streamed = (await runner.run(operation, arguments, on_progress=follow)).output

    assert plain.model_copy(update={"session_id": None}) == streamed.model_copy(update={"session_id": None})
