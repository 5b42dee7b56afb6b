"""Bad answers and bad input: each ends in a clear error, with nothing half-written and no key in any text."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import FakeWire, calling, envelope, run

from memories_mcp import errors
from memories_mcp.api import Api
from memories_mcp.api.limits import NO_LIMITS, Limits
from memories_mcp.call import Caller
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.FIRST_WAIT", 0.001)
    monkeypatch.setattr("memories_mcp.api.retry.LONGEST_WAIT", 0.002)


async def failing(response: httpx2.Response | Exception, name: str = "list_sessions", /, **arguments: Any) -> Any:
    async with calling(FakeWire(response)) as caller:
        with pytest.raises(errors.MemoriesError) as caught:
            await run(caller, name, **arguments)
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
        (b'"ok"', "ok"),
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
    async with calling(wire) as caller:
        await run(caller, "list_sessions")

    assert len(wire.requests) == 4


async def test_a_rate_limit_waits_at_least_as_long_as_it_says() -> None:
    limited = httpx2.Response(429, headers={"retry-after": "0.3"})
    began = asyncio.get_running_loop().time()
    async with calling(FakeWire(limited, envelope({"sessions": []}))) as caller:
        await run(caller, "list_sessions")

    assert asyncio.get_running_loop().time() - began >= 0.3


@pytest.mark.parametrize("trouble", [httpx2.Response(503), httpx2.ReadTimeout("slow"), httpx2.ReadError("cut")])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("chat_with_videos", {"prompt": "x", "video_nos": ["VI1"]}),
        ("chat_with_public_videos", {"prompt": "x"}),
        ("generate_summary", {"video_no": "VI1"}),
        ("upload_video_url", {"url": "https://example.com/a.mp4"}),
    ],
)
async def test_what_costs_or_changes_something_is_never_sent_twice(
    trouble: httpx2.Response | Exception, name: str, arguments: dict[str, Any]
) -> None:
    wire = FakeWire(trouble)
    async with calling(wire) as caller:
        with pytest.raises(errors.MemoriesError):
            await run(caller, name, **arguments)

    assert len(wire.requests) == 1


async def test_a_refused_connection_is_unreachable_and_says_nothing_was_sent() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    caller = Caller(Settings(api_key="sk-secret", base_url=f"http://127.0.0.1:{port}"))
    with pytest.raises(errors.Unreachable, match="nothing was sent"):
        await run(caller, "chat_with_videos", prompt="x", video_nos=["VI1"])
    await caller.aclose()


async def test_a_redirect_is_not_followed_with_the_key() -> None:
    wire = FakeWire(httpx2.Response(302, headers={"location": "https://elsewhere.example/"}))
    async with calling(wire) as caller:
        with pytest.raises(errors.MemoriesError):
            await run(caller, "list_sessions")

    assert {each.url.host for each in wire.requests} == {"api.example"}


async def test_each_host_is_verified_and_proxied_by_its_own_scheme_and_place(monkeypatch: pytest.MonkeyPatch) -> None:
    made = dict[str, dict[str, Any]]()
    real = httpx2.AsyncClient

    def recording(**given: Any) -> httpx2.AsyncClient:
        made[f"client {len(made)}"] = given
        return real(**given)

    monkeypatch.setattr("memories_mcp.api.client.httpx2.AsyncClient", recording)
    wire = FakeWire(httpx2.Response(200, json={"code": "0000", "data": {"text": "t"}}))
    api = Api(
        "k", "http://127.0.0.1:9", caption_key="k", caption_base_url="HTTPS://caption.example",
        transport=httpx2.MockTransport(wire),
    )  # fmt: skip
    caller = Caller(Settings(toolsets=("all",)), api=api)
    await run(caller, "list_sessions")
    await run(caller, "caption_image_url", url="https://x.example/a.jpg", user_prompt="x")
    await caller.aclose()

    assert [(each["verify"], each["trust_env"]) for each in made.values()] == [(False, False), (True, True)]


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("upload_video_url", {"url": "https://x.example/a.mp4"}, "look (list_videos) before"),
        ("generate_summary", {"video_no": "VI1"}, "list_sessions"),
        ("list_videos", {}, "Try again later"),
    ],
)
async def test_an_unreadable_answer_does_not_invite_to_send_a_write_again(
    name: str, arguments: dict[str, Any], says: str
) -> None:
    for content in (b"<html>", b"null", b'{"code":"0000","data":{"videos":5,"items":5,"videoNo":{}}}'):
        error = await failing(httpx2.Response(200, content=content), name, **arguments)

        assert isinstance(error, errors.UnexpectedResponse)
        assert says in error.next_step


async def test_half_a_request_a_second_is_one_in_two(sandbox_url: str) -> None:
    settings = Settings.from_environment({"MEMORIES_RATE_LIMITS": "list=0.5/1"})
    assert settings.rate_limits == {"list": (1, 2)}
    caller = Caller(settings.change(api_key="sk-half", base_url=sandbox_url))
    assert (await run(caller, "list_sessions")).sessions
    await caller.aclose()


async def test_the_key_is_in_no_repr() -> None:
    settings = Settings(api_key="sk-secret", secret="sk-secret")

    assert "sk-secret" not in repr(settings) + repr(Api("sk-secret", "https://api.example"))


# ---- downloads


async def downloading(response: httpx2.Response, folder: Path, **arguments: Any) -> errors.MemoriesError:
    async with calling(FakeWire(response), files_root=folder) as caller:
        with pytest.raises(errors.MemoriesError) as caught:
            await run(caller, "download_video", **{"video_no": "VI1", "path": "a.mp4", **arguments})
    return caught.value


@pytest.mark.parametrize("kind", ["application/json", "application/octet-stream"])
async def test_a_download_that_turns_out_to_be_a_json_error_leaves_nothing(tmp_path: Path, kind: str) -> None:
    body = json.dumps({"code": "0001", "msg": "video not found", "data": None}).encode()
    error = await downloading(httpx2.Response(200, content=body, headers={"content-type": kind}), tmp_path)

    assert isinstance(error, errors.NotFound)
    assert list(tmp_path.iterdir()) == []


async def test_an_empty_download_is_no_file(tmp_path: Path) -> None:
    await downloading(httpx2.Response(200, headers={"content-type": "application/octet-stream"}), tmp_path)

    assert list(tmp_path.iterdir()) == []


async def test_a_download_that_is_cut_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    await order(settings, "cut")
    caller = Caller(settings.change(files_root=tmp_path))
    with pytest.raises(errors.Unreachable):
        await run(caller, "download_video", video_no="VI612515093881740229", path="a.mp4")
    await caller.aclose()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "response",
    [
        httpx2.Response(302, content=b"Found. Redirecting", headers={"location": "https://x.example"}),
        httpx2.Response(200, content=b"upstream connect error", headers={"content-type": "text/plain"}),
        httpx2.Response(200, content=b"<html>", headers={"content-type": "text/html"}),
    ],
)
async def test_a_page_of_a_proxy_is_no_video(tmp_path: Path, response: httpx2.Response) -> None:
    await downloading(response, tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["n" * 300 + ".mp4", "file.txt/a.mp4", "file.txt/deeper/a.mp4"])
async def test_a_name_that_cannot_be_written_is_refused_clearly(tmp_path: Path, path: str) -> None:
    (tmp_path / "file.txt").write_text("mine")
    error = await downloading(httpx2.Response(200, content=b"\0video"), tmp_path, path=path)

    assert isinstance(error, errors.FileRefused)
    assert [each.name for each in tmp_path.iterdir()] == ["file.txt"]


async def test_a_failed_download_leaves_no_new_folder(settings: Settings, tmp_path: Path) -> None:
    await order(settings, "cut")
    caller = Caller(settings.change(files_root=tmp_path))
    with pytest.raises(errors.Unreachable):
        await run(caller, "download_video", video_no="VI612515093881740229", path="new/folder/a.mp4")
    await caller.aclose()

    assert list(tmp_path.iterdir()) == []


async def test_a_files_root_behind_a_link_works(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    async with calling(FakeWire(httpx2.Response(200, content=b"\0video")), files_root=tmp_path / "link") as caller:
        assert (await run(caller, "download_video", video_no="VI1", path="a/b.mp4")).path == "a/b.mp4"


async def test_an_existing_file_is_left_alone_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("mine")
    wire = FakeWire(envelope(None))
    async with calling(wire, files_root=tmp_path) as caller:
        with pytest.raises(errors.FileRefused, match="overwrite"):
            await run(caller, "download_video", video_no="VI1", path="a.mp4")

    assert wire.requests == []
    assert (tmp_path / "a.mp4").read_text() == "mine"


async def test_an_existing_file_is_replaced_when_asked(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("old")
    async with calling(FakeWire(httpx2.Response(200, content=b"new")), files_root=tmp_path) as caller:
        await run(caller, "download_video", video_no="VI1", path="a.mp4", overwrite=True)

    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"new"]


@pytest.mark.parametrize("path", ["../a.mp4", "/etc/passwd", "a/../../b", ".", "link/a.mp4", "a\0b", "~/a.mp4"])
async def test_a_path_outside_the_files_root_is_refused(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    error = await downloading(httpx2.Response(200, content=b"x"), root, path=path)

    assert isinstance(error, errors.FileRefused)
    assert [each.name for each in tmp_path.iterdir()] == ["root"]


async def test_without_a_files_root_it_names_the_setting() -> None:
    async with calling(FakeWire(envelope(None))) as caller:
        with pytest.raises(errors.ConfigurationError, match="MEMORIES_FILES_ROOT"):
            await run(caller, "download_video", video_no="VI1", path="a.mp4")


# ---- files that are sent


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.mp4", b"not a video at all", "no video the service takes"),
        ("a.txt", b"\0\0\0\x20ftypisom....", "no video the service takes"),
        ("a.mp4", b"", "no video the service takes"),
        ("missing.mp4", None, "is not a file"),
    ],
)
async def test_a_file_is_checked_by_content_and_name_before_anything_is_sent(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    wire = FakeWire(envelope(None))
    async with calling(wire, files_root=tmp_path) as caller:
        with pytest.raises(errors.FileRefused, match=says):
            await run(caller, "upload_video_file", path=name)

    assert wire.requests == []


async def test_a_file_that_is_too_large_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with (tmp_path / "big.jpg").open("wb") as file:
        file.write(b"\xff\xd8\xff")
        file.truncate(21 * 1024**2)
    wire = FakeWire(envelope(None))
    async with calling(wire, files_root=tmp_path) as caller:
        for name, arguments in (
            ("search_similar_images", {"path": "big.jpg"}),
            ("upload_images", {"paths": ["big.jpg"]}),
        ):
            with pytest.raises(errors.FileRefused, match="at most 20971520 are taken"):
                await run(caller, name, **arguments)

    assert wire.requests == []


async def test_one_bad_image_stops_all_before_anything_is_sent(files_root: Path) -> None:
    wire = FakeWire(envelope([]))
    async with calling(wire, files_root=files_root) as caller:
        with pytest.raises(errors.FileRefused, match=r"talk\.mp4 is no image"):
            await run(caller, "upload_images", paths=["bicycle.jpg", "talk.mp4"])

    assert wire.requests == []


@pytest.mark.parametrize("ending", ["mp4", "mov", "avi", "mkv"])
async def test_every_kind_of_video_the_service_takes_is_sent_with_its_type(tmp_path: Path, ending: str) -> None:
    starts = {
        "mp4": b"\0\0\0\x20ftypisom", "mov": b"\0\0\0\x14ftypqt  ", "avi": b"RIFF1234AVI ", "mkv": b"\x1aE\xdf\xa3",
    }  # fmt: skip
    types = {"mp4": "video/mp4", "mov": "video/quicktime", "avi": "video/x-msvideo", "mkv": "video/x-matroska"}
    (tmp_path / f"a.{ending}").write_bytes(starts[ending] + b"\0" * 32)
    wire = FakeWire(envelope({"videoNo": "VI1"}))
    async with calling(wire, files_root=tmp_path) as caller:
        await run(caller, "upload_video_file", path=f"a.{ending}")

    assert f"Content-Type: {types[ending]}".encode() in wire.requests[0].content


# ---- arguments


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("get_audio_transcription", {"video_no": ""}, "video_no: "),
        ("get_audio_transcription", {"video_no": "V" * 65}, "at most 64"),
        ("get_audio_transcription", {"video_no": "PI-603068775285264430"}, "PI- numbers are public"),
        ("get_public_video_detail", {"video_no": "VI1"}, "get_private_video_details"),
        ("get_audio_transcription", {"video_no": "31b0fccb-d6f9-4135-922d-1e8828499812"}, "task id"),
        ("get_audio_transcription", {"video_no": "https://x.example/a.mp4"}, "upload_video_url"),
        ("get_audio_transcription", {"video_no": "VI1/../2"}, "only letters"),
        ("get_audio_transcription", {"video_no": 5}, "valid string"),
        ("get_audio_transcription", {}, "video_no: required"),
        ("get_audio_transcription", {"video_no": "VI1", "start_seconds": 9, "end_seconds": 3}, "before start_seconds"),
        ("get_session_detail", {"session_id": "abc"}, "string of digits"),
        ("get_session_detail", {"session_id": 611587302624489472}, "valid string"),
        ("search_videos", {"query": ""}, "query: "),
        ("search_videos", {"query": "x", "top_k": 0}, "greater than or equal to 1"),
        ("search_videos", {"query": "x", "top_k": "many"}, "valid integer"),
        ("search_videos", {"query": "x", "serch_type": "BY_CLIP"}, "did you mean search_type?"),
        ("search_videos", {"query": "x", "search_type": "BY_SMELL"}, "'BY_CLIP'"),
        ("delete_videos", {"video_nos": ["VI1"] * 101}, "at most 100"),
        ("delete_videos", {"video_nos": []}, "at least 1"),
        ("upload_video_url", {"url": "ftp://x/a.mp4"}, "not an http or https URL"),
        (
            "upload_video_url",
            {"url": "https://www.youtube.com/watch?v=1"},
            "upload_platform_urls takes it",
        ),
        ("upload_video_url", {"url": "https://www.tiktok.com/@a"}, "upload_creator takes it"),
        ("upload_platform_urls", {"video_urls": ["https://x.example/a.mp4"]}, "upload_video_url takes direct links"),
        ("upload_platform_urls", {"video_urls": ["https://www.tiktok.com/@a"]}, "upload_creator takes it"),
        (
            "upload_platform_urls",
            {"video_urls": ["https://youtu.be/1", "https://www.tiktok.com/@a/video/1"]},
            "one platform only, these are of TikTok and YouTube",
        ),
        ("upload_platform_urls", {"video_urls": ["https://youtu.be/1"] * 51}, "at most 50"),
        ("upload_creator", {"profile_url": "https://www.tiktok.com/@a/video/1"}, "upload_platform_urls takes it"),
        ("upload_creator", {"profile_url": "@a"}, "not an http or https URL"),
        ("upload_hashtag", {"hashtags": ["two words"]}, "one hashtag without #"),
        ("upload_hashtag", {"hashtags": ["https://www.tiktok.com/@a"]}, "upload_creator profiles"),
        ("upload_video_url", {"url": "https://x.example/a.mp4", "latitude": 1}, "go together"),
        ("upload_video_url", {"url": "https://x.example/a.mp4", "tags": ["t"] * 21}, "at most 20"),
        ("get_task_status", {"task_id": "VI611471886560694272"}, "pass it as video_nos"),
        ("get_public_audio_transcription", {"video_no": "VI1"}, "get_video_transcription takes"),
        ("get_evidence", {}, "either refs or session_id"),
        ("get_evidence", {"refs": ["VI1"]}, "not an evidence ref"),
        ("wait_until_ready", {"video_nos": ["VI1"], "max_seconds": 46}, "less than or equal to 45"),
    ],
)
async def test_bad_arguments_are_refused_before_anything_is_sent(
    name: str, arguments: dict[str, Any], says: str
) -> None:
    wire = FakeWire(envelope(None))
    async with calling(wire) as caller:
        with pytest.raises(errors.InvalidArguments) as caught:
            await run(caller, name, **arguments)

    assert says in str(caught.value)
    assert "pydantic" not in str(caught.value)
    assert wire.requests == []


async def test_several_problems_are_told_at_once_one_a_line() -> None:
    async with calling(FakeWire(envelope(None))) as caller:
        with pytest.raises(errors.InvalidArguments) as caught:
            await run(caller, "search_videos", q="x", top_k=-1)

    assert len(caught.value.problems) == 3


# ---- the client's own limits


async def test_parallel_calls_wait_their_turn() -> None:
    loop = asyncio.get_running_loop()
    limits = Limits({"search": (2, 0.1)})
    began = loop.time()
    await asyncio.gather(*(limits.turn("search") for _ in range(6)))

    assert loop.time() - began > 0.15


async def test_a_queue_that_is_too_long_is_refused_at_once_and_nothing_is_sent() -> None:
    limits = Limits({"chat": (1, 15)})
    await limits.turn("chat")
    waiting = asyncio.create_task(limits.turn("chat"))
    await asyncio.sleep(0)
    with pytest.raises(errors.RateLimited) as caught:
        await limits.turn("chat")
    waiting.cancel()

    assert caught.value.retry_after == pytest.approx(30, abs=0.1)
    assert "nothing was sent" in str(caught.value)


async def test_limits_hold_by_default_and_are_off_for_the_sandbox(sandbox_url: str) -> None:
    assert Api("k", sandbox_url)._limits._limiters.keys()  # pyright: ignore[reportPrivateUsage]
    assert not Api("k", sandbox_url, rates=NO_LIMITS)._limits._limiters  # pyright: ignore[reportPrivateUsage]


async def order(settings: Settings, fault: str, **more: Any) -> None:
    """Ask the sandbox for a fault of this account."""
    async with httpx2.AsyncClient(base_url=settings.base_url, trust_env=False, verify=False) as client:
        response = await client.post(
            "/sandbox/faults", json={"fault": fault, **more}, headers={"authorization": settings.api_key}
        )
    assert response.status_code == 204, response.text
