"""The file that a person means by a path: quotes, URIs, escapes, and names that look the same."""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import httpx2
import pytest
from command_line import run_cli
from conftest import FakeWire, calling, envelope, run

from memories_mcp import errors
from memories_mcp.models.base import Output
from memories_mcp.sandbox import demo_data

pytestmark = pytest.mark.anyio

RECORDING = "Screen Recording 2026-11-02 at 9.41.00\u202fPM.mp4"
NFC, NFD = unicodedata.normalize("NFC", "Präsentation.mp4"), unicodedata.normalize("NFD", "Präsentation.mp4")


def add(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(demo_data.MEDIA / "quarterly-planning.mp4", path)


async def upload(root: Path, path: str) -> tuple[str, Output]:
    """The file name that is sent for a path, and the result."""
    wire = FakeWire(envelope({"videoNo": "VI612515093881740229"}))
    async with calling(wire, files_root=root) as runner:
        output = await run(runner, "upload_video_file", path=path)
    sent = wire.requests[0].content.split(b'filename="')[1].split(b'"')[0]
    return sent.decode(), output


async def refusal(root: Path, path: str) -> errors.FileRefused:
    wire = FakeWire(envelope(None))
    async with calling(wire, files_root=root) as runner:
        with pytest.raises(errors.FileRefused) as caught:
            await run(runner, "upload_video_file", path=path)
    assert wire.requests == []
    return caught.value


@pytest.mark.parametrize(
    ("name", "given"),
    [
        (RECORDING, RECORDING.replace("\u202f", " ")),
        (RECORDING, RECORDING.replace("\u202f", "\u00a0")),
        ("a b.mp4", "a\u00a0b.mp4"),
        ("a  b.mp4", "a b.mp4"),
        (NFD, NFC),
        (NFC, NFD),
        ("Ann’s “best” talk.mp4", "Ann's \"best\" talk.mp4"),
        ("Ann's talk.mp4", "Ann’s talk.mp4"),
        ("2025–2026.mp4", "2025-2026.mp4"),
        ("\u200eWhatsApp Video.mp4", "WhatsApp Video.mp4"),
        ("What？.mp4", "What?.mp4"),
        ("Talk.MP4", "talk.mp4"),
        ("Été/Talk.mp4", "E\u0301te\u0301/talk.mp4"),
        ("My\u00a0Videos/talk.mp4", "My Videos/talk.mp4"),
        ("a b.mp4", "a%20b.mp4"),
        ("clips/a.mp4", "clips\\a.mp4"),
        ("clips/a b.mp4", ".\\clips\\a b.mp4"),
    ],
)  # fmt: skip
async def test_the_one_file_that_looks_the_same_is_taken_and_named(tmp_path: Path, name: str, given: str) -> None:
    add(tmp_path, name, "other.mp4")
    sent, output = await upload(tmp_path, given)

    assert sent == Path(name).name.replace('"', "%22")
    assert output.note
    assert "File used: " in output.note


@pytest.mark.parametrize(
    "given",
    [
        "clips/a b.mp4",
        " clips/a b.mp4\n",
        "'clips/a b.mp4'",
        '"clips/a b.mp4"',
        "“clips/a b.mp4”",
        "clips/a\\ b.mp4",
        "{root}/clips/a b.mp4",
        "file://{root}/clips/a%20b.mp4",
        "FILE://localhost{root}/clips/a%20b.mp4",
        "file:{root}/clips/a b.mp4",
        "'file://{root}/clips/a%20b.mp4'",
        "./clips/../clips/a b.mp4",
    ],
)
async def test_a_path_is_understood_as_it_was_copied(tmp_path: Path, given: str) -> None:
    add(tmp_path, "clips/a b.mp4")
    sent, output = await upload(tmp_path, given.format(root=tmp_path))

    assert sent == "a b.mp4"
    assert output.note
    assert "File used" not in output.note


async def test_the_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    add(tmp_path, "videos/talk.mp4")

    assert (await upload(tmp_path / "videos", "~/videos/talk.mp4"))[0] == "talk.mp4"


async def test_the_files_root_itself_may_be_written_differently(tmp_path: Path) -> None:
    root = tmp_path / NFD.removesuffix(".mp4")
    add(root, "talk.mp4")

    assert (await upload(root, f"{tmp_path / NFC.removesuffix('.mp4')}/talk.mp4"))[0] == "talk.mp4"


@pytest.mark.skipif(os.name != "posix", reason="these names cannot exist on Windows")
@pytest.mark.parametrize("name", ["'a'.mp4", '"a.mp4"/b.mp4', "a\\b.mp4", "a%20b.mp4", " a.mp4", "a\\ b.mp4"])
async def test_a_file_of_exactly_the_given_name_wins(tmp_path: Path, name: str) -> None:
    add(tmp_path, name, "a.mp4", "a b.mp4", "a/b.mp4")
    _, output = await upload(tmp_path, name)

    assert output.note
    assert "File used" not in output.note or not output.note.endswith("a b.mp4")


@pytest.mark.skipif(os.name != "posix", reason="both names are one on Windows and macOS")
@pytest.mark.parametrize(
    ("names", "given"),
    [(["a\u00a0b.mp4", "a\u202fb.mp4"], "a b.mp4"), (["TALK.mp4", "Talk.mp4"], "talk.mp4")],
)
async def test_several_files_that_look_the_same_are_refused_and_named(
    tmp_path: Path, names: list[str], given: str
) -> None:
    add(tmp_path, *names)
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("one file on this file system")
    error = await refusal(tmp_path, given)

    assert "several" in error.summary
    assert sorted(error.words.split(", ")) == sorted(names)


async def test_a_misspelt_name_is_refused_with_similar_names_of_its_folder(tmp_path: Path) -> None:
    root = tmp_path / "root"
    add(root, "quarterly-planning.mp4", "quarterly-plan.mp4", "bread.mp4", "deep/quarterly-planing.mp4", ".hidden.mp4")
    add(tmp_path, "quarterly-planings.mp4")
    error = await refusal(root, "quarterly-planing.mp4")

    assert "is not a file" in error.summary
    assert error.words == "quarterly-planning.mp4, quarterly-plan.mp4"
    in_folder = await refusal(root, "deeper/quarterly-planing.mp4")
    assert in_folder.words == "deep"
    assert (await refusal(root, "deep/quarterly-planning.mp4")).words == "deep/quarterly-planing.mp4"
    assert (await refusal(root, "zzz.mp4")).words == ""
    many = tmp_path / "many"
    add(many, *(f"talk-{number}.mp4" for number in range(9)))
    assert len((await refusal(many, "talk.mp4")).words.split(", ")) == 5


@pytest.mark.skipif(os.name != "posix", reason="links are POSIX's here")
@pytest.mark.parametrize(
    "given",
    [
        "../secret talk.mp4",
        "'{parent}/secret talk.mp4'",
        "file://{parent}/secret%20talk.mp4",
        "..%2fsecret%20talk.mp4",
        "..\\secret talk.mp4",
        "file://files.example/secret%20talk.mp4",
        "out\u00a0side/secret talk.mp4",
        "out side/secret tolk.mp4",
        "se\u00a0cret.mp4",
        "file:///%2e%2e/%00.mp4",
        "//" + "a/" * 400,
    ],
)
async def test_no_reading_of_a_path_leads_outside_or_names_what_is_there(tmp_path: Path, given: str) -> None:
    root = tmp_path / "root"
    add(tmp_path, "secret talk.mp4")
    add(root, "talk.mp4")
    (root / "out side").symlink_to(tmp_path)
    (root / "se cret.mp4").symlink_to(tmp_path / "secret talk.mp4")
    error = await refusal(root, given.format(parent=tmp_path))

    assert "secret talk" not in str(error).replace(given.format(parent=tmp_path), "")


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("'new clips/a.mp4'", "new clips/a.mp4"),
        ("file://{root}/new%20clips/a.mp4", "new clips/a.mp4"),
        (" a.mp4 ", "a.mp4"),
        ("My Videos/a.mp4", "My\u00a0Videos/a.mp4"),
        ("OLD TALK.mp4", "OLD TALK.mp4"),
    ],
)
async def test_a_download_is_written_where_it_was_meant(tmp_path: Path, given: str, written: str) -> None:
    add(tmp_path, "My\u00a0Videos/talk.mp4", "old\u00a0talk.mp4")
    async with calling(FakeWire(httpx2.Response(200, content=b"\0video")), files_root=tmp_path) as runner:
        output: Any = await run(runner, "download_video", video_no="VI1", path=given.format(root=tmp_path))

    assert output.path == written
    assert (tmp_path / written).read_bytes() == b"\0video"


async def test_a_file_that_looks_the_same_is_not_overwritten_unasked(tmp_path: Path) -> None:
    (tmp_path / RECORDING).write_bytes(b"mine")
    given = RECORDING.replace("\u202f", " ")
    async with calling(FakeWire(httpx2.Response(200, content=b"\0video")), files_root=tmp_path) as runner:
        with pytest.raises(errors.FileRefused, match="already exists"):
            await run(runner, "download_video", video_no="VI1", path=given)
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]
        await run(runner, "download_video", video_no="VI1", path=given, overwrite=True)

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(RECORDING, b"\0video")]


def test_the_command_upload_takes_the_file_that_looks_the_same_and_names_it(tmp_path: Path) -> None:
    add(tmp_path, RECORDING)
    result = run_cli("--sandbox", "upload", RECORDING.replace("\u202f", " "), "no.mp4", cwd=tmp_path)

    assert f"(from {RECORDING})" in result.stdout
    assert "no.mp4 is not a file" in result.stderr
