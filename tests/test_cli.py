"""The command line and the documents, as a newcomer meets them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import MEETING

from memories_mcp.errors import ConfigurationError
from memories_mcp.operations import OPERATIONS, select
from memories_mcp.settings import Settings

ROOT = Path(__file__).parents[1]


def cli(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    env = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-m", "memories_mcp", *arguments], capture_output=True, text=True, timeout=60, env=env,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_the_demo_tells_a_story_with_citations_and_ends_well() -> None:
    done = cli("demo", MEMORIES_TOOLSETS="nonsense", MEMORIES_API_KEY="sk-real")

    assert done.returncode == 0, done.stderr
    assert "What is the price of the Team plan?" in done.stdout
    assert re.search(r"\[1\] \d+:\d\d-\d+:\d\d Quarterly planning meeting", done.stdout)
    assert "twenty-four euros" in done.stdout
    assert "LangChain" in done.stdout
    assert "\x1b[" not in done.stdout
    assert done.stderr == ""


def test_tools_are_listed_for_people_and_for_programs() -> None:
    listed = cli("tools")
    as_json = json.loads(cli("tools", "--json").stdout)

    assert all(operation.name in listed.stdout for operation in select())
    assert [each["name"] for each in as_json] == [operation.name for operation in select()]
    assert as_json[0]["inputSchema"] == OPERATIONS[0].input_schema


def test_a_tool_is_called_by_hand() -> None:
    text = cli("--sandbox", "call", "search_videos", '{"query": "price of the Team plan"}')
    data = json.loads(cli("--sandbox", "call", "list_videos", "--json").stdout)

    assert "Quarterly planning meeting" in text.stdout
    assert MEETING in {each["video_no"] for each in data["videos"]}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--sandbox", "call", "nothing"), "There is no tool nothing"),
        (("--sandbox", "call", "list_videos", "{"), "not JSON"),
        (("--sandbox", "call", "list_videos", "[]"), "must be a JSON object"),
        (("--sandbox", "call", "search_videos", "{}"), "query: required"),
        (("--toolsets", "nope", "tools"), "Unknown toolset: nope. There are: default, all, search"),
        (("--exclude-tools", "nope", "tools"), "Unknown tool: nope"),
        (("call", "list_videos"), "MEMORIES_API_KEY"),
        (("call", "caption_image_url"), "not offered with these settings. `memories-mcp --toolsets all tools`"),
        (("--nonsense",), "usage:"),
    ],
)
def test_wrong_use_ends_with_code_2_and_one_clear_line(arguments: tuple[str, ...], says: str) -> None:
    done = cli(*arguments)

    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_what_cannot_be_undone_is_shown_by_hand_and_done_when_told() -> None:
    arguments = ("--sandbox", "call", "delete_videos", json.dumps({"video_nos": [MEETING]}))

    assert "confirmation_token" in cli(*arguments).stdout
    assert json.loads(cli(*arguments, "--yes", "--json").stdout) == {"deleted": [MEETING]}


def test_a_refusal_of_the_api_ends_with_code_1() -> None:
    done = cli("--sandbox", "call", "get_audio_transcription", '{"video_no": "VI1"}')

    assert done.returncode == 1
    assert "video not found" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "says"),
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
def test_a_setting_that_makes_no_sense_is_named(variable: str, value: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({variable: value})

    assert says in str(caught.value)


def test_settings_are_read_and_forgiving() -> None:
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
    done = subprocess.run(
        [sys.executable, "-m", "tools.write_docs", "--check"], capture_output=True, text=True, timeout=60, cwd=ROOT
    )

    assert done.returncode == 0, done.stdout


def test_the_configurations_in_the_documents_are_what_they_say() -> None:
    text = (ROOT / "docs/clients.md").read_text(encoding="utf-8")
    configs = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    [codex] = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)]

    assert len(configs) == 3
    for each in [*configs, codex]:
        servers = each.get("mcpServers") or each.get("servers") or each["mcp_servers"]
        assert servers["memories"].keys() & {"command", "url"}


@pytest.mark.parametrize("path", [ROOT / "README.md", *(ROOT / "docs").glob("*.md")], ids=lambda path: path.stem)
def test_the_links_of_a_document_lead_somewhere(path: Path) -> None:
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
        (["sandbox", "--port", "0", "--data", __file__], "cannot run there"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(arguments: list[str], words: str) -> None:
    command = [sys.executable, "-m", "memories_mcp", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
