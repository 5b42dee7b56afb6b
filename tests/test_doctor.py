"""`memories-mcp doctor`: names each problem with its remedy, and never shows a key."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from command_line import run_cli

from memories_mcp.cli.doctor import Finding, check
from memories_mcp.cli.mcp_clients import CLIENT_APPS, config_path
from memories_mcp.errors import MemoriesError
from memories_mcp.operations import OPERATIONS
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio


async def find(settings: Settings, home: Path) -> list[Finding]:
    findings = [finding async for finding in check(settings, home, {})]
    for finding in findings:
        for secret in (settings.api_key, settings.caption_api_key, "sk-"):
            assert not secret or secret not in finding.message + finding.remedy
        assert finding.state != "problem" or finding.remedy
    return findings


def problems_in(findings: list[Finding]) -> list[str]:
    return [finding.message for finding in findings if finding.state == "problem"]


async def test_a_good_installation_has_no_problem(live: Settings, tmp_path: Path) -> None:
    findings = await find(live.change(files_root=tmp_path), tmp_path)
    text = "\n".join(finding.message for finding in findings)

    assert problems_in(findings) == []
    assert "API key: accepted; the library has 7 videos" in text
    assert f"Files root: {tmp_path}" in text
    assert f"Tools: {len(OPERATIONS)} offered" in text
    assert "MEMORIES_BASE_URL: " in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"api_key": "sk-refused-1"}, "API key: refused"),
        ({"api_key": "sk-no-credits-1"}, "no credits"),
        ({"base_url": "http://127.0.0.1:9", "caption_base_url": "http://127.0.0.1:9"}, "cannot connect to"),
    ],
)
async def test_a_problem_is_named(live: Settings, tmp_path: Path, change: dict[str, str], words: str) -> None:
    assert any(words in problem for problem in problems_in(await find(live.change(**change), tmp_path)))


async def test_a_missing_key_is_named_with_the_variable(sandbox_url: str, tmp_path: Path) -> None:
    findings = await find(Settings(base_url=sandbox_url), tmp_path)

    assert problems_in(findings) == ["API key: not set"]
    assert "MEMORIES_API_KEY" in next(finding.remedy for finding in findings if finding.state == "problem")


async def test_an_empty_namespace_is_a_note(live: Settings, tmp_path: Path) -> None:
    findings = await find(live.change(unique_id="unused"), tmp_path)

    assert "MEMORIES_UNIQUE_ID" in next(finding.remedy for finding in findings if "library is empty" in finding.message)


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere, and Windows has no such modes"
)
async def test_a_folder_without_write_permission_is_a_problem(live: Settings, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)

    assert any(
        "cannot be read and written" in problem
        for problem in problems_in(await find(live.change(files_root=closed), tmp_path))
    )


async def test_the_configurations_of_clients_are_checked(live: Settings, tmp_path: Path) -> None:
    entries = {"claude": "/gone/memories-mcp", "cursor": sys.executable, "vscode": "memories-mcp"}
    for name, command in entries.items():
        path = config_path(CLIENT_APPS[name], tmp_path, {})
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({CLIENT_APPS[name].section: {"memories": {"command": command}}}), encoding="utf-8")
    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex/config.toml").write_text("[mcp_servers", encoding="utf-8")
    elsewhere = {"mcpServers": {"memories": {"url": "https://mcp.example.com/mcp"}}}
    (tmp_path / ".claude.json").write_text(json.dumps(elsewhere), encoding="utf-8")
    findings = {finding.message: finding for finding in await find(live, tmp_path)}

    assert findings["Claude Code: uses a server at https://mcp.example.com/mcp"].state == "ok"
    assert any(problem.startswith("Codex: cannot read ") for problem in problems_in(list(findings.values())))
    assert findings["Claude Desktop: starts /gone/memories-mcp, which does not exist"].state == "problem"
    assert findings[f"Cursor: starts {sys.executable}"].state == "ok"
    assert findings["VS Code: starts 'memories-mcp' without a path"].remedy.startswith(
        "Apps may lack your shell's PATH"
    )


async def test_every_invalid_setting_is_named(sandbox_url: str, tmp_path: Path) -> None:
    environ = {"MEMORIES_FILES_ROOT": "/nope", "MEMORIES_RATE_LIMITS": "x", "MEMORIES_BASE_URL": sandbox_url}
    problems: list[MemoriesError] = []
    settings = Settings.from_environment(environ, problems=problems).change(toolsets=("serch",), api_key="sk-x")
    findings = [finding async for finding in check(settings, tmp_path, {}, problems)]
    text = "\n".join(problems_in(findings))

    assert "MEMORIES_FILES_ROOT" in text
    assert "MEMORIES_RATE_LIMITS" in text
    assert "Unknown toolset: serch" in text
    assert any("API key: accepted" in finding.message for finding in findings)


async def test_the_rate_limits_are_shown_and_an_excluded_tool_does_not_prevent_the_check_of_the_key(
    live: Settings, tmp_path: Path
) -> None:
    settings = live.change(rate_limits={"chat": (1.0, 60.0)}, exclude_tools=("list_videos",))
    text = "\n".join(finding.message for finding in await find(settings, tmp_path))

    assert "search 10/1 s" in text
    assert "chat 1/60 s" in text
    assert "API key: accepted" in text


async def test_behind_a_proxy_no_direct_connection_is_tried(live: Settings, tmp_path: Path) -> None:
    remote = live.change(base_url="http://api.invalid", toolsets=("search",))
    findings = [
        finding async for finding in check(remote.change(api_key=""), tmp_path, {"HTTPS_PROXY": "http://127.0.0.1:9"})
    ]

    assert any("through a proxy" in finding.message and finding.state == "note" for finding in findings)


@pytest.mark.parametrize(("options", "code"), [(["--sandbox"], 0), ([], 1)])
def test_the_summary_and_the_exit_code_report_problems(options: list[str], code: int, tmp_path: Path) -> None:
    result = run_cli(*options, "doctor", HOME=str(tmp_path), MEMORIES_BASE_URL="http://127.0.0.1:9")

    assert result.returncode == code, result.stderr
    assert result.stdout.splitlines()[-1] == ("2 problems found." if code else "No problems found.")
