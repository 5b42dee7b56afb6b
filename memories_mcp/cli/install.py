"""Writing the server into the configuration of the clients that people use.

Claude Code has a command of its own for it, which is run; elsewhere the file is merged: other entries stay as they are,
and the file as it was is kept beside it. (Codex has a command too; it replaces an entry whole and passes no variable.)
"""

from __future__ import annotations

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

from memories_mcp.cli.mcp_clients import KEY, NAME, Client, Entry, config_path, own_command
from memories_mcp.errors import ConfigurationError
from memories_mcp.settings import Settings


@dataclass(frozen=True)
class Plan:
    """What would be done for one client.

    Attributes:
        client: For whom.
        entry: What it would start.
        path: The client's file.
    """

    client: Client
    entry: Entry
    path: Path

    @property
    def command(self) -> tuple[str, ...]:
        """The client's own command, where one is used in place of the file."""
        env = [part for name, value in self.entry.env.items() for part in ("-e", f"{name}={value}")]
        add = ("mcp", "add", "--scope", "user", NAME, *env, "--", self.entry.command, *self.entry.args)
        return (self.client.program, *add) if self.client.program else ()

    def shown(self) -> str:
        """The plan for people; a key is never shown."""
        if self.command:
            return self.entry.masked(shlex.join(self.command))
        entry = self.entry.data() | dict(self.client.more)
        if self.path.suffix == ".toml":
            return self.entry.masked(f"{self.path}\n{_toml(self.client.section, entry)}")
        return self.entry.masked(f"{self.path}\n{json.dumps({self.client.section: {NAME: entry}}, indent=2)}")


def plan(
    client: Client, args: Sequence[str], key: str, *, home: Path, environ: Mapping[str, str], sandbox: bool = False
) -> Plan:
    """What to do for one client; nothing is read or written.

    Args:
        client: For whom.
        args: Options of the server.
        key: The key, as far as it is known; it is written only where the client cannot refer to it.
        home: The person's folder.
        environ: The variables; what is set there and is no secret becomes the server's.
        sandbox: Whether no key is needed.

    Raises:
        ConfigurationError: A key is needed and there is none.
    """
    command, *first = own_command()
    env = dict(_carried(environ))
    secret = "" if sandbox or client.reference or client.passes_on else key
    if client.reference and not sandbox:
        env[KEY] = client.reference
    elif secret:
        env[KEY] = secret
    elif not sandbox and not client.passes_on:
        raise ConfigurationError(
            f"{client.title} keeps the key in its file, and there is none to write.",
            next_step=f"Set {KEY} for this command, or add --sandbox to try it without.",
        )
    return Plan(client, Entry(command, (*first, *args), env, secret), config_path(client, home, environ))


def _carried(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The settings of this shell that are no secrets: a client started from a desktop does not see them."""
    for each in fields(Settings):
        variable = each.metadata["variable"]
        if environ.get(variable, "").strip() and not each.metadata["secret"]:
            value = environ[variable].strip()
            yield variable, str(Path(value).expanduser().absolute()) if each.name == "files_root" else value


def carry_out(wanted: Plan) -> str:
    """Do it, and say what was done; on a failure everything is as it was.

    Raises:
        ConfigurationError: The client's file cannot be merged or written, or its own command failed.
    """
    if wanted.command:
        return _run(wanted)
    client, path = wanted.client, wanted.path
    hint = f"\n{client.hint}" if client.hint and (wanted.entry.env.get(KEY) or client.passes_on) else ""
    try:
        before = path.read_text(encoding="utf-8-sig") if path.exists() else None
        merge = _merged_toml if path.suffix == ".toml" else _merged_json
        after = merge(client, wanted.entry, path, before or "")
        if after == before:
            return f"{client.title} has the entry already: {path}{hint}"
        backup = _write(path, after, private=bool(wanted.entry.secret))
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigurationError(f"{path} was left as it is: {reason}.", next_step=_BY_HAND) from None
    kept = f"\nWhat was there before: {backup}" if backup else ""
    return f"Written: {path}{kept}\nRestart {client.title} to see the tools.{hint}"


_BY_HAND = "Add the entry by hand; --dry-run prints it."
_OF_A_URL = {"url", "serverUrl", "headers", "type", "transport"}
"""What an entry has that reaches a server elsewhere; a command beside it would be ambiguous."""


def _strange(client: Client, path: Path) -> ConfigurationError:
    said = f"{path} does not look like a configuration of {client.title}; it was left as it is."
    return ConfigurationError(said, next_step=_BY_HAND)


def _entry(client: Client, entry: Entry, old: object) -> dict[str, Any]:
    """The entry over what was there for this server: what it does not say itself is kept."""
    kept = dict(cast(dict[str, Any], old)) if isinstance(old, dict) else {}
    if "command" not in kept:
        kept = {name: value for name, value in kept.items() if name not in _OF_A_URL}
    kept.pop("args", None)
    env = kept.pop("env", None)
    env = {**(cast(dict[str, Any], env) if isinstance(env, dict) else {}), **entry.env}
    return {**kept, **dict(client.more), **entry.data(), **({"env": env} if env else {})}


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in cast(list[Any], value))


def _merged_json(client: Client, entry: Entry, path: Path, before: str) -> str:
    try:
        read: Any = json.loads(before) if before.strip() else {}
    except ValueError as error:
        said = f"{path} is not plain JSON ({error}), so it was left as it is."
        raise ConfigurationError(said, next_step=_BY_HAND) from None
    if not isinstance(read, dict):
        raise _strange(client, path)
    config = cast(dict[str, Any], read)
    servers: Any = {} if config.get(client.section) is None else config[client.section]
    inputs: Any = [] if config.get("inputs") is None else config["inputs"]
    if not isinstance(servers, dict) or not _is_rows(inputs):
        raise _strange(client, path)
    entries = cast(dict[str, Any], servers)
    config[client.section] = {**entries, NAME: _entry(client, entry, entries.get(NAME))}
    if client.inputs and KEY in entry.env:
        asked = cast(list[dict[str, Any]], inputs)
        known = [each.get("id") for each in asked]
        config["inputs"] = [*asked, *(dict(each) for each in client.inputs if each["id"] not in known)]
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"


def _merged_toml(client: Client, entry: Entry, path: Path, before: str) -> str:
    """The server's own tables made anew; every other line stays, its comments too."""
    try:
        servers: Any = tomllib.loads(before).get(client.section) or {}
    except ValueError as error:
        raise ConfigurationError(
            f"{path} is not TOML ({error}), so it was left as it is.", next_step=_BY_HAND
        ) from None
    if not isinstance(servers, dict):
        raise _strange(client, path)
    old = cast(dict[str, Any], servers).get(NAME)
    header = re.compile(rf"\s*\[\s*{client.section}\s*\.\s*[\"']?{NAME}[\"']?\s*[.\]]")
    kept: list[str] = []
    ours = False
    for line in before.splitlines():
        if line.lstrip().startswith("["):
            ours = bool(header.match(line))
        if not ours:
            kept.append(line)
    if old is not None and len(kept) == len(before.splitlines()):
        raise _strange(client, path)  # written in a way that cannot be taken out line by line
    made = _entry(client, entry, old)
    if isinstance(old, dict):
        names = [*cast(dict[str, Any], old).get("env_vars", []), *client.more["env_vars"]]
        made["env_vars"] = list(dict.fromkeys(names))
    others = "\n".join(kept).rstrip()
    return f"{others}\n\n{_toml(client.section, made)}\n" if others else f"{_toml(client.section, made)}\n"


def _toml(section: str, entry: Mapping[str, Any]) -> str:
    """An entry as TOML; its strings, numbers and lists are written as in JSON, its tables below it."""
    tables = {name: cast(dict[str, Any], value) for name, value in entry.items() if isinstance(value, dict)}
    plain = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in entry.items() if name not in tables]
    lines = [f"[{section}.{NAME}]", *plain]
    for name, inner in tables.items():
        lines += ["", f"[{section}.{NAME}.{name}]"]
        lines += [f"{json.dumps(each)} = {json.dumps(value, ensure_ascii=False)}" for each, value in inner.items()]
    return "\n".join(lines)


def _write(path: Path, text: str, *, private: bool) -> Path | None:
    """Write the whole file or nothing, and return where it is kept as it was.

    With `private`, nobody but the owner can read it afterwards, whatever its mode was.
    """
    target = path.resolve()  # what a link leads to, not the link
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
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, mode)
        os.replace(name, target)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    return backup


def _run(wanted: Plan) -> str:
    program = shutil.which(wanted.client.program)
    if program is None:
        raise ConfigurationError(
            f"`{wanted.client.program}`, the command of {wanted.client.title}, is not on the PATH.",
            next_step=f"Run this where it is: {wanted.shown()}",
        )

    def called(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)

    done = called(*wanted.command[1:])
    if done.returncode and "already exists" in done.stdout + done.stderr:
        called("mcp", "remove", "--scope", "user", NAME)
        done = called(*wanted.command[1:])
    if done.returncode:
        said = wanted.entry.masked((done.stderr or done.stdout).strip())
        raise ConfigurationError(f"{wanted.client.title} refused it: {said}", next_step=f"Tried: {wanted.shown()}")
    return f"Added to {wanted.client.title}.\n{wanted.client.hint}"
