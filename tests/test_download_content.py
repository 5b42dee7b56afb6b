"""The bytes of a download decide whether it is a video, whatever its media type."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import httpx2
import pytest
from conftest import FakeWire, calling, run

from memories_mcp import errors

pytestmark = pytest.mark.anyio

REFUSAL = json.dumps({"code": "0001", "msg": "video not found", "data": None})
BOM = b"\xef\xbb\xbf"
media_types = pytest.mark.parametrize(
    "media_type", ["video/mp4", "application/octet-stream", "application/json", "text/plain", ""]
)


async def download(folder: Path, content: bytes, media_type: str) -> int:
    response = httpx2.Response(200, content=content, headers={"content-type": media_type} if media_type else {})
    async with calling(FakeWire(response), files_root=folder) as runner:
        return (await run(runner, "download_video", video_no="VI1", path="new/a.mp4")).size_bytes


@media_types
@pytest.mark.parametrize(
    "content",
    [
        REFUSAL.encode(),
        BOM + REFUSAL.encode(),
        b"\r\n\t " + REFUSAL.encode(),
        b"\n" + BOM + b" " + REFUSAL.encode(),
        BOM + BOM + REFUSAL.encode(),
        REFUSAL.encode("utf-16"),
        REFUSAL.encode("utf-16-le"),
        REFUSAL.encode("utf-32"),
    ],
)
async def test_a_refusal_in_place_of_a_video_is_the_error_that_it_holds(
    tmp_path: Path, content: bytes, media_type: str
) -> None:
    with pytest.raises(errors.NotFound) as caught:
        await download(tmp_path, content, media_type)

    assert caught.value.words == "video not found"
    assert list(tmp_path.iterdir()) == []


@media_types
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        BOM,
        b"null",
        b"upstream connect error",
        b"<html><title>502</title>",
        BOM + b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
        "<?xml version='1.0' encoding='utf-16'?><Error/>".encode("utf-16"),
        "Zugriff verweigert: ungültiger Schlüssel".encode("latin-1"),
        "视频不存在".encode(),
        b'{"code": "00',
        b"#EXTM3U\n#EXT-X-VERSION:3\n" * 30_000,
    ],
    ids=range(12),
)
async def test_a_text_in_place_of_a_video_is_not_kept(tmp_path: Path, content: bytes, media_type: str) -> None:
    with pytest.raises(errors.UnexpectedResponse):
        await download(tmp_path, content, media_type)

    assert list(tmp_path.iterdir()) == []


@media_types
@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\0\x20ftypisom",
        b"\0\0\0\x14ftypqt  ",
        b"RIFF\x24\0\0\0AVI LIST",
        b"\x1aE\xdf\xa3\x9fB\x86",
        b"\x47\x40\0\x10\0\0",
        b"\0\0\x01\xba\x44\0\x04",
        b"FLV\x01\x05\0\0\0\x09",
        b"OggS\0\x02\0\0",
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    ],
    ids=["mp4", "mov", "avi", "mkv", "ts", "mpeg", "flv", "ogg", "asf"],
)
async def test_every_container_is_kept_because_the_download_was_paid_for(
    tmp_path: Path, content: bytes, media_type: str
) -> None:
    content += bytes(range(256)) * 2000

    assert await download(tmp_path, content, media_type) == len(content)
    assert (tmp_path / "new/a.mp4").read_bytes() == content


async def test_an_error_status_is_no_video_even_with_the_bytes_of_one(tmp_path: Path) -> None:
    response = httpx2.Response(502, content=b"\0\0\0\x20ftypisom", headers={"content-type": "video/mp4"})
    async with calling(FakeWire(response), files_root=tmp_path) as runner:
        with pytest.raises(errors.ApiError):
            await run(runner, "download_video", video_no="VI1", path="a.mp4")

    assert list(tmp_path.iterdir()) == []


VIDEO = b"\0\0\0\x18ftypmp42" + bytes(300_000)


async def download_compressed(folder: Path, content: bytes) -> int:
    response = httpx2.Response(200, stream=httpx2.ByteStream(content), headers={"content-encoding": "gzip"})
    async with calling(FakeWire(response), files_root=folder) as runner:
        return (await run(runner, "download_video", video_no="VI1", path="a.mp4")).size_bytes


async def test_a_compressed_video_is_kept_decoded(tmp_path: Path) -> None:
    assert await download_compressed(tmp_path, gzip.compress(VIDEO)) == len(VIDEO)
    assert (tmp_path / "a.mp4").read_bytes() == VIDEO


@pytest.mark.parametrize(
    "content", [gzip.compress(VIDEO)[:-20], gzip.compress(VIDEO)[:100] + b"\xff" * 300, b"\x1f\x8b"]
)
async def test_a_compressed_video_that_is_damaged_or_cut_is_not_kept(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(errors.UnexpectedResponse, match="damaged or incomplete") as caught:
        await download_compressed(tmp_path, content)

    assert "billed" in caught.value.next_step
    assert list(tmp_path.iterdir()) == []


async def test_a_compressed_refusal_is_the_error_that_it_holds(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound):
        await download_compressed(tmp_path, gzip.compress(REFUSAL.encode()))
