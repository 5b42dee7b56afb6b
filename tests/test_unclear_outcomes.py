"""After a request that may have been carried out, the next step is a look at what shows it, never the same request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import FakeWire, calling, envelope, run

from memories_mcp import errors
from memories_mcp.operations import OPERATIONS

pytestmark = pytest.mark.anyio

BILLED = "may have been billed"
SHOWN_BY = {
    "upload_video_file": "list_videos", "upload_video_url": "list_videos", "upload_images": "list_images",
    "upload_platform_urls": "list_videos", "upload_creator": "list_videos", "upload_hashtag": "list_videos",
    "upload_platform_urls_public": "search_public_videos", "upload_creator_public": "search_public_videos",
    "upload_hashtag_public": "search_public_videos", "generate_summary": "list_sessions",
    "chat_with_videos": "list_sessions", "chat_with_library": "list_sessions",
    "chat_with_public_videos": "list_sessions", "delete_videos": "list_videos",
    "update_video_transcription": "get_video_transcription", "download_video": BILLED,
    "get_frame": BILLED, "download_clip": BILLED,
    "caption_video_url": BILLED,
    "create_folder": "list_folders", "rename_folder": "list_folders", "delete_folder": "list_folders",
    "move_videos_to_folder": "list_folder_videos",
    "caption_video_file": BILLED, "caption_image_url": BILLED, "caption_image_file": BILLED,
}  # fmt: skip

UNCLEAR = {
    "502": httpx2.Response(502, content=b"<html>"),
    "503 with Retry-After": httpx2.Response(503, headers={"retry-after": "7"}),
    "temporary fault": envelope(None, "0001", "The network is abnormal, please try again later"),
    "too many requests under another code": envelope(None, "0001", "Request has exceeded the limit."),
    "html": httpx2.Response(200, content=b"<html>"),
    "too large": httpx2.Response(200, content=b"[" + b" " * 2 * 1024 * 1024),
    "cut": httpx2.ReadError("cut"),
}
LISTS = {
    "/get_private_video_details": envelope({"video_no": "VI612515093881740229", "status": "PARSE"}),
    "list_videos": envelope(
        {"videos": [{"video_no": number} for number in ("VI611702946038315594", "VI612515093881740229")]}
    ),
    "/folders": envelope({"folders": [{"folder_id": 671631448308117504, "folder_name": "Archive"}]}),
    "/folders/videos": envelope({"videos": []}),
}


def copied(answer: httpx2.Response | Exception) -> httpx2.Response:
    if isinstance(answer, Exception):
        raise answer
    return httpx2.Response(answer.status_code, content=answer.content, headers=answer.headers)


def test_every_tool_that_sends_a_request_once_is_named() -> None:
    assert {
        operation.name
        for operation in OPERATIONS
        if any(not endpoint.repeatable for endpoint in operation.endpoints)
    } == SHOWN_BY.keys()  # fmt: skip


@pytest.mark.parametrize("name", SHOWN_BY)
async def test_the_next_step_names_what_shows_whether_it_was_carried_out(name: str, files_root: Path) -> None:
    operation = next(operation for operation in OPERATIONS if operation.name == name)
    settings: dict[str, Any] = {
        "files_root": files_root, "confirm": False, "callback_url": "https://c.example", "max_response_mib": 1
    }  # fmt: skip
    for case, unclear in UNCLEAR.items():

        def answer(request: httpx2.Request, unclear: httpx2.Response | Exception = unclear) -> httpx2.Response:
            listed = next((listed for end, listed in LISTS.items() if request.url.path.endswith(end)), unclear)
            return copied(listed)

        async with calling(FakeWire(answer), **settings) as runner:
            # The client is made by the fixture.
            runner.api._max_bytes = 1024 * 1024  # pyright: ignore[reportPrivateUsage] -- see above
            with pytest.raises(errors.MemoriesError) as caught:
                await run(runner, name, **operation.example)

        assert SHOWN_BY[name] in caught.value.next_step, case
        assert not caught.value.next_step.startswith(("Try", "Wait")), case


async def test_a_refusal_for_rate_is_certain_and_may_be_followed_by_another_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)
    for response in (httpx2.Response(429), envelope(None, "0429", "Request has exceeded the limit.")):
        async with calling(FakeWire(response)) as runner:
            with pytest.raises(errors.RateLimited) as caught:
                await run(runner, "upload_video_url", url="https://x.example/a.mp4")
        assert caught.value.next_step.startswith("Wait 1 s")


async def test_a_wait_of_nothing_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)
    async with calling(FakeWire(httpx2.Response(429, headers={"retry-after": "0"}))) as runner:
        with pytest.raises(errors.RateLimited) as caught:
            await run(runner, "list_videos")

    assert caught.value.next_step == "Try again with fewer calls at a time."


# What else the request shows


@pytest.mark.parametrize(
    ("response", "setting"),
    [
        (httpx2.Response(302, headers={"location": "http://login.example"}), "BASE_URL"),
        (httpx2.Response(404, content=b"<html>"), "BASE_URL"),
        (httpx2.ConnectError("refused"), "BASE_URL"),
        (httpx2.Response(401), "API_KEY"),
        (httpx2.Response(200, json={"code": "9009", "msg": "permission denied"}), "API_KEY"),
    ],
)
async def test_an_error_names_the_setting_of_the_host_that_was_called(
    response: Any, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)
    texts: list[str] = []
    for name, arguments in (
        ("list_videos", {}),
        ("caption_image_url", {"url": "https://x.example/a.jpg", "user_prompt": "x"}),
    ):
        wire = FakeWire(response if isinstance(response, Exception) else lambda _: copied(response))
        async with calling(wire) as runner:
            with pytest.raises(errors.MemoriesError) as caught:
                await run(runner, name, **arguments)
        texts.append(caught.value.next_step)

    assert f"MEMORIES_{setting}" in texts[0]
    assert f"MEMORIES_CAPTION_{setting}" in texts[1]
    assert f"MEMORIES_{setting}" not in texts[1]


KEY = "sk-secret-key"  # of the fixture


@pytest.mark.parametrize(
    ("end", "is_read"),
    [
        (f'data:{{"type":"error","message":"bad key {KEY}"}}\n\n', True),
        (f'data:{{"type":"error","message":"bad key {KEY[:9]}***"}}', False),
    ],
)
async def test_the_reason_of_an_answer_that_broke_off_repeats_no_part_of_the_key(end: str, is_read: bool) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield f'data:{{"content":"The price"}}\n\n{end}'.encode()
        if not is_read:
            raise httpx2.ReadError("cut")

    async def follow(_: Any) -> None: ...

    def answer(request: httpx2.Request) -> httpx2.Response:
        if not request.url.path.endswith("_stream"):
            return envelope({})
        return httpx2.Response(200, content=stream(), headers={"content-type": "text/event-stream"})

    async with calling(FakeWire(answer)) as runner:
        result = await runner.run(runner.operations["chat_with_library"], {"prompt": "x"}, on_progress=follow)

    assert result.output.answer == "The price"
    assert "bad key [key]" in result.output.service_message
    assert KEY[:9] not in result.text


@pytest.mark.parametrize("data", [[1], "x", 5, {"videos": 5}], ids=str)
async def test_data_of_another_shape_shows_no_names_of_the_code(data: Any, files_root: Path) -> None:
    for operation in OPERATIONS:
        quick = {"max_seconds": 0} if operation.name == "wait_until_ready" else {}
        wire = FakeWire(lambda _: httpx2.Response(200, json={"code": "0000", "data": data}))
        async with calling(wire, files_root=files_root, confirm=False, callback_url="https://c.example") as runner:
            try:
                text = (await runner.run(operation, {**operation.example, **quick})).text
            except errors.MemoriesError as error:
                text = str(error)
        assert "Input should be" not in text
        assert operation.output.__name__ not in text


async def test_a_download_asks_for_the_file_as_it_is(files_root: Path) -> None:
    wire = FakeWire(httpx2.Response(200, content=b"\0\0\0\x18ftypmp42", headers={"content-type": "video/mp4"}))
    async with calling(wire, files_root=files_root) as runner:
        await run(runner, "download_video", video_no="VI1", path="copy.mp4")

    assert wire.requests[0].headers["accept-encoding"] == "identity"
