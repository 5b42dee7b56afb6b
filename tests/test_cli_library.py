"""The command line on a library: list, status, delete, search with words, windows of transcripts, upload of URLs."""

from __future__ import annotations

import os
import pty
import re
import subprocess

import pytest
from command_line import read_terminal, run_cli
from conftest import BIKE, MEETING
from processes import start_process

from memories_mcp.settings import Settings


def run(live: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_cli(
        *arguments, MEMORIES_BASE_URL=live.base_url, MEMORIES_API_KEY=live.api_key, MEMORIES_RATE_LIMITS="off"
    )


def test_list_prints_one_video_a_line_and_takes_words_state_and_page(live: Settings) -> None:
    every_line = run(live, "list").stdout.splitlines()
    named = run(live, "list", "planning")
    failed = run(live, "list", "--status", "failed")
    second = run(live, "list", "--size", "2", "--page", "2")

    assert len(every_line) == 7
    assert named.stdout == f"{MEETING}  ready         21:00  2026-09-14  Quarterly planning meeting\n"
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.strip()
    assert second.stdout.splitlines() == every_line[2:4]


def test_status_reports_by_its_exit_code_whether_all_videos_are_ready(live: Settings) -> None:
    uploaded = run(live, "upload", "https://m.example/talk.mp4")
    video_no = uploaded.stdout.split()[1]
    processing = run(live, "status", MEETING, video_no)
    waited = run(live, "status", video_no, "--wait")

    assert re.fullmatch(r"https://m\.example/talk\.mp4: VI\d+ processing\n", uploaded.stdout)
    assert processing.returncode == 1
    assert re.search(rf"^{MEETING}  ready ", processing.stdout, re.MULTILINE)
    assert re.search(rf"^{video_no}  processing ", processing.stdout, re.MULTILINE)
    assert waited.returncode == 0
    assert waited.stdout.startswith(f"{video_no}  ready ")
    assert run(live, "status", "VI404").returncode == 1


def test_a_post_of_a_platform_is_imported_and_its_creator_too(live: Settings) -> None:
    post = run(live, "upload", "https://www.youtube.com/watch?v=dQw4w9WgXcQ", "--wait")
    creator = run(live, "upload", "https://www.tiktok.com/@bakery")
    refused = run(live, "upload", "https://")

    assert re.search(r": VI\d+ ready$", post.stdout)
    assert re.search(r": task \S+ started$", creator.stdout)
    assert refused.returncode == 1
    assert "https://: " in refused.stderr


def test_delete_without_a_terminal_needs_yes_and_names_what_it_did_not_find(live: Settings) -> None:
    refused = run(live, "delete", BIKE)
    listed = run(live, "list").stdout
    deleted = run(live, "delete", BIKE, "VI404", "--yes")

    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert BIKE in listed
    assert deleted.stdout == f"{BIKE} deleted\n"
    assert "VI404 not found" in deleted.stderr
    assert deleted.returncode == 1
    assert BIKE not in run(live, "list").stdout


def test_delete_shows_what_is_deleted_and_goes_by_the_answer(live: Settings) -> None:
    """On a terminal: the first answer is no, the second yes."""
    ours, theirs = pty.openpty()
    variables = {**os.environ, "MEMORIES_BASE_URL": live.base_url, "MEMORIES_API_KEY": live.api_key, "TERM": "dumb"}
    code = (
        "import sys\nfrom memories_mcp.cli.main import main\n"
        f"print('codes', *(main(['delete', '{BIKE}']) for _ in range(2)))"
    )
    process = start_process(code=code, stdin=theirs, stdout=theirs, stderr=theirs, env=variables)
    os.close(theirs)
    os.write(ours, b"n\ny\n")
    shown = read_terminal(ours)

    assert process.wait(timeout=60) == 0
    assert shown.count("bike_chain_repair") == 2
    assert "declined; nothing was changed" in " ".join(shown.split())
    assert f"{BIKE} deleted" in shown
    assert "codes 1 0" in shown


def test_search_prints_what_is_said_and_seen_at_each_moment(live: Settings) -> None:
    with_words = run(live, "search", "price of the Team plan", "-k", "1").stdout.splitlines()
    times = run(live, "search", "price of the Team plan", "-k", "1", "--no-text").stdout.splitlines()

    assert times == with_words[:1]
    assert with_words[1].startswith("      said: Then I suggest we lower the price of the Team plan")
    assert with_words[2].startswith("      seen: ")


def test_search_keeps_its_times_where_the_words_cannot_be_read(live: Settings) -> None:
    done = run(live, "search", "price of the Team plan", "-k", "1", "--exclude-tools", "get_evidence")

    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1
    assert "words could not be read" in done.stderr


def test_search_stays_in_the_videos_it_is_given(live: Settings) -> None:
    done = run(live, "search", "price of the Team plan", "--video", BIKE, "--no-text")

    assert MEETING not in done.stdout


@pytest.mark.parametrize(("start", "end"), [("3:30", "4:00"), ("210", "240"), ("0:03:30", "4m")])
def test_a_window_of_a_transcript_takes_times_as_people_write_them(live: Settings, start: str, end: str) -> None:
    done = run(live, "transcript", MEETING, "--start", start, "--end", end)

    assert done.stdout.startswith("3:32 Then I suggest we lower the price")
    assert len(done.stdout.splitlines()) == 1


def test_a_window_that_is_empty_or_no_window_is_explained(live: Settings) -> None:
    past_the_end = run(live, "transcript", MEETING, "--start", "9:00:00")
    reversed_window = run(live, "transcript", MEETING, "--start", "4:00", "--end", "3:00")
    unreadable = run(live, "transcript", MEETING, "--start", "soon")

    assert past_the_end.returncode == 1
    assert "nothing between these times" in past_the_end.stderr
    assert (reversed_window.returncode, unreadable.returncode) == (2, 2)
    assert "end_seconds" in reversed_window.stderr
    assert "start_seconds" in unreadable.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--read-only", "delete", BIKE, "--yes"),
        ("delete", BIKE, "--yes", "--read-only"),
        ("delete", "--read-only", BIKE, "--yes"),
    ],
)
def test_general_options_stand_before_or_after_the_command(live: Settings, arguments: tuple[str, ...]) -> None:
    done = run(live, *arguments)

    assert done.returncode == 2
    assert "not offered" in done.stderr


def test_the_last_of_an_option_given_on_both_sides_counts() -> None:
    before = run_cli("--toolsets", "search", "tools").stdout
    both = run_cli("--toolsets", "chat", "tools", "--toolsets", "search").stdout

    assert both == before
    assert "search_videos" in both
    assert "chat_with_videos" not in both
