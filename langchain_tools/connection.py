"""What the tools of one toolkit share: a caller, living on the bridge's loop until it is closed."""

from __future__ import annotations

import asyncio
import os
import weakref
from contextlib import AsyncExitStack

from langchain_tools.bridge import bridge
from memories_mcp.call import Caller, connected
from memories_mcp.settings import Settings


class Connection:
    """Opens its client, and the sandbox where asked for, on the first call."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._opened: list[Caller] = []
        # Nobody has to close a toolkit: what it opened goes with it.
        weakref.finalize(self, _close, self._process, self._stack, self._opened)

    async def caller(self) -> Caller:
        """The caller; to be awaited on the bridge's loop."""
        if self._process != os.getpid():  # a fork: what was opened belongs to the parent
            self._begin()
        async with self._opening:
            if not self._opened:
                self._opened.append(await self._stack.enter_async_context(connected(self.settings)))
            return self._opened[0]

    async def aclose(self) -> None:
        """Close everything; to be awaited on the bridge's loop. A later call opens it again."""
        self._opened.clear()
        await self._stack.aclose()


def _close(process: int, stack: AsyncExitStack, opened: list[Caller]) -> None:
    if opened and process == os.getpid():
        bridge.submit(stack.aclose())
