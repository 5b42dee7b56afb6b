"""Handlers for the signals that end a process: SIGINT, SIGTERM and, where it exists, SIGHUP."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


def termination_signals() -> list[signal.Signals]:
    """Return the signals to handle, without a SIGHUP that this process ignores, as under `nohup`."""
    hangup: signal.Signals | None = getattr(signal, "SIGHUP", None)
    signals = [signal.SIGINT, signal.SIGTERM]
    return [*signals, hangup] if hangup and signal.getsignal(hangup) is not signal.SIG_IGN else signals


def on_signals(loop: asyncio.AbstractEventLoop, handler: Callable[[signal.Signals], None]) -> None:
    """Call `handler` in the loop on each signal that ends a process."""
    for termination_signal in termination_signals():
        try:
            loop.add_signal_handler(termination_signal, handler, termination_signal)
        except NotImplementedError:  # event loops on Windows support no signal handlers; the interpreter does

            def schedule(number: int, frame: FrameType | None) -> None:
                loop.call_soon_threadsafe(handler, signal.Signals(number))

            signal.signal(termination_signal, schedule)


@dataclass
class Interruption:
    """The signal that interrupted a program; SIGINT unless another one came."""

    signal: signal.Signals = signal.SIGINT


@contextmanager
def interruptible() -> Generator[Interruption, None, None]:
    """Make every signal that ends a process act as Ctrl-C while the body runs.

    The body then ends by a cancelled task or by `KeyboardInterrupt`, so that it can remove its temporary files.
    """
    interruption = Interruption()

    def interrupt(number: int, frame: FrameType | None) -> None:
        interruption.signal = signal.Signals(number)
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):  # SIGINT is ignored, as in the background of a script
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)

    handled = [number for number in termination_signals() if number != signal.SIGINT]
    previous = {number: signal.signal(number, interrupt) for number in handled}
    try:
        yield interruption
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
