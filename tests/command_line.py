"""Programs inside this process: the same arguments, streams and exit codes, without a start of Python."""

from __future__ import annotations

import io
import logging
import os
import subprocess
from collections.abc import Callable, Generator
from contextlib import ExitStack, chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryFile
from typing import TextIO
from unittest import mock

# Imported early: its servers write to the stderr of its import, which must not be that of a program.
import mcp.client.stdio  # noqa: F401  # pyright: ignore[reportUnusedImport] -- see above

from memories_mcp.cli.main import main


def run_cli(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ours to its end, with nothing on its standard input and no terminal."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, environment))
        if cwd is not None:
            stack.enter_context(chdir(cwd))
        return run_program(lambda: main(arguments))


def read_terminal(descriptor: int) -> str:
    """Return what the programs on the other side of a pseudo-terminal print until they end, and close this side."""
    text = b""
    try:
        while block := os.read(descriptor, 65536):
            text += block
    except OSError:  # Linux ends the output of a closed terminal this way
        pass
    os.close(descriptor)
    return text.decode()


def run_program(
    program: Callable[[], int], typed: str = "", stdout: TextIO | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it printed.

    Args:
        program: Returns its exit code.
        typed: The text on its standard input.
        stdout: Takes its output, which is then not returned.
    """
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ))  # which a program may change
        err = stack.enter_context(TemporaryFile("w+", encoding="utf-8"))
        out = stdout or stack.enter_context(TemporaryFile("w+", encoding="utf-8"))
        stack.enter_context(mock.patch("sys.stdin", io.TextIOWrapper(io.BytesIO(typed.encode()), encoding="utf-8")))
        stack.enter_context(own_logging())
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        try:
            code = program()
        except SystemExit as end:  # argparse ends so
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
            err.write(end.code if isinstance(end.code, str) else "")
        err.seek(0)
        if stdout:
            return subprocess.CompletedProcess((), code, "", err.read())
        out.seek(0)
        return subprocess.CompletedProcess((), code, out.read(), err.read())


@contextmanager
def own_logging() -> Generator[None]:
    """Let a program configure logging as in a process of its own, without an effect on that of the tests."""
    root, packages = logging.getLogger(), [logging.getLogger(name) for name in ("memories_mcp", "langchain_tools")]
    handlers, levels = root.handlers, [logger.level for logger in (root, *packages)]
    root.handlers = []
    try:
        yield
    finally:
        root.handlers = handlers
        for logger, level in zip((root, *packages), levels, strict=True):
            logger.setLevel(level)
