"""Files that change, or are exchanged for links, between check and use; permissions of what is written."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import FakeWire, calling, envelope, run

from memories_mcp import errors, file_access, folders
from memories_mcp.context import Progress
from memories_mcp.folders import Folder
from memories_mcp.runner import Runner
from memories_mcp.sandbox import demo_data
from memories_mcp.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(os.name != "posix", reason="links and modes are POSIX's")]

START = b"\0\0\0\x20ftypisom"
VIDEO = httpx2.Response(200, content=b"\0video")


@pytest.fixture(params=[True, False], ids=["descriptors", "paths"])
def _with_or_without_descriptors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no descriptors of folders; there links are found after opening."""
    monkeypatch.setattr(folders, "HAS_DESCRIPTORS", request.param)
    if not request.param:
        monkeypatch.setattr(folders, "_READ", folders._READ & ~os.O_NOFOLLOW)  # pyright: ignore[reportPrivateUsage]


both_ways = pytest.mark.usefixtures("_with_or_without_descriptors")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "folder/talk.mp4").write_bytes(START + b"inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/talk.mp4").write_bytes(START + b"secret")
    return root


def exchange_file(root: Path) -> None:
    (root / "folder/talk.mp4").unlink(missing_ok=True)
    (root / "folder/talk.mp4").symlink_to(root.parent / "outside/talk.mp4")


def exchange_folder(root: Path) -> None:
    (root / "folder").rename(root / "moved")
    (root / "folder").symlink_to(root.parent / "outside")


exchanges = pytest.mark.parametrize("exchange", [exchange_file, exchange_folder])


@exchanges
@both_ways
async def test_each_attempt_sends_the_file_that_was_checked(root: Path, exchange: Callable[[Path], None]) -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        exchange(root)
        return httpx2.Response(429, headers={"retry-after": "0"})

    wire = FakeWire(refuse, envelope({"videoNo": "VI1"}))
    async with calling(wire, files_root=root) as runner:
        await run(runner, "upload_video_file", path="folder/talk.mp4")

    assert [b"inside" in request.content for request in wire.requests] == [True, True]


@exchanges
@both_ways
async def test_a_link_that_appears_after_the_check_is_not_followed(
    root: Path, exchange: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def exchanging(*arguments: Any) -> Generator[Folder]:
        exchange(root)
        with folders.open_folder(*arguments) as folder:
            yield folder

    monkeypatch.setattr(file_access, "open_folder", exchanging)
    wire = FakeWire(envelope({"videoNo": "VI1"}))
    async with calling(wire, files_root=root) as runner:
        with pytest.raises(errors.FileRefused, match="cannot be read"):
            await run(runner, "upload_video_file", path="folder/talk.mp4")

    assert wire.requests == []


@both_ways
async def test_links_inside_the_root_work(root: Path) -> None:
    (root / "link").symlink_to("folder")
    (root / "talk.mp4").symlink_to(root / "link/talk.mp4")
    wire = FakeWire(envelope({"videoNo": "VI1"}))
    async with calling(wire, files_root=root) as runner:
        for path in ("link/talk.mp4", "talk.mp4"):
            await run(runner, "upload_video_file", path=path)
    async with calling(FakeWire(VIDEO), files_root=root) as runner:
        await run(runner, "download_video", video_no="VI1", path="link/deep/new.mp4")

    assert all(b"inside" in request.content for request in wire.requests)
    assert (root / "folder/deep/new.mp4").read_bytes() == b"\0video"


@both_ways
@pytest.mark.parametrize("path", ["folder/new.mp4", "folder/deeper/new.mp4"])
async def test_a_folder_exchanged_for_a_link_before_the_first_byte_redirects_no_download(root: Path, path: str) -> None:
    def exchange(request: httpx2.Request) -> httpx2.Response:
        exchange_folder(root)
        return VIDEO

    async with calling(FakeWire(exchange), files_root=root) as runner:
        with pytest.raises(errors.FileRefused, match="cannot be written"):
            await run(runner, "download_video", video_no="VI1", path=path)

    assert [entry.name for entry in (root.parent / "outside").iterdir()] == ["talk.mp4"]
    assert [entry.name for entry in (root / "moved").iterdir()] == ["talk.mp4"]


async def test_a_folder_exchanged_during_a_download_keeps_the_file_and_is_reported(root: Path) -> None:
    async def exchange(progress: Progress) -> None:
        if not (root / "moved").exists():
            exchange_folder(root)

    async with calling(FakeWire(VIDEO), files_root=root) as runner:
        with pytest.raises(errors.FileRefused, match="moved or replaced meanwhile"):
            await runner.run(
                runner.operations["download_video"], {"video_no": "VI1", "path": "folder/new.mp4"}, on_progress=exchange
            )

    assert [entry.name for entry in (root.parent / "outside").iterdir()] == ["talk.mp4"]
    assert (root / "moved/new.mp4").read_bytes() == b"\0video"


@both_ways
async def test_a_link_put_where_the_download_goes_is_replaced_and_not_followed(root: Path) -> None:
    def exchange(request: httpx2.Request) -> httpx2.Response:
        exchange_file(root)
        return VIDEO

    async with calling(FakeWire(exchange), files_root=root) as runner:
        await run(runner, "download_video", video_no="VI1", path="folder/talk.mp4", overwrite=True)

    assert (root.parent / "outside/talk.mp4").read_bytes() == START + b"secret"
    assert not (root / "folder/talk.mp4").is_symlink()


@both_ways
async def test_a_file_that_appears_during_a_download_is_not_replaced(root: Path) -> None:
    def create(request: httpx2.Request) -> httpx2.Response:
        (root / "new.mp4").write_bytes(b"mine")
        return VIDEO

    async with calling(FakeWire(create), files_root=root) as runner:
        with pytest.raises(errors.FileRefused, match="another process created the file"):
            await run(runner, "download_video", video_no="VI1", path="new.mp4")

    assert sorted(entry.name for entry in root.iterdir()) == ["folder", "new.mp4"]
    assert (root / "new.mp4").read_bytes() == b"mine"


def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, link_to_a_device])
async def test_what_is_no_regular_file_is_refused_at_once(root: Path, make: Callable[[Path], None]) -> None:
    make(root / "odd.mp4")
    async with calling(FakeWire(envelope(None)), files_root=root) as runner:
        with pytest.raises(errors.FileRefused):
            await run(runner, "upload_video_file", path="odd.mp4")


def shrink(file: Path) -> None:
    os.truncate(file, 3_000_000)


def grow(file: Path) -> None:
    with file.open("ab") as stream:
        stream.write(b"more")


def grow_by_a_hole(file: Path) -> None:
    os.truncate(file, 5_000_000)


def write_again(file: Path) -> None:
    file.write_bytes(START)


def change_in_place(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.seek(-4, os.SEEK_END)
        stream.write(b"more")


@pytest.mark.parametrize("change", [shrink, grow, grow_by_a_hole, write_again, change_in_place])
@pytest.mark.parametrize("tool", ["upload_video_file", "upload_images"])
async def test_a_file_that_changes_while_it_is_sent_is_refused_and_not_uploaded(
    settings: Settings, tmp_path: Path, change: Callable[[Path], object], tool: str
) -> None:
    source, name = ("quarterly-planning.mp4", "a.mp4") if "video" in tool else ("red-door.jpg", "a.jpg")
    file = tmp_path / name
    shutil.copy(demo_data.MEDIA / source, file)
    os.truncate(file, 4_000_000)
    changed: list[Progress] = []

    async def change_once(progress: Progress) -> None:
        if not changed:
            changed.append(progress)
            change(file)

    runner = Runner(settings.change(files_root=tmp_path))
    arguments: dict[str, Any] = {"path": name} if "video" in tool else {"paths": [name]}
    before = await run(runner, "list_videos"), await run(runner, "list_images")
    with pytest.raises(errors.FileRefused, match="changed while it was sent"):
        await runner.run(runner.operations[tool], arguments, on_progress=change_once)

    assert (await run(runner, "list_videos"), await run(runner, "list_images")) == before
    await runner.aclose()


@pytest.fixture(params=[0o022, 0o002, 0o077], ids="umask {:03o}".format)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    previous = os.umask(request.param)
    yield request.param
    os.umask(previous)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@both_ways
async def test_downloads_and_new_folders_have_the_permissions_of_the_umask(tmp_path: Path, umask: int) -> None:
    async with calling(FakeWire(VIDEO), files_root=tmp_path) as runner:
        await run(runner, "download_video", video_no="VI1", path="new/deep/a.mp4")

    assert mode(tmp_path / "new/deep/a.mp4") == 0o666 & ~umask
    assert {mode(tmp_path / "new"), mode(tmp_path / "new/deep")} == {0o777 & ~umask}


@pytest.mark.parametrize("before", [0o664, 0o600, 0o640, 0o444])
async def test_a_replaced_file_keeps_its_permissions(tmp_path: Path, umask: int, before: int) -> None:
    (tmp_path / "a.mp4").write_bytes(b"old")
    (tmp_path / "a.mp4").chmod(before)
    async with calling(FakeWire(VIDEO), files_root=tmp_path) as runner:
        await run(runner, "download_video", video_no="VI1", path="a.mp4", overwrite=True)

    assert mode(tmp_path / "a.mp4") == before
    assert (tmp_path / "a.mp4").read_bytes() == b"\0video"


async def test_a_download_removes_the_incomplete_ones_of_killed_processes(tmp_path: Path) -> None:
    part = f".memories-{'0a' * 8}.part"
    foreign = [".other.part", "memories.part", ".memories-x.part"]
    day_ago = time.time() - 25 * 60 * 60
    for name in (part, *foreign, part.replace("0a", "0b")):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (day_ago, day_ago))
    fresh = part.replace("0b", "0c").replace("0a", "0c")
    (tmp_path / fresh).write_bytes(b"")
    async with calling(FakeWire(VIDEO), files_root=tmp_path) as runner:
        await run(runner, "download_video", video_no="VI1", path="a.mp4")

    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([*foreign, fresh, "a.mp4"])
