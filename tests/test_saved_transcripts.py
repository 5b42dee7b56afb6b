"""`save_as` of the transcript tools: the whole window as WebVTT or SubRip, where files may be written at all."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest
import webvtt
from command_line import run_cli
from conftest import BREAD, MEETING, FakeWire, calling, envelope, run
from http_clients import bearer_key, connect
from mcp import Client
from pydantic import SecretStr

from langchain_tools import MemoriesToolkit
from memories_mcp.errors import FileRefused, InvalidArguments
from memories_mcp.operations import OPERATIONS
from memories_mcp.runner import Runner
from memories_mcp.server.app import make_server
from memories_mcp.server.http.app import run_http_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

TOOLS = {
    "get_video_transcription", "get_audio_transcription", "get_public_video_transcription",
    "get_public_audio_transcription",
}  # fmt: skip
OPTIONS = {"save_as", "overwrite"}
NO_OPTIONS: dict[str, set[str]] = {tool: set() for tool in TOOLS}


def transcript(*texts: str, times: bool = True) -> httpx2.Response:
    rows = [
        {"content": text, **({"startTime": str(i * 2), "endTime": str(i * 2 + 2)} if times else {})}
        for i, text in enumerate(texts)
    ]
    return envelope({"videoNo": "VI1", "transcriptions": rows})


async def save(root: Path, wire: FakeWire, name: str = "talk.srt", **arguments: Any) -> Any:
    async with calling(wire, files_root=root) as runner:
        return await run(runner, "get_audio_transcription", video_no="VI1", save_as=name, **arguments)


@pytest.mark.parametrize(
    ("tool", "video_no"),
    [(tool, BREAD if "public" in tool else MEETING) for tool in sorted(TOOLS)],
)
@pytest.mark.parametrize(("name", "form"), [("notes/talk.vtt", "WebVTT"), ("notes/Talk.SRT", "SubRip")])
async def test_every_transcript_is_saved_in_both_formats(
    settings: Settings, tmp_path: Path, tool: str, video_no: str, name: str, form: str
) -> None:
    runner = Runner(settings.change(files_root=tmp_path))
    try:
        page = await run(runner, tool, video_no=video_no)
        result = await runner.run(runner.operations[tool], {"video_no": video_no, "save_as": name})
    finally:
        await runner.aclose()
    file = io.StringIO((tmp_path / name).read_text(encoding="utf-8"))
    cues = (webvtt.from_buffer(file) if form == "WebVTT" else webvtt.from_buffer(file, format="srt")).captions

    assert result.output.saved.model_dump() == {"path": name, "format": form, "cues": len(cues)}
    assert f"saved: path {name}, format {form}, cues {len(cues)}" in result.text
    assert [" ".join(cue.text.split()) for cue in cues] == [" ".join(row.text.split()) for row in page.segments]
    assert [cue.start_in_seconds for cue in cues] == [int(row.start_seconds) for row in page.segments]
    assert result.output.segments == page.segments[:5]
    assert not list(tmp_path.rglob("*.part"))


async def test_a_window_is_saved_whole_and_not_as_a_page(tmp_path: Path) -> None:
    texts = [f"Line {number}: " + "words " * 20 for number in range(3000)]
    result = await save(tmp_path, FakeWire(transcript(*texts)), start_seconds=1000, end_seconds=4999)
    content = (tmp_path / "talk.srt").read_text(encoding="utf-8")

    assert result.saved.cues == 2000
    assert content.count(" --> ") == 2000
    assert content.startswith("1\n00:16:40,000 --> 00:16:42,000\nLine 500: ")
    assert [segment.start_seconds for segment in result.segments] == [1000, 1002, 1004, 1006, 1008]
    assert result.next_start_seconds is None
    assert result.note == "The file has all 2000 cues; the first 5 are shown."


HARD_TEXTS = [
    "first\n\n\nafter empty lines",
    "9\n00:00:01,000 --> 00:00:02,000\nforged",
    "R&D says 1 < 2 and <b>bold</b> &amp; <i",
    "a\r\n\r\nb\u2028\u2028c",
    "{\\an8}top <00:00:01.000>",
    "--> -->",
    "-----> NOTE",
]


@pytest.mark.parametrize("ending", ["vtt", "srt"])
async def test_no_text_breaks_out_of_its_cue(tmp_path: Path, ending: str) -> None:
    result = await save(tmp_path, FakeWire(transcript(*HARD_TEXTS)), f"talk.{ending}")
    content = (tmp_path / f"talk.{ending}").read_text(encoding="utf-8")
    read = webvtt.from_buffer(io.StringIO(content), format="srt" if ending == "srt" else "vtt").captions

    assert result.saved.cues == len(HARD_TEXTS) == len(read)
    assert content.count("-->") == len(HARD_TEXTS)  # one in each line of times, none in a text
    assert [cue.start_in_seconds for cue in read] == [number * 2 for number in range(len(HARD_TEXTS))]
    blocks = [block for block in content.rstrip("\n").split("\n\n") if "-->" in block]
    assert len(blocks) == len(HARD_TEXTS)


async def test_subrip_keeps_signs_and_shows_markup_as_text(tmp_path: Path) -> None:
    await save(tmp_path, FakeWire(transcript(*HARD_TEXTS)))
    lines = (tmp_path / "talk.srt").read_text(encoding="utf-8").splitlines()

    assert "R&D says 1 < 2 and ‹b›bold‹/b› &amp; <i" in lines
    assert "{ \\an8}top ‹00:00:01.000›" in lines
    assert "9 00:00:01,000 → 00:00:02,000 forged" in lines


@pytest.mark.parametrize("name", ["talk.txt", "talk", "talk.vtt.mp4", "vtt", ".srt"])
async def test_another_extension_is_refused_before_a_request(tmp_path: Path, name: str) -> None:
    wire = FakeWire(transcript("a"))
    with pytest.raises(FileRefused) as caught:
        await save(tmp_path, wire, name)

    assert ".vtt" in (caught.value.next_step or "")
    assert ".srt" in (caught.value.next_step or "")
    assert not wire.requests
    assert not list(tmp_path.iterdir())


async def test_a_file_is_replaced_only_on_request(tmp_path: Path) -> None:
    (tmp_path / "talk.srt").write_text("mine", encoding="utf-8")
    wire = FakeWire(transcript("a"))
    with pytest.raises(FileRefused, match="already exists"):
        await save(tmp_path, wire)
    assert (tmp_path / "talk.srt").read_text(encoding="utf-8") == "mine"
    assert not wire.requests

    await save(tmp_path, wire, overwrite=True)
    assert (tmp_path / "talk.srt").read_text(encoding="utf-8") == "1\n00:00:00,000 --> 00:00:02,000\na\n"


@pytest.mark.parametrize("name", ["../talk.srt", "/etc/talk.srt", "a/../../talk.vtt"])
async def test_a_path_outside_the_files_root_is_refused_before_a_request(tmp_path: Path, name: str) -> None:
    (tmp_path / "root").mkdir()
    wire = FakeWire(transcript("a"))
    with pytest.raises(FileRefused, match="outside the files root"):
        await save(tmp_path / "root", wire, name)

    assert not wire.requests
    assert [entry.name for entry in tmp_path.iterdir()] == ["root"]


async def test_a_window_goes_with_save_as_and_a_page_does_not(tmp_path: Path) -> None:
    with pytest.raises(InvalidArguments, match="save_as writes the whole window"):
        await save(tmp_path, FakeWire(transcript("a")), skip=3)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (envelope(None), "Nothing is said in it, or it is not ready yet"),
        (transcript("a", "b", times=False), "No segment of this window has a time."),
    ],
    ids=["nothing", "no times"],
)
async def test_without_a_cue_no_file_is_written(tmp_path: Path, answer: httpx2.Response, words: str) -> None:
    result = await save(tmp_path, FakeWire(answer))

    assert result.saved is None
    assert words in result.note
    assert "No file was written" in result.note
    assert not list(tmp_path.iterdir())


async def test_segments_without_a_time_are_counted(tmp_path: Path) -> None:
    rows = [{"content": "timed", "startTime": "1", "endTime": "2"}, {"content": "untimed"}]
    result = await save(tmp_path, FakeWire(envelope({"transcriptions": rows})))

    assert result.saved.cues == 1
    assert result.note == "1 segment without a time is not in the file."


def options_of(tools: Any) -> dict[str, set[str]]:
    return {tool.name: OPTIONS & tool.input_schema["properties"].keys() for tool in tools if tool.name in TOOLS}


def read_only_hints(tools: Any) -> set[bool]:
    return {tool.annotations.read_only_hint for tool in tools if tool.name in TOOLS}


async def test_the_option_is_offered_where_a_file_can_be_written_and_the_tool_then_does_not_only_read(
    live: Settings, tmp_path: Path
) -> None:
    async with Client(make_server(live.change(files_root=tmp_path))) as client:
        tools = (await client.list_tools()).tools

    assert options_of(tools) == dict.fromkeys(TOOLS, OPTIONS)
    assert read_only_hints(tools) == {False}


@pytest.mark.parametrize("closed", ["no files root", "read-only"])
async def test_elsewhere_the_tools_read_and_refuse_the_option(live: Settings, tmp_path: Path, closed: str) -> None:
    settings = live if closed == "no files root" else live.change(files_root=tmp_path, read_only=True)
    async with Client(make_server(settings)) as client:
        tools = (await client.list_tools()).tools
        page = await client.call_tool("get_audio_transcription", {"video_no": MEETING})
        refused = await client.call_tool("get_audio_transcription", {"video_no": MEETING, "save_as": "talk.srt"})

    assert options_of(tools) == NO_OPTIONS
    assert read_only_hints(tools) == {True}
    assert not page.is_error
    assert refused.is_error
    assert "save_as: no file can be written here: that takes MEMORIES_FILES_ROOT" in str(refused.content)
    assert not list(tmp_path.iterdir())


async def test_over_http_the_tools_stay_and_the_option_comes_with_the_files(
    open_house: Settings, tmp_path: Path
) -> None:
    rooted = open_house.change(files_root=tmp_path)
    async with run_http_server(rooted) as url, connect(url, "http modern", bearer_key()) as client:
        closed = (await client.list_tools()).tools
        refused = await client.call_tool("get_audio_transcription", {"video_no": MEETING, "save_as": "talk.srt"})
    async with run_http_server(rooted.change(http_files=True)) as url:
        async with connect(url, "http modern", bearer_key()) as client:
            opened = (await client.list_tools()).tools
            saved = await client.call_tool("get_audio_transcription", {"video_no": MEETING, "save_as": "talk.srt"})
        async with connect(url, "http modern", {**bearer_key(), "X-Memories-Read-Only": "true"}) as client:
            reading = (await client.list_tools()).tools
            narrowed = await client.call_tool("get_audio_transcription", {"video_no": MEETING, "save_as": "b.srt"})

    assert options_of(closed) == options_of(reading) == NO_OPTIONS
    assert options_of(opened) == dict.fromkeys(TOOLS, OPTIONS)
    assert refused.is_error
    assert narrowed.is_error
    assert not saved.is_error
    assert [entry.name for entry in tmp_path.iterdir()] == ["talk.srt"]


def test_langchain_offers_the_option_by_the_same_rule(live: Settings, tmp_path: Path) -> None:
    def options(**fields: Any) -> set[str]:
        kit = MemoriesToolkit(base_url=live.base_url, toolsets=["all"], **fields)
        properties: set[str] = set()
        for name in TOOLS:
            schema = kit.get_tool(name).args_schema
            assert isinstance(schema, dict)
            properties |= OPTIONS & schema["properties"].keys()
        return properties

    assert options(api_key=SecretStr("sk-1"), files_root=tmp_path) == OPTIONS
    assert options(api_key=SecretStr("sk-1")) == set()
    assert options(api_key=SecretStr("sk-1"), files_root=tmp_path, read_only=True) == set()
    assert options(per_run=True) == set()


async def test_a_usual_other_name_is_answered_with_the_option(tmp_path: Path) -> None:
    async with calling(FakeWire(transcript("a")), files_root=tmp_path) as runner:
        with pytest.raises(InvalidArguments, match="path: unknown argument; use save_as"):
            await run(runner, "get_audio_transcription", video_no="VI1", path="talk.srt")


def test_only_the_transcript_tools_have_options_for_files() -> None:
    assert {operation.name for operation in OPERATIONS if operation.file_options} == TOOLS
    assert not TOOLS & {operation.name for operation in OPERATIONS if operation.uses_files}


def test_the_command_line_saves_a_transcript_without_a_files_root(live: Settings, tmp_path: Path) -> None:
    file = tmp_path / "talk.srt"

    def save_as(*options: str) -> subprocess.CompletedProcess[str]:
        command = ("transcript", MEETING, "--save-as", str(file), *options)
        return run_cli(*command, MEMORIES_BASE_URL=live.base_url, MEMORIES_API_KEY=live.api_key)

    saved = save_as()
    content = file.read_text(encoding="utf-8")
    again, replaced = save_as(), save_as("--overwrite")

    assert saved.returncode == 0, saved.stderr
    assert saved.stdout == f"{file}: {content.count(' --> ')} cues\n"
    assert again.returncode != 0
    assert "already exists" in again.stderr
    assert replaced.returncode == 0
