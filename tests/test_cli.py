"""The command line and the documents."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from command_line import read_terminal, run_cli
from conftest import MEETING
from processes import run_process, start_process

from memories_mcp.errors import ConfigurationError
from memories_mcp.operations import OPERATIONS, select
from memories_mcp.settings import Settings

ROOT = Path(__file__).parents[1]


def test_the_demo_shows_an_answer_with_citations_and_ends_well() -> None:
    result = run_cli("demo", MEMORIES_TOOLSETS="nonsense", MEMORIES_API_KEY="sk-real")

    assert result.returncode == 0, result.stderr
    assert "What is the price of the Team plan?" in result.stdout
    assert re.search(r"\[1\] \d+:\d\d-\d+:\d\d Quarterly planning meeting", result.stdout)
    assert "twenty-four euros" in result.stdout
    assert "LangChain" in result.stdout
    assert "\x1b[" not in result.stdout
    assert result.stderr == ""


def test_tools_are_listed_as_a_table_and_as_json() -> None:
    listed = run_cli("tools")
    as_json = json.loads(run_cli("tools", "--json").stdout)

    assert all(operation.name in listed.stdout for operation in select())
    assert [tool["name"] for tool in as_json] == [operation.name for operation in select()]
    assert as_json[0]["inputSchema"] == OPERATIONS[0].input_schema


@pytest.mark.skipif(os.name != "posix", reason="terminals are POSIX's here")
def test_the_table_of_tools_cuts_no_name_in_a_narrow_terminal() -> None:
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    env = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"TERM": "xterm"}
    process = start_process("--toolsets", "all", "tools", stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    text = read_terminal(ours)

    assert process.wait(timeout=30) == 0
    assert [operation.name for operation in OPERATIONS if operation.name not in text] == []


def test_call_prints_the_text_or_the_structured_result() -> None:
    text = run_cli("--sandbox", "call", "search_videos", '{"query": "price of the Team plan"}')
    data = json.loads(run_cli("--sandbox", "call", "list_videos", "--json").stdout)

    assert "Quarterly planning meeting" in text.stdout
    assert MEETING in {video["video_no"] for video in data["videos"]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--sandbox", "call", "nothing"), "Unknown tool: nothing"),
        (("--sandbox", "call", "list_videos", "{"), "not JSON"),
        (("--sandbox", "call", "list_videos", "[]"), "must be a JSON object"),
        (("--sandbox", "call", "search_videos", "{}"), "query: required"),
        (("--toolsets", "nope", "tools"), "Unknown toolset: nope. There are: default, all, search"),
        (("--exclude-tools", "nope", "tools"), "Unknown tool: nope"),
        (("call", "list_videos"), "MEMORIES_API_KEY"),
        (("call", "caption_image_url"), "not offered with these settings. Change --toolsets"),
        (("--nonsense",), "usage:"),
    ],
)
def test_wrong_use_ends_with_code_2_and_a_message_of_one_line(arguments: tuple[str, ...], words: str) -> None:
    result = run_cli(*arguments)

    assert result.returncode == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_an_irreversible_action_is_previewed_and_run_with_yes() -> None:
    arguments = ("--sandbox", "call", "delete_videos", json.dumps({"video_nos": [MEETING]}))

    assert "confirmation_token" in run_cli(*arguments).stdout
    assert json.loads(run_cli(*arguments, "--yes", "--json").stdout) == {"deleted": [MEETING]}


def test_a_refusal_of_the_api_ends_with_code_1() -> None:
    result = run_cli("--sandbox", "call", "get_audio_transcription", '{"video_no": "VI1"}')

    assert result.returncode == 1
    assert "video not found" in result.stderr


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("MEMORIES_READ_ONLY", "maybe", "MEMORIES_READ_ONLY is 'maybe': use true or false."),
        ("MEMORIES_BASE_URL", "https://host:abc", "MEMORIES_BASE_URL is 'https://host:abc'"),
        ("MEMORIES_BASE_URL", "api.memories.ai", "MEMORIES_BASE_URL is 'api.memories.ai': use a full URL"),
        (
            "MEMORIES_FILES_ROOT",
            "/no/such/folder",
            "MEMORIES_FILES_ROOT is '/no/such/folder': use the path of an",
        ),
        ("MEMORIES_API_KEY", "${MY_KEY}", "MEMORIES_API_KEY still contains a placeholder"),
        ("MEMORIES_RATE_LIMITS", "fast", "MEMORIES_RATE_LIMITS is 'fast': use `off` or"),
        ("MEMORIES_RATE_LIMITS", "chat=0/1", "greater than 0"),
        ("MEMORIES_API_KEY", "sk-ü", "MEMORIES_API_KEY: use printable ASCII characters without spaces"),
    ],
)
def test_an_invalid_setting_is_named(variable: str, value: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({variable: value})

    assert words in str(caught.value)


def test_settings_are_read_tolerantly() -> None:
    settings = Settings.from_environment(
        {
            "MEMORIES_API_KEY": "Bearer sk-x ",
            "MEMORIES_TOOLSETS": " search , chat,",
            "MEMORIES_READ_ONLY": "ON",
            "MEMORIES_BASE_URL": "https://host/",
            "MEMORIES_UNIQUE_ID": "",
        }
    )

    assert settings.api_key == "sk-x"
    assert settings.toolsets == ("search", "chat")
    assert settings.read_only
    assert settings.base_url == "https://host"
    assert settings.unique_id == ""


def test_the_generated_tables_are_current() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tools.write_docs", "--check"], capture_output=True, text=True, timeout=60, cwd=ROOT
    )

    assert result.returncode == 0, result.stdout


def test_the_configurations_in_the_documents_are_valid() -> None:
    text = (ROOT / "docs/clients.md").read_text(encoding="utf-8")
    configs = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    [codex] = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)]

    [openai_tool] = [config for config in configs if config.get("type") == "mcp"]
    configs.remove(openai_tool)

    assert openai_tool.keys() >= {"server_label", "server_url"}
    assert len(configs) == 3
    for config in [*configs, codex]:
        servers = config.get("mcpServers") or config.get("servers") or config["mcp_servers"]
        assert servers["memories"].keys() & {"command", "url"}


@pytest.mark.parametrize("path", [ROOT / "README.md", *(ROOT / "docs").glob("*.md")], ids=lambda path: path.stem)
def test_the_links_of_a_document_lead_to_files(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\((?!https?:|memories:)([^)#]+)", text):
        assert (path.parent / link).exists(), link


def test_the_readmes_langchain_snippet_runs(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(next(block for block in blocks if "MemoriesToolkit" in block), {})

    assert "Quarterly planning meeting" in capsys.readouterr().out


def test_contributing_names_each_dependency_with_its_reason() -> None:
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    names = re.findall(r'^    "([a-z0-9-]+)>=', project.split("[project.scripts]")[0], re.MULTILINE)

    assert len(names) > 8
    assert [name for name in names if f"`{name}`" not in contributing] == []


def test_no_constraint_records_where_it_was_downloaded() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()

    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line) for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "9000"], "Add --transport http"),
        (["--transport", "http", "install", "cursor", "--dry-run"], "over stdio"),
        (["sandbox", "--port", "99999"], "Cannot listen on port 99999"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(arguments: list[str], words: str) -> None:
    result = run_cli(*arguments)

    assert result.returncode == 2
    assert words in result.stderr


def test_a_file_in_place_of_the_data_folder_is_refused() -> None:
    result = run_process("sandbox", "--port", "0", "--data", __file__)

    assert result.returncode == 2
    assert "cannot start" in result.stderr
    assert "Traceback" not in result.stderr
