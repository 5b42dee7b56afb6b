"""Work on media in threads, two at a time, that gives up when nothing needs it any more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from threading import Event
from typing import Concatenate, ParamSpec, TypeVar

from memories_mcp.errors import ConfigurationError, MediaUnavailable

T = TypeVar("T")
P = ParamSpec("P")

_LONGEST_SECONDS = 120.0
"""The longest work on one picture or one clip."""


class Stop:
    """Tells a function in a thread when to give up.

    Args:
        seconds: The time that the function has.
    """

    def __init__(self, seconds: float = _LONGEST_SECONDS) -> None:
        self._event = Event()
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def set(self) -> None:
        """Ask the function to give up: nothing needs its result any more."""
        self._event.set()

    def check(self) -> None:
        """Return if the function may go on.

        Raises:
            MediaUnavailable: It has to give up.
        """
        if self._event.is_set():
            raise MediaUnavailable("The picture or clip is no longer needed.")
        if time.monotonic() > self._end:
            raise MediaUnavailable(
                f"The picture or clip was not ready after {self._seconds:g} s.",
                next_step="Try a shorter moment, or download the video with download_video.",
            )


async def in_thread(
    function: Callable[Concatenate[Stop, P], T], /, *args: P.args, **options: P.kwargs
) -> T:  # fmt: skip
    """Return the result of a function of this module; at most two run at once in the process.

    If the caller is cancelled, the function is asked to give up, and the cancellation goes on once it has ended: until
    then it reads its file.

    Args:
        function: The function, which takes a `Stop` first.
        args: Its further arguments.
        options: Its arguments by name.
    """
    stop = Stop()
    work = asyncio.get_running_loop().run_in_executor(_executor(), lambda: function(stop, *args, **options))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        work.cancel()
        while not work.done():  # another cancellation must not end this wait
            with suppress(asyncio.CancelledError):
                await asyncio.wait({work})
        if not work.cancelled():
            work.exception()  # so that asyncio does not log it
        raise


@cache
def _executor() -> ThreadPoolExecutor:
    # Threads of their own: work that waits for its turn must not take the threads that all other work shares.
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="memories-media")


def is_installed() -> bool:
    """Return whether PyAV is there."""
    return find_spec("av") is not None


def require_av() -> None:
    """Return if PyAV is there.

    Raises:
        ConfigurationError: It is not.
    """
    if not is_installed():
        raise ConfigurationError(
            "The picture or clip cannot be made: PyAV is not installed.",
            next_step="Install it where this server runs: pip install 'memories-mcp[media]'.",
        )
