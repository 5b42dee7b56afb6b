"""Files up and down: checked before they are sent, whole or not there at all, never outside their root."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import FakeWire, calling, envelope, order, run

from memories_mcp import errors
from memories_mcp.context import Progress
from memories_mcp.runner import Runner
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio


async def downloading(response: httpx2.Response, folder: Path, **arguments: Any) -> errors.MemoriesError:
    async with calling(FakeWire(response), files_root=folder) as runner:
        with pytest.raises(errors.MemoriesError) as caught:
            await run(runner, "download_video", **{"video_no": "VI1", "path": "a.mp4", **arguments})
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
    runner = Runner(settings.change(files_root=tmp_path))
    with pytest.raises(errors.Unreachable):
        await run(runner, "download_video", video_no="VI612515093881740229", path="a.mp4")
    await runner.aclose()

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
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


class Breaking(httpx2.AsyncByteStream):
    """A file whose first megabyte arrives before the connection breaks."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"\0" * 1024**2
        raise httpx2.ReadError("cut")


@pytest.mark.parametrize("path", ["a.mp4", "new/folder/a.mp4", "there/new/a.mp4"])
async def test_a_download_that_breaks_half_way_leaves_neither_a_part_nor_a_new_folder(
    tmp_path: Path, path: str
) -> None:
    (tmp_path / "there").mkdir()
    written = list[str]()

    async def follow(progress: Progress) -> None:
        written.append(next(file.name for file in tmp_path.rglob(".memories-*.part")))

    async with calling(FakeWire(httpx2.Response(200, stream=Breaking())), files_root=tmp_path) as runner:
        operation = runner.operations["download_video"]
        with pytest.raises(errors.Unreachable):
            await runner.run(operation, {"video_no": "VI1", "path": path}, on_progress=follow)

    assert written
    assert [file.name for file in tmp_path.rglob("*")] == ["there"]


async def test_a_files_root_behind_a_link_works(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    async with calling(FakeWire(httpx2.Response(200, content=b"\0video")), files_root=tmp_path / "link") as runner:
        assert (await run(runner, "download_video", video_no="VI1", path="a/b.mp4")).path == "a/b.mp4"


async def test_an_existing_file_is_left_alone_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("mine")
    wire = FakeWire(envelope(None))
    async with calling(wire, files_root=tmp_path) as runner:
        with pytest.raises(errors.FileRefused, match="overwrite"):
            await run(runner, "download_video", video_no="VI1", path="a.mp4")

    assert wire.requests == []
    assert (tmp_path / "a.mp4").read_text() == "mine"


async def test_an_existing_file_is_replaced_when_asked(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("old")
    async with calling(FakeWire(httpx2.Response(200, content=b"\0new")), files_root=tmp_path) as runner:
        await run(runner, "download_video", video_no="VI1", path="a.mp4", overwrite=True)

    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"\0new"]


@pytest.mark.parametrize("path", ["../a.mp4", "/etc/passwd", "a/../../b", ".", "link/a.mp4", "a\0b", "~/a.mp4"])
async def test_a_path_outside_the_files_root_is_refused(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    error = await downloading(httpx2.Response(200, content=b"x"), root, path=path)

    assert isinstance(error, errors.FileRefused)
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


async def test_without_a_files_root_it_names_the_setting() -> None:
    async with calling(FakeWire(envelope(None))) as runner:
        with pytest.raises(errors.ConfigurationError, match="MEMORIES_FILES_ROOT"):
            await run(runner, "download_video", video_no="VI1", path="a.mp4")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.mp4", b"not a video at all", "is not a video that the service accepts"),
        ("a.txt", b"\0\0\0\x20ftypisom....", "is not a video that the service accepts"),
        ("a.mp4", b"", "is not a video that the service accepts"),
        ("missing.mp4", None, "is not a file"),
    ],
)
async def test_a_file_is_checked_by_content_and_name_before_anything_is_sent(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    wire = FakeWire(envelope(None))
    async with calling(wire, files_root=tmp_path) as runner:
        with pytest.raises(errors.FileRefused, match=says):
            await run(runner, "upload_video_file", path=name)

    assert wire.requests == []


async def test_a_file_that_is_too_large_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with (tmp_path / "big.jpg").open("wb") as file:
        file.write(b"\xff\xd8\xff")
        file.truncate(21 * 1024**2)
    wire = FakeWire(envelope(None))
    async with calling(wire, files_root=tmp_path) as runner:
        for name, arguments in (
            ("search_similar_images", {"path": "big.jpg"}),
            ("upload_images", {"paths": ["big.jpg"]}),
        ):
            with pytest.raises(errors.FileRefused, match="the maximum is 20971520"):
                await run(runner, name, **arguments)

    assert wire.requests == []


async def test_one_bad_image_stops_all_before_anything_is_sent(files_root: Path) -> None:
    wire = FakeWire(envelope([]))
    async with calling(wire, files_root=files_root) as runner:
        with pytest.raises(errors.FileRefused, match=r"talk\.mp4 is not an image"):
            await run(runner, "upload_images", paths=["bicycle.jpg", "talk.mp4"])

    assert wire.requests == []


@pytest.mark.parametrize("ending", ["mp4", "mov", "avi", "mkv"])
async def test_every_kind_of_video_the_service_takes_is_sent_with_its_type(tmp_path: Path, ending: str) -> None:
    starts = {
        "mp4": b"\0\0\0\x20ftypisom", "mov": b"\0\0\0\x14ftypqt  ", "avi": b"RIFF1234AVI ", "mkv": b"\x1aE\xdf\xa3",
    }  # fmt: skip
    types = {"mp4": "video/mp4", "mov": "video/quicktime", "avi": "video/x-msvideo", "mkv": "video/x-matroska"}
    (tmp_path / f"a.{ending}").write_bytes(starts[ending] + b"\0" * 32)
    wire = FakeWire(envelope({"videoNo": "VI1"}))
    async with calling(wire, files_root=tmp_path) as runner:
        await run(runner, "upload_video_file", path=f"a.{ending}")

    assert f"Content-Type: {types[ending]}".encode() in wire.requests[0].content
