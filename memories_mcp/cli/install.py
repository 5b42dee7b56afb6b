"""The command `install`: adds this server to the configuration of an MCP client.

Claude Code has its own command for that, which is run. For the other clients the entry is inserted into the file:
everything else stays, comments and layout included, and a backup of the file is kept next to it. (Codex has a command
too, but it replaces a whole entry and cannot forward variables.)
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from memories_mcp.cli import jsonc
from memories_mcp.cli.mcp_clients import (
    CLIENT_APPS,
    KEY_VARIABLE,
    SERVER_NAME,
    ClientApp,
    ServerEntry,
    config_path,
    home_folder,
    server_command,
)
from memories_mcp.errors import ConfigurationError
from memories_mcp.settings import Settings, environment


@dataclass(frozen=True)
class Plan:
    """The change that adds the server to one client.

    Attributes:
        app: The client.
        entry: The server's entry.
        path: The client's configuration file.
    """

    app: ClientApp
    entry: ServerEntry
    path: Path

    @property
    def command(self) -> tuple[str, ...]:
        """The client's own command that adds the server; empty if the file is edited instead."""
        if not self.app.program:
            return ()
        env = [part for name, value in self.entry.env.items() for part in ("-e", f"{name}={value}")]
        add = ("mcp", "add", "--scope", "user", SERVER_NAME, *env, "--", self.entry.command, *self.entry.args)
        return (self.app.program, *add)

    def describe(self) -> str:
        """Return the command, or the file and the entry, without the key."""
        if self.command:
            return self.entry.mask(shlex.join(self.command))
        entry = self.entry.as_dict() | dict(self.app.extra)
        if self.path.suffix == ".toml":
            text = _toml(self.app.section, entry)
        else:
            text = json.dumps({self.app.section: {SERVER_NAME: entry}}, indent=2)
        return self.entry.mask(f"{self.path}\n{text}")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run `install` and return the exit code; the options before it become those of the server.

    Raises:
        ConfigurationError: The client is unknown, a key is missing, or the change failed.
    """
    app = CLIENT_APPS.get(options.client)
    if app is None:
        raise ConfigurationError(f"Unknown client: {options.client}.", next_step=f"Use {', '.join(CLIENT_APPS)}.")
    if options.transport != "stdio":
        raise ConfigurationError(
            "install adds a server over stdio, which the client starts; --transport does not apply.",
            next_step="For a server over HTTP, add its URL to the client as docs/clients.md shows.",
        )
    args = [f"--{name.replace('_', '-')}" for name in ("sandbox", "read_only") if getattr(options, name)]
    for name in ("toolsets", "tools", "exclude_tools", "log_level"):
        if value := getattr(options, name):
            args += [f"--{name.replace('_', '-')}", value]
    plan = make_plan(app, args, settings.api_key, home=home_folder(), environ=environment(), sandbox=settings.sandbox)
    print(plan.describe() if options.dry_run else apply_plan(plan))
    return 0


def make_plan(
    app: ClientApp, args: Sequence[str], key: str, *, home: Path, environ: Mapping[str, str], sandbox: bool = False
) -> Plan:
    """Return the change for one client, without reading or writing a file.

    Args:
        app: The client.
        args: The options of the server.
        key: The API key; it becomes part of the entry only if the client cannot refer to a key.
        home: The user's home folder.
        environ: The environment variables; the settings among them that are no secrets become those of the server.
        sandbox: Whether the server uses the sandbox, which needs no key.

    Raises:
        ConfigurationError: The entry needs a key and `key` is empty.
    """
    command, *first_args = server_command()
    env = dict(_public_settings(environ))
    secret = ""
    if not sandbox and app.key_reference:
        env[KEY_VARIABLE] = app.key_reference
    elif not sandbox and not app.forwards_variables:
        if not key:
            raise ConfigurationError(
                f"Cannot add the server to {app.title}: its entry holds the key, and {KEY_VARIABLE} is not set.",
                next_step=f"Set {KEY_VARIABLE} for this command, or try the server without a key: add --sandbox before "
                "install.",
            )
        env[KEY_VARIABLE] = secret = key
    return Plan(app, ServerEntry(command, (*first_args, *args), env, secret), config_path(app, home, environ))


def _public_settings(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the variables of this shell that are settings and no secrets: an app may not have the shell's variables."""
    for setting in fields(Settings):
        variable = setting.metadata["variable"]
        value = environ.get(variable, "").strip()
        if value and not setting.metadata["secret"]:
            yield variable, str(Path(value).expanduser().absolute()) if setting.name == "files_root" else value


def apply_plan(plan: Plan) -> str:
    """Make the change and return a report; a failure changes nothing.

    Raises:
        ConfigurationError: The client's file cannot be merged or written, or its command failed.
    """
    if plan.command:
        return _run_command(plan)
    app, path = plan.app, plan.path
    needs_key = KEY_VARIABLE in plan.entry.env or app.forwards_variables
    hint = f"\n{app.hint}" if app.hint and needs_key else ""
    try:
        before = path.read_bytes().decode("utf-8-sig") if path.exists() else None  # with its own line ends
        merge = _merge_toml if path.suffix == ".toml" else _merge_json
        after = merge(app, plan.entry, path, before or "")
        if after == before:
            return f"{app.title} already has this entry: {path}{hint}"
        backup = _write(path, after, private=bool(plan.entry.secret))
    except (OSError, UnicodeError) as error:
        raise _refusal(path, getattr(error, "strerror", None) or "it is not text in UTF-8") from None
    report = f"Wrote {path}."
    if backup:
        report += f"\nThe previous file is kept as {backup}."
    return f"{report}\nRestart {app.title} to see the tools.{hint}"


_URL_FIELDS = {"url", "serverUrl", "headers", "type", "transport"}
"""Fields of an entry that reaches a server by URL; together with a command, the entry would be ambiguous."""


def _refusal(path: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"Cannot change {path}: {reason}. The file is unchanged.",
        next_step="Add the entry by hand; --dry-run prints it.",
    )


def _unknown_shape(app: ClientApp, path: Path) -> ConfigurationError:
    return _refusal(path, f"it does not look like a configuration of {app.title}")


def _merge_entry(app: ClientApp, entry: ServerEntry, old: object) -> dict[str, Any]:
    """Return the new entry with the fields and variables of the old one that it does not set itself."""
    fields_kept = dict(cast(dict[str, Any], old)) if isinstance(old, dict) else {}
    if "command" not in fields_kept:
        fields_kept = {name: value for name, value in fields_kept.items() if name not in _URL_FIELDS}
    fields_kept.pop("args", None)
    old_env = fields_kept.pop("env", None)
    env = {**(cast(dict[str, Any], old_env) if isinstance(old_env, dict) else {}), **entry.env}
    merged = {**fields_kept, **app.extra, **entry.as_dict()}
    if env:
        merged["env"] = env
    return merged


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in cast(list[Any], value))


def _merge_json(app: ClientApp, entry: ServerEntry, path: Path, before: str) -> str:
    """Return the text with this server's entry and inputs; every other character stays, comments included."""
    try:
        data: Any = jsonc.loads(before)
    except ValueError as error:
        raise _refusal(path, f"it is not JSON ({error})") from None
    if not isinstance(data, dict):
        raise _unknown_shape(app, path)
    config = cast(dict[str, Any], data)
    servers: Any = {} if config.get(app.section) is None else config[app.section]
    inputs: Any = [] if config.get("inputs") is None else config["inputs"]
    if not isinstance(servers, dict) or not _is_list_of_objects(inputs):
        raise _unknown_shape(app, path)
    old = cast(dict[str, Any], servers).get(SERVER_NAME)
    after = jsonc.update_member(before, (app.section, SERVER_NAME), old, _merge_entry(app, entry, old))
    if app.inputs and KEY_VARIABLE in entry.env:
        known_ids = [old_input.get("id") for old_input in cast(list[dict[str, Any]], inputs)]
        for new_input in app.inputs:
            if new_input["id"] not in known_ids:
                after = jsonc.append_element(after, "inputs", dict(new_input))
    return after


def _merge_toml(app: ClientApp, entry: ServerEntry, path: Path, before: str) -> str:
    """Return the text with this server's tables replaced; every other line stays, with its comments."""
    try:
        servers: Any = tomllib.loads(before).get(app.section) or {}
    except ValueError as error:
        raise _refusal(path, f"it is not TOML ({error})") from None
    if not isinstance(servers, dict):
        raise _unknown_shape(app, path)
    old = cast(dict[str, Any], servers).get(SERVER_NAME)
    header = re.compile(rf"\s*\[\s*{app.section}\s*\.\s*[\"']?{SERVER_NAME}[\"']?\s*[.\]]")
    lines = before.splitlines(keepends=True)
    other_lines: list[str] = []
    in_our_table = False
    for line in lines:
        if line.lstrip().startswith("["):
            in_our_table = bool(header.match(line))
        if not in_our_table:
            other_lines.append(line)
    if old is not None and len(other_lines) == len(lines):
        raise _unknown_shape(app, path)  # the entry has no table of its own, such as an inline table
    merged = _merge_entry(app, entry, old)
    if isinstance(old, dict):
        variables = [*cast(dict[str, Any], old).get("env_vars", []), *app.extra["env_vars"]]
        merged["env_vars"] = list(dict.fromkeys(variables))
    others = "".join(other_lines).rstrip()
    newline = "\r\n" if "\r\n" in before else "\n"
    tables = _toml(app.section, merged).replace("\n", newline) + newline
    return f"{others}{newline}{newline}{tables}" if others else tables


def _toml(section: str, entry: Mapping[str, Any]) -> str:
    """Return an entry as TOML; strings, numbers and lists are written as in JSON, nested tables at the end."""
    tables = {name: cast(dict[str, Any], value) for name, value in entry.items() if isinstance(value, dict)}
    plain = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in entry.items() if name not in tables]
    lines = [f"[{section}.{SERVER_NAME}]", *plain]
    for name, table in tables.items():
        lines += ["", f"[{section}.{SERVER_NAME}.{name}]"]
        lines += [f"{json.dumps(key)} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]
    return "\n".join(lines)


def _write(path: Path, text: str, *, private: bool) -> Path | None:
    """Write the file atomically.

    Args:
        path: The file; a symlink is followed.
        text: The new content.
        private: Whether only the owner may read the file afterwards, its former mode notwithstanding.

    Returns:
        The backup of the previous file, or `None` if there was no file.
    """
    target = path.resolve()  # replace the file that a symlink leads to, not the symlink
    target.parent.mkdir(parents=True, exist_ok=True)
    mode, backup = 0o600, None
    if target.exists():
        mode = target.stat().st_mode & (0o600 if private else 0o777)
        if not mode & 0o200:
            raise PermissionError(13, "it is read-only")
        backup = target.with_name(f"{target.name}.{datetime.now():%Y%m%d-%H%M%S-%f}.bak")
        shutil.copy2(target, backup)
        backup.chmod(mode)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.chmod(name, mode)
        os.replace(name, target)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    return backup


def _run_command(plan: Plan) -> str:
    app = plan.app
    program = shutil.which(app.program)
    if program is None:
        raise ConfigurationError(
            f"Cannot add the server to {app.title}: its command `{app.program}` is not on the PATH.",
            next_step=f"Run this where `{app.program}` is available: {plan.describe()}",
        )

    def execute(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)

    done = execute(*plan.command[1:])
    if done.returncode and "already exists" in done.stdout + done.stderr:
        execute("mcp", "remove", "--scope", "user", SERVER_NAME)
        done = execute(*plan.command[1:])
    if done.returncode:
        output = plan.entry.mask((done.stderr or done.stdout).strip())
        raise ConfigurationError(
            f"Cannot add the server to {app.title}: its command failed: {output}",
            next_step=f"The command was: {plan.describe()}",
        )
    return f"Added to {app.title}.\n{app.hint}"
