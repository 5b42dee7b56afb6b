"""Bad answers: each ends in a clear error, safe requests are tried again, and no key is in any text."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import httpx2
import pytest
from conftest import FakeWire, calling, envelope, run

from memories_mcp import errors
from memories_mcp.api import Api
from memories_mcp.runner import Runner
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.FIRST_BACKOFF", 0.001)
    monkeypatch.setattr("memories_mcp.api.retry.MAX_BACKOFF", 0.002)


async def failing(response: httpx2.Response | Exception, name: str = "list_sessions", /, **arguments: Any) -> Any:
    async with calling(FakeWire(response)) as runner:
        with pytest.raises(errors.MemoriesError) as caught:
            await run(runner, name, **arguments)
    assert "sk-secret" not in repr(caught.value) + str(caught.value)
    return caught.value


HTML = httpx2.Response(200, content=b"<html><body>proxy</body></html>", headers={"content-type": "text/html"})


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html>", "HTML"),
        (b"null", "null"),
        (b'{"code":"0000","data":{"sess', "broken JSON"),
        (b"", "no JSON"),
        (b'"ok"', "a text"),
    ],
)
async def test_an_answer_that_is_no_envelope_is_unexpected(body: bytes, says: str) -> None:
    error = await failing(httpx2.Response(200, content=body))

    assert isinstance(error, errors.UnexpectedResponse)
    assert says in str(error)


@pytest.mark.parametrize(
    ("code", "msg", "kind"),
    [
        ("0001", "video not found", errors.NotFound),
        ("0001", "One or more parameters are incorrect", errors.ApiError),
        ("0003", "One or more parameters are incorrect", errors.ApiError),
        ("0001", "Video is not parsed: VI1", errors.NotReady),
        ("0001", "still processing", errors.NotReady),
        ("0401", "authorization invalid", errors.Unauthorized),
        ("0403", "disabled", errors.Unauthorized),
        ("9009", "permission denied", errors.Unauthorized),
        ("0402", "Not enough points", errors.OutOfCredits),
        ("0409", "duplicate", errors.ApiError),
        ("0001", "The video duration exceeded the limit of this plan", errors.ApiError),
        ("0001", "error while processing your request", errors.ApiError),
    ],
)
async def test_each_code_is_the_error_it_means_with_the_apis_words_and_a_next_step(
    code: str, msg: str, kind: type[errors.ApiError]
) -> None:
    error = await failing(envelope(None, code, msg))

    assert type(error) is kind
    assert error.code == code
    assert code in error.summary
    assert error.words == msg
    assert error.next_step


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.Unauthorized),
        (403, errors.Unauthorized),
        (404, errors.ApiError),
        (429, errors.RateLimited),
        (500, errors.ApiError),
        (503, errors.ApiError),
    ],
)
async def test_real_http_statuses_are_read_too(
    status: int, kind: type[errors.ApiError], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"timestamp": 1, "path": "/x", "status": status, "error": "Oops", "requestId": "r"}
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)
    for response in (httpx2.Response(status, json=body), httpx2.Response(status, content=b"<html>")):
        error = await failing(response)

        assert type(error) is kind
        assert error.status == status


async def test_a_read_is_tried_again_after_trouble_and_then_succeeds() -> None:
    good = envelope({"sessions": []})
    troubles = [
        httpx2.Response(503, content=b"<html>"),
        envelope(None, "0001", "The network is abnormal, please try again later"),
        httpx2.ReadTimeout("slow"),
    ]
    wire = FakeWire(*troubles, good)
    async with calling(wire) as runner:
        await run(runner, "list_sessions")

    assert len(wire.requests) == 4


async def test_a_rate_limit_waits_at_least_as_long_as_it_says() -> None:
    limited = httpx2.Response(429, headers={"retry-after": "0.3"})
    began = asyncio.get_running_loop().time()
    async with calling(FakeWire(limited, envelope({"sessions": []}))) as runner:
        await run(runner, "list_sessions")

    assert asyncio.get_running_loop().time() - began >= 0.3


async def test_a_refused_connection_is_unreachable_and_says_nothing_was_sent() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    runner = Runner(Settings(api_key="sk-secret", base_url=f"http://127.0.0.1:{port}", rate_limits={}))
    with pytest.raises(errors.Unreachable, match="nothing was sent"):
        await run(runner, "chat_with_videos", prompt="x", video_nos=["VI1"])
    await runner.aclose()


async def test_a_redirect_is_not_followed_with_the_key() -> None:
    wire = FakeWire(httpx2.Response(302, headers={"location": "https://elsewhere.example/"}))
    async with calling(wire) as runner:
        with pytest.raises(errors.MemoriesError):
            await run(runner, "list_sessions")

    assert {request.url.host for request in wire.requests} == {"api.example"}


async def test_each_host_is_verified_and_proxied_by_its_own_scheme_and_place(monkeypatch: pytest.MonkeyPatch) -> None:
    clients = dict[str, dict[str, Any]]()
    real = httpx2.AsyncClient

    def recording(**given: Any) -> httpx2.AsyncClient:
        clients[f"client {len(clients)}"] = given
        return real(**given)

    monkeypatch.setattr("memories_mcp.api.client.httpx2.AsyncClient", recording)
    wire = FakeWire(httpx2.Response(200, json={"code": "0000", "data": {"text": "t"}}))
    api = Api(
        "k", "http://127.0.0.1:9", caption_key="k", caption_base_url="HTTPS://caption.example",
        transport=httpx2.MockTransport(wire),
    )  # fmt: skip
    runner = Runner(Settings(toolsets=("all",)), api=api)
    await run(runner, "list_sessions")
    await run(runner, "caption_image_url", url="https://x.example/a.jpg", user_prompt="x")
    await runner.aclose()

    assert [(options["verify"], options["trust_env"]) for options in clients.values()] == [(False, False), (True, True)]


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("upload_video_url", {"url": "https://x.example/a.mp4"}, "check list_videos before"),
        ("generate_summary", {"video_no": "VI1"}, "list_sessions"),
        ("list_videos", {}, "Try again later"),
    ],
)
async def test_an_unreadable_answer_does_not_invite_to_send_a_write_again(
    name: str, arguments: dict[str, Any], says: str
) -> None:
    for content in (b"<html>", b"null", b'{"code":"0000","data":5}'):
        error = await failing(httpx2.Response(200, content=content), name, **arguments)

        assert isinstance(error, errors.UnexpectedResponse)
        assert says in error.next_step


async def test_the_key_is_in_no_repr() -> None:
    settings = Settings(api_key="sk-secret", secret="sk-secret")

    assert "sk-secret" not in repr(settings) + repr(Api("sk-secret", "https://api.example"))


async def test_the_first_try_counts_towards_the_time_in_which_others_may_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.DEADLINE", 0.2)

    def slow(_: httpx2.Request) -> httpx2.Response:
        time.sleep(0.3)
        return httpx2.Response(503, content=b"busy")

    wire = FakeWire(slow)
    async with calling(wire) as runner:
        with pytest.raises(errors.ApiError):
            await run(runner, "list_sessions")

    assert len(wire.requests) == 1
