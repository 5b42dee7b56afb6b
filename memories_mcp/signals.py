"""Hearing of Ctrl-C and SIGTERM inside an event loop, on every platform."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM)


def on_signals(loop: asyncio.AbstractEventLoop, hear: Callable[[signal.Signals], None]) -> None:
    """Have `hear` called in the loop when the process is asked to end."""
    for each in _ENDING:
        try:
            loop.add_signal_handler(each, hear, each)
        except NotImplementedError:  # Windows' loops hear none; the interpreter does

            def heard(number: int, frame: FrameType | None) -> None:
                loop.call_soon_threadsafe(hear, signal.Signals(number))

            signal.signal(each, heard)
