"""The command `doctor`: checks of the settings, the connections and the MCP clients, each problem with its remedy."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import ssl
import time
import tomllib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast
from urllib.parse import urlsplit

from memories_mcp.api.connections import certificate_error, check_proxies, is_loopback, trusted_certificates
from memories_mcp.api.rate_limits import NO_LIMITS, effective_rates
from memories_mcp.cli import jsonc
from memories_mcp.cli.mcp_clients import CLIENT_APPS, SERVER_NAME, ClientApp, config_path, home_folder
from memories_mcp.errors import ConfigurationError, MemoriesError, NotFound, OutOfCredits, Unauthorized
from memories_mcp.operations import OPERATIONS
from memories_mcp.operations.toolsets import TOOLSETS
from memories_mcp.runner import Runner, open_runner
from memories_mcp.settings import API_URL, CAPTION_URL, Settings, environment

State = Literal["ok", "note", "problem"]
_LABELS: dict[State, str] = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}
_REPORTED_PACKAGES = ("mcp", "pydantic", "httpx2", "starlette", "uvicorn", "langchain-core")
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")
_CONNECT_SECONDS = 5


class Finding(NamedTuple):
    """The result of one check."""

    state: State
    message: str
    remedy: str = ""


async def run(settings: Settings, problems: Sequence[MemoriesError]) -> int:
    """Print every finding and a summary; return 0 if there is no problem, else 1.

    Args:
        settings: The settings that could be read.
        problems: The errors of those that could not.
    """
    count = 0
    try:
        home = home_folder()
    except ConfigurationError:
        home = None
    async for finding in check(settings, home, environment(), problems):
        if finding.state == "problem":
            count += 1
        print(f"{_LABELS[finding.state]} {finding.message}", flush=True)
        if finding.remedy:
            print(f"        {finding.remedy}", flush=True)
    if not count:
        print("No problems found.")
        return 0
    print("1 problem found." if count == 1 else f"{count} problems found.")
    return 1


async def check(
    settings: Settings, home: Path | None, environ: Mapping[str, str], problems: Sequence[MemoriesError] = ()
) -> AsyncGenerator[Finding, None]:
    """Run the checks one after the other and yield their findings, none of which holds a key.

    Args:
        settings: The settings that could be read.
        home: The user's home folder; without one the MCP clients are not checked.
        environ: The environment variables.
        problems: The errors of the settings that could not be read; each becomes a finding.
    """
    yield _check_packages()
    try:
        Runner(settings)
    except MemoriesError as error:  # unknown toolsets or tools
        problems = [*problems, error]
        settings = replace(settings, toolsets=None, tools=None, exclude_tools=())
    for problem in problems:
        yield Finding("problem", problem.summary, problem.next_step)
    for finding in _check_settings(settings):
        yield finding
    has_proxy = any(environ.get(name) or environ.get(name.upper()) for name in _PROXY_VARIABLES)
    async with open_runner(settings) as runner:
        connection = await _check_connection("API", runner.settings.base_url, has_proxy=has_proxy)
        yield connection
        if not runner.settings.api_key:
            yield Finding("problem", "API key: not set", "Set MEMORIES_API_KEY, or try --sandbox, which needs no key.")
        elif connection.state != "problem":
            yield await _check_key(runner)
        async for finding in _check_toolsets(runner, has_proxy=has_proxy):
            yield finding
    for finding in _check_clients(home, environ):
        yield finding


def _check_packages() -> Finding:
    versions = [f"Python {platform.python_version()}", f"memories-mcp {metadata.version('memories-mcp')}"]
    for name in _REPORTED_PACKAGES:
        versions.append(f"{name} {metadata.version(name)}" if _is_installed(name) else f"{name} not installed")
    required = [line for line in metadata.requires("memories-mcp") or [] if "extra ==" not in line]
    unmet = [requirement for requirement in required if not _is_met(requirement)]
    if unmet:
        message = f"{', '.join(versions)}; requirements not met: {', '.join(unmet)}"
        return Finding("problem", message, "Reinstall memories-mcp.")
    return Finding("ok", ", ".join(versions))


def _is_met(requirement: str) -> bool:
    """Return whether the installed version is within bounds of the form `name<2,>=1.2`, the only form in use."""
    name = re.split(r"[^\w.-]", requirement)[0]
    if not _is_installed(name):
        return False
    installed = _version_numbers(metadata.version(name))
    lower = re.search(r">=([\d.]+)", requirement)
    upper = re.search(r"<([\d.]+)", requirement)
    if lower and installed < _version_numbers(lower[1]):
        return False
    return not (upper and installed >= _version_numbers(upper[1]))


def _version_numbers(version: str) -> tuple[int, ...]:
    """Return the first three numbers of a version, padded with zeros."""
    numbers = [int(digits) for digits in re.findall(r"\d+", version.split("+")[0])[:3]]
    return tuple(numbers + [0] * (3 - len(numbers)))


def _is_installed(name: str) -> bool:
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


def _check_settings(settings: Settings) -> Iterator[Finding]:
    if settings.sandbox:
        yield Finding("note", "Sandbox: the offline simulation is used instead of the Memories.ai API")
    for name, url, default in (
        ("MEMORIES_BASE_URL", settings.base_url, API_URL),
        ("MEMORIES_CAPTION_BASE_URL", settings.caption_base_url, CAPTION_URL),
    ):
        if url != default:
            yield Finding("note", f"{name}: {url} instead of {default}")
    if settings.unique_id:
        yield Finding("ok", f"Namespace: {settings.unique_id!r} for all calls (MEMORIES_UNIQUE_ID)")
    else:
        yield Finding("ok", "Namespace: the default one")
    yield _check_files_root(settings.files_root)
    limits = effective_rates(NO_LIMITS if settings.sandbox else settings.rate_limits)
    rates = ", ".join(f"{name} {requests:g}/{seconds:g} s" for name, (requests, seconds) in limits.items())
    yield Finding("ok", f"Rate limits: {rates or 'off'}")
    if settings.read_only:
        yield Finding("note", "Read-only: tools that change something are not offered")


def _check_files_root(root: Path | None) -> Finding:
    if root is None:
        return Finding(
            "note",
            "Files root: not set; tools cannot read or write files",
            "To upload and download files, set MEMORIES_FILES_ROOT to a folder.",
        )
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        return Finding("problem", f"Files root: {root} cannot be read and written", "Change its permissions.")
    return Finding("ok", f"Files root: {root}")


async def _check_connection(service: str, url: str, *, has_proxy: bool) -> Finding:
    """Open a connection to the host of a URL and close it, without sending a request."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    started = time.perf_counter()
    try:
        if not is_loopback(url):
            check_proxies()
        context = trusted_certificates() if secure else None
        if has_proxy and not is_loopback(url):
            return Finding("note", f"{service}: {url} is used through a proxy, so a direct connection was not tried")
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ConfigurationError as error:
        return Finding("problem", f"{service}: {error.summary}", error.next_step)
    except ssl.SSLCertVerificationError as error:
        problem = certificate_error(error, host)
        return Finding("problem", f"{service}: {problem.summary}", problem.next_step)
    except TimeoutError:
        reason = f"no connection within {_CONNECT_SECONDS} seconds"
    except OSError as error:
        reason = str(error)
    else:
        writer.close()
        return Finding(
            "ok", f"{service}: connected to {host}:{port} in {(time.perf_counter() - started) * 1000:.0f} ms"
        )
    return Finding("problem", f"{service}: cannot connect to {host}:{port}: {reason}", "Check the network and the URL.")


async def _check_key(runner: Runner) -> Finding:
    """Check the key and the namespace with one cheap request."""
    operation = next(operation for operation in OPERATIONS if operation.name == "list_videos")  # even if not offered
    try:
        page = (await runner.run(operation, {"size": 1})).output
    except Unauthorized as error:
        return Finding("problem", f"API key: refused: {error.summary} {error.words}", "Check MEMORIES_API_KEY.")
    except OutOfCredits as error:
        return Finding("problem", f"API key: the account has no credits: {error.words}", "Add credits to the account.")
    except NotFound as error:
        return Finding("problem", f"Namespace: not found: {error.summary}", "Check MEMORIES_UNIQUE_ID.")
    except MemoriesError as error:
        return Finding("problem", f"Library: cannot be read: {error.summary}", error.next_step)
    total = page.total if page.total is not None else len(page.videos)
    if not total:
        remedy = "Upload a video. If the library should hold videos, check MEMORIES_UNIQUE_ID."
        return Finding("note", "API key: accepted; the library is empty", remedy)
    return Finding("ok", f"API key: accepted; the library has {total} {'video' if total == 1 else 'videos'}")


async def _check_toolsets(runner: Runner, *, has_proxy: bool) -> AsyncGenerator[Finding, None]:
    """Yield the offered tools, and the state of the caption service if its tools are among them."""
    offered = {operation.toolset for operation in runner.operations.values()}
    if not offered:
        yield Finding("problem", "Tools: none offered", "Change the options or variables that select tools.")
        return
    names = ", ".join(toolset.name for toolset in TOOLSETS if toolset.name in offered)
    yield Finding("ok", f"Tools: {len(runner.operations)} offered, of {names}")
    if "captions" not in offered:
        return
    if not runner.settings.caption_api_key:
        yield Finding(
            "problem",
            "Caption service: the captions toolset is offered without a key",
            "Set MEMORIES_CAPTION_API_KEY, a key of its own, or remove the toolset.",
        )
    yield await _check_connection("Caption service", runner.settings.caption_base_url, has_proxy=has_proxy)


def _check_clients(home: Path | None, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the state of each MCP client that has a configuration file."""
    if home is None:
        yield Finding("note", "MCP clients: not checked, because the home folder is unknown", "Set HOME.")
        return
    for app in CLIENT_APPS.values():
        path = config_path(app, home, environ)
        if path.is_file():
            yield _check_client(app, path)


def _check_client(app: ClientApp, path: Path) -> Finding:
    install = f"memories-mcp install {app.name}"
    try:
        text = path.read_text(encoding="utf-8-sig")
        config: Any = tomllib.loads(text) if path.suffix == ".toml" else jsonc.loads(text)
    except (OSError, ValueError) as error:
        return Finding("problem", f"{app.title}: cannot read {path}: {error}", "Correct the file or replace it.")
    servers: Any = cast(dict[str, Any], config).get(app.section) if isinstance(config, dict) else None
    server: Any = cast(dict[str, Any], servers).get(SERVER_NAME) if isinstance(servers, dict) else None
    if not isinstance(server, dict):
        return Finding("note", f"{app.title}: no entry for this server in {path}", f"To add one, run: {install}")
    entry = cast(dict[str, Any], server)
    if "command" not in entry:
        return Finding("ok", f"{app.title}: uses a server at {entry.get('url') or entry.get('serverUrl')}")
    command = str(entry["command"])
    if not Path(command).is_absolute():
        return Finding(
            "note",
            f"{app.title}: starts {command!r} without a path",
            f"Apps may lack your shell's PATH. To write the absolute path, run: {install}",
        )
    if not Path(command).is_file():
        return Finding("problem", f"{app.title}: starts {command}, which does not exist", f"Run: {install}")
    return Finding("ok", f"{app.title}: starts {command}")
