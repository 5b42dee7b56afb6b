"""The entry point of the command line: parses the options and dispatches the command."""

from __future__ import annotations

import argparse
import asyncio
import io
import logging
import os
import sys
from collections.abc import Sequence

from memories_mcp.cli.parser import make_parser
from memories_mcp.errors import ConfigurationError, InvalidArguments, MemoriesError
from memories_mcp.settings import Settings, parse_setting
from memories_mcp.signals import interruptible


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 for a failure, 2 for wrong use."""
    _prepare_streams()
    with interruptible() as interruption:
        try:
            try:
                return _run(argv)
            finally:
                sys.stdout.flush()  # at the exit, a failure would be reported as an ignored exception
        except KeyboardInterrupt:
            return 128 + interruption.signal
        except BrokenPipeError:  # the reader closed the pipe, such as `head` after its last line
            _discard_output()
            return 141
        except OSError as error:
            _discard_output()
            file = f" ({error.filename})" if error.filename else ""
            print(f"memories-mcp: The system refused: {error.strerror or error}{file}.", file=sys.stderr)
            return 1


def _run(argv: Sequence[str] | None) -> int:
    options = make_parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        return _dispatch(options)
    except MemoriesError as error:
        print(f"memories-mcp: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigurationError | InvalidArguments) else 1


def _prepare_streams() -> None:
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:  # the parent closed it; a file or a socket must not get its number
            mode = "r" if name == "stdin" else "w"
            # The stream stays open as long as the process.
            setattr(sys, name, open(_open_null(number), mode, encoding="utf-8", closefd=False))  # noqa: SIM115
        stream = getattr(sys, name)
        if name != "stdin" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console without a character shows `?` for it


def _open_null(number: int) -> int:
    """Open the null device as the descriptor `number`, which is closed."""
    opened = os.open(os.devnull, os.O_RDWR)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
    return number


def _discard_output() -> None:
    """Drop what stdout still holds, which the exit would try to write again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _dispatch(options: argparse.Namespace) -> int:
    # Each command imports its own modules, so that the server starts without those of the others.
    if options.version:
        from importlib.metadata import version

        print(f"memories-mcp {version('memories-mcp')}")
        return 0
    if options.command == "doctor":
        from memories_mcp.cli import doctor

        problems: list[MemoriesError] = []
        return asyncio.run(doctor.run(read_settings(options, problems), problems))
    settings = read_settings(options)
    match options.command:
        case "demo":
            from memories_mcp.cli.demo import demo

            return asyncio.run(demo())
        case "install":
            from memories_mcp.cli import install

            return install.run(options, settings)
        case "sandbox":
            from memories_mcp.cli.serve import serve_sandbox

            return asyncio.run(serve_sandbox(8080 if options.port is None else options.port, options.data))
        case "tools" | "call":
            from memories_mcp.cli import tool_commands

            return tool_commands.run(options, settings)
        case "search" | "ask" | "transcript":
            from memories_mcp.cli import commands

            return asyncio.run(commands.run(options, settings))
        case "show":
            from memories_mcp.cli import show

            return asyncio.run(show.run(options, settings))
        case "list" | "status" | "upload" | "download" | "delete":
            from memories_mcp.cli import library_commands

            return asyncio.run(library_commands.run(options, settings))
        case _:
            from memories_mcp.cli.serve import serve

            serve(options, settings)
            return 0


def read_settings(options: argparse.Namespace, problems: list[MemoriesError] | None = None) -> Settings:
    """Return the settings of the options and the variables; options override variables.

    Args:
        options: The parsed command line.
        problems: Collects the errors of invalid variables, which then keep their defaults.

    Raises:
        ConfigurationError: An option is invalid, or a variable is and `problems` is not given.
    """
    changes = {
        name: parse_setting(name, text, f"--{name.replace('_', '-')}")
        for name in ("toolsets", "tools", "exclude_tools", "log_level")
        if (text := getattr(options, name)) is not None
    }
    return Settings.from_environment(problems=problems).change(
        sandbox=options.sandbox, read_only=options.read_only, **changes
    )
