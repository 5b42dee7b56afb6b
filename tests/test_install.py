"""`memories-mcp install`: the server's entry in the configurations of clients, and nothing else touched."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

import pytest

from memories_mcp import install
from memories_mcp.errors import ConfigurationError
from memories_mcp.install import CLIENTS, Plan, Platform, carry_out, config_path, own_command, plan

KEY = "sk-very-secret-key"
MAC, WINDOWS, LINUX = PurePosixPath("/Users/ann"), PureWindowsPath("C:/Users/ann"), PurePosixPath("/home/ann")
APPDATA = {"APPDATA": "C:\\Users\\ann\\AppData\\Roaming"}


@pytest.mark.parametrize(
    ("client", "platform", "home", "environ", "path"),
    [
        ("claude", "darwin", MAC, {}, "/Users/ann/Library/Application Support/Claude/claude_desktop_config.json"),
        ("claude", "win32", WINDOWS, APPDATA, "C:\\Users\\ann\\AppData\\Roaming\\Claude\\claude_desktop_config.json"),
        ("claude", "win32", WINDOWS, {}, "C:\\Users\\ann\\AppData\\Roaming\\Claude\\claude_desktop_config.json"),
        ("claude", "linux", LINUX, {}, "/home/ann/.config/Claude/claude_desktop_config.json"),
        ("claude", "linux", LINUX, {"XDG_CONFIG_HOME": "/x"}, "/x/Claude/claude_desktop_config.json"),
        ("cursor", "darwin", MAC, {}, "/Users/ann/.cursor/mcp.json"),
        ("cursor", "win32", WINDOWS, APPDATA, "C:\\Users\\ann\\.cursor\\mcp.json"),
        ("cursor", "linux", LINUX, {}, "/home/ann/.cursor/mcp.json"),
        ("vscode", "darwin", MAC, {}, "/Users/ann/Library/Application Support/Code/User/mcp.json"),
        ("vscode", "win32", WINDOWS, APPDATA, "C:\\Users\\ann\\AppData\\Roaming\\Code\\User\\mcp.json"),
        ("vscode", "linux", LINUX, {}, "/home/ann/.config/Code/User/mcp.json"),
    ],
)
def test_a_client_keeps_its_servers_where_its_platform_has_them(
    client: str, platform: Platform, home: PurePath, environ: dict[str, str], path: str
) -> None:
    where = CLIENTS[client].path
    assert where
    assert str(where(platform, home, environ)) == path


def planned(client: str, home: Path, *args: str, key: str = KEY, **more: Any) -> Plan:
    return plan(CLIENTS[client], args, key, home=home, environ={}, **more)


@pytest.mark.parametrize("client", ["claude", "cursor", "vscode"])
def test_a_new_file_holds_the_entry_and_only_its_owner_may_read_it(client: str, tmp_path: Path) -> None:
    wanted = planned(client, tmp_path, "--read-only")
    said = carry_out(wanted)
    assert wanted.path
    entry = json.loads(wanted.path.read_text(encoding="utf-8"))[CLIENTS[client].section]["memories"]

    assert str(wanted.path) in said
    assert Path(entry["command"]).is_absolute()
    assert entry["args"][-1] == "--read-only"
    assert entry["env"]["MEMORIES_API_KEY"] == (CLIENTS[client].reference or KEY)
    if os.name == "posix":
        assert stat.S_IMODE(wanted.path.stat().st_mode) == 0o600


def test_other_entries_and_settings_stay_as_they_are_and_what_was_there_is_kept(tmp_path: Path) -> None:
    path = config_path(CLIENTS["claude"], tmp_path, {})
    assert path
    path.parent.mkdir(parents=True)
    before: dict[str, Any] = {
        "theme": "dark",
        "mcpServers": {
            "other": {"command": "x", "args": ["ü"]},
            "memories": {
                "command": "old",
                "args": ["--sandbox"],
                "env": {"MEMORIES_UNIQUE_ID": "team"},
                "disabled": True,
            },
        },
    }
    path.write_text(json.dumps(before, ensure_ascii=False), encoding="utf-8")
    carry_out(planned("claude", tmp_path))
    after = json.loads(path.read_text(encoding="utf-8"))

    assert after["theme"] == "dark"
    assert after["mcpServers"]["other"] == before["mcpServers"]["other"]
    ours = after["mcpServers"]["memories"]
    assert ours["env"] == {"MEMORIES_UNIQUE_ID": "team", "MEMORIES_API_KEY": KEY}
    assert ours["disabled"] is True
    assert ours["command"] != "old"
    assert "--sandbox" not in ours.get("args", [])
    [backup] = path.parent.glob("*.bak")
    assert json.loads(backup.read_text(encoding="utf-8")) == before
    assert "already" in carry_out(planned("claude", tmp_path))
    assert len(list(path.parent.glob("*.bak"))) == 1


@pytest.mark.parametrize("broken", ['{"mcpServers": {} // mine\n}', "[]", '{"mcpServers": []}', "{"])
def test_a_file_that_cannot_be_merged_is_left_as_it_is(tmp_path: Path, broken: str) -> None:
    path = tmp_path / ".cursor/mcp.json"
    path.parent.mkdir()
    path.write_text(broken, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="left as it"):
        planned("cursor", tmp_path)

    assert path.read_text(encoding="utf-8") == broken
    assert list(path.parent.iterdir()) == [path]


def test_an_empty_file_is_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / ".cursor/mcp.json"
    path.parent.mkdir()
    path.touch()

    assert "memories" in json.loads(planned("cursor", tmp_path).text)["mcpServers"]


def test_vs_code_asks_for_the_key_once(tmp_path: Path) -> None:
    first = planned("vscode", tmp_path)
    carry_out(first)
    again = json.loads(planned("vscode", tmp_path, "--read-only").text)

    assert [each["id"] for each in again["inputs"]] == ["memories-api-key"]
    assert again["inputs"][0]["password"] is True
    assert again["servers"]["memories"]["type"] == "stdio"


def test_a_key_is_needed_only_where_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="MEMORIES_API_KEY"):
        planned("claude", tmp_path, key="")
    assert "env" not in planned("claude", tmp_path, "--sandbox", key="", sandbox=True).entry.data()
    for client in ("cursor", "vscode", "claude-code"):
        assert planned(client, tmp_path).entry.key.startswith("${")


@pytest.mark.parametrize("client", list(CLIENTS))
def test_what_is_shown_never_holds_the_key(client: str, tmp_path: Path) -> None:
    assert KEY not in planned(client, tmp_path).shown()


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for a client's command is a shell script")
@pytest.mark.parametrize(("client", "program"), [("claude-code", "claude"), ("codex", "codex")])
def test_a_clients_own_command_is_run(
    client: str, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=f"`{program}`.*not on the PATH"):
        carry_out(planned(client, tmp_path))
    script = tmp_path / program
    script.write_text(f'#!/bin/sh\nfor each; do echo "$each"; done > {tmp_path}/seen\n[ ! -e {tmp_path}/fail ]\n')
    script.chmod(0o755)
    said = carry_out(planned(client, tmp_path))
    seen = (tmp_path / "seen").read_text().splitlines()

    assert said.startswith("Added to ")
    assert ("env_vars" in said) == (client == "codex")
    assert seen[:2] == ["mcp", "add"]
    assert Path(seen[seen.index("--") + 1]).is_absolute()
    assert ("MEMORIES_API_KEY=${MEMORIES_API_KEY}" in seen) == (client == "claude-code")
    assert not any(KEY in each for each in seen)
    (tmp_path / "fail").touch()
    with pytest.raises(ConfigurationError, match="refused it"):
        carry_out(planned(client, tmp_path))


def test_the_command_is_an_absolute_path_that_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Path(own_command("memories-mcp")[0]).is_absolute()
    cached = tmp_path / "uv/archive-v0/abc/bin/memories-mcp"
    cached.parent.mkdir(parents=True)
    cached.touch()

    def which(name: str) -> str:
        return f"/opt/{name}"

    monkeypatch.setattr(install.shutil, "which", which)
    assert own_command(str(cached)) == ("/opt/uvx", "memories-mcp")
    assert own_command(str(tmp_path / "x.py"))[0] != "x.py"


def test_a_dry_run_on_the_command_line_prints_and_writes_nothing(tmp_path: Path) -> None:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MEMORIES_")}
    variables |= {
        "HOME": str(tmp_path),
        "USERPROFILE": str(tmp_path),
        "APPDATA": str(tmp_path),
        "MEMORIES_API_KEY": KEY,
    }
    variables.pop("XDG_CONFIG_HOME", None)
    command = [sys.executable, "-m", "memories_mcp", "--toolsets", "search", "install", "claude"]
    dry = subprocess.run([*command, "--dry-run"], capture_output=True, text=True, env=variables, timeout=60)

    assert '"--toolsets",\n        "search"' in dry.stdout
    assert KEY not in dry.stdout + dry.stderr
    assert list(tmp_path.iterdir()) == []
    wet = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=60)
    assert wet.returncode == 0, wet.stderr
    [written] = tmp_path.rglob("claude_desktop_config.json")
    entry = json.loads(written.read_text(encoding="utf-8"))["mcpServers"]["memories"]
    started = subprocess.run(
        [entry["command"], *entry["args"], "tools"],
        capture_output=True,
        text=True,
        env=variables | entry["env"],
        timeout=60,
    )
    assert "search_videos" in started.stdout
    unknown = subprocess.run([*command[:-1], "emacs"], capture_output=True, text=True, env=variables, timeout=60)
    assert unknown.returncode == 2
    assert "claude, claude-code, cursor, vscode, codex" in unknown.stderr
