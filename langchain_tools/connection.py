"""What the tools of one toolkit share: callers, living on the bridge's loop until they are closed."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, cast

from pydantic import SecretStr

from langchain_tools.bridge import bridge
from langchain_tools.run import Run
from memories_mcp.api.limits import Limits
from memories_mcp.call import Caller, backed, limits_of
from memories_mcp.errors import ConfigurationError
from memories_mcp.pool import Pool
from memories_mcp.settings import Settings, parse_setting

_MOST_ACCOUNTS = 200

# Toolkits, retrievers and loaders of one key share its limits, for as long as one of them has them.
_limits: weakref.WeakValueDictionary[tuple[object, ...], Limits] = weakref.WeakValueDictionary()


class Identity(NamedTuple):
    """Whose call it is; secret."""

    api_key: str
    caption_key: str
    unique_id: str

    def __repr__(self) -> str:
        return "Identity(…)"  # never a key in a traceback


class Connection:
    """Opens clients, and the sandbox where asked for, on the first call.

    Args:
        settings: Key, host and namespace; with `per_run` only the host, and a namespace that holds for everybody.
        per_run: Whether each run brings its own key and namespace.
    """

    def __init__(self, settings: Settings, *, per_run: bool = False) -> None:
        self._settings = settings
        self._per_run = per_run
        self._begin()

    def identity(self, run: Run) -> Identity | None:
        """Who calls in this run; `None` where everybody is the same.

        Raises:
            ConfigurationError: The run brings no key, or one that would be written where others can read it.
        """
        if not self._per_run:
            return None
        key = _secret(run.given, "memories_api_key")
        if not key:
            raise ConfigurationError(
                "This run brings no key.",
                next_step="Pass memories_api_key, a SecretStr, in the run's context or config['configurable'].",
            )
        namespace = self._settings.unique_id or str(run.given.get("memories_unique_id") or "").strip()
        return Identity(key, _secret(run.given, "memories_caption_api_key"), namespace)

    @asynccontextmanager
    async def caller(self, identity: Identity | None) -> AsyncGenerator[Caller, None]:
        """The caller of an identity; to be used on the bridge's loop."""
        if self._opened.process != os.getpid():  # a fork: what was opened belongs to the parent
            self._begin()
        async with self._opened.caller(identity) as caller:
            yield caller

    async def aclose(self) -> None:
        """Close everything; to be awaited on the bridge's loop. A later call opens it again."""
        await self._opened.aclose()

    def _begin(self) -> None:
        self._opened = _Opened(self._settings, self._per_run)
        # Nobody has to close a toolkit: what it opened goes with it.
        weakref.finalize(self, _close, self._opened)


class _Opened:
    def __init__(self, settings: Settings, per_run: bool) -> None:
        self.process = os.getpid()
        self._settings = settings
        self._per_run = per_run
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._backed: Settings | None = None
        self._callers = Pool[Identity | None, Caller](_MOST_ACCOUNTS, Caller.aclose)

    @property
    def used(self) -> bool:
        return self._backed is not None

    @asynccontextmanager
    async def caller(self, identity: Identity | None) -> AsyncGenerator[Caller, None]:
        async with self._opening:
            if self._backed is None:
                self._backed = await self._stack.enter_async_context(backed(self._settings))
                self._stack.push_async_callback(self._callers.aclose)
        async with self._callers.use(identity, partial(self._new, self._backed, identity)) as caller:
            yield caller

    async def aclose(self) -> None:
        self._backed = None
        await self._stack.aclose()

    def _new(self, settings: Settings, identity: Identity | None) -> Caller:
        if identity:
            caption_key = identity.caption_key or (identity.api_key if settings.sandbox else "")
            settings = replace(
                settings, api_key=identity.api_key, caption_api_key=caption_key, unique_id=identity.unique_id
            )
        shared = (self.process, settings.base_url, settings.api_key, str(settings.rate_limits))
        limits = _limits.setdefault(shared, limits_of(settings))
        return Caller(settings, limits=limits, fixed_namespace=self._per_run)


def _close(opened: _Opened) -> None:
    if opened.used and opened.process == os.getpid():
        bridge.submit(opened.aclose())


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
