"""What the command line understands; nothing is imported for it that a start of the server would pay for."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

FORMS = ("vtt", "srt", "text")
"""How a transcript may be printed."""


def parser() -> argparse.ArgumentParser:
    """What the command line understands."""
    made = argparse.ArgumentParser(
        prog="memories-mcp",
        description="Serve the Memories.ai tools over MCP, or use them by hand. Options win over MEMORIES_* variables.",
    )
    made.add_argument(
        "--transport", choices=["stdio", "http", "sse"], default="stdio",
        help="default: stdio; http and sse are one server with both /mcp and /sse",
    )  # fmt: skip
    made.add_argument("--version", action="store_true", help="print the version and exit")
    made.add_argument("--host", help="for http and sse; default: 127.0.0.1")
    made.add_argument("--port", type=int, help="for http and sse; default: 8000")
    made.add_argument("--sandbox", action="store_true", default=None, help="use the offline twin; no key is needed")
    made.add_argument("--toolsets", metavar="A,B", help="toolsets to offer, `default` or `all`")
    made.add_argument("--tools", metavar="A,B", help="single tools to offer, besides the toolsets or in their place")
    made.add_argument("--read-only", action="store_true", default=None, help="only tools that change nothing")
    made.add_argument("--exclude-tools", metavar="A,B", help="tools to leave out")
    made.add_argument("--log-level", metavar="LEVEL", help="of a server's log on stderr; default: warning")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", title="commands (none: serve)")
    commands.add_parser("demo", help="ask a video a question, end to end, offline")
    tools = commands.add_parser("tools", help="list the tools")
    tools.add_argument("--json", action="store_true", help="as MCP serves them")
    call = commands.add_parser("call", help="call one tool")
    call.add_argument("name", help="the tool")
    call.add_argument("arguments", nargs="?", default="{}", help="its arguments as a JSON object")
    call.add_argument("--json", action="store_true", help="print the structured result")
    call.add_argument("--yes", action="store_true", help="agree to what cannot be undone without being asked")
    _for_people(commands.add_parser)
    install = commands.add_parser(
        "install", help="add the server to a client: claude, claude-code, cursor, vscode, codex"
    )
    install.add_argument("client")
    install.add_argument("--dry-run", action="store_true", help="print what would be written or run")
    commands.add_parser("doctor", help="check the settings, the key, the connections and the clients")
    twin = commands.add_parser("sandbox", help="serve the offline twin of the API for any client")
    twin.add_argument("--port", type=int, default=argparse.SUPPRESS, help="default: 8080")
    twin.add_argument("--data", type=Path, help="a folder that keeps the accounts across restarts")
    return made


def _for_people(command: Callable[..., argparse.ArgumentParser]) -> None:
    search = command("search", help="find moments in your videos")
    search.add_argument("query", help="what to look for")
    search.add_argument("-k", type=int, default=10, help="the most hits; default: 10")
    ask = command("ask", help="ask your videos a question")
    ask.add_argument("question")
    ask.add_argument("--video", action="append", metavar="VIDEO_NO", help="only this video; may be repeated")
    transcript = command("transcript", help="print what is said (or seen) in a video")
    transcript.add_argument("video_no")
    transcript.add_argument(
        "--track", choices=["audio", "visual"], default="audio", help="default: audio, what is said"
    )
    forms = transcript.add_mutually_exclusive_group()
    for name in FORMS:
        forms.add_argument(f"--{name}", dest="form", action="store_const", const=name)
    transcript.set_defaults(form="text")
    upload = command("upload", help="upload video and image files")
    upload.add_argument("files", nargs="+", type=Path, metavar="FILE")
    upload.add_argument("--wait", action="store_true", help="wait until each video is ready")
    download = command("download", help="download a video of your library")
    download.add_argument("video_no")
    download.add_argument("target", nargs="?", type=Path, help="default: VIDEO_NO.mp4 here")
    download.add_argument("--overwrite", action="store_true", help="replace a file that is there")
