"""Looking whether everything is as it must be, and saying how to mend what is not."""

from __future__ import annotations

import json
import os
import platform
import re
import time
from collections.abc import AsyncGenerator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast
from urllib.parse import urlsplit

from memories_mcp.api.limits import PER_ACCOUNT
from memories_mcp.call import Caller, connected
from memories_mcp.errors import MemoriesError, NotFound, OutOfCredits, Unauthorized
from memories_mcp.install import CLIENTS, NAME, config_path
from memories_mcp.operations import TOOLSETS
from memories_mcp.settings import API_URL, CAPTION_URL, Settings

State = Literal["ok", "note", "wrong"]
_SHOWN = ("mcp", "pydantic", "httpx2", "starlette", "uvicorn", "langchain-core")
_REACH_SECONDS = 5


class Finding(NamedTuple):
    """One thing that was looked at."""

    state: State
    what: str
    mend: str = ""


async def examine(settings: Settings, home: Path, environ: Mapping[str, str]) -> AsyncGenerator[Finding, None]:
    """Look at one thing after the other. No key is ever part of what is said."""
    yield _versions()
    for each in _settings(settings):
        yield each
    async with connected(settings) as caller:
        yield await _reachable("the API", caller.settings.base_url)
        if not caller.settings.api_key:
            yield Finding("wrong", "there is no key", "Set MEMORIES_API_KEY, or try --sandbox.")
        else:
            yield await _key(caller)
        async for each in _toolsets(caller):
            yield each
    for each in _clients(home, environ):
        yield each


def _versions() -> Finding:
    shown = [f"Python {platform.python_version()}", f"memories-mcp {metadata.version('memories-mcp')}"]
    for name in _SHOWN:
        shown.append(f"{name} {metadata.version(name)}" if _installed(name) else f"without {name}")
    required = [each for each in metadata.requires("memories-mcp") or [] if "extra ==" not in each]
    names = [re.split(r"[^\w.-]", each)[0] for each in required]
    if missing := [each for each in names if not _installed(each)]:
        return Finding("wrong", f"{', '.join(shown)}; missing: {', '.join(missing)}", "Install memories-mcp anew.")
    return Finding("ok", ", ".join(shown))


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
    limits = {} if settings.sandbox else PER_ACCOUNT if settings.rate_limits is None else settings.rate_limits
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


async def _reachable(what: str, url: str) -> Finding:
    """Whether a host takes connections; nothing is sent."""
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
        mend = "Check the network; a proxy, which the server would use, was not tried."
        return Finding("wrong", f"{what} at {host}:{port} is not reached: {reason}", mend)
    writer.close()
    return Finding("ok", f"{what} at {host}:{port} answers in {(time.perf_counter() - begun) * 1000:.0f} ms")


async def _key(caller: Caller) -> Finding:
    """One cheap read, which tells the key and the namespace at once."""
    operation = Caller(caller.settings.change(tools=("list_videos",), read_only=False)).operations["list_videos"]
    try:
        page = (await caller.run(operation, {"size": 1})).output
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


async def _toolsets(caller: Caller) -> AsyncGenerator[Finding, None]:
    """What is offered, and whether its host can be reached where that is another one."""
    offered = {each.toolset for each in caller.operations.values()}
    names = ", ".join(each.name for each in TOOLSETS if each.name in offered)
    count = len(caller.operations)
    yield Finding("ok" if offered else "wrong", f"offered: {count} tools of {names or 'no toolset'}")
    if "captions" not in offered:
        return
    if not caller.settings.caption_api_key:
        yield Finding(
            "wrong", "captions are offered without a key", "Set MEMORIES_CAPTION_API_KEY; it is issued apart."
        )
    if not caller.settings.callback_url:
        yield Finding("note", "video captions need MEMORIES_CALLBACK_URL: their results come by callback only")
    yield await _reachable("the caption service", caller.settings.caption_base_url)


def _clients(home: Path, environ: Mapping[str, str]) -> list[Finding]:
    """The configurations of clients that are found, and whether what they start is there."""
    found: list[Finding] = []
    for client in CLIENTS.values():
        path = config_path(client, home, environ)
        if path is None or not path.is_file():
            continue
        try:
            whole: Any = json.loads(path.read_text(encoding="utf-8"))
            entry: Any = whole[client.section].get(NAME)
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            entry = None
        if not isinstance(entry, dict):
            mend = f"memories-mcp install {client.name}"
            found.append(Finding("note", f"{client.title} has no entry for this server ({path})", mend))
            continue
        command = str(cast(dict[str, Any], entry).get("command", ""))
        if not Path(command).is_absolute():
            mend = f"Apps may lack the PATH; memories-mcp install {client.name} writes the whole path."
            found.append(Finding("note", f"{client.title} starts {command!r} by its name alone", mend))
        elif not Path(command).is_file():
            mend = f"memories-mcp install {client.name}"
            found.append(Finding("wrong", f"{client.title} starts {command}, which is not there", mend))
        else:
            found.append(Finding("ok", f"{client.title} starts {command}"))
    return found
