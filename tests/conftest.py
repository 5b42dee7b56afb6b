"""One sandbox a test session, on a real loopback socket; a fresh account a test."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import ssl
import sys
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpcore2
import httpx2
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from jsonschema import Draft202012Validator
from processes import close_launcher
from pydantic import SecretStr

from memories_mcp import errors, sandbox
from memories_mcp.api import Api
from memories_mcp.api.rate_limits import NO_LIMITS
from memories_mcp.runner import Runner
from memories_mcp.sandbox import demo_data
from memories_mcp.settings import Settings

MEETING = "VI612515093881740229"
BIKE = "VI611702946038315594"
BREAD = "PI-604418309112233984"
MEETING_SESSION = "612990037562867712"


# Byte-code is kept: the programs that tests start would compile the package at each start, and pytest all tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Garbage is collected only while tests run, and the test modules and libraries are no candidates: a quarter less time.
# What the tests themselves leave is little, so that it is collected rarely.
gc.disable()
gc.set_threshold(20_000, 20, 50)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    """Remove the settings of this machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("MEMORIES_"):
                patch.delenv(name)
        yield


def asyncio_with_sleep(sleep: Callable[[float], Awaitable[None]]) -> Any:
    """Return a stand-in for the module `asyncio`, for one importer of it, with another way to sleep."""
    return SimpleNamespace(**{**vars(asyncio), "sleep": sleep})


@pytest.fixture(scope="session", autouse=True)
def _short_pauses() -> Iterator[None]:
    """Shorten the pauses of uvicorn, by which each server stops 0.2 s late, of retries, and between polls of a video.

    The sandbox advances a video at each poll.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("uvicorn.server.asyncio", asyncio_with_sleep(lambda seconds: asyncio.sleep(seconds / 10)))
        patch.setattr("memories_mcp.operations.common.polling._PAUSES", (0.01,))
        patch.setattr("memories_mcp.api.retry.FIRST_BACKOFF", 0.01)
        yield


@pytest.fixture(scope="session", autouse=True)
def _certificates_read_once() -> Iterator[None]:
    """Share the certificates of this machine among all HTTP clients; to read them takes 20 ms a client."""
    read = httpcore2.default_ssl_context

    @cache
    def read_once(file: str | None, folder: str | None, **options: Any) -> ssl.SSLContext:
        return read(**options)

    def share(**options: Any) -> ssl.SSLContext:
        return read_once(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"), **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpcore2, "default_ssl_context", share)
        yield


@pytest.fixture(scope="session", autouse=True)
def _schemas_checked_once() -> Iterator[None]:
    """Check each JSON Schema once a session; each client would check the schema of each tool that it calls."""
    check = Draft202012Validator.check_schema
    checked = set[str]()

    def check_once(schema: Any, *arguments: Any, **options: Any) -> None:
        text = json.dumps(schema, sort_keys=True)
        if text not in checked:
            check(schema, *arguments, **options)
            checked.add(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draft202012Validator, "check_schema", check_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def _launcher_of_processes() -> Iterator[None]:
    yield
    close_launcher()


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """An event loop in a thread of its own, for servers that many tests share."""
    with start_blocking_portal("asyncio") as portal:
        yield portal


@pytest.fixture(scope="session")
def sandbox_url(portal: BlockingPortal) -> Iterator[str]:
    with portal.wrap_async_context_manager(sandbox.run_sandbox()) as url:
        yield url


@pytest.fixture
def key() -> str:
    return f"sk-test-{uuid.uuid4().hex}"


@pytest.fixture
def settings(sandbox_url: str, key: str) -> Settings:
    """An account of its own on the sandbox; `toolsets` is all, limits are off."""
    return settings_of(key, sandbox_url)


def settings_of(key: str, sandbox_url: str) -> Settings:
    return Settings(
        api_key=key,
        base_url=sandbox_url,
        caption_api_key=key,
        caption_base_url=sandbox_url,
        callback_url="https://callback.example/here",
        sandbox=True,
        toolsets=("all",),
    )


@pytest.fixture
def live(settings: Settings) -> Settings:
    """The same account for a server that makes its own client: the sandbox runs already."""
    return settings.change(sandbox=False, rate_limits={})


@pytest.fixture
def no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn rate limits off for LangChain's side, which reads the environment; the sandbox has none."""
    monkeypatch.setenv("MEMORIES_RATE_LIMITS", "off")


@pytest.fixture
def account(live: Settings, no_limits: None) -> dict[str, Any]:
    """The same account, as LangChain's side takes it."""
    return {"api_key": SecretStr(live.api_key), "base_url": live.base_url}


@pytest.fixture
def open_house(live: Settings) -> Settings:
    """A server on loopback without a token; its own key is set and must serve no request."""
    return live


@pytest.fixture(scope="session")
def url(portal: BlockingPortal, sandbox_url: str) -> Iterator[str]:
    """Where such a server is reached; tests share it and isolate themselves by fresh keys."""
    from memories_mcp.server.http.app import run_http_server

    settings = settings_of("sk-test-of-the-operator", sandbox_url).change(sandbox=False, rate_limits={})
    with portal.wrap_async_context_manager(run_http_server(settings)) as url:
        yield url


SAMPLES = {"talk.mp4": "quarterly-planning.mp4", "bicycle.jpg": "red-door.jpg"}
"""The files that the operations' examples name, and what they are copies of."""


FILM = (demo_data.MEDIA / "espresso-machine.mp4").read_bytes()
"""A video of six seconds, for services of tests that answer downloads."""


def remove_written(root: Path) -> None:
    """Remove the files that tools wrote beside the samples."""
    for file in root.iterdir():
        if file.name not in SAMPLES:
            file.unlink()


def copy_samples(root: Path) -> Path:
    for name, source in SAMPLES.items():
        shutil.copy(demo_data.MEDIA / source, root / name)
    return root


@pytest.fixture
def files_root(tmp_path: Path) -> Path:
    """A files root with what the examples send."""
    root = tmp_path / "files"
    root.mkdir()
    return copy_samples(root)


@pytest.fixture
async def runner(settings: Settings) -> AsyncIterator[Runner]:
    runner = Runner(settings)
    yield runner
    await runner.aclose()


@pytest.fixture
def skipped_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock of the event loop jump over the pauses between polls, so that a wait runs out at once."""

    async def jump(seconds: float) -> None:
        loop = asyncio.get_running_loop()
        time = loop.time
        monkeypatch.setattr(loop, "time", lambda: time() + seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr("memories_mcp.operations.common.polling._PAUSES", (1.0,))
    monkeypatch.setattr("memories_mcp.operations.common.polling.asyncio", asyncio_with_sleep(jump))


Handler = Callable[[httpx2.Request], httpx2.Response]


class FakeWire:
    """Answers requests from a handler and keeps them, in place of the network."""

    def __init__(self, *answers: httpx2.Response | Exception | Handler) -> None:
        self.requests: list[httpx2.Request] = []
        self._answers = list(answers)

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx2.Response) else answer(request)


def envelope(data: Any, code: str = "0000", msg: str = "success") -> httpx2.Response:
    good = code == "0000"
    return httpx2.Response(200, json={"code": code, "msg": msg, "data": data, "success": good, "failed": not good})


@asynccontextmanager
async def calling(wire: FakeWire, **settings: Any) -> AsyncGenerator[Runner, None]:
    """A caller whose requests go to a fake wire."""
    api = Api(
        "sk-secret-key",
        "https://api.example",
        caption_key="sk-secret-caption-key",
        caption_base_url="https://caption.example",
        rates=NO_LIMITS,
        transport=httpx2.MockTransport(wire),
    )
    runner = Runner(Settings(api_key="sk-secret-key", toolsets=("all",)).change(**settings), api=api)
    try:
        yield runner
    finally:
        await runner.aclose()


async def run(runner: Runner, name: str, /, **arguments: Any) -> Any:
    """The typed result of one tool."""
    return (await runner.run(runner.operations[name], arguments)).output


async def order(settings: Settings, fault: str, **more: Any) -> None:
    """Ask the sandbox for a fault of this account."""
    async with httpx2.AsyncClient(base_url=settings.base_url, trust_env=False, verify=False) as client:
        response = await client.post(
            "/sandbox/faults", json={"fault": fault, **more}, headers={"authorization": settings.api_key}
        )
    assert response.status_code == 204, response.text


async def answered(data: Any, name: str, /, **arguments: Any) -> Any:
    response = data if isinstance(data, httpx2.Response) else envelope(data)
    async with calling(FakeWire(response), confirm=False) as runner:
        return await run(runner, name, **arguments)


async def error_of(base_url: str) -> errors.MemoriesError:
    """The error of a read from an API at this URL."""
    runner = Runner(Settings(api_key="sk-x", base_url=base_url))
    try:
        with pytest.raises(errors.MemoriesError) as caught:
            await run(runner, "list_sessions")
    finally:
        await runner.aclose()
    return caught.value
