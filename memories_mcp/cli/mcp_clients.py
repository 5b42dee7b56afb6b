"""The MCP clients that `install` and `doctor` support: their configuration files and how each refers to a key."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Literal

from memories_mcp.errors import ConfigurationError

OperatingSystem = Literal["darwin", "win32", "linux"]
SERVER_NAME = "memories"
"""The name of this server in the clients' configurations."""
KEY_VARIABLE = "MEMORIES_API_KEY"


@dataclass(frozen=True)
class ServerEntry:
    """The entry of this server in a client's configuration.

    Attributes:
        command: An absolute path: desktop apps do not have the shell's PATH.
        args: The options of the server.
        env: The variables of the server. For the key: the key itself, a reference that the client resolves, or no
            variable.
        secret: The key, if `env` holds the key itself.
    """

    command: str
    args: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    secret: str = field(default="", repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as the configuration files have it, without empty fields."""
        entry: dict[str, Any] = {"command": self.command}
        if self.args:
            entry["args"] = list(self.args)
        if self.env:
            entry["env"] = dict(self.env)
        return entry

    def mask(self, text: str) -> str:
        """Return the text with the key replaced by a placeholder."""
        return text.replace(self.secret, "(your key)") if self.secret else text


LocateConfig = Callable[[OperatingSystem, PurePath, Mapping[str, str]], PurePath]
"""Returns a client's configuration file from the platform, the home folder and the environment variables."""


@dataclass(frozen=True)
class ClientApp:
    """An application with an MCP client.

    Attributes:
        name: The name on the command line.
        title: The name in messages.
        locate_config: Returns the configuration file.
        section: The key in the file that holds the servers.
        key_reference: The text that the client replaces by the key; empty if the client has no such reference.
        hint: What the user must do so that the client finds the key.
        extra: Fields that an entry of this client has in addition.
        inputs: Values for which the client prompts the user.
        program: The client's own command for adding servers; empty if the file is edited instead.
    """

    name: str
    title: str
    locate_config: LocateConfig
    section: str = "mcpServers"
    key_reference: str = ""
    hint: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    inputs: Sequence[Mapping[str, Any]] = ()
    program: str = ""

    @property
    def forwards_variables(self) -> bool:
        """Whether an entry lists variables by name that the client forwards from its own environment."""
        return "env_vars" in self.extra


def _application_support(*parts: str) -> LocateConfig:
    """Return a locator below the folder where the platform's desktop applications keep their settings."""

    def locate(platform: OperatingSystem, home: PurePath, environ: Mapping[str, str]) -> PurePath:
        if platform == "darwin":
            return home / "Library" / "Application Support" / PurePosixPath(*parts)
        if platform == "win32":
            return PureWindowsPath(environ.get("APPDATA") or home / "AppData" / "Roaming", *parts)
        return PurePosixPath(environ.get("XDG_CONFIG_HOME") or home / ".config", *parts)

    return locate


def _codex_config(_: OperatingSystem, home: PurePath, environ: Mapping[str, str]) -> PurePath:
    folder = type(home)(environ["CODEX_HOME"]) if environ.get("CODEX_HOME") else home / ".codex"
    return folder / "config.toml"


_KEY_HINT = (
    f"Set {KEY_VARIABLE} in the environment from which {{}} starts; an app started from the desktop may not have the "
    "variables of your shell."
)
_CLIENT_APPS = (
    ClientApp("claude", "Claude Desktop", _application_support("Claude", "claude_desktop_config.json")),
    ClientApp(
        "claude-code",
        "Claude Code",
        lambda _, home, __: home / ".claude.json",
        key_reference=f"${{{KEY_VARIABLE}:-}}",
        hint=_KEY_HINT.format("Claude Code"),
        program="claude",
    ),
    ClientApp(
        "cursor",
        "Cursor",
        lambda _, home, __: home / ".cursor" / "mcp.json",
        key_reference=f"${{env:{KEY_VARIABLE}}}",
        hint=_KEY_HINT.format("Cursor"),
    ),
    ClientApp(
        "vscode",
        "VS Code",
        _application_support("Code", "User", "mcp.json"),
        section="servers",
        key_reference="${input:memories-api-key}",
        hint="VS Code asks for the key when it first starts the server, and stores it.",
        extra={"type": "stdio"},
        inputs=(
            {
                "type": "promptString",
                "id": "memories-api-key",
                "description": "Memories.ai API key",
                "password": True,
            },
        ),
    ),
    ClientApp(
        "codex",
        "Codex",
        _codex_config,
        section="mcp_servers",
        hint=_KEY_HINT.format("Codex"),
        extra={"env_vars": [KEY_VARIABLE]},
    ),
)
CLIENT_APPS = {app.name: app for app in _CLIENT_APPS}
"""The supported clients by their names on the command line."""


def current_platform() -> OperatingSystem:
    """Return the platform of this process; any other Unix counts as Linux."""
    if sys.platform == "darwin":
        return "darwin"
    return "win32" if sys.platform == "win32" else "linux"


def home_folder() -> Path:
    """Return the user's home folder.

    Raises:
        ConfigurationError: It is unknown, as for a user without a name in a container.
    """
    try:
        return Path.home()
    except RuntimeError:
        raise ConfigurationError(
            "The home folder is unknown: HOME is not set.", next_step="Set HOME to the folder of the user."
        ) from None


def config_path(app: ClientApp, home: Path, environ: Mapping[str, str]) -> Path:
    """Return the configuration file of a client on this machine.

    Args:
        app: The client.
        home: The user's home folder.
        environ: The environment variables.
    """
    return Path(app.locate_config(current_platform(), home, environ))


def server_command(argv0: str = sys.argv[0]) -> tuple[str, ...]:
    """Return the command with which a client starts this server: an absolute path that outlives this process."""
    script = Path(sys.executable).with_name("memories-mcp.exe" if sys.platform == "win32" else "memories-mcp")
    candidates = [path for path in (Path(argv0), script) if path.is_absolute() and path.is_file()]
    path = candidates[0] if candidates else Path(shutil.which("memories-mcp") or script)
    if "archive-v0" in path.parts:  # uvx runs from its cache, which may be cleared at any time
        return (shutil.which("uvx") or "uvx", "memories-mcp")
    if path.suffix == ".py" or not path.is_file():
        return (sys.executable, "-m", "memories_mcp")
    return (str(path.absolute()),)
