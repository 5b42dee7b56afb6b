"""One event loop for the process, on a thread of its own, where every client lives.

An async client that several loops share fails or deadlocks; so sync callers wait for this loop's futures and async
callers await them from theirs. While they wait they run what the work on the loop sends back to them: callbacks and
interrupts belong to the caller's thread, task and context variables.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class _Errand:
    """Something to do at the caller's; its outcome is awaited on the loop."""

    def __init__(self, do: Callable[[], Any]) -> None:
        self.do = do
        self.done = Future[Any]()

    def begin(self) -> bool:
        """Whether it is still wanted; from here on it can no longer be called off."""
        return self.done.set_running_or_notify_cancel()


class Back:
    """The way from the loop back to whoever waits.

    Args:
        hand: Puts an errand where the caller finds it.
    """

    def __init__(self, hand: Callable[[_Errand], None]) -> None:
        self._hand = hand

    async def __call__(self, do: Callable[[], T | Awaitable[T]]) -> T:
        """Have something done at the caller's: a function where they wait, a coroutine function where they await.

        What it raises is raised there and ends the work here.
        """
        errand = _Errand(do)
        self._hand(errand)
        return await asyncio.wrap_future(errand.done)


class _Inbox:
    """Errands for a caller who awaits; unlike `asyncio.Queue` it touches no loop when it is given up after the end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._errands = deque[_Errand | None]()
        self._arrived = loop.create_future()

    def put(self, errand: _Errand | None) -> None:
        self._errands.append(errand)
        if not self._arrived.done():
            self._arrived.set_result(None)

    async def get(self) -> _Errand | None:
        if not self._errands:
            self._arrived = self._loop.create_future()
            await self._arrived
        return self._errands.popleft()


Work = Callable[[Back], Coroutine[Any, Any, T]]


_of_the_parent = list[object]()


class Bridge:
    """A daemon thread that runs an event loop, started on first use."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a finalizer may come back here from within
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._running())

    def wait(self, work: Work[T]) -> T:
        """Do work on the loop and block until it is done; an interrupt cancels it."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("A synchronous call from inside the tools' own event loop would wait for itself.")
        errands = SimpleQueue[_Errand | None]()
        future = self.submit(work(Back(errands.put)))
        future.add_done_callback(lambda _: errands.put(None))
        try:
            while errand := errands.get():
                if errand.begin():
                    errand.done.set_result(errand.do())
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def run(self, work: Work[T]) -> T:
        """Do work on the loop and await it from another one; cancelling reaches it."""
        loop = asyncio.get_running_loop()
        errands = _Inbox(loop)

        def hand(errand: _Errand | None) -> None:
            try:
                loop.call_soon_threadsafe(errands.put, errand)
            except RuntimeError:  # the caller's loop was closed: nobody waits any more
                if errand:
                    errand.done.cancel()

        future = self.submit(work(Back(hand)))
        future.add_done_callback(lambda _: hand(None))
        try:
            while errand := await errands.get():
                if errand.begin():
                    errand.done.set_result(await errand.do())
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """End the loop and its thread; a later call starts new ones."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(timeout=5)

    def forget(self) -> None:
        """In a forked child: the thread did not come along. The loop is kept, as the parent's sockets hang on it."""
        _of_the_parent.append(self._loop)
        self.__init__()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="memories-tools", daemon=True)
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


bridge = Bridge()
atexit.register(bridge.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=bridge.forget)
