"""`memories-mcp doctor`: says what is wrong and how to mend it, and never a key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from memories_mcp.cli.doctor import Finding, examine
from memories_mcp.cli.mcp_clients import CLIENTS, config_path
from memories_mcp.errors import MemoriesError
from memories_mcp.operations import OPERATIONS
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio


async def found(settings: Settings, home: Path) -> list[Finding]:
    findings = [each async for each in examine(settings, home, {})]
    for each in findings:
        for secret in (settings.api_key, settings.caption_api_key, "sk-"):
            assert not secret or secret not in each.what + each.mend
        assert each.state == "ok" or each.mend or each.state == "note"
    return findings


def wrong(findings: list[Finding]) -> list[str]:
    return [each.what for each in findings if each.state == "wrong"]


async def test_a_good_installation_has_nothing_wrong(live: Settings, tmp_path: Path) -> None:
    findings = await found(live.change(files_root=tmp_path), tmp_path)
    text = "\n".join(each.what for each in findings)

    assert wrong(findings) == []
    assert "the key is taken; the library has 7 videos" in text
    assert f"files root {tmp_path}" in text
    assert f"offered: {len(OPERATIONS)} tools" in text
    assert "MEMORIES_BASE_URL leads to" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"api_key": "sk-refused-1"}, "the key is refused"),
        ({"api_key": "sk-no-credits-1"}, "no credits"),
        ({"base_url": "http://127.0.0.1:9", "caption_base_url": "http://127.0.0.1:9"}, "is not reached"),
    ],
)
async def test_what_is_wrong_is_named(live: Settings, tmp_path: Path, change: dict[str, str], words: str) -> None:
    assert any(words in each for each in wrong(await found(live.change(**change), tmp_path)))


async def test_a_missing_key_is_named_with_the_variable(sandbox_url: str, tmp_path: Path) -> None:
    findings = await found(Settings(base_url=sandbox_url), tmp_path)

    assert wrong(findings) == ["there is no key"]
    assert "MEMORIES_API_KEY" in next(each.mend for each in findings if each.state == "wrong")


async def test_an_empty_namespace_is_a_hint(live: Settings, tmp_path: Path) -> None:
    findings = await found(live.change(unique_id="nobody"), tmp_path)

    assert "MEMORIES_UNIQUE_ID" in next(each.mend for each in findings if "library is empty" in each.what)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="everything is open to root, and to Windows' modes")
async def test_a_folder_that_may_not_be_written_is_wrong(live: Settings, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)

    assert any(
        "cannot be read and written" in each for each in wrong(await found(live.change(files_root=closed), tmp_path))
    )


async def test_the_clients_that_are_found_are_looked_at(live: Settings, tmp_path: Path) -> None:
    entries = {"claude": "/gone/memories-mcp", "cursor": sys.executable, "vscode": "memories-mcp"}
    for name, command in entries.items():
        path = config_path(CLIENTS[name], tmp_path, {})
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({CLIENTS[name].section: {"memories": {"command": command}}}), encoding="utf-8")
    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex/config.toml").write_text("[mcp_servers", encoding="utf-8")
    elsewhere = {"mcpServers": {"memories": {"url": "https://mcp.example.com/mcp"}}}
    (tmp_path / ".claude.json").write_text(json.dumps(elsewhere), encoding="utf-8")
    findings = {each.what: each for each in await found(live, tmp_path)}

    assert findings["Claude Code reaches a server at https://mcp.example.com/mcp"].state == "ok"
    assert any(each.startswith("Codex cannot read ") for each in wrong(list(findings.values())))
    assert findings["Claude Desktop starts /gone/memories-mcp, which is not there"].state == "wrong"
    assert findings[f"Cursor starts {sys.executable}"].state == "ok"
    assert findings["VS Code starts 'memories-mcp' by its name alone"].mend.startswith("Apps may lack the PATH")


async def test_every_setting_that_makes_no_sense_is_named(sandbox_url: str, tmp_path: Path) -> None:
    environ = {"MEMORIES_FILES_ROOT": "/nope", "MEMORIES_RATE_LIMITS": "x", "MEMORIES_BASE_URL": sandbox_url}
    problems: list[MemoriesError] = []
    settings = Settings.from_environment(environ, problems=problems).change(toolsets=("serch",), api_key="sk-x")
    findings = [each async for each in examine(settings, tmp_path, {}, problems)]
    told = "\n".join(wrong(findings))

    assert "MEMORIES_FILES_ROOT" in told
    assert "MEMORIES_RATE_LIMITS" in told
    assert "Unknown toolset: serch" in told
    assert any("the key is taken" in each.what for each in findings)


async def test_the_rate_limits_that_hold_are_told_and_a_closed_tool_stands_in_no_ones_way(
    live: Settings, tmp_path: Path
) -> None:
    settings = live.change(rate_limits={"chat": (1.0, 60.0)}, exclude_tools=("list_videos",))
    text = "\n".join(each.what for each in await found(settings, tmp_path))

    assert "search 10/1 s" in text
    assert "chat 1/60 s" in text
    assert "the key is taken" in text


async def test_behind_a_proxy_the_host_itself_is_not_tried(live: Settings, tmp_path: Path) -> None:
    far = live.change(base_url="http://api.invalid", toolsets=("search",))
    findings = [each async for each in examine(far.change(api_key=""), tmp_path, {"HTTPS_PROXY": "http://127.0.0.1:9"})]

    assert any("by a proxy" in each.what and each.state == "note" for each in findings)


@pytest.mark.parametrize(("options", "code"), [(["--sandbox"], 0), ([], 1)])
def test_the_exit_code_says_so(options: list[str], code: int, tmp_path: Path) -> None:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MEMORIES_")}
    variables |= {"HOME": str(tmp_path), "MEMORIES_BASE_URL": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "memories_mcp", *options, "doctor"]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=60)

    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines()[-1] == ("Everything is as it must be." if code == 0 else "2 of it must be mended.")
