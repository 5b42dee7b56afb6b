"""Handlers for SIGINT and SIGTERM inside an event loop, on every platform."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType

_TERMINATION_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def on_signals(loop: asyncio.AbstractEventLoop, handler: Callable[[signal.Signals], None]) -> None:
    """Call `handler` in the loop on SIGINT and SIGTERM."""
    for termination_signal in _TERMINATION_SIGNALS:
        try:
            loop.add_signal_handler(termination_signal, handler, termination_signal)
        except NotImplementedError:  # event loops on Windows support no signal handlers; the interpreter does

            def schedule(number: int, frame: FrameType | None) -> None:
                loop.call_soon_threadsafe(handler, signal.Signals(number))

            signal.signal(termination_signal, schedule)
