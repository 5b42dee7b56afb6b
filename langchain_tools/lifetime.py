"""Runners and sandbox that the tools of a component share, from their first use until they are closed."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from langchain_tools.bridge import bridge
from langchain_tools.credentials import CredentialsSource, Resolver, RunCredentials
from langchain_tools.run_context import CurrentRun
from memories_mcp.api.rate_limits import RateLimiter
from memories_mcp.media.cache import VideoCache
from memories_mcp.pool import Pool
from memories_mcp.runner import Runner, rate_limits_of, use_sandbox, with_sandbox
from memories_mcp.settings import Settings
from memories_mcp.transcript_cache import TranscriptCache

_MAX_RUNNERS = 200
_MAX_CONCURRENT_FETCHES = 4
_CLOSE_SECONDS = 5.0
_KEY_HINT = "Pass api_key=, or set MEMORIES_API_KEY (for captions MEMORIES_CAPTION_API_KEY), or pass sandbox=True."
_PER_RUN_KEY_HINT = (
    "Pass memories_caption_api_key, a SecretStr, in the run's context or config['configurable'], or return "
    "caption_api_key from credentials=."
)

# Runners of one key share its rate limits, as long as one of them exists.
_limits: weakref.WeakValueDictionary[tuple[object, ...], RateLimiter] = weakref.WeakValueDictionary()
_fetch_semaphores: weakref.WeakKeyDictionary[Runner, asyncio.Semaphore] = weakref.WeakKeyDictionary()


def fetch_semaphore(runner: Runner) -> asyncio.Semaphore:
    """Return the semaphore that bounds the concurrent transcript requests of a runner.

    A batch of queries waits here without a time limit; in the rate limiter it would time out.
    """
    return _fetch_semaphores.setdefault(runner, asyncio.Semaphore(_MAX_CONCURRENT_FETCHES))


class SharedClients:
    """The runners of one component; each opens its HTTP client on the first call, and the sandbox if set.

    Args:
        settings: Key, host and namespace; with `per_run` only the host, and a namespace fixed for all runs.
        per_run: Whether each run brings its own key and namespace.
        resolver: With `per_run`, the application's function that returns them.
    """

    def __init__(self, settings: Settings, *, per_run: bool = False, resolver: Resolver | None = None) -> None:
        rate_limits_of(settings)  # an invalid rate limit fails here, not in the first call
        self._settings = settings
        self._per_run = per_run
        self._resolver = resolver
        self._source = CredentialsSource(settings.unique_id, resolver) if per_run else None
        self._reset()

    def __deepcopy__(self, memo: object) -> SharedClients:
        return SharedClients(self._settings, per_run=self._per_run, resolver=self._resolver)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(
            "Toolkits and tools are not pickled, because they hold a key. Create the toolkit where it is used."
        )

    def credentials(self, run: CurrentRun) -> RunCredentials | None:
        """Return the credentials of a run, as `CredentialsSource.get` does; `None` without `per_run`."""
        return self._source.get(run) if self._source else None

    async def acredentials(self, run: CurrentRun) -> RunCredentials | None:
        """Return the credentials of a run from async code; `None` without `per_run`."""
        return await self._source.aget(run) if self._source else None

    @asynccontextmanager
    async def runner(self, credentials: RunCredentials | None) -> AsyncGenerator[Runner, None]:
        """Lend the runner of these credentials; must run on the bridge's loop."""
        if self._open_runners.process != os.getpid():  # after a fork, the open clients belong to the parent
            self._reset()
        async with self._open_runners.runner(credentials) as runner:
            yield runner

    async def aclose(self) -> None:
        """Close the runners and release the sandbox; must run on the bridge's loop. A later call opens new ones."""
        if self._open_runners.process == os.getpid():
            await self._open_runners.aclose()

    def _reset(self) -> None:
        self._open_runners = _OpenRunners(self._settings, self._per_run)
        # Closing a component is optional: garbage collection closes its runners too.
        finalizer = weakref.finalize(self, _close_in_background, self._open_runners)
        # At exit `_close_all` does this, in time: `weakref` would run the finalizer when the bridge has already
        # stopped, and so start its thread again.
        finalizer.atexit = False


class _OpenRunners:
    """The open runners of one `SharedClients`, in one process."""

    def __init__(self, settings: Settings, per_run: bool) -> None:
        self.process = os.getpid()
        self._settings = settings
        self._per_run = per_run
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._resolved: Settings | None = None
        self._transcripts = TranscriptCache()
        self._videos = VideoCache(settings.media_cache_mib)
        self._runners = Pool[RunCredentials | None, Runner](_MAX_RUNNERS, Runner.aclose)

    @asynccontextmanager
    async def runner(self, credentials: RunCredentials | None) -> AsyncGenerator[Runner, None]:
        async with self._lock:
            if _exiting.is_set():
                raise RuntimeError("Call refused: the process is exiting and its connections are closed.")
            if self._resolved is None:
                self._resolved = await self._stack.enter_async_context(_sandbox.resolve(self._settings))
                _all_open.add(self)
        async with self._runners.use(credentials, partial(self._make_runner, self._resolved, credentials)) as runner:
            yield runner

    async def aclose(self) -> None:
        async with self._lock:
            self._resolved = None
            await self._runners.aclose(force=False)
            if not len(self._runners):
                await self._videos.aclose()
            await self._stack.aclose()
            _all_open.discard(self)

    def _make_runner(self, settings: Settings, credentials: RunCredentials | None) -> Runner:
        if credentials:
            caption_key = credentials.caption_key
            if settings.sandbox and not caption_key:
                caption_key = credentials.api_key
            settings = replace(
                settings, api_key=credentials.api_key, caption_api_key=caption_key, unique_id=credentials.unique_id
            )
        limits_key = (self.process, settings.base_url, settings.api_key, str(settings.rate_limits))
        limits = _limits.setdefault(limits_key, rate_limits_of(settings))
        key_hint = _PER_RUN_KEY_HINT if self._per_run else _KEY_HINT
        return Runner(
            settings,
            limits=limits,
            transcripts=self._transcripts,
            videos=self._videos,
            fixed_namespace=self._per_run,
            key_hint=key_hint,
        )


class _ProcessSandbox:
    """The sandbox of this process: runs as long as one component that uses it is open."""

    def __init__(self) -> None:
        self._process = 0
        self._reset()

    @asynccontextmanager
    async def resolve(self, settings: Settings) -> AsyncGenerator[Settings, None]:
        """Yield the settings with the URL and the key to call; starts the sandbox if they ask for it."""
        if not settings.sandbox:
            yield settings
            return
        if self._process != os.getpid():
            self._reset()
        async with self._lock:
            if not self._users:
                self._url = (await self._stack.enter_async_context(with_sandbox(Settings(sandbox=True)))).base_url
            self._users += 1
        try:
            yield use_sandbox(settings, self._url)
        finally:
            async with self._lock:
                self._users -= 1
                if not self._users:
                    await self._stack.aclose()

    def _reset(self) -> None:
        if self._process:
            # The reference stays, because collecting the stack would close the parent's sandbox.
            _inherited_stacks.append(self._stack)
        self._process = os.getpid()
        self._users = 0
        self._url = ""
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()


_all_open = set[_OpenRunners]()
_inherited_stacks = list[AsyncExitStack]()
_exiting = threading.Event()
_sandbox = _ProcessSandbox()


def _close_in_background(open_runners: _OpenRunners) -> None:
    if open_runners in _all_open and open_runners.process == os.getpid():
        bridge.submit(open_runners.aclose())


def _close_all() -> None:
    """Close all runners when the process exits; calls that other threads still make are refused from here on."""
    _exiting.set()
    open_here = [open_runners for open_runners in _all_open if open_runners.process == os.getpid()]
    if open_here:
        with suppress(TimeoutError):
            bridge.submit(_aclose_all(open_here)).result(_CLOSE_SECONDS)


async def _aclose_all(runner_groups: list[_OpenRunners]) -> None:
    await asyncio.gather(*(open_runners.aclose() for open_runners in runner_groups), return_exceptions=True)
    await asyncio.sleep(0)  # transports finish closing in the next iteration of the loop


# `atexit` runs the last registered function first: this one must run before the bridge's own.
atexit.register(_close_all)
