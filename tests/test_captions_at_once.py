"""Captions of videos come in the answer, unless the operator has them sent to a callback; none is requested twice."""

from __future__ import annotations

import email
import email.policy
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import FakeWire, calling, run

from memories_mcp.context import Progress
from memories_mcp.errors import ApiError, MemoriesError, UnexpectedResponse, Unreachable
from memories_mcp.runner import Runner
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

CAPTION = {"text": "A boat crosses.", "token": {"input": 900, "output": "12", "total": 912}}
CALLBACK = "https://c.example/here"
CALLS: dict[str, dict[str, Any]] = {
    "caption_video_url": {"url": "https://x.example/clip.mp4", "user_prompt": "what?"},
    "caption_video_file": {"path": "talk.mp4", "user_prompt": "what?"},
}
PATHS = {"caption_video_url": "upload", "caption_video_file": "uploadFile"}
each_tool = pytest.mark.parametrize("name", CALLS)


def answered(data: Any, code: Any = 0, msg: str = "success") -> httpx2.Response:
    return httpx2.Response(200, json={"code": code, "msg": msg, "data": data})


def arguments_sent(request: httpx2.Request) -> dict[str, Any]:
    if request.headers["content-type"] == "application/json":
        return json.loads(request.content)
    message = email.message_from_bytes(
        b"content-type: " + request.headers["content-type"].encode() + b"\n\n" + request.content,
        policy=email.policy.HTTP,
    )
    first = next(iter(message.iter_parts()))
    assert first.get_param("name", header="content-disposition") == "req"
    content = first.get_payload(decode=True)
    assert isinstance(content, bytes)
    return json.loads(content)


@each_tool
async def test_without_a_callback_the_text_is_the_answer(name: str, files_root: Path) -> None:
    wire = FakeWire(answered(CAPTION))
    messages: list[str] = []

    async def follow(progress: Progress) -> None:
        messages.append(progress.message)

    async with calling(wire, files_root=files_root) as runner:
        result = await runner.run(runner.operations[name], CALLS[name], on_progress=follow)

    [request] = wire.requests
    assert str(request.url) == f"https://caption.example/v1/understand/{PATHS[name]}Sync"
    assert request.headers["authorization"] == "sk-secret-caption-key"
    assert "callback" not in arguments_sent(request)
    assert result.structured == {"text": "A boat crosses.", "input_tokens": 900, "output_tokens": 12}
    assert "A boat crosses." in result.text
    assert "Describing the video" in messages[0]


@each_tool
async def test_with_a_callback_the_text_goes_there(name: str, files_root: Path) -> None:
    wire = FakeWire(answered({"task_id": "1234"}))
    async with calling(wire, files_root=files_root, callback_url=CALLBACK) as runner:
        caption = await run(runner, name, **CALLS[name])

    assert wire.requests[0].url.path == f"/v1/understand/{PATHS[name]}"
    assert arguments_sent(wire.requests[0])["callback"] == CALLBACK
    assert (caption.task_id, caption.text) == ("1234", None)
    assert "callback address" in caption.note


TROUBLES: dict[str, Any] = {
    "timeout": httpx2.ReadTimeout("slow"),
    "cut": httpx2.ReadError("cut"),
    "503": httpx2.Response(503, content=b"<html>"),
    "busy": answered(None, -1, "The network is abnormal, please try again later"),
    "html": httpx2.Response(200, content=b"<html>", headers={"content-type": "text/html"}),
    "nothing": answered({}),
    "null": answered(None),
}


@each_tool
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_caption_is_never_requested_twice(
    name: str, trouble: str, files_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.FIRST_BACKOFF", 0.0)

    def troubled(_: httpx2.Request) -> httpx2.Response:
        answer = TROUBLES[trouble]
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, content=answer.content, headers=answer.headers)

    wire = FakeWire(troubled)
    async with calling(wire, files_root=files_root) as runner:
        with pytest.raises(MemoriesError) as failure:
            await run(runner, name, **CALLS[name])

    assert len(wire.requests) == 1
    if isinstance(failure.value, Unreachable | UnexpectedResponse):
        assert "may have been billed" in failure.value.next_step


async def test_a_text_without_its_tokens_or_alone_is_handed_on() -> None:
    for data in ("A boat.", {"text": "A boat."}, {"caption": "A boat.", "token": None}):
        async with calling(FakeWire(answered(data, "0000"))) as runner:
            caption = await run(runner, "caption_video_url", **CALLS["caption_video_url"])

        assert caption.text == "A boat."


async def test_a_task_in_place_of_the_text_is_named() -> None:
    async with calling(FakeWire(answered({"task_id": 612990037562867712}))) as runner:
        caption = await run(runner, "caption_video_url", **CALLS["caption_video_url"])

    assert caption.task_id == "612990037562867712"
    assert "goes nowhere" in caption.note


async def test_the_request_has_the_time_limit_of_a_chat() -> None:
    wire = FakeWire(answered(CAPTION))
    async with calling(wire) as runner:
        await run(runner, "caption_video_url", **CALLS["caption_video_url"])

    assert wire.requests[0].extensions["timeout"]["read"] == 180


async def test_the_sandbox_describes_a_video_by_its_name(settings: Settings, files_root: Path) -> None:
    runner = Runner(settings.change(callback_url="", files_root=files_root))
    try:
        link = await run(runner, "caption_video_url", url="https://x.example/red-boat.mp4", user_prompt="what?")
        file = await run(runner, "caption_video_file", path="talk.mp4", user_prompt="what?")
        with pytest.raises(ApiError):
            await run(runner, "caption_video_url", url="https://x.example/", user_prompt="what?")
    finally:
        await runner.aclose()

    assert "a video named red boat" in link.text
    assert "a video named talk" in file.text
    assert link.output_tokens
