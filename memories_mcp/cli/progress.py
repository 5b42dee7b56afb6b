"""Progress and confirmation on a terminal while a call runs."""

from __future__ import annotations

import signal
import sys
from types import TracebackType
from typing import Self

from memories_mcp.context import Preview, Progress


class ProgressBar:
    """A progress bar on stderr; shows nothing where stderr is no terminal.

    Args:
        name: The text at the bar.
        shows_bytes: Whether the call transfers a file, so that the bar shows its bytes and their rate.
    """

    def __init__(self, name: str, *, shows_bytes: bool = True) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, SpinnerColumn, TextColumn, TransferSpeedColumn
        from rich.progress import Progress as RichProgress

        console = Console(stderr=True)
        self.visible = console.is_terminal
        self._shows_bytes = shows_bytes
        text = TextColumn("{task.description}", markup=False)
        columns = (
            (text, BarColumn(), DownloadColumn(), TransferSpeedColumn()) if shows_bytes else (SpinnerColumn(), text)
        )
        self._bar = RichProgress(*columns, console=console, disable=not self.visible, transient=True)
        self._task = self._bar.add_task(name, total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    async def follow(self, progress: Progress) -> None:
        """Move the bar if the progress counts bytes, else show its message."""
        if self._shows_bytes and progress.total and progress.total > _MOST_SECONDS:
            self._bar.update(self._task, completed=progress.done, total=progress.total)
        else:
            self._bar.update(self._task, description=" ".join(progress.message.split())[-60:])


_MOST_SECONDS = 1000
"""A larger total counts bytes: waiting counts seconds, and a chat has no total."""


class ConfirmingProgress(ProgressBar):
    """The progress of one call that can ask for confirmation."""

    def __init__(self) -> None:
        super().__init__("Calling", shows_bytes=False)

    async def confirm(self, preview: Preview) -> bool:
        """Show the preview and return whether the user agrees.

        Raises:
            KeyboardInterrupt: The user pressed Ctrl-C instead.
        """
        self._bar.stop()
        print(preview.action, *(f"  {item}" for item in preview.items), sep="\n", file=sys.stderr)
        print("Continue? [y/N] ", end="", file=sys.stderr, flush=True)
        # The line is read here and not in a thread: with asyncio's own handler, Ctrl-C would take effect only after
        # the next line.
        previous_handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            reply = sys.stdin.readline().strip().lower()
        except KeyboardInterrupt:
            print("\nNothing was changed.", file=sys.stderr)
            raise
        finally:
            signal.signal(signal.SIGINT, previous_handler)
        self._bar.start()
        return reply in {"y", "yes"}
