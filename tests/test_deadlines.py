"""Time limits of a request: each ends, however slowly the service reads, answers or sends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from conftest import run
from loopback_servers import Exchange, http_response, serve

from memories_mcp import errors
from memories_mcp.runner import Runner
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
JSON = http_response({"sessions": []})


@pytest.fixture(autouse=True)
def _short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.api.client._READ_SECONDS", {"quick": 0.3, "slow": 0.3, "transfer": 0.3})
    monkeypatch.setattr("memories_mcp.api.deadlines.RATE_SECONDS", 0.3)
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)


async def trickle(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Send a piece again and again, more often than any limit on a pause."""
    for _ in range(2000):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.02)


async def endless_head(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    await trickle(writer, b"x-more: 1\r\n")


async def endless_hints(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await trickle(writer, b"HTTP/1.1 103 Early Hints\r\n\r\n")


async def endless_answer(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"\r\n[")
    await trickle(writer, b" ")


async def no_answer(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await trickle(writer, b"")


async def slow_video(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: video/mp4\r\ncontent-length: 9000000\r\n\r\n\0\0\0\x18ftypmp42")
    await trickle(writer, b"\0")


async def call(exchange: Exchange, tmp_path: Path, name: str, **arguments: Any) -> Any:
    async with serve(exchange) as port:
        settings = Settings(
            api_key="sk-x", base_url=f"http://127.0.0.1:{port}", files_root=tmp_path, confirm=False, toolsets=("all",)
        )
        runner = Runner(settings.change(rate_limits={}))
        try:
            async with asyncio.timeout(10):  # only a limit of the test itself
                return await run(runner, name, **arguments)
        finally:
            await runner.aclose()


UPLOAD = {"path": "talk.mp4"}
DOWNLOAD = {"video_no": "VI1", "path": "copy.mp4"}
CHAT = {"prompt": "x", "video_nos": ["VI1"]}


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    path = tmp_path / "talk.mp4"
    path.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(20_000_000))
    return path


ENDLESS = [endless_head, endless_hints, endless_answer, no_answer]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("list_sessions", {}), ("generate_summary", {"video_no": "VI1"}), ("download_video", DOWNLOAD)],
)
async def test_an_answer_that_never_ends_is_given_up(name: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    folders = [tmp_path / exchange.__name__ for exchange in ENDLESS]
    for folder in folders:
        folder.mkdir()
    calls = [call(exchange, folder, name, **arguments) for exchange, folder in zip(ENDLESS, folders, strict=True)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    for outcome, folder in zip(outcomes, folders, strict=True):
        assert isinstance(outcome, errors.Unreachable), folder.name
        assert "0.3 s" in outcome.summary
        assert outcome.next_step
        assert list(folder.iterdir()) == []


async def test_a_download_below_the_lowest_rate_is_stopped_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(errors.Unreachable, match="moved less than"):
        await call(slow_video, tmp_path, "download_video", **DOWNLOAD)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("large_file")
async def test_an_upload_below_the_lowest_rate_is_stopped(tmp_path: Path) -> None:
    async def slow_reader(_: bytes, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        for _turn in range(2000):
            await reader.read(1)
            await asyncio.sleep(0.02)

    with pytest.raises(errors.Unreachable, match="moved less than"):
        await call(slow_reader, tmp_path, "upload_video_file", **UPLOAD)


@pytest.mark.usefixtures("large_file")
async def test_the_answer_to_an_upload_has_a_deadline_that_begins_when_the_file_is_sent(tmp_path: Path) -> None:
    async def read_all(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while length > 0:
            length -= len(await reader.read(1_000_000))
        await trickle(writer, b"HTTP/1.1 103 Early Hints\r\n\r\n")

    with pytest.raises(errors.Unreachable, match=r"did not answer within 0\.3 s") as caught:
        await call(read_all, tmp_path, "upload_video_file", **UPLOAD)

    assert "list_videos" in caught.value.next_step


async def test_a_steady_download_may_take_longer_than_any_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memories_mcp.api.deadlines.LOWEST_RATE", 1.0)
    video = b"\0\0\0\x18ftypmp42" + bytes(64)

    async def steady(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: video/mp4\r\ncontent-length: {len(video)}\r\n\r\n".encode())
        for start in range(0, len(video), 2):
            writer.write(video[start : start + 2])
            await writer.drain()
            await asyncio.sleep(0.02)

    await call(steady, tmp_path, "download_video", **DOWNLOAD)

    assert (tmp_path / "copy.mp4").read_bytes() == video


async def test_a_prompt_answer_passes(tmp_path: Path) -> None:
    async def prompt(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(JSON)

    assert (await call(prompt, tmp_path, "list_sessions")).sessions == []
