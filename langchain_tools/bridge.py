"""One event loop per process, on its own thread, that runs every HTTP client.

An async client shared by several event loops fails or deadlocks. So a synchronous caller blocks on a future of this
loop, and an asynchronous caller awaits one from its own loop. While a caller waits, it runs the functions that the work
on the loop sends back: callbacks and interrupts depend on the caller's thread, task and context variables.
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


class _WorkItem:
    """A function to run in the caller, and the future of its result."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.future = Future[Any]()

    def start(self) -> bool:
        """Mark the item as running, so that it can no longer be cancelled; return False if it already is cancelled."""
        return self.future.set_running_or_notify_cancel()


class CallerExecutor:
    """Runs functions in the thread or task of the waiting caller, on behalf of work on the bridge's loop.

    Args:
        submit: Adds a work item to the caller's queue.
    """

    def __init__(self, submit: Callable[[_WorkItem], None]) -> None:
        self._submit = submit

    async def run(self, function: Callable[[], T | Awaitable[T]]) -> T:
        """Run a function in the caller and return its result.

        For an asynchronous caller the function returns an awaitable, which the caller awaits. An exception of the
        function is raised in the caller and cancels the work on the loop.
        """
        item = _WorkItem(function)
        self._submit(item)
        return await asyncio.wrap_future(item.future)


class _WorkQueue:
    """Work items for an asynchronous caller.

    Not an `asyncio.Queue`: abandoning a `get` of that queue after its loop was closed raises an error.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items = deque[_WorkItem | None]()
        self._not_empty = loop.create_future()

    def put(self, item: _WorkItem | None) -> None:
        self._items.append(item)
        if not self._not_empty.done():
            self._not_empty.set_result(None)

    async def get(self) -> _WorkItem | None:
        if not self._items:
            self._not_empty = self._loop.create_future()
            await self._not_empty
        return self._items.popleft()


Work = Callable[[CallerExecutor], Coroutine[Any, Any, T]]
"""A coroutine function to run on the bridge's loop."""

# Event loops inherited through a fork; see `Bridge.reset_after_fork`.
_inherited_loops = list[object]()


class Bridge:
    """A daemon thread that runs an event loop; starts on first use."""

    def __init__(self) -> None:
        # Reentrant: garbage collection may run a finalizer that submits work while this thread holds the lock.
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._ensure_loop())

    def run(self, work: Work[T]) -> T:
        """Run work on the loop and block until its end; an exception raised here, as an interrupt, cancels the work.

        Raises:
            RuntimeError: The calling thread is the loop's own, which would wait for itself.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError(
                "Synchronous call refused: it runs inside the tools' own event loop. Use the async call."
            )
        items = SimpleQueue[_WorkItem | None]()
        future = self.submit(work(CallerExecutor(items.put)))
        future.add_done_callback(lambda _: items.put(None))
        try:
            while item := items.get():
                if item.start():
                    item.future.set_result(item.function())
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def arun(self, work: Work[T]) -> T:
        """Run work on the loop and await its end from another loop; cancelling the caller cancels the work."""
        loop = asyncio.get_running_loop()
        items = _WorkQueue(loop)

        def submit(item: _WorkItem | None) -> None:
            try:
                loop.call_soon_threadsafe(items.put, item)
            except RuntimeError:  # the caller's loop is closed, so the item can never run
                if item:
                    item.future.cancel()

        future = self.submit(work(CallerExecutor(submit)))
        future.add_done_callback(lambda _: submit(None))
        try:
            while item := await items.get():
                if item.start():
                    item.future.set_result(await item.function())
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """Stop the loop and its thread; a later call starts new ones."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(timeout=5)

    def reset_after_fork(self) -> None:
        """Start over in a forked child, which has no copy of the parent's thread."""
        # The reference stays, because collecting the loop would close sockets that the parent still uses.
        _inherited_loops.append(self._loop)
        self.__init__()

    def _ensure_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_run_loop, args=(self._loop,), name="memories-tools", daemon=True
                )
                self._thread.start()
            return self._loop


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
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
    os.register_at_fork(after_in_child=bridge.reset_after_fork)
