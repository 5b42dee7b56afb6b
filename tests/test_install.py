"""`memories-mcp install`: the server's entry in the configurations of clients, and nothing else touched."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

import pytest

from memories_mcp.cli import mcp_clients as clients
from memories_mcp.cli.install import Plan, carry_out, plan
from memories_mcp.cli.mcp_clients import CLIENTS, Platform, config_path, own_command
from memories_mcp.errors import ConfigurationError

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
        ("claude-code", "linux", LINUX, {}, "/home/ann/.claude.json"),
        ("codex", "win32", WINDOWS, APPDATA, "C:\\Users\\ann\\.codex\\config.toml"),
        ("codex", "darwin", MAC, {}, "/Users/ann/.codex/config.toml"),
        ("codex", "linux", LINUX, {"CODEX_HOME": "/x"}, "/x/config.toml"),
    ],
)
def test_a_client_keeps_its_servers_where_its_platform_has_them(
    client: str, platform: Platform, home: PurePath, environ: dict[str, str], path: str
) -> None:
    assert str(CLIENTS[client].path(platform, home, environ)) == path


def planned(
    client: str, home: Path, *args: str, key: str = KEY, environ: Mapping[str, str] | None = None, sandbox: bool = False
) -> Plan:
    return plan(CLIENTS[client], args, key, home=home, environ=environ or {}, sandbox=sandbox)


def entry(wanted: Plan) -> dict[str, Any]:
    """What stands in the client's file."""
    text = wanted.path.read_text(encoding="utf-8")
    whole = tomllib.loads(text) if wanted.path.suffix == ".toml" else json.loads(text)
    return whole[wanted.client.section]["memories"]


@pytest.mark.parametrize("client", ["claude", "cursor", "vscode", "codex"])
def test_a_new_file_holds_the_entry_and_only_its_owner_may_read_it(client: str, tmp_path: Path) -> None:
    wanted = planned(client, tmp_path, "--read-only")
    said = carry_out(wanted)
    made = entry(wanted)

    assert str(wanted.path) in said
    assert Path(made["command"]).is_absolute()
    assert made["args"][-1] == "--read-only"
    if client == "codex":
        assert made["env_vars"] == ["MEMORIES_API_KEY"]
    else:
        assert made["env"]["MEMORIES_API_KEY"] == (CLIENTS[client].reference or KEY)
    if os.name == "posix":
        assert stat.S_IMODE(wanted.path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_key_is_never_left_in_a_file_that_others_can_read(tmp_path: Path) -> None:
    wanted = planned("claude", tmp_path)
    wanted.path.parent.mkdir(parents=True)
    wanted.path.write_text('{"mcpServers": {}}', encoding="utf-8")
    wanted.path.chmod(0o644)
    carry_out(wanted)

    assert {stat.S_IMODE(each.stat().st_mode) for each in wanted.path.parent.iterdir()} == {0o600}
    open_to_all = planned("cursor", tmp_path)
    open_to_all.path.parent.mkdir()
    open_to_all.path.write_text("{}", encoding="utf-8")
    open_to_all.path.chmod(0o644)
    carry_out(open_to_all)
    assert stat.S_IMODE(open_to_all.path.stat().st_mode) == 0o644


def test_other_entries_and_settings_stay_as_they_are_and_what_was_there_is_kept(tmp_path: Path) -> None:
    path = config_path(CLIENTS["claude"], tmp_path, {})
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


@pytest.mark.parametrize(
    ("client", "broken"),
    [
        ("cursor", b'{"mcpServers": {} // mine\n}'),
        ("cursor", b"[]"),
        ("cursor", b'{"mcpServers": []}'),
        ("cursor", b"{"),
        ("cursor", b"\xff\xfe"),
        ("vscode", b'{"inputs": {"a": 1}}'),
        ("codex", b"[mcp_servers.memories\n"),
        ("codex", b'mcp_servers = { memories = { command = "x" } }\n'),
        ("codex", b'mcp_servers = "x"\n'),
    ],
)
def test_a_file_that_cannot_be_merged_is_left_as_it_is(tmp_path: Path, client: str, broken: bytes) -> None:
    wanted = planned(client, tmp_path)
    wanted.path.parent.mkdir(parents=True)
    wanted.path.write_bytes(broken)
    with pytest.raises(ConfigurationError, match=r"left as it.*--dry-run"):
        carry_out(wanted)

    assert wanted.path.read_bytes() == broken
    assert list(wanted.path.parent.iterdir()) == [wanted.path]
    assert "memories" in wanted.shown()  # which is what the error tells to use


@pytest.mark.parametrize("text", ["", "\ufeff{}", '{"mcpServers": null}', '{"mcpServers": {"memories": null}}'])
def test_an_empty_configuration_is_a_new_one(tmp_path: Path, text: str) -> None:
    wanted = planned("cursor", tmp_path)
    wanted.path.parent.mkdir()
    wanted.path.write_text(text, encoding="utf-8")
    carry_out(wanted)

    assert entry(wanted)["command"]


def test_what_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    wanted = planned("claude", tmp_path)
    wanted.path.mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="left as it is"):
        carry_out(wanted)
    assert list(wanted.path.parent.iterdir()) == [wanted.path]
    (tmp_path / ".cursor").write_text("a file", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="left as it is"):
        carry_out(planned("cursor", tmp_path))


@pytest.mark.skipif(os.name != "posix", reason="links and modes are POSIX's")
def test_a_link_is_followed_and_a_read_only_file_is_not_replaced(tmp_path: Path) -> None:
    wanted = planned("cursor", tmp_path)
    wanted.path.parent.mkdir()
    real = tmp_path / "dotfiles/mcp.json"
    wanted.path.symlink_to(real)
    carry_out(wanted)
    assert wanted.path.is_symlink()
    assert json.loads(real.read_text(encoding="utf-8"))["mcpServers"]
    real.write_text("{}", encoding="utf-8")
    real.chmod(0o400)
    with pytest.raises(ConfigurationError, match="read-only"):
        carry_out(wanted)
    assert real.read_text(encoding="utf-8") == "{}"


def test_an_entry_that_reached_a_server_elsewhere_is_replaced(tmp_path: Path) -> None:
    wanted = planned("cursor", tmp_path)
    wanted.path.parent.mkdir()
    old: dict[str, Any] = {"url": "https://mcp.example.com/mcp", "headers": {"Authorization": "x"}, "env": []}
    wanted.path.write_text(json.dumps({"mcpServers": {"memories": old}}), encoding="utf-8")
    carry_out(wanted)

    assert entry(wanted).keys() == {"command", "env"}


def test_codex_keeps_its_other_tables_and_comments_and_what_the_entry_had(tmp_path: Path) -> None:
    wanted = planned("codex", tmp_path, "--read-only")
    wanted.path.parent.mkdir()
    before = (
        '# mine\nmodel = "x"\n\n[mcp_servers.memories]\ncommand = "/old"\n'
        'env_vars = ["OTHER"]\nstartup_timeout_sec = 20\n'
        '\n[mcp_servers.memories.env]\nMEMORIES_UNIQUE_ID = "team"\n\n[mcp_servers.other] # keep\ncommand = "y"\n'
    )
    wanted.path.write_text(before, encoding="utf-8")
    carry_out(wanted)
    text = wanted.path.read_text(encoding="utf-8")
    whole = tomllib.loads(text)

    assert text.startswith('# mine\nmodel = "x"\n\n[mcp_servers.other] # keep\ncommand = "y"\n')
    assert whole["mcp_servers"]["other"] == {"command": "y"}
    made = whole["mcp_servers"]["memories"]
    assert made["command"] != "/old"
    assert made["env_vars"] == ["OTHER", "MEMORIES_API_KEY"]
    assert (made["startup_timeout_sec"], made["args"]) == (20, ["--read-only"])
    assert made["env"] == {"MEMORIES_UNIQUE_ID": "team"}
    [backup] = wanted.path.parent.glob("*.bak")
    assert backup.read_text(encoding="utf-8") == before
    assert "already" in carry_out(wanted)


def test_vs_code_asks_for_the_key_once(tmp_path: Path) -> None:
    wanted = planned("vscode", tmp_path)
    carry_out(wanted)
    carry_out(planned("vscode", tmp_path, "--read-only"))
    again = json.loads(wanted.path.read_text(encoding="utf-8"))

    assert [each["id"] for each in again["inputs"]] == ["memories-api-key"]
    assert again["inputs"][0]["password"] is True
    assert again["servers"]["memories"]["type"] == "stdio"


def test_the_settings_of_the_shell_go_along_and_its_secrets_do_not(tmp_path: Path) -> None:
    environ = {
        "MEMORIES_FILES_ROOT": "videos",
        "MEMORIES_UNIQUE_ID": "team",
        "MEMORIES_SECRET": "s" * 32,
        "MEMORIES_CAPTION_API_KEY": "sk-caption",
        "HOME": "/x",
    }
    wanted = planned("cursor", tmp_path, environ=environ)

    assert wanted.entry.env == {
        "MEMORIES_UNIQUE_ID": "team",
        "MEMORIES_FILES_ROOT": str(Path("videos").absolute()),
        "MEMORIES_API_KEY": "${env:MEMORIES_API_KEY}",
    }


def test_a_key_is_needed_only_where_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="MEMORIES_API_KEY"):
        planned("claude", tmp_path, key="")
    assert "env" not in planned("claude", tmp_path, "--sandbox", key="", sandbox=True).entry.data()
    for client in ("cursor", "vscode", "claude-code"):
        assert planned(client, tmp_path, key="").entry.env["MEMORIES_API_KEY"].startswith("${")
    assert planned("codex", tmp_path).entry.env == {}


@pytest.mark.parametrize("client", list(CLIENTS))
def test_what_is_shown_never_holds_the_key(client: str, tmp_path: Path) -> None:
    assert KEY not in planned(client, tmp_path).shown()


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for the client's command is a shell script")
def test_claude_codes_own_command_is_run_and_replaces_an_earlier_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(ConfigurationError, match=r"`claude`.*not on the PATH"):
        carry_out(planned("claude-code", tmp_path))
    script = tmp_path / "claude"
    script.write_text(
        f"""#!/bin/sh
echo "$@" >> {tmp_path}/seen
[ "$2" = remove ] && rm -f {tmp_path}/there && exit 0
[ -e {tmp_path}/broken ] && echo "out of order" >&2 && exit 1
[ -e {tmp_path}/there ] && echo "MCP server memories already exists" >&2 && exit 1
touch {tmp_path}/there
""",
        encoding="utf-8",
    )
    script.chmod(0o755)
    for _ in range(2):
        assert carry_out(planned("claude-code", tmp_path)).startswith("Added to Claude Code.")
    seen = (tmp_path / "seen").read_text(encoding="utf-8").splitlines()

    assert [line.split()[1] for line in seen] == ["add", "add", "remove", "add"]
    assert "-e MEMORIES_API_KEY=${MEMORIES_API_KEY:-} -- /" in seen[0]
    assert KEY not in "".join(seen)
    (tmp_path / "broken").touch()
    with pytest.raises(ConfigurationError, match="refused it: out of order"):
        carry_out(planned("claude-code", tmp_path))


def test_the_command_is_an_absolute_path_that_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Path(own_command("memories-mcp")[0]).is_absolute()
    cached = tmp_path / "uv/archive-v0/abc/bin/memories-mcp"
    cached.parent.mkdir(parents=True)
    cached.touch()

    def which(name: str) -> str:
        return f"/opt/{name}"

    monkeypatch.setattr(clients.shutil, "which", which)
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
    made = json.loads(written.read_text(encoding="utf-8"))["mcpServers"]["memories"]
    started = subprocess.run(
        [made["command"], *made["args"], "tools"],
        capture_output=True,
        text=True,
        env=variables | made["env"],
        timeout=60,
    )
    assert "search_videos" in started.stdout
    unknown = subprocess.run([*command[:-1], "emacs"], capture_output=True, text=True, env=variables, timeout=60)
    assert unknown.returncode == 2
    assert "claude, claude-code, cursor, vscode, codex" in unknown.stderr
