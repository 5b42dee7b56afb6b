"""The command line: serve (the default), or use the same tools by hand."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from memories_mcp.cli.parser import parser
from memories_mcp.errors import ConfigurationError, InvalidArguments, MemoriesError
from memories_mcp.logs import configure
from memories_mcp.settings import Settings, environment, parse_setting

if TYPE_CHECKING:
    from memories_mcp.context import Preview


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 for a failure, 2 for wrong use."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console that lacks a character shows a mark in its place
    options = parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        return _run(options)
    except MemoriesError as error:
        print(f"memories-mcp: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigurationError | InvalidArguments) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read the output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _run(options: argparse.Namespace) -> int:
    if options.version:
        from importlib.metadata import version

        print(f"memories-mcp {version('memories-mcp')}")
        return 0
    if options.command == "doctor":
        return asyncio.run(_doctor(options))
    settings = _settings(options)
    match options.command:
        case "tools":
            return _tools(settings, as_json=options.json)
        case "call":
            return asyncio.run(_call(settings, options.name, options.arguments, as_json=options.json, yes=options.yes))
        case "sandbox":
            return asyncio.run(_sandbox(8080 if options.port is None else options.port, options.data))
        case "install":
            return _install(settings, options)
        case "search" | "ask" | "transcript" | "upload" | "download":
            from memories_mcp.cli import commands

            return asyncio.run(commands.run(options, settings))
        case "demo":
            from memories_mcp.cli.demo import demo

            return asyncio.run(demo())
        case _:
            configure(settings.log_level)
            if options.transport != "stdio":
                from memories_mcp.server.http.app import serve_http

                host = "127.0.0.1" if options.host is None else options.host
                port = 8000 if options.port is None else options.port
                serve_http(settings, host, port, lambda line: print(line, file=sys.stderr, flush=True))
                return 0
            if options.host is not None or options.port is not None:
                raise ConfigurationError(
                    "--host and --port are for a server over HTTP.",
                    next_step="Add --transport http, or leave them out.",
                )
            from memories_mcp.server.stdio import serve_stdio

            if sys.stdin.isatty():
                print("Serving MCP on stdin and stdout, for a client to start; try: memories-mcp demo", file=sys.stderr)
            serve_stdio(settings)
            return 0


def _settings(options: argparse.Namespace, problems: list[MemoriesError] | None = None) -> Settings:
    """What options and variables say; with `problems`, what is wrong is put there and left out."""
    given = {
        name: parse_setting(name, text, f"--{name.replace('_', '-')}")
        for name in ("toolsets", "tools", "exclude_tools")
        if (text := getattr(options, name))
    }
    if options.log_level:
        given["log_level"] = parse_setting("log_level", options.log_level, "--log-level")
    return Settings.from_environment(problems=problems).change(
        sandbox=options.sandbox, read_only=options.read_only, **given
    )


def _tools(settings: Settings, *, as_json: bool) -> int:
    from memories_mcp.runner import Runner

    runner = Runner(settings)
    if as_json:
        tools = [operation.definition_without(runner.pinned) for operation in runner.operations.values()]
        print(json.dumps(tools, indent=2, ensure_ascii=False))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table("toolset", "tool", "effect", "what it does", box=None, pad_edge=False)
    for each in runner.operations.values():
        table.add_row(each.toolset, each.name, each.effect.value, each.description.split("\n\n")[0].replace("\n", " "))
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    return 0


async def _call(settings: Settings, name: str, arguments: str, *, as_json: bool, yes: bool) -> int:
    from memories_mcp.cli.progress import Person
    from memories_mcp.operations import OPERATIONS
    from memories_mcp.runner import Runner, connected

    try:
        raw: Any = json.loads(arguments)
    except ValueError as error:
        raise ConfigurationError(f"The arguments are not JSON: {error}.") from None
    if not isinstance(raw, dict):
        raise ConfigurationError("The arguments must be a JSON object.", next_step='Write {"name": "value"}.')
    operation = Runner(settings).operations.get(name)
    if operation is None:
        known = name in {each.name for each in OPERATIONS}
        raise ConfigurationError(
            f"{name} is not offered with these settings." if known else f"There is no tool {name}.",
            next_step="`memories-mcp --toolsets all tools` lists all of them.",
        )
    with_person = sys.stdin.isatty() and sys.stderr.isatty()
    async with connected(settings) as runner:
        if with_person:
            with Person() as person:
                ask = _agree if yes else person.ask
                answer = await runner.run(operation, cast(dict[str, Any], raw), follow=person.follow, ask=ask)
        else:
            answer = await runner.run(operation, cast(dict[str, Any], raw), ask=_agree if yes else None)
    if "confirmation" in answer.structured and not yes:
        print("Nothing was done. To do it without being asked, add --yes.", file=sys.stderr)
    print(json.dumps(answer.structured, indent=2, ensure_ascii=False) if as_json else answer.text)
    return 0


def _install(settings: Settings, options: argparse.Namespace) -> int:
    from memories_mcp.cli.install import carry_out, plan
    from memories_mcp.cli.mcp_clients import CLIENTS

    client = CLIENTS.get(options.client)
    if client is None:
        raise ConfigurationError(f"There is no client {options.client}.", next_step=f"There are: {', '.join(CLIENTS)}.")
    if options.transport != "stdio":
        raise ConfigurationError(
            "A client starts a server over stdio; one over HTTP is reached by its URL.",
            next_step="docs/clients.md has the entries for a server elsewhere.",
        )
    args = [f"--{name.replace('_', '-')}" for name in ("sandbox", "read_only") if getattr(options, name)]
    for name in ("toolsets", "tools", "exclude_tools", "log_level"):
        if value := getattr(options, name):
            args += [f"--{name.replace('_', '-')}", value]
    wanted = plan(client, args, settings.api_key, home=Path.home(), environ=environment(), sandbox=settings.sandbox)
    print(wanted.shown() if options.dry_run else carry_out(wanted))
    return 0


async def _doctor(options: argparse.Namespace) -> int:
    from memories_mcp.cli.doctor import examine

    problems: list[MemoriesError] = []
    settings = _settings(options, problems)
    wrong = 0
    marks = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}
    async for found in examine(settings, Path.home(), environment(), problems):
        wrong += found.state == "wrong"
        print(f"{marks[found.state]} {found.what}", flush=True)
        if found.mend:
            print(f"      {found.mend}", flush=True)
    print("Everything is as it must be." if not wrong else f"{wrong} of it must be mended.")
    return 1 if wrong else 0


async def _agree(preview: Preview) -> bool:
    return True


async def _sandbox(port: int, data: Path | None) -> int:
    from memories_mcp import sandbox
    from memories_mcp.signals import on_signals

    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def end(number: signal.Signals) -> None:
        if not ended.done():
            ended.set_result(128 + number)

    try:
        if data is not None:
            data.mkdir(parents=True, exist_ok=True)
        async with sandbox.running(port=port, data=data) as url:
            on_signals(asyncio.get_running_loop(), end)  # it cleans up behind itself
            print(f"The sandbox runs at {url}; any API key is an account of its own. Ctrl-C ends it.")
            print(f"Use it with: MEMORIES_BASE_URL={url} MEMORIES_API_KEY={sandbox.DEMO_KEY} memories-mcp", flush=True)
            return await ended
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"The sandbox cannot run there: {error}.", next_step="Try another port or folder."
        ) from None
