"""The commands search, ask and transcript, and files that are uploaded and downloaded."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import webvtt
from command_line import run_cli
from conftest import BIKE, MEETING

from memories_mcp.models.evidence import Evidence
from memories_mcp.rendering.subtitles import subrip
from memories_mcp.sandbox import demo_data
from memories_mcp.settings import Settings


def run(live: Settings, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return run_cli(
        *arguments, cwd=cwd, MEMORIES_BASE_URL=live.base_url, MEMORIES_API_KEY=live.api_key, MEMORIES_RATE_LIMITS="off"
    )


def test_search_prints_the_best_moment_first(live: Settings) -> None:
    done = run(live, "search", "price of the Team plan", "-k", "2")

    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == f"  3:32-4:16  Quarterly planning meeting  {MEETING}#t=3:32,4:16"
    assert "untrusted" not in done.stdout
    without_hits = run(live, "search", "xylophone")
    assert (without_hits.returncode, without_hits.stdout) == (1, "")
    assert "nothing matches" in without_hits.stderr


def test_ask_prints_the_answer_and_its_evidence(live: Settings) -> None:
    done = run(live, "ask", "What does the Team plan cost?", "--video", MEETING)

    assert done.returncode == 0
    assert "twenty-four euros" in done.stdout
    assert "Evidence:" in done.stdout
    assert run(live, "ask", "How do I stop the chain slipping?").returncode == 0


@pytest.mark.parametrize("form", ["vtt", "srt", "text"])
def test_a_whole_transcript_is_printed_in_each_format(live: Settings, tmp_path: Path, form: str) -> None:
    done = run(live, "transcript", MEETING, f"--{form}")
    path = tmp_path / f"talk.{form}"
    path.write_text(done.stdout, encoding="utf-8")

    assert done.returncode == 0
    assert "lower the price of the Team plan" in done.stdout
    if form != "text":
        cues = webvtt.read(str(path)) if form == "vtt" else webvtt.from_srt(str(path))
        assert len(cues) > 20
        assert cues[0].start == "00:00:02.000"  # pyright: ignore[reportUnknownMemberType] -- an untyped library
    visual = run(live, "transcript", MEETING, "--track", "visual")
    assert "whiteboard" in visual.stdout


def test_a_missing_transcript_is_an_error(live: Settings) -> None:
    done = run(live, "transcript", "VI404")

    assert done.returncode == 1
    assert done.stdout == ""
    assert "not found" in done.stderr


def test_upload_and_download_need_no_files_root(live: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    shutil.copy(demo_data.MEDIA / "quarterly-planning.mp4", folder / "talk.mp4")
    shutil.copy(demo_data.MEDIA / "red-door.jpg", tmp_path / "door.jpg")
    (tmp_path / "notes.txt").write_text("no video")
    done = run(live, "upload", "a/talk.mp4", "notes.txt", "door.jpg", "gone.mp4", "--wait", cwd=tmp_path)

    assert done.returncode == 1
    assert re.search(r"^a/talk.mp4: VI\d+ ready$", done.stdout, re.MULTILINE)
    assert re.search(r"^door.jpg: \d+$", done.stdout, re.MULTILINE)
    assert "notes.txt: " in done.stderr
    assert "gone.mp4: " in done.stderr
    downloaded = run(live, "download", BIKE, cwd=tmp_path)
    assert downloaded.stdout == f"{BIKE}.mp4\n"
    assert (tmp_path / f"{BIKE}.mp4").read_bytes()[4:8] == b"ftyp"
    again = run(live, "download", BIKE, cwd=tmp_path)
    assert again.returncode == 1
    assert "already exists" in again.stderr
    assert run(live, "download", BIKE, "--overwrite", cwd=tmp_path).returncode == 0
    assert run(live, "download", BIKE, "nowhere/x.mp4", cwd=tmp_path).returncode == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a", "door.jpg", "notes.txt", f"{BIKE}.mp4"])


def test_a_refused_file_does_not_stop_the_others_and_symlinks_are_followed(live: Settings, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    shutil.copy(demo_data.MEDIA / "quarterly-planning.mp4", real / "ünï talk.mp4")
    (tmp_path / "link.mp4").symlink_to(real / "ünï talk.mp4")
    done = run(live, "upload", "nowhere/x.mp4", "link.mp4", "real/ünï talk.mp4", cwd=tmp_path)

    assert done.returncode == 1
    assert "nowhere/x.mp4: " in done.stderr
    assert len(re.findall(r"mp4: VI\d+ processing", done.stdout)) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--read-only", "upload", "talk.mp4"],
        ["--exclude-tools", "upload_video_file", "upload", "talk.mp4"],
        ["--exclude-tools", "get_audio_transcription", "transcript", MEETING],
        ["--exclude-tools", "search_videos", "search", "pricing"],
    ],
)
def test_tools_that_the_operator_excluded_are_refused(live: Settings, tmp_path: Path, arguments: list[str]) -> None:
    shutil.copy(demo_data.MEDIA / "quarterly-planning.mp4", tmp_path / "talk.mp4")
    done = run(live, *arguments, cwd=tmp_path)

    assert done.returncode == 2
    assert "not offered" in done.stderr


def test_subrip_numbers_its_cues_and_ends_each_before_the_next() -> None:
    moments = [Evidence.at("VI1", "audio", 1, None, text="one\ntwo"), Evidence.at("VI1", "audio", 2, 2, text="three")]

    assert subrip(moments) == ("1\n00:00:01,000 --> 00:00:02,000\none two\n\n2\n00:00:02,000 --> 00:00:04,000\nthree\n")
