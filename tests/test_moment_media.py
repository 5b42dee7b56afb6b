"""What the evidence viewer gets: pictures without a download where there are any, clips that play, or a reason."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import calling, envelope, run
from http_clients import bearer_key, connect
from library_wire import LibraryWire
from made_videos import make_video, picture_file, second_of, with_free_atom
from mcp import Client, MCPError
from mcp_types import CallToolResult

from memories_mcp import errors
from memories_mcp.operations import OPERATIONS, TOOLSETS
from memories_mcp.operations.viewer import viewer
from memories_mcp.runner import Runner
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

REF = "VI1#t=3,5&kind=visual"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_video(tmp_path_factory.mktemp("videos") / "a.mp4", 30, width=64, height=48, rate=4).read_bytes()


@asynccontextmanager
async def viewing(wire: LibraryWire, **settings: Any) -> AsyncGenerator[Runner, None]:
    async with calling(wire, **settings) as runner:
        runner.operations |= {operation.name: operation for operation in viewer.operations}
        yield runner


async def media(runner: Runner, ref: str = REF, kind: str = "frame", **more: Any) -> dict[str, Any]:
    result = await runner.run(runner.operations["get_moment_media"], {"ref": ref, "kind": kind, **more})
    assert len(result.text.splitlines()) <= 4
    assert len(result.structured.get("data", "")) <= 500_000
    assert result.structured.get("data", "…")[:40] not in result.text
    return result.structured


def decoded(part: dict[str, Any]) -> bytes:
    return base64.b64decode(part["data"], validate=True)


async def test_nothing_is_downloaded_before_a_person_asks(content: bytes) -> None:
    wire = LibraryWire(VI1=content)
    async with viewing(wire) as runner:
        for kind in ("frame", "clip"):
            answer = await media(runner, kind=kind)
            assert "data" not in answer
            assert answer["download_bytes"] == len(content)
            assert f"({len(content) / 1000:.0f} kB), which is billed" in answer["reason"]
        assert wire.counts()["v1/download"] == 0

        clip = await media(runner, kind="clip", download=True)
        frame = await media(runner)  # the video is there now

    assert wire.counts()["v1/download"] == 1
    assert (clip["mime_type"], clip["start_seconds"], clip["end_seconds"]) == ("video/mp4", 3, 6)
    assert clip["duration_seconds"] == pytest.approx(30, abs=0.3)
    assert (frame["mime_type"], frame["start_seconds"], frame["end_seconds"]) == ("image/jpeg", 3, 3)
    assert (frame["width"], frame["height"], second_of(decoded(frame))) == (64, 48, 3)


@pytest.mark.parametrize(
    ("ref", "start", "end"),
    [
        ("VI1#t=2,20", 2, 12),
        ("VI1#t=4", 4, 14),
        ("VI1#t=28,29", 28, 30),
        ("VI1#kind=metadata", 0, 10),
        ("VI1#t=7,7.5", 7, 10),
    ],
)
async def test_a_clip_lasts_from_three_to_ten_seconds(content: bytes, ref: str, start: float, end: float) -> None:
    async with viewing(LibraryWire(VI1=content)) as runner:
        clip = await media(runner, ref, "clip", download=True)

    assert clip["start_seconds"] == start
    assert clip["end_seconds"] == pytest.approx(end, abs=0.1)
    assert len(decoded(clip)) == clip["total_bytes"]


# Key frames

HIT = {"videoNo": "VI1", "startTime": 3, "endTime": 9, "keyframe_bucket": "frames", "keyframe_blob": "a/3.jpg"}


def wire_with_key_frame(content: bytes, key_frame: bytes | httpx2.Response) -> LibraryWire:
    wire = LibraryWire(VI1=content)
    wire.hits = [HIT, {**HIT, "startTime": 8, "keyframe_blob": "a/8.jpg"}]
    wire.pictures["frames", "a/3.jpg"] = key_frame
    return wire


@pytest.mark.parametrize("search", ["search_videos", "get_evidence", "search"])
async def test_a_key_frame_of_a_search_costs_no_download(content: bytes, search: str) -> None:
    wire = wire_with_key_frame(content, picture_file(3, 320, 180))
    async with viewing(wire) as runner:
        await run(runner, search, query="budget")
        for ref in (REF, "VI1#t=2.5,5&kind=audio", "VI1#t=3"):
            answer = await media(runner, ref)
            assert (answer["mime_type"], answer["start_seconds"], second_of(decoded(answer))) == ("image/jpeg", 3, 3)
        frame = await run(runner, "get_frame", ref=REF)
        assert (frame.source, frame.time_seconds, len(frame.pictures)) == ("key frame", 3, 1)
        for ref in ("VI1#t=4,7", "VI1#t=12", "VI2#t=3,5"):  # no key frame within the moment
            assert "data" not in await media(runner, ref) if ref[2] == "1" else True

    assert wire.counts()["v1/download"] == 0
    assert wire.counts()["v2/download"] == 4


async def test_only_what_the_service_named_to_this_caller_and_namespace_is_requested(content: bytes) -> None:
    wire = wire_with_key_frame(content, picture_file(3, 32, 18))
    async with viewing(wire) as runner:
        await run(runner, "search_videos", query="budget", unique_id="anna")
        for unique_id in (None, "ben"):
            assert "download_bytes" in await media(runner, unique_id=unique_id)
        assert "data" in await media(runner, unique_id="anna")
    async with viewing(wire) as other:
        assert "download_bytes" in await media(other, unique_id="anna")

    assert wire.counts()["v2/download"] == 1


async def test_a_large_key_frame_is_scaled_down_if_that_is_possible(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = picture_file(3, 1600, 900)
    async with viewing(wire_with_key_frame(content, large)) as runner:
        await run(runner, "search_videos", query="budget")
        scaled = await media(runner)
        monkeypatch.setitem(sys.modules, "av", None)
        whole = await media(runner)

    assert (scaled["width"], scaled["height"], second_of(decoded(scaled))) == (768, 432, 3)
    assert decoded(whole) == large


@pytest.mark.parametrize(
    "answer",
    [
        envelope(None, "0001", "video not found"),
        httpx2.Response(404, json={"status": 404}),
        httpx2.Response(200, content=b"GIF89a" + bytes(100)),
        httpx2.Response(200, content=b"\0\0\0\x18ftypmp42" + bytes(100)),
        httpx2.Response(200, content=b"<svg onload='alert(1)'/>", headers={"content-type": "image/jpeg"}),
        httpx2.Response(200, content=b"\xff\xd8\xff" + bytes(21 * 1024**2)),
        httpx2.Response(200, content=b"\xff\xd8\xff damaged \0"),
    ],
    ids=["refused", "404", "gif", "video", "svg", "large", "damaged"],
)
async def test_a_key_frame_that_does_not_come_gives_way_to_the_video(content: bytes, answer: httpx2.Response) -> None:
    async with viewing(wire_with_key_frame(content, answer)) as runner:
        await run(runner, "search_videos", query="budget")
        assert (await media(runner))["download_bytes"] == len(content)
        assert second_of(decoded(await media(runner, download=True))) == 3
        assert (await run(runner, "get_frame", ref=REF)).source == "video"


async def test_an_image_is_shown_from_where_a_search_found_it(content: bytes) -> None:
    wire = LibraryWire()
    wire.hits = [{"id": "77", "img_url": "https://x.example/77.png", "bucket": "images", "blob": "77.png"}]
    wire.pictures["images", "77.png"] = picture_file(2, 300, 200, codec="png")
    async with viewing(wire) as runner:
        assert "no search has returned it yet" in (await media(runner, "image:77"))["reason"]
        await run(runner, "search_videos", query="door", search_type="BY_IMAGE")
        answer = await media(runner, "image:77")
        frame = await run(runner, "get_frame", ref="image:77")

    assert (answer["mime_type"], second_of(decoded(answer))) == ("image/png", 2)
    assert (frame.source, frame.pictures[0].mime_type) == ("image", "image/png")


# Reasons and errors


async def test_what_the_service_does_not_deliver_has_a_reason(content: bytes) -> None:
    wire = LibraryWire(VI1=content)
    async with viewing(wire) as runner:
        for kind in ("frame", "clip"):
            public = await media(runner, "PI-1#t=9,12", kind, download=True)
            beyond = await media(runner, "VI1#t=70,80", kind, download=True)
            assert "https://www.youtube.com/watch?v=abc&t=9" in public["reason"]
            assert "which is 30" in beyond["reason"]
            assert not {"data", "download_bytes"} & {*public, *beyond}


async def test_errors_of_the_service_are_errors_of_the_tool(content: bytes) -> None:
    wire = LibraryWire(VI1=content, VI2=content)
    wire.rows["VI2"] = {"status": "UNPARSE"}
    async with viewing(wire) as runner:
        for ref, error in (("VI2#t=1,2", errors.NotReady), ("VI3#t=1,2", errors.NotFound)):
            with pytest.raises(error):
                await media(runner, ref)


async def test_without_the_extra_a_small_video_comes_whole_in_parts(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "a.mp4").write_bytes(content)
    padded = with_free_atom(tmp_path / "a.mp4", 800_000).read_bytes()
    wire = LibraryWire(VI1=padded)
    async with viewing(wire) as runner:
        assert (await media(runner, kind="clip"))["download_bytes"] == len(padded)
        part, data = await media(runner, kind="clip", download=True), b""
        for _ in range(9):
            data += decoded(part)
            if "next_offset" not in part:
                break
            assert part["next_offset"] == len(data)
            part = await media(runner, kind="clip", download=True, offset=part["next_offset"])
        assert data == padded
        assert (part["total_bytes"], part["mime_type"], part["start_seconds"]) == (len(padded), "video/mp4", 0)
        assert "begin again at offset 0" in (await media(runner, kind="clip", offset=len(padded)))["reason"].lower()
        assert "pip install 'memories-mcp[media]'" in (await media(runner))["reason"]

        wire.rows["VI1"] = {"size": 20_000_001}
        large = await media(runner, kind="clip", download=True)
    assert "up to 20 MB are sent whole" in large["reason"]
    assert "download_bytes" not in large
    assert wire.counts()["v1/download"] == 1


async def test_without_the_extra_and_without_room_no_part_costs_a_download(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "a.mp4").write_bytes(content)
    wire = LibraryWire(VI1=with_free_atom(tmp_path / "a.mp4", 800_000).read_bytes())
    async with viewing(wire, media_cache_mib=0) as runner:
        assert "keeps no videos" in (await media(runner, kind="clip", download=True))["reason"]
    assert wire.counts()["v1/download"] == 0


# Where it is offered


async def is_offered(client: Client) -> bool:
    arguments = {"ref": "VI612515093881740229#t=3,5", "kind": "frame"}
    result, *_ = await asyncio.gather(client.call_tool("get_moment_media", arguments), return_exceptions=True)
    if isinstance(result, MCPError):
        return "Unknown tool" not in str(result)
    assert isinstance(result, CallToolResult)
    return not result.is_error


@pytest.mark.parametrize(
    ("toolsets", "offered"), [("evidence", True), ("search,chat", True), ("chat", False), ("library,public", False)]
)
async def test_headers_that_narrow_the_tools_keep_it_with_those_whose_moments_it_shows(
    url: str, toolsets: str, offered: bool
) -> None:
    headers = {**bearer_key(), "X-Memories-Toolsets": toolsets, "X-Memories-Read-Only": "true"}
    async with connect(url, "http modern", headers) as client:
        assert await is_offered(client) is offered


@pytest.mark.parametrize(
    ("changes", "offered"),
    [
        ({}, True),
        ({"toolsets": ("evidence",)}, True),
        ({"read_only": True}, True),
        ({"viewer": False}, False),
        ({"toolsets": ("chat",)}, False),
        ({"exclude_tools": ("get_evidence", "search_videos")}, False),
    ],
)
async def test_the_server_offers_it_with_the_viewer(live: Settings, changes: dict[str, Any], offered: bool) -> None:
    async with Client(make_server(live.change(**changes))) as client:
        assert await is_offered(client) is offered


async def test_no_other_surface_knows_it() -> None:
    assert {operation.name for operation in viewer.operations} & {operation.name for operation in OPERATIONS} == set()
    assert viewer not in TOOLSETS
