"""`show` and `search --show`: the moments as one HTML page with their pictures inside."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import webbrowser
from pathlib import Path
from typing import Any

import pytest
from command_line import run_cli
from conftest import MEETING

from langchain_tools import MemoriesToolkit
from memories_mcp.settings import Settings

REF = f"{MEETING}#t=3:32,4:16"
JPEG = b"\xff\xd8\xff"


def run(live: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_cli(*arguments, MEMORIES_BASE_URL=live.base_url, MEMORIES_API_KEY=live.api_key)


def data_of(page: Path) -> dict[str, Any]:
    """Return the data that a page holds, as a browser finds the end of its script element."""
    [document] = re.findall(
        r'<script type="application/json" id="embedded">(.*?)</script', page.read_text(encoding="utf-8"), re.DOTALL
    )
    return json.loads(document)


def test_show_writes_a_page_with_moments_pictures_and_on_request_clips(live: Settings, tmp_path: Path) -> None:
    page = tmp_path / "moments.html"
    shown = run(live, "show", REF, "--clips", "--no-open", "--page", str(page))

    assert (shown.returncode, shown.stdout) == (0, f"{page}\n")
    data = data_of(page)
    [moment] = data["result"]["moments"]
    media = data["media"][moment["refs"][0]]
    assert data["tool"] == "get_evidence"
    assert "twenty-four euros" in json.dumps(moment["segments"])
    assert base64.b64decode(media["frame"]["data"]).startswith(JPEG)
    assert base64.b64decode(media["clip"]["data"])[4:8] == b"ftyp"


def test_search_shows_its_hits_with_their_words_and_pictures(live: Settings, tmp_path: Path) -> None:
    page = tmp_path / "hits.html"
    hits = run(live, "search", "price of the Team plan", "-k", "2", "--show", "--no-open", "--page", str(page))

    data = data_of(page)
    moments = data["result"]["moments"]
    assert hits.stdout.splitlines()[-1] == str(page)
    assert data["tool"] == "search_videos"
    assert [bool(moment["text"]) for moment in moments] == [True, True]
    assert all(data["media"][moment["ref"]]["frame"]["data"] for moment in moments)


def test_without_a_file_the_page_is_a_new_temporary_one_and_the_browser_opens_it(
    live: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(webbrowser, "open", opened.append)
    shown = run(live, "show", REF)

    page = Path(shown.stdout.strip())
    assert page.is_relative_to(tmp_path)
    assert opened == [page.as_uri()]
    assert shown.stderr == "No browser was found. Open the file yourself.\n"  # `append` returns nothing


def test_an_existing_file_is_kept_unless_it_may_be_replaced(live: Settings, tmp_path: Path) -> None:
    page = tmp_path / "moments.html"
    page.write_text("mine")
    refused = run(live, "show", REF, "--no-open", "--page", str(page))
    kept = page.read_text()
    replaced = run(live, "show", REF, "--no-open", "--page", str(page), "--overwrite")

    assert refused.returncode == 1
    assert "already exists" in refused.stderr
    assert kept == "mine"
    assert replaced.returncode == 0
    assert data_of(page)


def test_moments_that_cannot_be_read_are_named_and_leave_no_page(live: Settings, tmp_path: Path) -> None:
    page = tmp_path / "moments.html"
    shown = run(live, "show", "VI404#t=0:10", "--no-open", "--page", str(page))

    assert shown.returncode == 1
    assert "VI404#t=10&kind=clip" in shown.stderr
    assert not page.exists()


def test_a_frame_is_a_text_and_a_picture_for_chat_models(live: Settings) -> None:
    with MemoriesToolkit(api_key=live.api_key, base_url=live.base_url, toolsets=["frames"]) as toolkit:
        call = {"name": "get_frame", "args": {"ref": REF}, "id": "1", "type": "tool_call"}
        message = toolkit.get_tool("get_frame").invoke(call)

    text, picture = message.content_blocks
    assert text["type"] == "text"
    assert MEETING in text["text"]
    assert (picture["type"], picture["mime_type"]) == ("image", "image/jpeg")
    assert base64.b64decode(picture["base64"]).startswith(JPEG)
    assert "base64" not in json.dumps(message.artifact)
