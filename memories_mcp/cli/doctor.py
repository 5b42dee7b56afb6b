"""Looking whether everything is as it must be, and saying how to mend what is not."""

from __future__ import annotations

import json
import os
import platform
import re
import time
import tomllib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast
from urllib.parse import urlsplit

from memories_mcp.api.rate_limits import NO_LIMITS, in_force
from memories_mcp.cli.mcp_clients import CLIENTS, NAME, Client, config_path
from memories_mcp.errors import MemoriesError, NotFound, OutOfCredits, Unauthorized
from memories_mcp.operations import OPERATIONS
from memories_mcp.operations.toolsets import TOOLSETS
from memories_mcp.runner import Runner, connected
from memories_mcp.settings import API_URL, CAPTION_URL, Settings

State = Literal["ok", "note", "wrong"]
_SHOWN = ("mcp", "pydantic", "httpx2", "starlette", "uvicorn", "langchain-core")
_REACH_SECONDS = 5


class Finding(NamedTuple):
    """One thing that was looked at."""

    state: State
    what: str
    mend: str = ""


async def examine(
    settings: Settings, home: Path, environ: Mapping[str, str], problems: Sequence[MemoriesError] = ()
) -> AsyncGenerator[Finding, None]:
    """Look at one thing after the other. No key is ever part of what is said.

    Args:
        settings: As far as they could be read.
        home: The person's folder.
        environ: The variables.
        problems: What was wrong with the settings; each is told.
    """
    yield _versions()
    try:
        Runner(settings)
    except MemoriesError as error:  # names of toolsets or tools that there are not
        problems = [*problems, error]
        settings = replace(settings, toolsets=(), tools=(), exclude_tools=())
    for problem in problems:
        yield Finding("wrong", problem.summary, problem.next_step)
    for each in _settings(settings):
        yield each
    proxy = any(environ.get(name) or environ.get(name.upper()) for name in _PROXIES)
    async with connected(settings) as runner:
        reached = await _reachable("the API", runner.settings.base_url, proxy=proxy)
        yield reached
        if not runner.settings.api_key:
            yield Finding("wrong", "there is no key", "Set MEMORIES_API_KEY, or try --sandbox.")
        elif reached.state != "wrong":
            yield await _key(runner)
        async for each in _toolsets(runner, proxy=proxy):
            yield each
    for each in _clients(home, environ):
        yield each


def _versions() -> Finding:
    shown = [f"Python {platform.python_version()}", f"memories-mcp {metadata.version('memories-mcp')}"]
    for name in _SHOWN:
        shown.append(f"{name} {metadata.version(name)}" if _installed(name) else f"without {name}")
    required = [each for each in metadata.requires("memories-mcp") or [] if "extra ==" not in each]
    if unmet := [each for each in required if not _met(each)]:
        return Finding("wrong", f"{', '.join(shown)}; unmet: {', '.join(unmet)}", "Install memories-mcp anew.")
    return Finding("ok", ", ".join(shown))


def _met(requirement: str) -> bool:
    """Whether what is installed lies within the bounds, which are all of the form `name<2,>=1.2`."""
    name = re.split(r"[^\w.-]", requirement)[0]
    if not _installed(name):
        return False
    here = _numbers(metadata.version(name))
    lowest, limit = (re.search(rf"{sign}([\d.]+)", requirement) for sign in (">=", "<"))
    return not (lowest and here < _numbers(lowest[1])) and not (limit and here >= _numbers(limit[1]))


def _numbers(version: str) -> tuple[int, ...]:
    found = [int(each) for each in re.findall(r"\d+", version.split("+")[0])[:3]]
    return tuple(found + [0] * (3 - len(found)))


def _installed(name: str) -> bool:
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


def _settings(settings: Settings) -> list[Finding]:
    found: list[Finding] = []
    if settings.sandbox:
        found.append(Finding("note", "the offline sandbox is used in place of the service"))
    for name, url, usual in (
        ("MEMORIES_BASE_URL", settings.base_url, API_URL),
        ("MEMORIES_CAPTION_BASE_URL", settings.caption_base_url, CAPTION_URL),
    ):
        if url != usual:
            found.append(Finding("note", f"{name} leads to {url}, not to {usual}"))
    where = f"namespace {settings.unique_id!r}, fixed" if settings.unique_id else "the default namespace"
    found.append(Finding("ok", f"library: {where}"))
    found.append(_files(settings.files_root))
    limits = in_force(NO_LIMITS if settings.sandbox else settings.rate_limits)
    rates = ", ".join(f"{name} {allowed:g}/{seconds:g} s" for name, (allowed, seconds) in limits.items())
    found.append(Finding("ok", f"rate limits: {rates or 'off'}"))
    if settings.read_only:
        found.append(Finding("note", "read-only: tools that change something are not offered"))
    return found


def _files(root: Path | None) -> Finding:
    if root is None:
        mend = "Set MEMORIES_FILES_ROOT to a folder to upload and download files."
        return Finding("note", "file tools are closed: there is no files root", mend)
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        return Finding("wrong", f"files root {root} cannot be read and written", "Change its permissions.")
    return Finding("ok", f"files root {root}")


_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


async def _reachable(what: str, url: str, *, proxy: bool) -> Finding:
    """Whether a host takes connections; nothing is sent."""
    if proxy and urlsplit(url).hostname not in {"127.0.0.1", "localhost", "::1"}:
        return Finding("note", f"{what} at {url} is reached by a proxy, which was not tried by itself")
    import asyncio
    import ssl

    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port, host = parts.port or (443 if secure else 80), parts.hostname or ""
    begun = time.perf_counter()
    try:
        async with asyncio.timeout(_REACH_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context() if secure else None)
    except (OSError, TimeoutError) as error:
        reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        return Finding("wrong", f"{what} at {host}:{port} is not reached: {reason}", "Check the network and the URL.")
    writer.close()
    return Finding("ok", f"{what} at {host}:{port} answers in {(time.perf_counter() - begun) * 1000:.0f} ms")


async def _key(runner: Runner) -> Finding:
    """One cheap read, which tells the key and the namespace at once."""
    operation = next(each for each in OPERATIONS if each.name == "list_videos")  # offered to models or not
    try:
        page = (await runner.run(operation, {"size": 1})).output
    except Unauthorized as error:
        return Finding("wrong", f"the key is refused: {error.summary} {error.words}", "Check MEMORIES_API_KEY.")
    except OutOfCredits as error:
        return Finding("wrong", f"the account has no credits: {error.words}", "Top it up.")
    except NotFound as error:
        return Finding("wrong", f"the namespace is not there: {error.summary}", "Check MEMORIES_UNIQUE_ID.")
    except MemoriesError as error:
        return Finding("wrong", f"the library cannot be read: {error.summary}", error.next_step)
    total = page.total if page.total is not None else len(page.videos)
    if not total:
        mend = "Upload a video, or check MEMORIES_UNIQUE_ID if there should be some."
        return Finding("note", "the key is taken; the library is empty", mend)
    return Finding("ok", f"the key is taken; the library has {total} video{'s' * (total != 1)}")


async def _toolsets(runner: Runner, *, proxy: bool) -> AsyncGenerator[Finding, None]:
    """What is offered, and whether its host can be reached where that is another one."""
    offered = {each.toolset for each in runner.operations.values()}
    names = ", ".join(each.name for each in TOOLSETS if each.name in offered)
    count = len(runner.operations)
    yield Finding("ok" if offered else "wrong", f"offered: {count} tools of {names or 'no toolset'}")
    if "captions" not in offered:
        return
    if not runner.settings.caption_api_key:
        yield Finding(
            "wrong", "captions are offered without a key", "Set MEMORIES_CAPTION_API_KEY; it is issued apart."
        )
    if not runner.settings.callback_url:
        yield Finding("note", "video captions need MEMORIES_CALLBACK_URL: their results come by callback only")
    yield await _reachable("the caption service", runner.settings.caption_base_url, proxy=proxy)


def _clients(home: Path, environ: Mapping[str, str]) -> list[Finding]:
    """The configurations of clients that are found, and whether what they start is there."""
    found: list[Finding] = []
    for client in CLIENTS.values():
        path = config_path(client, home, environ)
        if path.is_file():
            found.append(_client(client, path))
    return found


def _client(client: Client, path: Path) -> Finding:
    mend = f"memories-mcp install {client.name}"
    try:
        text = path.read_text(encoding="utf-8-sig")
        whole: Any = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text or "{}")
    except (OSError, ValueError) as error:
        if client.name == "vscode":  # which takes comments too
            return Finding("note", f"{client.title}: {path} is not plain JSON and was not read")
        return Finding("wrong", f"{client.title} cannot read {path}: {error}", "Mend the file, or write it anew.")
    servers: Any = cast(dict[str, Any], whole).get(client.section) if isinstance(whole, dict) else None
    entry: Any = cast(dict[str, Any], servers).get(NAME) if isinstance(servers, dict) else None
    if not isinstance(entry, dict):
        return Finding("note", f"{client.title} has no entry for this server ({path})", mend)
    known = cast(dict[str, Any], entry)
    if "command" not in known:
        return Finding("ok", f"{client.title} reaches a server at {known.get('url') or known.get('serverUrl')}")
    command = str(known["command"])
    if not Path(command).is_absolute():
        why = f"Apps may lack the PATH; {mend} writes the whole path."
        return Finding("note", f"{client.title} starts {command!r} by its name alone", why)
    if not Path(command).is_file():
        return Finding("wrong", f"{client.title} starts {command}, which is not there", mend)
    return Finding("ok", f"{client.title} starts {command}")
