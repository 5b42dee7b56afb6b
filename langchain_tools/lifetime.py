"""What the tools of one toolkit share: callers, living on the bridge's loop until they are closed."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, cast

from pydantic import SecretStr

from langchain_tools.bridge import bridge
from langchain_tools.run_context import Run
from memories_mcp.api.rate_limits import Limits
from memories_mcp.errors import ConfigurationError
from memories_mcp.pool import Pool
from memories_mcp.runner import Runner, rate_limits_of, use_sandbox, with_sandbox
from memories_mcp.settings import Settings, parse_setting

_MOST_ACCOUNTS = 200

# Toolkits, retrievers and loaders of one key share its limits, for as long as one of them has them.
_limits: weakref.WeakValueDictionary[tuple[object, ...], Limits] = weakref.WeakValueDictionary()
_turns: weakref.WeakKeyDictionary[Runner, asyncio.Semaphore] = weakref.WeakKeyDictionary()
_FETCHES_AT_ONCE = 4


def turns_of(runner: Runner) -> asyncio.Semaphore:
    """Who fetches many transcripts takes turns with all others of the same caller.

    So a batch of queries waits here for as long as it takes, and not in the rate limiter, which gives up.
    """
    return _turns.setdefault(runner, asyncio.Semaphore(_FETCHES_AT_ONCE))


class RunCredentials(NamedTuple):
    """Whose call it is; secret."""

    api_key: str
    caption_key: str
    unique_id: str

    def __repr__(self) -> str:
        return "Identity(…)"  # never a key in a traceback


class SharedClients:
    """Opens clients, and the sandbox where asked for, on the first call.

    Args:
        settings: Key, host and namespace; with `per_run` only the host, and a namespace that holds for everybody.
        per_run: Whether each run brings its own key and namespace.
    """

    def __init__(self, settings: Settings, *, per_run: bool = False) -> None:
        rate_limits_of(settings)  # a rate limit that makes no sense is told now
        self._settings = settings
        self._per_run = per_run
        self._begin()

    def __deepcopy__(self, memo: object) -> SharedClients:
        return SharedClients(self._settings, per_run=self._per_run)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("A connection holds a key and is not pickled; make the toolkit where it is used.")

    def identity(self, run: Run) -> RunCredentials | None:
        """Who calls in this run; `None` where everybody is the same.

        Raises:
            ConfigurationError: The run brings no key, one that would be written where others can read it, or a
                namespace that contradicts the one that holds for everybody.
        """
        if not self._per_run:
            return None
        key = _secret(run.given, "memories_api_key")
        if not key:
            raise ConfigurationError(
                "This run brings no key.",
                next_step="Pass memories_api_key, a SecretStr, in the run's context or config['configurable'].",
            )
        fixed, wanted = self._settings.unique_id, str(run.given.get("memories_unique_id") or "").strip()
        if fixed and wanted and fixed != wanted:
            raise ConfigurationError("The run's memories_unique_id is not the unique_id that was fixed for all runs.")
        return RunCredentials(key, _secret(run.given, "memories_caption_api_key"), fixed or wanted)

    @asynccontextmanager
    async def runner(self, identity: RunCredentials | None) -> AsyncGenerator[Runner, None]:
        """The caller of an identity; to be used on the bridge's loop."""
        if self._opened.process != os.getpid():  # a fork: what was opened belongs to the parent
            self._begin()
        async with self._opened.runner(identity) as runner:
            yield runner

    async def aclose(self) -> None:
        """Close everything; to be awaited on the bridge's loop. A later call opens it again."""
        if self._opened.process == os.getpid():
            await self._opened.aclose()

    def _begin(self) -> None:
        self._opened = _Opened(self._settings, self._per_run)
        # Nobody has to close a toolkit: what it opened goes with it, or at the end of the process.
        weakref.finalize(self, _close, self._opened).atexit = False


class _Opened:
    def __init__(self, settings: Settings, per_run: bool) -> None:
        self.process = os.getpid()
        self._settings = settings
        self._per_run = per_run
        self._turn = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._backed: Settings | None = None
        self._callers = Pool[RunCredentials | None, Runner](_MOST_ACCOUNTS, Runner.aclose)

    @asynccontextmanager
    async def runner(self, identity: RunCredentials | None) -> AsyncGenerator[Runner, None]:
        async with self._turn:
            if _ending.is_set():
                raise RuntimeError("The process ends; its connections are closed.")
            if self._backed is None:
                self._backed = await self._stack.enter_async_context(_twin.behind(self._settings))
                _all_opened.add(self)
        async with self._callers.use(identity, partial(self._new, self._backed, identity)) as runner:
            yield runner

    async def aclose(self) -> None:
        async with self._turn:
            self._backed = None
            await self._callers.aclose(force=False)
            await self._stack.aclose()
            _all_opened.discard(self)

    def _new(self, settings: Settings, identity: RunCredentials | None) -> Runner:
        if identity:
            caption_key = identity.caption_key or (identity.api_key if settings.sandbox else "")
            settings = replace(
                settings, api_key=identity.api_key, caption_api_key=caption_key, unique_id=identity.unique_id
            )
        shared = (self.process, settings.base_url, settings.api_key, str(settings.rate_limits))
        limits = _limits.setdefault(shared, rate_limits_of(settings))
        return Runner(settings, limits=limits, fixed_namespace=self._per_run)


class _Twin:
    """The sandbox of this process: toolkits, retrievers and loaders share it for as long as one of them is open."""

    def __init__(self) -> None:
        self._process = 0
        self._forget()

    @asynccontextmanager
    async def behind(self, settings: Settings) -> AsyncGenerator[Settings, None]:
        """The settings with a service behind them."""
        if not settings.sandbox:
            yield settings
            return
        if self._process != os.getpid():
            self._forget()
        async with self._turn:
            if not self._users:
                self._url = (await self._stack.enter_async_context(with_sandbox(Settings(sandbox=True)))).base_url
            self._users += 1
        try:
            yield use_sandbox(settings, self._url)
        finally:
            async with self._turn:
                self._users -= 1
                if not self._users:
                    await self._stack.aclose()

    def _forget(self) -> None:
        if self._process:
            _of_the_parent.append(self._stack)  # so that nothing of it is collected, and thus closed, here
        self._process, self._users, self._url = os.getpid(), 0, ""
        self._turn, self._stack = asyncio.Lock(), AsyncExitStack()


_all_opened = set[_Opened]()
_of_the_parent = list[AsyncExitStack]()
_ending = threading.Event()
_twin = _Twin()


def _close(opened: _Opened) -> None:
    if opened in _all_opened and opened.process == os.getpid():
        bridge.submit(opened.aclose())


def _close_all() -> None:
    """At the end of the process, before the bridge stops; whoever still calls from a thread comes too late."""
    _ending.set()
    mine = [each for each in _all_opened if each.process == os.getpid()]
    if mine:
        with suppress(TimeoutError):
            bridge.submit(_closed(mine)).result(_CLOSE_SECONDS)


async def _closed(all_opened: list[_Opened]) -> None:
    await asyncio.gather(*(each.aclose() for each in all_opened), return_exceptions=True)
    await asyncio.sleep(0)  # transports say goodbye in the next turn of the loop


_CLOSE_SECONDS = 5.0
atexit.register(_close_all)  # after the bridge's own, and so it runs before it


def _secret(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if value is None:
        return ""
    if not isinstance(value, SecretStr):
        raise ConfigurationError(
            f"{name} is no SecretStr.",
            next_step="Wrap it, SecretStr(key): plain strings end up in the metadata of checkpoints and traces.",
        )
    setting = name.removeprefix("memories_")
    return cast(str, parse_setting(setting, value.get_secret_value().strip(), name))
