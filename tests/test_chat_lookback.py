"""One of the streams names neither session nor references; they are looked up in the newest conversation (API 4)."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from conftest import FakeWire, calling, envelope
from mcp import Client

from memories_mcp.context import Progress
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

QUESTION = "What was decided about the launch date?"
MOMENT = {"videoNo": "VI1", "startTime": 30, "endTime": 36, "type": "visual_ts", "text": "t"}


def messages(question: str) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": question},
        {"role": "assistant", "content": "kept", "refs": [{"refItems": [MOMENT]}]},
    ]


async def ask(newest: list[dict[str, Any]]) -> Any:
    """Ask the library, streaming, while the newest conversation has these messages."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("_stream"):
            return httpx2.Response(200, content=b'data: {"token":"streamed"}\n\ndata: [DONE]\n\n')
        if request.url.path.endswith("list_sessions"):
            return envelope({"sessions": [{"sessionId": "9"}, {"sessionId": "8"}]})
        return envelope({"title": "t", "messages": newest})

    async def follow(progress: Progress) -> None: ...

    async with calling(FakeWire(answer)) as runner:
        operation = runner.operations["chat_with_library"]
        return (await runner.run(operation, {"prompt": QUESTION}, on_progress=follow)).output


async def test_the_session_and_the_moments_are_those_of_the_conversation_that_ends_with_the_question() -> None:
    answer = await ask([*messages("An earlier question"), *messages(f" {QUESTION}\n")])

    assert (answer.answer, answer.session_id) == ("streamed", "9")
    assert [moment.ref for moment in answer.evidence] == ["VI1#t=30,36&kind=visual"]


@pytest.mark.parametrize(
    "newest",
    [messages("Another question"), [*messages(QUESTION), *messages("A later question")], messages(QUESTION)[1:], []],
    ids=["another question", "a later question", "no question", "no message"],
)
async def test_a_conversation_with_another_question_at_its_end_is_not_taken_for_it(
    newest: list[dict[str, Any]],
) -> None:
    answer = await ask(newest)

    assert (answer.answer, answer.session_id, answer.evidence) == ("streamed", None, [])


async def test_a_streamed_answer_in_a_namespace_keeps_its_session_and_moments(live: Settings) -> None:
    async def follow(progress: float, total: float | None, message: str | None) -> None: ...

    async with Client(make_server(live)) as client:
        team = {"unique_id": "my-team"}
        await client.call_tool("upload_video_url", {"url": "https://videos.example/holiday.mp4", **team})
        for _ in range(3):  # the sandbox processes a video while its state is requested
            await client.call_tool("list_videos", team)
        question = {"prompt": "the holiday", **team}
        answer = await client.call_tool("chat_with_library", question, progress_callback=follow)

    assert answer.structured_content
    assert answer.structured_content["session_id"]
    assert answer.structured_content["evidence"]
