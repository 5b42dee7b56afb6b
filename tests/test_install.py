"""`memories-mcp install`: adds the server's entry to the configurations of clients and changes nothing else."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

import pytest
from command_line import run_cli

from memories_mcp.cli import mcp_clients
from memories_mcp.cli.install import Plan, apply_plan, make_plan
from memories_mcp.cli.mcp_clients import CLIENT_APPS, OperatingSystem, config_path, server_command
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
def test_the_configuration_file_of_a_client_depends_on_the_platform(
    client: str, platform: OperatingSystem, home: PurePath, environ: dict[str, str], path: str
) -> None:
    assert str(CLIENT_APPS[client].locate_config(platform, home, environ)) == path


def plan_for(
    client: str, home: Path, *args: str, key: str = KEY, environ: Mapping[str, str] | None = None, sandbox: bool = False
) -> Plan:
    return make_plan(CLIENT_APPS[client], args, key, home=home, environ=environ or {}, sandbox=sandbox)


def written_entry(plan: Plan) -> dict[str, Any]:
    """The server's entry in the client's file."""
    text = plan.path.read_text(encoding="utf-8")
    config = tomllib.loads(text) if plan.path.suffix == ".toml" else json.loads(text)
    return config[plan.app.section]["memories"]


@pytest.mark.parametrize("client", ["claude", "cursor", "vscode", "codex"])
def test_a_new_file_holds_the_entry_and_only_its_owner_may_read_it(client: str, tmp_path: Path) -> None:
    plan = plan_for(client, tmp_path, "--read-only")
    report = apply_plan(plan)
    server = written_entry(plan)

    assert str(plan.path) in report
    assert Path(server["command"]).is_absolute()
    assert server["args"][-1] == "--read-only"
    if client == "codex":
        assert server["env_vars"] == ["MEMORIES_API_KEY"]
    else:
        assert server["env"]["MEMORIES_API_KEY"] == (CLIENT_APPS[client].key_reference or KEY)
    if os.name == "posix":
        assert stat.S_IMODE(plan.path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_file_that_holds_the_key_is_private(tmp_path: Path) -> None:
    plan = plan_for("claude", tmp_path)
    plan.path.parent.mkdir(parents=True)
    plan.path.write_text('{"mcpServers": {}}', encoding="utf-8")
    plan.path.chmod(0o644)
    apply_plan(plan)

    assert {stat.S_IMODE(path.stat().st_mode) for path in plan.path.parent.iterdir()} == {0o600}
    without_key = plan_for("cursor", tmp_path)
    without_key.path.parent.mkdir()
    without_key.path.write_text("{}", encoding="utf-8")
    without_key.path.chmod(0o644)
    apply_plan(without_key)
    assert stat.S_IMODE(without_key.path.stat().st_mode) == 0o644


def test_other_entries_stay_and_the_previous_file_is_kept(tmp_path: Path) -> None:
    path = config_path(CLIENT_APPS["claude"], tmp_path, {})
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
    apply_plan(plan_for("claude", tmp_path))
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
    assert "already" in apply_plan(plan_for("claude", tmp_path))
    assert len(list(path.parent.glob("*.bak"))) == 1


@pytest.mark.parametrize(
    ("client", "broken"),
    [
        ("cursor", b'{"mcpServers": {} /* mine\n}'),
        ("cursor", b"{'mcpServers': {}}"),
        ("cursor", b'{"a": ' + b"[" * 100_000),
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
def test_a_file_that_cannot_be_merged_is_unchanged(tmp_path: Path, client: str, broken: bytes) -> None:
    plan = plan_for(client, tmp_path)
    plan.path.parent.mkdir(parents=True)
    plan.path.write_bytes(broken)
    with pytest.raises(ConfigurationError, match=r"The file is unchanged.*--dry-run"):
        apply_plan(plan)

    assert plan.path.read_bytes() == broken
    assert list(plan.path.parent.iterdir()) == [plan.path]
    assert "memories" in plan.describe()  # the error refers to it


@pytest.mark.parametrize("text", ["", "\ufeff{}", '{"mcpServers": null}', '{"mcpServers": {"memories": null}}'])
def test_an_empty_configuration_is_treated_as_a_new_one(tmp_path: Path, text: str) -> None:
    plan = plan_for("cursor", tmp_path)
    plan.path.parent.mkdir()
    plan.path.write_text(text, encoding="utf-8")
    apply_plan(plan)

    assert written_entry(plan)["command"]


def test_a_failed_write_is_reported_and_leaves_no_file(tmp_path: Path) -> None:
    plan = plan_for("claude", tmp_path)
    plan.path.mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="The file is unchanged"):
        apply_plan(plan)
    assert list(plan.path.parent.iterdir()) == [plan.path]
    (tmp_path / ".cursor").write_text("a file", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="The file is unchanged"):
        apply_plan(plan_for("cursor", tmp_path))


@pytest.mark.skipif(os.name != "posix", reason="links and modes are POSIX's")
def test_a_symlink_is_followed_and_a_read_only_file_is_not_replaced(tmp_path: Path) -> None:
    plan = plan_for("cursor", tmp_path)
    plan.path.parent.mkdir()
    real = tmp_path / "dotfiles/mcp.json"
    plan.path.symlink_to(real)
    apply_plan(plan)
    assert plan.path.is_symlink()
    assert json.loads(real.read_text(encoding="utf-8"))["mcpServers"]
    real.write_text("{}", encoding="utf-8")
    real.chmod(0o400)
    with pytest.raises(ConfigurationError, match="read-only"):
        apply_plan(plan)
    assert real.read_text(encoding="utf-8") == "{}"


def test_an_entry_with_a_url_is_replaced(tmp_path: Path) -> None:
    plan = plan_for("cursor", tmp_path)
    plan.path.parent.mkdir()
    old: dict[str, Any] = {"url": "https://mcp.example.com/mcp", "headers": {"Authorization": "x"}, "env": []}
    plan.path.write_text(json.dumps({"mcpServers": {"memories": old}}), encoding="utf-8")
    apply_plan(plan)

    assert written_entry(plan).keys() - {"args"} == {"command", "env"}


def test_codex_keeps_its_other_tables_its_comments_and_the_entrys_own_fields(tmp_path: Path) -> None:
    plan = plan_for("codex", tmp_path, "--read-only")
    plan.path.parent.mkdir()
    before = (
        '# mine\nmodel = "x"\n\n[mcp_servers.memories]\ncommand = "/old"\n'
        'env_vars = ["OTHER"]\nstartup_timeout_sec = 20\n'
        '\n[mcp_servers.memories.env]\nMEMORIES_UNIQUE_ID = "team"\n\n[mcp_servers.other] # keep\ncommand = "y"\n'
    )
    plan.path.write_text(before, encoding="utf-8")
    apply_plan(plan)
    text = plan.path.read_text(encoding="utf-8")
    config = tomllib.loads(text)

    assert text.startswith('# mine\nmodel = "x"\n\n[mcp_servers.other] # keep\ncommand = "y"\n')
    assert config["mcp_servers"]["other"] == {"command": "y"}
    server = config["mcp_servers"]["memories"]
    assert server["command"] != "/old"
    assert server["env_vars"] == ["OTHER", "MEMORIES_API_KEY"]
    assert (server["startup_timeout_sec"], server["args"][-1]) == (20, "--read-only")
    assert server["env"] == {"MEMORIES_UNIQUE_ID": "team"}
    [backup] = plan.path.parent.glob("*.bak")
    assert backup.read_text(encoding="utf-8") == before
    assert "already" in apply_plan(plan)


def test_vs_code_has_one_input_for_the_key(tmp_path: Path) -> None:
    plan = plan_for("vscode", tmp_path)
    apply_plan(plan)
    apply_plan(plan_for("vscode", tmp_path, "--read-only"))
    again = json.loads(plan.path.read_text(encoding="utf-8"))

    assert [prompt["id"] for prompt in again["inputs"]] == ["memories-api-key"]
    assert again["inputs"][0]["password"] is True
    assert again["servers"]["memories"]["type"] == "stdio"


def test_the_settings_of_the_shell_are_written_and_its_secrets_are_not(tmp_path: Path) -> None:
    environ = {
        "MEMORIES_FILES_ROOT": "videos",
        "MEMORIES_UNIQUE_ID": "team",
        "MEMORIES_SECRET": "s" * 32,
        "MEMORIES_CAPTION_API_KEY": "sk-caption",
        "HOME": "/x",
    }
    plan = plan_for("cursor", tmp_path, environ=environ)

    assert plan.entry.env == {
        "MEMORIES_UNIQUE_ID": "team",
        "MEMORIES_FILES_ROOT": str(Path("videos").absolute()),
        "MEMORIES_API_KEY": "${env:MEMORIES_API_KEY}",
    }


def test_a_key_is_needed_only_if_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="MEMORIES_API_KEY"):
        plan_for("claude", tmp_path, key="")
    assert "env" not in plan_for("claude", tmp_path, "--sandbox", key="", sandbox=True).entry.as_dict()
    for client in ("cursor", "vscode", "claude-code"):
        assert plan_for(client, tmp_path, key="").entry.env["MEMORIES_API_KEY"].startswith("${")
    assert plan_for("codex", tmp_path).entry.env == {}


@pytest.mark.parametrize("client", list(CLIENT_APPS))
def test_a_plans_description_never_holds_the_key(client: str, tmp_path: Path) -> None:
    assert KEY not in plan_for(client, tmp_path).describe()


@pytest.mark.skipif(os.name != "posix", reason="the test's client command is a shell script")
def test_claude_codes_own_command_is_run_and_replaces_an_existing_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(ConfigurationError, match=r"`claude`.*not on the PATH"):
        apply_plan(plan_for("claude-code", tmp_path))
    script = tmp_path / "claude"
    script.write_text(
        f"""#!/bin/sh
echo "$@" >> {tmp_path}/calls
[ "$2" = remove ] && rm -f {tmp_path}/added && exit 0
[ -e {tmp_path}/broken ] && echo "out of order" >&2 && exit 1
[ -e {tmp_path}/added ] && echo "MCP server memories already exists" >&2 && exit 1
touch {tmp_path}/added
""",
        encoding="utf-8",
    )
    script.chmod(0o755)
    for _ in range(2):
        assert apply_plan(plan_for("claude-code", tmp_path)).startswith("Added to Claude Code.")
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()

    assert [line.split()[1] for line in calls] == ["add", "add", "remove", "add"]
    assert "-e MEMORIES_API_KEY=${MEMORIES_API_KEY:-} -- /" in calls[0]
    assert KEY not in "".join(calls)
    (tmp_path / "broken").touch()
    with pytest.raises(ConfigurationError, match="its command failed: out of order"):
        apply_plan(plan_for("claude-code", tmp_path))


def test_the_command_is_an_absolute_path_outside_of_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Path(server_command("memories-mcp")[0]).is_absolute()
    cached = tmp_path / "uv/archive-v0/abc/bin/memories-mcp"
    cached.parent.mkdir(parents=True)
    cached.touch()

    def which(name: str) -> str:
        return f"/opt/{name}"

    monkeypatch.setattr(mcp_clients.shutil, "which", which)
    assert server_command(str(cached)) == ("/opt/uvx", "memories-mcp")
    assert server_command(str(tmp_path / "x.py"))[0] != "x.py"


def test_a_dry_run_on_the_command_line_prints_and_writes_nothing(tmp_path: Path) -> None:
    home = {name: str(tmp_path) for name in ("HOME", "USERPROFILE", "APPDATA")}
    variables: dict[str, Any] = {**home, "XDG_CONFIG_HOME": "", "MEMORIES_API_KEY": KEY}
    command = ("--toolsets", "search", "install")
    dry = run_cli(*command, "claude", "--dry-run", **variables)

    assert '"--toolsets",\n        "search"' in dry.stdout
    assert KEY not in dry.stdout + dry.stderr
    assert list(tmp_path.iterdir()) == []
    wet = run_cli(*command, "claude", **variables)
    assert wet.returncode == 0, wet.stderr
    [written] = tmp_path.rglob("claude_desktop_config.json")
    server = json.loads(written.read_text(encoding="utf-8"))["mcpServers"]["memories"]
    started = subprocess.run(
        [server["command"], *server["args"], "tools"],
        capture_output=True,
        text=True,
        env=os.environ | home | server["env"],
        timeout=60,
    )
    assert "search_videos" in started.stdout
    unknown = run_cli(*command, "emacs", **variables)
    assert unknown.returncode == 2
    assert "claude, claude-code, cursor, vscode, codex" in unknown.stderr
