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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 for a failure, 2 for wrong use."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console without a character shows `?` for it
    options = make_parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        return _dispatch(options)
    except MemoriesError as error:
        print(f"memories-mcp: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigurationError | InvalidArguments) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader closed the pipe, such as `head` after its last line
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


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
        case "search" | "ask" | "transcript" | "upload" | "download":
            from memories_mcp.cli import commands

            return asyncio.run(commands.run(options, settings))
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
