"""Writing the server into the configuration of the clients that people use.

Where a client has a command of its own for it, that is run; elsewhere the file is merged: other entries stay as they
are, what was there before is kept beside it.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Literal, cast

from memories_mcp.errors import ConfigurationError

Platform = Literal["darwin", "win32", "linux"]
NAME = "memories"
KEY = "MEMORIES_API_KEY"


@dataclass(frozen=True)
class Entry:
    """What a client starts.

    Attributes:
        command: An absolute path: apps that are started from a desktop lack the shell's PATH.
        args: Options of the server.
        key: What stands for the key: the key itself, a reference that the client resolves, or nothing.
    """

    command: str
    args: tuple[str, ...]
    key: str = ""

    @property
    def env(self) -> dict[str, str]:
        """The variables of the server."""
        return {KEY: self.key} if self.key else {}

    def data(self) -> dict[str, Any]:
        """As JSON configurations have it."""
        made: dict[str, Any] = {"command": self.command}
        if self.args:
            made["args"] = list(self.args)
        return made | ({"env": self.env} if self.env else {})


@dataclass(frozen=True)
class Client:
    """One client and where it keeps its servers.

    Attributes:
        name: As written on the command line.
        title: As people know it.
        path: Its file, from platform, home folder and variables; `None` where its own command is used.
        section: The key in the file that holds the servers.
        reference: How it refers to a key that is not in the file; empty where it cannot.
        passes_on: What must be added so that it passes the variable on; its command cannot refer to a key.
        more: What an entry of this client has besides.
        inputs: What it asks the person for.
        program: The command that adds servers, where it has one.
        added_by: Its arguments.
    """

    name: str
    title: str
    path: Callable[[Platform, PurePath, Mapping[str, str]], PurePath] | None = None
    section: str = "mcpServers"
    reference: str = ""
    passes_on: str = ""
    more: Mapping[str, Any] | None = None
    inputs: Sequence[Mapping[str, Any]] = ()
    program: str = ""
    added_by: Callable[[Entry], list[str]] | None = None


def _application_support(*parts: str) -> Callable[[Platform, PurePath, Mapping[str, str]], PurePath]:
    """Below the folder in which a platform's desktop applications keep their settings."""

    def path(platform: Platform, home: PurePath, environ: Mapping[str, str]) -> PurePath:
        if platform == "darwin":
            return home / "Library" / "Application Support" / PurePosixPath(*parts)
        if platform == "win32":
            return PureWindowsPath(environ.get("APPDATA") or home / "AppData" / "Roaming", *parts)
        return PurePosixPath(environ.get("XDG_CONFIG_HOME") or home / ".config", *parts)

    return path


def _claude_code(entry: Entry) -> list[str]:
    env = [part for name, value in entry.env.items() for part in ("-e", f"{name}={value}")]
    return ["mcp", "add", "--scope", "user", NAME, *env, "--", entry.command, *entry.args]


def _codex(entry: Entry) -> list[str]:
    return ["mcp", "add", NAME, "--", entry.command, *entry.args]


CLIENTS = {
    each.name: each
    for each in (
        Client("claude", "Claude Desktop", _application_support("Claude", "claude_desktop_config.json")),
        Client("claude-code", "Claude Code", reference=f"${{{KEY}}}", program="claude", added_by=_claude_code),
        Client("cursor", "Cursor", lambda _, home, __: home / ".cursor" / "mcp.json", reference=f"${{env:{KEY}}}"),
        Client(
            "vscode",
            "VS Code",
            _application_support("Code", "User", "mcp.json"),
            section="servers",
            reference="${input:memories-api-key}",
            more={"type": "stdio"},
            inputs=(
                {
                    "type": "promptString",
                    "id": "memories-api-key",
                    "description": "Memories.ai API key",
                    "password": True,
                },
            ),
        ),
        Client(
            "codex",
            "Codex",
            passes_on=f'env_vars = ["{KEY}"] below [mcp_servers.{NAME}] in ~/.codex/config.toml',
            program="codex",
            added_by=_codex,
        ),
    )
}


def own_platform() -> Platform:
    """The one this runs on."""
    return "darwin" if sys.platform == "darwin" else "win32" if sys.platform == "win32" else "linux"


def config_path(client: Client, home: Path, environ: Mapping[str, str]) -> Path | None:
    """The file of a client on this machine; `None` where its own command is used."""
    return Path(client.path(own_platform(), home, environ)) if client.path else None


def own_command(argv0: str = sys.argv[0]) -> tuple[str, ...]:
    """How a client starts this server: by an absolute path that stays."""
    here = Path(sys.executable).with_name("memories-mcp.exe" if sys.platform == "win32" else "memories-mcp")
    found = next((each for each in (Path(argv0), here) if each.is_absolute() and each.is_file()), None)
    started = found or Path(shutil.which("memories-mcp") or here)
    if "archive-v0" in started.parts:  # uvx runs from its cache, which it may clear at any time
        return (shutil.which("uvx") or "uvx", "memories-mcp")
    if started.suffix == ".py" or not started.is_file():
        return (sys.executable, "-m", "memories_mcp")
    return (str(started.absolute()),)


@dataclass(frozen=True)
class Plan:
    """What would be done for one client.

    Attributes:
        client: For whom.
        entry: What it would start.
        path: The file that would be written.
        text: What the file would hold then.
        before: What it holds now.
        command: The client's own command, in place of a file.
    """

    client: Client
    entry: Entry
    path: Path | None = None
    text: str = ""
    before: str | None = None
    command: tuple[str, ...] = ()

    def shown(self) -> str:
        """The plan for people; a key is never shown."""
        if self.command:
            return _masked(shlex.join(self.command), self.entry)
        entry = {NAME: self.entry.data() | dict(self.client.more or {})}
        return _masked(f"{self.path}\n{json.dumps({self.client.section: entry}, indent=2)}", self.entry)


def _masked(text: str, entry: Entry) -> str:
    return text.replace(entry.key, "(your key)") if entry.key and "${" not in entry.key else text


def plan(
    client: Client, args: Sequence[str], key: str, *, home: Path, environ: Mapping[str, str], sandbox: bool = False
) -> Plan:
    """What to do for one client; nothing is written.

    Args:
        client: For whom.
        args: Options of the server.
        key: The key, as far as it is known; it is written only where the client cannot refer to it.
        home: The person's folder.
        environ: The variables.
        sandbox: Whether no key is needed.

    Raises:
        ConfigurationError: The client's file cannot be read, or a key is needed and there is none.
    """
    command, *first = own_command()
    needed = "" if sandbox or client.passes_on else client.reference or key
    if not needed and not sandbox and not client.passes_on:
        raise ConfigurationError(
            f"{client.title} keeps the key in its file, and there is none to write.",
            next_step=f"Set {KEY} for this command, or add --sandbox to try it without.",
        )
    entry = Entry(command, (*first, *args), needed)
    path = config_path(client, home, environ)
    if path is None:
        assert client.added_by
        return Plan(client, entry, command=(client.program, *client.added_by(entry)))
    before = path.read_text(encoding="utf-8") if path.is_file() else None
    return Plan(client, entry, path, _merged(client, entry, path, before), before)


def _merged(client: Client, entry: Entry, path: Path, before: str | None) -> str:
    try:
        read: Any = json.loads(before) if before and before.strip() else {}
    except ValueError as error:
        raise ConfigurationError(
            f"{path} is not plain JSON ({error}), so it was left as it is.",
            next_step="Add the entry by hand; --dry-run prints it.",
        ) from None
    config = cast(dict[str, Any], read) if isinstance(read, dict) else {}
    servers: Any = config.setdefault(client.section, {})
    if not isinstance(read, dict) or not isinstance(servers, dict):
        raise ConfigurationError(f"{path} does not look like a configuration of {client.title}; it was left as it is.")
    entries = cast(dict[str, Any], servers)
    old: Any = entries.get(NAME)
    kept = cast(dict[str, Any], old) if isinstance(old, dict) else {}
    env = {**kept.get("env", {}), **entry.env}
    entries[NAME] = {**kept, **dict(client.more or {}), **entry.data(), **({"env": env} if env else {})}
    if not entry.args:
        entries[NAME].pop("args", None)
    if client.inputs and entry.key:
        inputs: list[Any] = config.setdefault("inputs", [])
        known = {each.get("id") for each in inputs if isinstance(each, dict)}  # type: ignore[union-attr]
        inputs += [dict(each) for each in client.inputs if each["id"] not in known]
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"


def carry_out(wanted: Plan) -> str:
    """Do it, and say what was done.

    Raises:
        ConfigurationError: The client's own command failed or is not there.
    """
    title = wanted.client.title
    if wanted.command:
        return _run(wanted)
    assert wanted.path
    if wanted.text == wanted.before:
        return f"{title} has the entry already: {wanted.path}"
    backup = ""
    wanted.path.parent.mkdir(parents=True, exist_ok=True)
    if wanted.before is not None:
        kept = wanted.path.with_name(f"{wanted.path.name}.{datetime.now():%Y%m%d-%H%M%S}.bak")
        shutil.copy2(wanted.path, kept)
        backup = f"\nWhat was there before: {kept}"
    _replace(wanted.path, wanted.text)
    return f"Written: {wanted.path}{backup}\nRestart {title} to see the tools."


def _replace(path: Path, text: str) -> None:
    """Write the whole file or nothing; who could not read it before cannot read it now."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(name, mode)
    os.replace(name, path.resolve() if path.is_symlink() else path)


def _run(wanted: Plan) -> str:
    program = shutil.which(wanted.command[0])
    if program is None:
        raise ConfigurationError(
            f"`{wanted.command[0]}`, the command of {wanted.client.title}, is not on the PATH.",
            next_step=f"Run this where it is: {wanted.shown()}",
        )
    done = subprocess.run([program, *wanted.command[1:]], capture_output=True, text=True, timeout=60)
    if done.returncode:
        said = _masked((done.stderr or done.stdout).strip(), wanted.entry)
        raise ConfigurationError(f"{wanted.client.title} refused it: {said}", next_step=f"Tried: {wanted.shown()}")
    hint = f"\nIt passes no key on by itself: add {wanted.client.passes_on}." if wanted.client.passes_on else ""
    return f"Added to {wanted.client.title}.{hint}"
