"""Downloaded videos: one download for all readers, a bound on disk, nothing left at the end, each caller their own."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import calling, envelope, run
from library_wire import LibraryWire
from made_videos import make_video, with_free_atom

from memories_mcp import errors
from memories_mcp.api import Api
from memories_mcp.api.rate_limits import NO_LIMITS
from memories_mcp.media.cache import VideoCache
from memories_mcp.operations.viewer import viewer
from memories_mcp.runner import Runner
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

REF = "VI1#t=2,4&kind=visual"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_video(tmp_path_factory.mktemp("videos") / "a.mp4", 5, sound=False).read_bytes()


@pytest.fixture
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files; nothing is left in it."""
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def of_size(tmp_path: Path, content: bytes, size: int) -> bytes:
    path = tmp_path / "padded.mp4"
    path.write_bytes(content)
    return with_free_atom(path, size - len(content)).read_bytes()


def files(temp: Path) -> list[Path]:
    return [path for path in temp.rglob("*") if path.is_file() and path.name != "lock"]


class SlowWire(LibraryWire):
    """Holds downloads back until `go` is set."""

    def __init__(self, **videos: bytes) -> None:
        super().__init__(**videos)
        self.go = asyncio.Event()
        self.begun = asyncio.Event()

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("v1/download"):
            self.begun.set()
            await self.go.wait()
        return await super().answer(request)


async def test_readers_at_once_share_one_download_and_a_cancelled_one_leaves_it_to_the_others(
    content: bytes, temp: Path
) -> None:
    wire = SlowWire(VI1=content)
    async with calling(wire) as runner:
        readers = [asyncio.create_task(run(runner, "get_frame", ref=REF)) for _ in range(4)]
        await wire.begun.wait()
        readers[0].cancel()
        await asyncio.wait({readers[0]})
        wire.go.set()
        frames = await asyncio.gather(*readers[1:])

        assert readers[0].cancelled()
        assert [frame.time_seconds for frame in frames] == [2, 2, 2]
        assert wire.counts()["v1/download"] == 1
        (folder,) = temp.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert len(files(temp)) == 1


async def test_the_last_reader_that_is_cancelled_ends_the_download(content: bytes, temp: Path) -> None:
    wire = SlowWire(VI1=content)
    async with calling(wire) as runner:
        readers = [asyncio.create_task(run(runner, "get_frame", ref=REF)) for _ in range(2)]
        await wire.begun.wait()
        for reader in readers:
            reader.cancel()
        await asyncio.wait(readers)
        await _settled(runner)

        assert files(temp) == []
        wire.go.set()
        assert (await run(runner, "get_frame", ref=REF)).time_seconds == 2
        assert wire.counts()["v1/download"] == 2


async def _settled(runner: Runner) -> None:
    """Wait until nothing works on videos any more."""
    for _ in range(200):
        if not runner.videos.cache.busy:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("still busy")


async def test_a_call_that_is_cancelled_while_it_cuts_leaves_nothing_but_the_video(content: bytes, temp: Path) -> None:
    wire = LibraryWire(VI1=content)
    async with calling(wire, files_root=temp.parent) as runner:
        await run(runner, "get_frame", ref=REF)
        call = asyncio.create_task(run(runner, "download_clip", ref=REF, path="a.mp4"))
        for _ in range(1000):
            if runner.videos.cache.busy:
                break
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait({call})
        await _settled(runner)

        assert len(files(temp)) == 1
        assert not (temp.parent / "a.mp4").exists()


@pytest.mark.parametrize("failure", ["refused", "cut", "text"])
async def test_a_failed_download_leaves_no_file_and_the_next_call_tries_again(
    content: bytes, temp: Path, failure: str
) -> None:
    answers: dict[str, httpx2.Response | Exception] = {
        "refused": envelope(None, "0001", "video not found"),
        "cut": httpx2.ReadError("cut"),
        "text": httpx2.Response(200, content=b"<html>"),
    }

    class FailingWire(LibraryWire):
        async def answer(self, request: httpx2.Request) -> httpx2.Response:
            if request.url.path.endswith("v1/download") and self.counts()["v1/download"] == 1:
                outcome = answers[failure]
                if isinstance(outcome, Exception):
                    raise outcome
                return outcome
            return await super().answer(request)

    wire = FailingWire(VI1=content)
    async with calling(wire) as runner:
        with pytest.raises(errors.MemoriesError):
            await run(runner, "get_frame", ref=REF)
        assert files(temp) == []
        assert (await run(runner, "get_frame", ref=REF)).source == "video"


async def test_a_video_larger_than_the_room_is_refused_before_its_download(content: bytes, temp: Path) -> None:
    wire = LibraryWire(VI1=content)
    wire.rows["VI1"] = {"size": 3 * MIB + 1}
    async with calling(wire, media_cache_mib=2) as runner:
        with pytest.raises(errors.MediaUnavailable, match=r"4 MiB, and 2 MiB are the most.*_CACHE_MIB to 4"):
            await run(runner, "get_frame", ref=REF)

    assert wire.counts()["v1/download"] == 0


async def test_a_video_of_unknown_size_is_refused_while_it_arrives(content: bytes, temp: Path, tmp_path: Path) -> None:
    wire = LibraryWire(VI1=of_size(tmp_path, content, 3 * MIB))
    wire.rows["VI1"] = {"size": 0}
    async with calling(wire, media_cache_mib=2) as runner:
        with pytest.raises(errors.MediaUnavailable, match="MEMORIES_MEDIA_CACHE_MIB to 3"):
            await run(runner, "get_frame", ref=REF)
        assert files(temp) == []


async def test_videos_unused_for_longest_make_room(content: bytes, temp: Path, tmp_path: Path) -> None:
    video = of_size(tmp_path, content, 900 * 1024)
    wire = LibraryWire(VI1=video, VI2=video, VI3=video)
    async with calling(wire, media_cache_mib=2) as runner:
        for number in (1, 2, 1, 3):
            await run(runner, "get_frame", ref=f"VI{number}#t=1")
            assert sum(path.stat().st_size for path in files(temp)) <= 2 * MIB
        assert [runner.videos.holds(f"VI{number}", None) for number in (1, 2, 3)] == [True, False, True]


async def test_a_video_in_use_stays_and_others_wait_for_room(content: bytes, temp: Path, tmp_path: Path) -> None:
    video = of_size(tmp_path, content, 900 * 1024)
    wire = LibraryWire(**{f"VI{number}": video for number in range(6)})
    async with calling(wire, media_cache_mib=1) as runner:
        frames = await asyncio.gather(*(run(runner, "get_frame", ref=f"VI{number}#t=1") for number in range(6)))

        assert [frame.time_seconds for frame in frames] == [1] * 6
        assert len(files(temp)) == 1


async def test_with_no_room_a_video_goes_with_its_last_reader(content: bytes, temp: Path) -> None:
    wire = LibraryWire(VI1=content)
    async with calling(wire, media_cache_mib=0) as runner:
        for _ in range(2):
            await run(runner, "get_frame", ref=REF)
            assert files(temp) == []

    assert wire.counts()["v1/download"] == 2


async def test_a_deleted_video_gives_nothing_from_what_is_kept(content: bytes, temp: Path) -> None:
    wire = LibraryWire(VI1=content, VI2=content)
    async with calling(wire, confirm=False) as runner:
        await run(runner, "get_frame", ref=REF)
        await run(runner, "get_frame", ref="VI2#t=1")
        await run(runner, "delete_videos", video_nos=["VI1"])
        assert len(files(temp)) == 1
        del wire.videos["VI2"]  # by another program
        for ref in (REF, "VI2#t=1"):
            with pytest.raises(errors.NotFound):
                await run(runner, "get_frame", ref=ref)
        assert files(temp) == []


async def test_a_tenant_gets_nothing_of_anothers_video(content: bytes, temp: Path) -> None:
    wire = LibraryWire(VI1=content)
    wire.owners["VI1"] = "sk-anna"
    cache = VideoCache()

    def runner_of(key: str, unique_id: str = "") -> Runner:
        api = Api(key, "https://api.example", rates=NO_LIMITS, transport=httpx2.MockTransport(wire))
        settings = Settings(api_key=key, toolsets=("all",), unique_id=unique_id)
        return Runner(settings, api=api, videos=cache, extra_operations=viewer.operations)

    anna, ben, carl = runner_of("sk-anna"), runner_of("sk-ben"), runner_of("sk-anna", "carl")
    try:
        await run(anna, "get_frame", ref=REF)
        for other in (ben, carl):
            for tool, more in (("get_frame", {}), ("get_moment_media", {"kind": "clip", "download": True})):
                with pytest.raises(errors.NotFound):
                    await run(other, tool, ref=REF, **more)
        # A video of the same number is downloaded for each key and namespace on its own.
        wire.owners.clear()
        for other in (ben, carl, anna):
            await run(other, "get_frame", ref=REF)
        assert wire.counts()["v1/download"] == 3
    finally:
        for runner in (anna, ben, carl):
            await runner.aclose()
        await cache.aclose()


PROGRAM = """
import asyncio, sys
from memories_mcp.operations.common.media import *
from memories_mcp.runner import open_runner
from memories_mcp.settings import Settings

async def main():
    async with open_runner(Settings(sandbox=True, toolsets=("all",))) as runner:
        await runner.run(runner.operations["get_frame"], {"ref": "VI612515093881740229#t=3,5"})
        print("ready", flush=True)
        sys.stdin.read()

asyncio.run(main())
"""


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )


def folders(temp: Path) -> list[Path]:
    return sorted(temp.glob("memories-mcp-videos-*"))


async def test_the_folder_of_a_killed_process_is_removed_by_the_next_and_that_of_a_living_one_stays(
    temp: Path,
) -> None:
    processes: list[subprocess.Popen[Any]] = []
    try:
        for _ in range(2):
            process = start(temp)
            processes.append(process)
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        killed, living = processes
        before = folders(temp)
        killed.send_signal(signal.SIGKILL)
        killed.wait(30)
        third = start(temp)
        processes.append(third)
        assert third.stdout
        assert third.stdout.readline() == "ready\n"
        after = folders(temp)

        assert len(before) == len(after) == 2
        assert len(set(before) & set(after)) == 1
        for process in (living, third):
            process.communicate("", timeout=30)
            assert process.returncode == 0
    finally:
        for process in processes:
            process.kill()
            process.communicate()
