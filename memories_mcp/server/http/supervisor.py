"""A supervisor of processes: starts them, starts again those that end by themselves, and stops them all on a signal.

The processes are forks, so they share the memory of what is loaded already and hold the listening sockets that the
supervisor has opened. The supervisor itself runs no event loop and no thread, since neither survives a fork.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from memories_mcp.signals import termination_signals

logger = logging.getLogger(__name__)

STOP = signal.SIGUSR1
"""Asks a process to end its work; a repetition changes nothing."""
EXIT = signal.SIGUSR2
"""Asks a process to exit without finishing its work."""
_STEADY_SECONDS = 10.0
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
"""A process that ends soon after its start is started again after a pause, which doubles up to this."""
_KILL_SECONDS = 5.0


@dataclass(frozen=True)
class Job:
    """One process to run.

    Attributes:
        name: Names the process in the log.
        run: Runs in the process until `STOP`, or until the descriptor that it receives can be read: the supervisor
            has ended then.
    """

    name: str
    run: Callable[[int], None]


@dataclass
class _Process:
    job: Job
    pid: int = 0
    """0 while the process does not run."""
    started: float = 0.0
    due: float = 0.0
    pause: float = 0.0


class Supervisor:
    """Runs jobs in processes of their own.

    Args:
        jobs: The jobs that end first, together.
        services: Jobs that the others need: they start first and end last.
    """

    def __init__(self, jobs: Sequence[Job], services: Sequence[Job] = ()) -> None:
        self._jobs = [_Process(job) for job in jobs]
        self._services = [_Process(job) for job in services]
        self._stops = 0
        self._kill_time = float("inf")
        # Nothing is ever written: every process sees the end of the pipe when the supervisor ends.
        self._lifeline, self._lifeline_end = os.pipe()
        self._wakeups, self._wakeups_end = os.pipe()

    def run(self, on_started: Callable[[], None]) -> None:
        """Run the jobs until a signal ends this process and they have ended; a second signal ends them immediately.

        Args:
            on_started: Called when all jobs have been started for the first time.
        """
        for descriptor in (self._wakeups, self._wakeups_end):
            os.set_blocking(descriptor, False)
        try:
            with _recorded_signals(self._wakeups_end):
                self._start_due()
                on_started()
                while running := [process for process in self._all() if process.pid or not self._stops]:
                    self._wait(running)
                    self._reap()
                    self._start_due()
                    self._stop()
        finally:
            for descriptor in (self._lifeline, self._lifeline_end, self._wakeups, self._wakeups_end):
                os.close(descriptor)

    def _all(self) -> list[_Process]:
        return [*self._services, *self._jobs]

    def _wait(self, processes: Iterable[_Process]) -> None:
        """Wait for a signal, or until something is due."""
        due = [process.due for process in processes if not process.pid]
        timeout = max(0.0, min([*due, self._kill_time, time.monotonic() + 3600]) - time.monotonic())
        select.select([self._wakeups], [], [], timeout)
        with suppress(BlockingIOError):
            self._stops += sum(number != signal.SIGCHLD for number in os.read(self._wakeups, 1000))

    def _reap(self) -> None:
        for process in self._all():
            if not process.pid:
                continue
            pid, status = os.waitpid(process.pid, os.WNOHANG)
            if not pid:
                continue
            now = time.monotonic()
            steady = now - process.started >= _STEADY_SECONDS
            longer = min(max(_FIRST_PAUSE_SECONDS, 2 * process.pause), _LONGEST_PAUSE_SECONDS)
            process.pause = 0.0 if steady else longer
            process.pid, process.due = 0, now + process.pause
            if not self._stops:
                code = os.waitstatus_to_exitcode(status)
                details = {"job": process.job.name, "pid": pid, "code": code, "pause": process.pause}
                logger.warning("a process ended and is started again", extra=details)

    def _start_due(self) -> None:
        now = time.monotonic()
        for process in self._all():
            if not process.pid and not self._stops and process.due <= now:
                process.pid, process.started = self._fork(process.job), now

    def _stop(self) -> None:
        """Pass signals on: the first to the jobs and later to their services, the second to all as an order to exit."""
        if self._stops == 1:
            _send(STOP, self._jobs if any(process.pid for process in self._jobs) else self._services)
        elif self._stops and self._kill_time == float("inf"):
            _send(EXIT, self._all())
            self._kill_time = time.monotonic() + _KILL_SECONDS
        if time.monotonic() >= self._kill_time:
            _send(signal.SIGKILL, self._all())

    def _fork(self, job: Job) -> int:
        signals = {*termination_signals(), signal.SIGCHLD}
        # A signal between the fork and the new process's own handlers would count as one to the supervisor.
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        try:
            pid = os.fork()
            if not pid:
                self._run(job, signals)
            return pid
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

    def _run(self, job: Job, signals: Iterable[signal.Signals]) -> NoReturn:
        """Run a job in this new process, and leave without what the supervisor would do at its end."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for descriptor in (self._lifeline_end, self._wakeups, self._wakeups_end):
                os.close(descriptor)
            # A terminal sends Ctrl-C to all processes, and systemd its signal: only the supervisor's orders count.
            for number in signals:
                signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
            job.run(self._lifeline)
            code = 0
        except Exception:
            logger.exception("a process failed", extra={"job": job.name})
        finally:
            with suppress(OSError, ValueError):
                sys.stderr.flush()
            os._exit(code)


def _send(number: signal.Signals, processes: Iterable[_Process]) -> None:
    for process in processes:
        if process.pid:
            os.kill(process.pid, number)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing, unlike `SIG_IGN`, with which a signal would not be recorded."""


@contextmanager
def _recorded_signals(descriptor: int) -> Generator[None, None, None]:
    """Write the number of each signal of interest to a descriptor while the body runs, and do nothing else."""
    numbers = [*termination_signals(), signal.SIGCHLD]
    previous = {number: signal.signal(number, _ignore) for number in numbers}
    previous_descriptor = signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous_descriptor)
        for number, handler in previous.items():
            signal.signal(number, handler)
