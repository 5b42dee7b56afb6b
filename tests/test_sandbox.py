"""The offline twin, over real HTTP on loopback: its quirks, its accounts, its traps."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import BIKE, MEETING, SAMPLES, order, run

from memories_mcp import sandbox
from memories_mcp.errors import ApiError, MemoriesError, NotReady, UnexpectedResponse, Unreachable
from memories_mcp.operation import Operation
from memories_mcp.operations import OPERATIONS
from memories_mcp.runner import Runner
from memories_mcp.sandbox import demo_data
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

P = "/serve/api/v1/"


@pytest.fixture
async def http(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"authorization": settings.api_key}
    async with httpx2.AsyncClient(base_url=settings.base_url, headers=headers, trust_env=False, verify=False) as client:
        yield client


async def post(http: httpx2.AsyncClient, path: str, body: Any = None) -> Any:
    return (await http.post(P + path, json=body or {})).json()


async def test_the_demo_library_has_what_it_promises() -> None:
    private, public = list(demo_data.videos("private")), list(demo_data.videos("public"))

    assert len(private) >= 6
    assert len(public) >= 10
    assert len(demo_data.sessions()) == 3
    for video in private:
        tracks = [each.track for each in demo_data.segments(video)]
        assert tracks.count("visual") >= 20
        assert tracks.count("audio") >= 20
        assert (demo_data.MEDIA / video["media"]).read_bytes()[4:8] == b"ftyp"


async def test_a_call_is_not_held_up_by_nagles_algorithm(http: httpx2.AsyncClient) -> None:
    await post(http, "list_videos")
    times = list[float]()
    for _ in range(60):
        began = time.perf_counter()
        await post(http, "list_videos", {"size": 1})
        times.append(time.perf_counter() - began)

    # Held up, all but the first calls of a connection take 0.04 s; on a busy machine some do, but never most.
    assert statistics.quantiles(times[20:], n=4)[0] < 0.03


@pytest.mark.parametrize("words", ["pricing?", '"', "*", "a AND", "NEAR(", "plan -", "it's", "preço 足球", "'; drop"])
async def test_any_words_can_be_searched_for(http: httpx2.AsyncClient, words: str) -> None:
    answer = await post(http, "search", {"search_param": words, "search_type": "BY_CLIP"})

    assert answer["code"] == "0000"
    assert isinstance(answer["data"], list)


async def test_the_best_moment_comes_first(http: httpx2.AsyncClient) -> None:
    asked = {"how do I stop the chain slipping?": BIKE, "what is the price of the Team plan?": MEETING}
    for question, video_no in asked.items():
        answer = await post(http, "search", {"search_param": question, "search_type": "BY_CLIP", "top_k": 3})

        assert answer["data"][0]["videoNo"] == video_no
        assert [row["score"] for row in answer["data"]] == sorted((r["score"] for r in answer["data"]), reverse=True)


async def test_a_stream_arrives_piece_by_piece_not_at_once(settings: Settings) -> None:
    headers = {"authorization": settings.api_key}
    body = {"prompt": "What is the price of the Team plan?", "video_nos": [MEETING]}
    async with (
        httpx2.AsyncClient(base_url=settings.base_url, headers=headers, trust_env=False, verify=False) as client,
        client.stream("POST", P + "chat_stream", json=body) as response,
    ):
        chunks = [chunk async for chunk in response.aiter_raw()]

    assert response.headers["content-type"].startswith("text/event-stream")
    assert len(chunks) > 3
    assert chunks[0].startswith(b'data:{"type": "thinking"')
    assert b"".join(chunks).rstrip().endswith(b'data:{"code": "SUCCESS", "data": "Done"}')


async def test_each_key_is_an_account_of_its_own(settings: Settings) -> None:
    mine, yours = Runner(settings), Runner(settings.change(api_key=settings.api_key + "-other", confirm=False))
    await run(yours, "delete_videos", video_nos=[BIKE])

    assert (await run(mine, "list_videos")).total == (await run(yours, "list_videos")).total + 1
    for runner in (mine, yours):
        await runner.aclose()


async def test_a_namespace_is_empty_and_successful_to_others(runner: Runner) -> None:
    assert (await run(runner, "list_videos", unique_id="elsewhere")).videos == []


async def test_an_upload_becomes_ready_by_polls_and_is_then_like_any_other(runner: Runner, settings: Settings) -> None:
    url = f"{settings.base_url}/media/espresso-machine.mp4"
    uploaded = await run(runner, "upload_video_url", url=url)
    with pytest.raises(NotReady):
        await run(runner, "chat_with_videos", prompt="How much coffee?", video_nos=[uploaded.video_no])
    ready = await run(runner, "wait_until_ready", video_nos=[uploaded.video_no])
    found = await run(runner, "search_videos", query="How much coffee do I grind?")
    answer = await run(runner, "chat_with_videos", prompt="How much coffee?", video_nos=[uploaded.video_no])

    assert ready.ready
    assert found.moments[0].video_no == uploaded.video_no
    assert "eighteen grams" in answer.answer
    assert answer.evidence[0].video_no == uploaded.video_no

    runner.settings = settings.change(confirm=False)
    await run(runner, "delete_videos", video_nos=[uploaded.video_no])
    assert uploaded.video_no not in str(await run(runner, "search_videos", query="How much coffee do I grind?"))


async def test_a_video_from_elsewhere_is_never_fetched_and_its_transcript_says_so(
    runner: Runner,
) -> None:
    uploaded = await run(runner, "upload_video_url", url="http://127.0.0.1:1/red-kite_festival.mp4")
    await run(runner, "wait_until_ready", video_nos=[uploaded.video_no])
    transcript = await run(runner, "get_video_transcription", video_no=uploaded.video_no)

    assert "Simulated by the sandbox: a video named red kite festival" in transcript.segments[0].text


async def test_an_upload_that_cannot_be_indexed_fails_with_its_cause(runner: Runner) -> None:
    uploaded = await run(runner, "upload_video_url", url="https://example.com/broken.mp4")
    state = await run(runner, "wait_until_ready", video_nos=[uploaded.video_no])

    assert not state.ready
    assert (state.videos[0].status, state.videos[0].cause) == ("failed", "Indexing failed.")


async def test_conversations_go_on_and_are_kept(runner: Runner) -> None:
    first = await run(runner, "chat_with_videos", prompt="What is the price?", video_nos=[MEETING])
    second = await run(
        runner, "chat_with_videos", prompt="And the launch?", video_nos=[MEETING], session_id=first.session_id
    )
    session = await run(runner, "get_session_detail", session_id=first.session_id)

    assert second.session_id == first.session_id
    assert [each.role for each in session.messages] == ["user", "assistant"] * 2
    assert session.messages[3].evidence == second.evidence


async def test_what_the_real_service_refuses_is_refused(http: httpx2.AsyncClient) -> None:
    refused = {
        "Bearer": await http.post(P + "list_videos", json={}, headers={"authorization": "Bearer sk-x"}),
        "no key": await http.post(P + "list_videos", json={}, headers={"authorization": ""}),
    }
    assert [each.json()["code"] for each in refused.values()] == ["0401", "0401"]
    assert (await http.get(P + "list_videos")).json()["msg"] == "Request method 'GET' not supported"
    assert (await http.get(P + "nothing_here")).status_code == 404
    assert (await http.post(P + "upload_url", json={"url": "https://x/a.mp4"})).json()["code"] == "0001"
    assert (await http.get(P + "get_session_detail?sessionId=abc")).json()["code"] == "0001"
    assert (await post(http, "chat", {"prompt": " ", "video_nos": [MEETING]}))["msg"].endswith("cannot be empty!")


async def test_deleting_ignores_a_namespace_in_the_body_and_unknown_ids(http: httpx2.AsyncClient) -> None:
    gone = await http.post(P + "delete_videos", json=["VI1"], params={"unique_id": "elsewhere"})

    assert gone.json() == {"code": "0000", "msg": "success", "data": None, "success": True, "failed": False}


async def test_a_silent_video_answers_null(http: httpx2.AsyncClient, runner: Runner) -> None:
    uploaded = await run(runner, "upload_video_url", url="https://example.com/a.mp4")
    answer = (await http.get(P + "get_audio_transcription", params={"video_no": uploaded.video_no})).json()

    assert (answer["code"], answer["data"]) == ("0000", None)


async def test_accounts_outlive_a_restart_where_a_folder_is_given(tmp_path: Path) -> None:
    for expected in (7, 6):
        async with sandbox.running(data=tmp_path) as url:
            runner = Runner(Settings(api_key="sk-kept", base_url=url, sandbox=True, confirm=False))
            assert (await run(runner, "list_videos")).total == expected
            await run(runner, "delete_videos", video_nos=[BIKE])
            await runner.aclose()


FAULTS: list[sandbox.Fault] = [
    "rate_limit", "http_429", "server_error", "html", "null_body", "truncated", "abnormal", "cut", "no_terminator",
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_no_fault_hangs_or_is_taken_for_an_answer(
    operation: Operation[Any, Any], fault: sandbox.Fault, settings: Settings, files_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)
    await order(settings, fault, times=50)
    runner = Runner(settings.change(files_root=files_root, confirm=False))
    failed, answer = None, None
    try:
        patience = {"max_seconds": 1} if operation.name == "wait_until_ready" else {}
        answer = await runner.run(operation, operation.example | patience)
    except MemoriesError as error:
        failed = error
    finally:
        await runner.aclose()

    if answer is None:
        assert isinstance(failed, ApiError | Unreachable | UnexpectedResponse)
        assert {each.name for each in files_root.iterdir()} == set(SAMPLES)
    else:
        # A missing terminator leaves an answer, a shortened file is a file, and get_evidence tells what it missed.
        unnoticed = fault == "no_terminator" or (fault == "truncated" and operation.name == "download_video")
        assert unnoticed or answer.structured.get("unread"), answer.text


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("list_sessions", {}, "Try again later"),
        ("chat_with_videos", {"prompt": "price", "video_nos": [MEETING]}, "get_session_detail"),
        ("upload_video_url", {"url": "https://x.example/a.mp4"}, "look (list_videos) before you try again"),
    ],
)
async def test_an_answer_that_takes_too_long_is_given_up_with_the_next_step(
    name: str, arguments: dict[str, Any], says: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memories_mcp.api.client._READ_SECONDS", {"quick": 0.1, "slow": 0.1, "transfer": 0.1})
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)
    await order(settings, "slow", seconds=1)
    runner = Runner(settings)
    with pytest.raises(Unreachable, match=r"within 0\.1 s") as caught:
        await run(runner, name, **arguments)
    await runner.aclose()

    assert says in str(caught.value)


def test_it_runs_alone_for_any_client(tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "memories_mcp", "sandbox", "--port", "0", "--data", str(tmp_path / "new")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        url = process.stdout.readline().split("runs at ")[1].split(";")[0]
        answer = httpx2.post(f"{url}{P}list_videos", json={}, headers={"authorization": "sk-x"}, trust_env=False)
        assert len(json.loads(answer.content)["data"]["videos"]) == 7
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_a_port_in_use_is_a_clear_error(sandbox_url: str) -> None:
    port = sandbox_url.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "memories_mcp", "sandbox", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert done.returncode == 2
    assert f"Cannot listen on port {port} of 127.0.0.1: Address already in use." in done.stderr
    assert "Traceback" not in done.stderr
