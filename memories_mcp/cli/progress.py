"""What a person sees at a terminal while a call runs, and how they are asked."""

from __future__ import annotations

import signal
import sys
from types import TracebackType
from typing import Self

from memories_mcp.context import Preview, Progress


class ProgressBar:
    """A progress bar on stderr, where somebody looks; nothing elsewhere."""

    def __init__(self, name: str, *, counts: bool = True) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, SpinnerColumn, TextColumn, TransferSpeedColumn
        from rich.progress import Progress as Columns

        console = Console(stderr=True)
        self.shown = console.is_terminal
        self._counts = counts
        described = TextColumn("{task.description}", markup=False)
        counted = (described, BarColumn(), DownloadColumn(), TransferSpeedColumn())
        columns = counted if counts else (SpinnerColumn(), described)
        self._columns = Columns(*columns, console=console, disable=not self.shown, transient=True)
        self._task = self._columns.add_task(name, total=None)

    def __enter__(self) -> Self:
        self._columns.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._columns.stop()

    async def follow(self, progress: Progress) -> None:
        """Move it; what counts no bytes is told beside it."""
        if self._counts and progress.total and progress.total > _SECONDS:
            self._columns.update(self._task, completed=progress.done, total=progress.total)
        else:
            self._columns.update(self._task, description=" ".join(progress.message.split())[-60:])


_SECONDS = 1000
"""A total beyond it is one of bytes, as waiting counts seconds and a chat nothing."""


class Person(ProgressBar):
    """Sees how far a call is, and is asked before what cannot be undone."""

    def __init__(self) -> None:
        super().__init__("Calling", counts=False)

    async def ask(self, preview: Preview) -> bool:
        """Show what would be lost and read the answer."""
        self._columns.stop()
        print(preview.action, *(f"  {each}" for each in preview.items), sep="\n", file=sys.stderr)
        print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
        # Read here, not in a thread: asyncio's own handler would leave Ctrl-C waiting for the next line.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            answer = sys.stdin.readline().strip().lower()
        except KeyboardInterrupt:
            print("\nNothing was changed.", file=sys.stderr)
            raise
        finally:
            signal.signal(signal.SIGINT, before)
        self._columns.start()
        return answer in {"y", "yes"}
