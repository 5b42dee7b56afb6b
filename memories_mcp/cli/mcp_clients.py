"""The clients that people use: where each keeps its servers, and how it refers to a key."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Literal

Platform = Literal["darwin", "win32", "linux"]
NAME = "memories"
KEY = "MEMORIES_API_KEY"


@dataclass(frozen=True)
class Entry:
    """What a client starts.

    Attributes:
        command: An absolute path: apps that are started from a desktop lack the shell's PATH.
        args: Options of the server.
        env: Its variables; the key is itself there, a reference that the client resolves, or not at all.
        secret: The key, where it is itself in `env`.
    """

    command: str
    args: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    secret: str = field(default="", repr=False)

    def data(self) -> dict[str, Any]:
        """As configurations have it."""
        made: dict[str, Any] = {"command": self.command}
        if self.args:
            made["args"] = list(self.args)
        return made | ({"env": dict(self.env)} if self.env else {})

    def masked(self, text: str) -> str:
        """A text for people, in which the key does not stand."""
        return text.replace(self.secret, "(your key)") if self.secret else text


Where = Callable[[Platform, PurePath, Mapping[str, str]], PurePath]
"""From platform, home folder and variables to a file."""


@dataclass(frozen=True)
class Client:
    """One client and where it keeps its servers.

    Attributes:
        name: As written on the command line.
        title: As people know it.
        path: Its file.
        section: The key in the file that holds the servers.
        reference: How it refers to a key that is not in the file; empty where it cannot.
        hint: What the person must see to for that.
        more: What an entry of this client has besides.
        inputs: What it asks the person for.
        program: The command that adds servers, where that is used in place of the file.
    """

    name: str
    title: str
    path: Where
    section: str = "mcpServers"
    reference: str = ""
    hint: str = ""
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])
    inputs: Sequence[Mapping[str, Any]] = ()
    program: str = ""

    @property
    def passes_on(self) -> bool:
        """Whether it passes variables of its own environment on by their names."""
        return "env_vars" in self.more


def _application_support(*parts: str) -> Where:
    """Below the folder in which a platform's desktop applications keep their settings."""

    def path(platform: Platform, home: PurePath, environ: Mapping[str, str]) -> PurePath:
        if platform == "darwin":
            return home / "Library" / "Application Support" / PurePosixPath(*parts)
        if platform == "win32":
            return PureWindowsPath(environ.get("APPDATA") or home / "AppData" / "Roaming", *parts)
        return PurePosixPath(environ.get("XDG_CONFIG_HOME") or home / ".config", *parts)

    return path


def _codex_home(_: Platform, home: PurePath, environ: Mapping[str, str]) -> PurePath:
    return (type(home)(environ["CODEX_HOME"]) if environ.get("CODEX_HOME") else home / ".codex") / "config.toml"


_SEES = f"{KEY} must be set where {{}} itself is started; a desktop may not see your shell's."
CLIENTS = {
    each.name: each
    for each in (
        Client("claude", "Claude Desktop", _application_support("Claude", "claude_desktop_config.json")),
        Client(
            "claude-code",
            "Claude Code",
            lambda _, home, __: home / ".claude.json",
            reference=f"${{{KEY}:-}}",
            hint=_SEES.format("Claude Code"),
            program="claude",
        ),
        Client(
            "cursor",
            "Cursor",
            lambda _, home, __: home / ".cursor" / "mcp.json",
            reference=f"${{env:{KEY}}}",
            hint=_SEES.format("Cursor"),
        ),
        Client(
            "vscode",
            "VS Code",
            _application_support("Code", "User", "mcp.json"),
            section="servers",
            reference="${input:memories-api-key}",
            hint="It asks for the key when it starts the server, and keeps it.",
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
            _codex_home,
            section="mcp_servers",
            hint=_SEES.format("Codex"),
            more={"env_vars": [KEY]},
        ),
    )
}


def own_platform() -> Platform:
    """The one this runs on."""
    return "darwin" if sys.platform == "darwin" else "win32" if sys.platform == "win32" else "linux"


def config_path(client: Client, home: Path, environ: Mapping[str, str]) -> Path:
    """The file of a client on this machine."""
    return Path(client.path(own_platform(), home, environ))


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
