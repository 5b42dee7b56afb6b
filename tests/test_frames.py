"""Pictures and clips of moments: the right second, upright, small; a clear reason where there is none."""

from __future__ import annotations

import random
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from conftest import calling, run
from library_wire import LibraryWire
from made_videos import colour_at, make_sound, make_video, second_of, turn

from memories_mcp import errors
from memories_mcp.media.clips import cut_clip, cut_small_clip
from memories_mcp.media.pictures import Still, cut_frame
from memories_mcp.media.threads import Stop

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def talk(folder: Path) -> Path:
    return make_video(folder / "talk.mp4", 8)


def frame_at(path: Path, seconds: float, side: int = 768) -> Still:
    return cut_frame(Stop(), path, seconds, longest_side=side)


@pytest.mark.parametrize(
    ("seconds", "second", "time"), [(0, 0, 0), (2.95, 2, 2.9), (3, 3, 3), (5.05, 5, 5), (7.9, 1, 7.9), (8.6, 1, 7.9)]
)
async def test_a_picture_is_the_one_that_a_player_shows_then(
    talk: Path, seconds: float, second: int, time: float
) -> None:
    still = frame_at(talk, seconds)

    assert (second_of(still.data), still.seconds) == (second, time)
    assert still.data[:3] == b"\xff\xd8\xff"
    assert still.video_seconds == pytest.approx(8, abs=0.1)


async def test_a_time_after_the_end_is_refused_with_the_length(talk: Path, tmp_path: Path) -> None:
    refusal = r"at 30 s is not in the video, which is 8(\.\d+)? s long"
    with pytest.raises(errors.MediaUnavailable, match=refusal):
        frame_at(talk, 30)
    with pytest.raises(errors.MediaUnavailable, match=refusal):
        cut_clip(Stop(), talk, tmp_path / "c.mp4", 30, 35)


@pytest.mark.parametrize(
    ("extension", "codec", "more"),
    [
        (".mkv", "libx264", {}),
        (".mov", "libx264", {}),
        (".avi", "mpeg4", {}),
        (".ts", "libx264", {}),
        (".webm", "libvpx", {"sound": False}),
        (".mp4", "libx264", {"times": [0, 0.9, 1, 3, 3.4, 3.5, 5.2]}),
        (".mp4", "libx264", {"options": {"g": "1000"}}),
        (".mkv", "libx264", {"width": 322, "height": 178, "rate": 29.97}),
    ],
)
async def test_every_container_and_any_rate_gives_the_right_second(
    folder: Path, tmp_path: Path, extension: str, codec: str, more: dict[str, Any]
) -> None:
    video = make_video(tmp_path / f"a{extension}", codec=codec, **more)
    clip, data = cut_small_clip(Stop(), video, tmp_path / "c.mp4", 3.2, 5.2, max_bytes=375_000)
    (tmp_path / "clip.mp4").write_bytes(data)

    assert second_of(frame_at(video, 3.6).data) == 3
    assert (clip.start, clip.end) == (3.2, 5.2)
    assert second_of(frame_at(tmp_path / "clip.mp4", 0).data) == 3
    assert frame_at(tmp_path / "clip.mp4", 0).video_seconds == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize("degrees", [90, 180, 270])
async def test_a_picture_stands_upright(tmp_path: Path, degrees: int) -> None:
    # The upper half of the picture as recorded is another colour than the lower one.
    plain = make_video(tmp_path / "a.mp4", 2, sound=False, marked=True)
    upright = colour_at(frame_at(plain, 1).data, 0.5, 0.1)
    still = frame_at(turn(plain, degrees), 1)

    assert (still.width > still.height) is (degrees == 180)
    at = {90: (0.9, 0.5), 180: (0.5, 0.9), 270: (0.1, 0.5)}[degrees]  # where the top is after a turn clockwise
    assert sum(abs(a - b) for a, b in zip(colour_at(still.data, *at), upright, strict=True)) < 40


async def test_a_picture_has_square_pixels_and_fits_the_longest_side(tmp_path: Path) -> None:
    wide = make_video(tmp_path / "a.mp4", 1, width=720, height=576, aspect=Fraction(64, 45), sound=False)
    tall = make_video(tmp_path / "b.mp4", 1, width=90, height=2000, sound=False)

    assert frame_at(wide, 0, 512)[1:3] == (512, 288)
    assert frame_at(tall, 0)[1:3] == (34, 768)


async def test_a_clip_is_a_small_mp4_that_starts_to_play_at_once(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mkv", 4, noise=True)
    clip, data = cut_small_clip(Stop(), video, tmp_path / "c.mp4", 1, 4, max_bytes=60_000)
    (tmp_path / "clip.mp4").write_bytes(data)

    assert len(data) <= 60_000
    assert (clip.width, clip.height) in {(320, 180), (240, 134), (240, 136)}
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(tmp_path / "clip.mp4"), "r") as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert (picture.codec_context.name, picture.pix_fmt, sound.codec_context.name) == ("h264", "yuv420p", "aac")
        assert (container.duration or 0) / 1e6 == pytest.approx(3, abs=0.2)
    assert not (tmp_path / "c.mp4").exists()


async def test_a_clip_that_fits_in_no_quality_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4", 2, width=320, height=180, noise=True)

    with pytest.raises(errors.MediaUnavailable, match="does not fit"):
        cut_small_clip(Stop(), video, tmp_path / "c.mp4", 0, 2, max_bytes=5000)
    assert not (tmp_path / "c.mp4").exists()


@pytest.mark.parametrize("kind", ["nothing", "noise", "cut", "sound", "text"])
async def test_a_file_without_pictures_is_a_clear_error(tmp_path: Path, talk: Path, kind: str) -> None:
    path = tmp_path / "a.mp4"
    match kind:
        case "sound":
            make_sound(path)
        case "cut":
            path.write_bytes(talk.read_bytes()[:900])
        case _:
            contents = {"nothing": b"", "noise": random.Random(1).randbytes(9000), "text": b"#EXTM3U\n/etc/passwd"}
            path.write_bytes(contents[kind])

    with pytest.raises(errors.MediaUnavailable) as caught:
        frame_at(path, 1)
    with pytest.raises(errors.MediaUnavailable):
        cut_small_clip(Stop(), path, tmp_path / "c.mp4", 0, 2, max_bytes=375_000)
    assert ("only sound" if kind == "sound" else "cannot be read") in str(caught.value)
    assert {file.name for file in tmp_path.iterdir()} == {"a.mp4"}


async def test_damage_anywhere_in_a_file_ends_in_a_picture_or_in_a_clear_error(talk: Path, tmp_path: Path) -> None:
    whole, chance = talk.read_bytes(), random.Random(7)
    outcomes = set[str]()
    for _ in range(25):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 20, 400])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        (tmp_path / "a.mp4").write_bytes(data)
        try:
            frame_at(tmp_path / "a.mp4", 4)
            cut_small_clip(Stop(), tmp_path / "a.mp4", tmp_path / "c.mp4", 3, 5, max_bytes=375_000)
            outcomes.add("cut")
        except errors.MediaUnavailable:
            outcomes.add("refused")

    assert outcomes == {"cut", "refused"}


# The tools

REF = "VI1#t=3.2,5&kind=visual"


async def test_a_picture_of_a_moment_follows_the_text(talk: Path) -> None:
    wire = LibraryWire(VI1=talk.read_bytes())
    async with calling(wire) as runner:
        frame = await run(runner, "get_frame", ref=REF)
        second = await run(runner, "get_frame", ref="VI1#t=6&kind=clip")
        start = await run(runner, "get_frame", ref="VI1#kind=metadata")

    assert frame.structured() == {
        "ref": REF, "video_no": "VI1", "video_name": "talk", "time_seconds": 3.2, "width": 320, "height": 180,
        "source": "video",
    }  # fmt: skip
    (picture,) = frame.pictures
    assert (picture.mime_type, second_of(picture.data)) == ("image/jpeg", 3)
    assert [second_of(other.pictures[0].data) for other in (second, start)] == [0, 0]
    assert wire.counts()["v1/download"] == 1  # billed once


async def test_a_clip_has_two_seconds_before_and_after_the_moment(talk: Path, tmp_path: Path) -> None:
    wire = LibraryWire(VI1=talk.read_bytes())
    async with calling(wire, files_root=tmp_path) as runner:
        clip = await run(runner, "download_clip", ref=REF, path="clips/a.mp4")
        with pytest.raises(errors.FileRefused, match="already exists"):
            await run(runner, "download_clip", ref=REF, path="clips/a.mp4")
        with pytest.raises(errors.FileRefused, match=r"MP4.*End the name in \.mp4"):
            await run(runner, "download_clip", ref=REF, path="a.avi")
        with pytest.raises(errors.InvalidArguments, match="5:04 long; the longest is 2:00"):
            await run(runner, "download_clip", ref="VI1#t=10,310", path="b.mp4")

    file = tmp_path / "clips/a.mp4"
    assert (clip.start_seconds, clip.end_seconds, clip.size_bytes) == (1.2, 7, file.stat().st_size)
    assert [second_of(frame_at(file, at).data) for at in (0, 1, 5.5)] == [1, 2, 0]
    assert [path.name for path in tmp_path.rglob("*.*")] == ["a.mp4"]


@pytest.mark.parametrize("tool", ["get_frame", "download_clip"])
async def test_what_has_no_picture_says_why(talk: Path, tmp_path: Path, tool: str) -> None:
    wire = LibraryWire(VI1=talk.read_bytes(), VI2=talk.read_bytes())
    wire.rows["VI2"] = {"status": "UNPARSE"}
    path = {"path": "a.mp4"} if tool == "download_clip" else {}
    async with calling(wire, files_root=tmp_path) as runner:
        for ref, error, words in (
            ("PI-1#t=9,12", errors.MediaUnavailable, r"public videos.*youtube\.com/watch\?v=abc&t=9"),
            ("image:77", errors.MediaUnavailable, "no search has returned it yet"),
            ("VI1#t=70,90", errors.MediaUnavailable, "which is 8"),
            ("VI2#t=1,2", errors.NotReady, "still being processed"),
            ("VI3#t=1,2", errors.NotFound, "no details of this video"),
        ):
            with pytest.raises(error, match=words):
                await run(runner, tool, ref=ref, **path)

    assert list(tmp_path.iterdir()) == []


async def test_without_the_extra_the_error_says_what_to_install_and_nothing_is_downloaded(
    talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    wire = LibraryWire(VI1=talk.read_bytes())
    async with calling(wire, files_root=tmp_path) as runner:
        for tool, more in (("get_frame", {}), ("download_clip", {"path": "a.mp4"})):
            with pytest.raises(errors.ConfigurationError, match=r"pip install 'memories-mcp\[media\]'"):
                await run(runner, tool, ref=REF, **more)

    assert wire.counts()["v1/download"] == 0
