"""The parser of the command line. Every start imports this module, so it imports only what parsing needs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

TRANSCRIPT_FORMATS = ("vtt", "srt", "text")
"""The formats in which `transcript` can print."""

_EPILOG = (
    "Options such as --sandbox and --toolsets go before COMMAND. `memories-mcp COMMAND --help` describes a command."
)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all options and commands."""
    parser = argparse.ArgumentParser(
        prog="memories-mcp",
        description="MCP server for the Memories.ai video-understanding API. Without COMMAND, serve MCP over stdio. "
        "Options override the MEMORIES_* variables.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--transport", choices=["stdio", "http", "sse"], default="stdio",
        help="how to serve MCP (default: stdio); http and sse start the same server, with both /mcp and /sse",
    )  # fmt: skip
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument("--host", help="address to listen on, with http and sse (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on, with http and sse (default: 8000)")
    parser.add_argument(
        "--sandbox", action="store_true", default=None,
        help="use an offline simulation of the API with a demo library; needs no key",
    )  # fmt: skip
    parser.add_argument("--toolsets", metavar="A,B", help="toolsets to offer, `default` or `all`")
    parser.add_argument(
        "--tools", metavar="A,B", help="single tools to offer, in addition to --toolsets or on their own"
    )
    parser.add_argument("--read-only", action="store_true", default=None, help="offer only tools that change nothing")
    parser.add_argument("--exclude-tools", metavar="A,B", help="tools not to offer")
    parser.add_argument(
        "--log-level",
        metavar="LEVEL",
        help="level of the server's log on stderr: debug, info, warning (default), error",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def add(name: str, description: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=description, description=f"{description[0].upper()}{description[1:]}.")

    add("demo", "show an agent at work on a demo video; offline, needs no key")
    _add_video_commands(add)
    _add_tool_commands(add)
    install = add("install", "add this server to an MCP client: claude, claude-code, cursor, vscode, codex")
    install.add_argument(
        "client", metavar="CLIENT", help="claude (Claude Desktop), claude-code, cursor, vscode or codex"
    )
    install.add_argument("--dry-run", action="store_true", help="print the change without making it")
    add("doctor", "check the settings, the key, the connections and the MCP clients' configurations")
    sandbox = add("sandbox", "serve the offline simulation of the API to any HTTP client")
    sandbox.add_argument(
        "--port", type=int, default=argparse.SUPPRESS, help="port to listen on; 0 picks a free one (default: 8080)"
    )
    sandbox.add_argument("--data", type=Path, metavar="FOLDER", help="folder that keeps the accounts across restarts")
    return parser


def _add_tool_commands(add: Callable[[str, str], argparse.ArgumentParser]) -> None:
    tools = add("tools", "list the tools")
    tools.add_argument("--json", action="store_true", help="print the definitions as MCP serves them")
    call = add("call", "call one tool")
    call.add_argument("name", metavar="TOOL", help="name of the tool, as `memories-mcp tools` lists it")
    call.add_argument(
        "arguments", metavar="ARGUMENTS", nargs="?", default="{}", help="arguments as a JSON object (default: {})"
    )
    call.add_argument("--json", action="store_true", help="print the structured result")
    call.add_argument("--yes", action="store_true", help="run irreversible actions without confirmation")


def _add_video_commands(add: Callable[[str, str], argparse.ArgumentParser]) -> None:
    search = add("search", "find moments in your videos")
    search.add_argument("query", metavar="QUERY", help="what to search for, in plain language")
    search.add_argument("-k", type=int, default=10, metavar="N", help="maximum number of hits (default: 10)")
    ask = add("ask", "ask your videos a question")
    ask.add_argument("question", metavar="QUESTION", help="the question, in plain language")
    ask.add_argument(
        "--video", action="append", metavar="VIDEO_NO",
        help="ask only this video; repeat the option for several (default: the whole library)",
    )  # fmt: skip
    transcript = add("transcript", "print what is said or seen in a video")
    transcript.add_argument("video_no", metavar="VIDEO_NO", help="number of the video, such as VI612515093881740229")
    transcript.add_argument(
        "--track", choices=["audio", "visual"], default="audio",
        help="audio: what is said (default); visual: what is seen",
    )  # fmt: skip
    formats = transcript.add_mutually_exclusive_group()
    for name, title in zip(TRANSCRIPT_FORMATS, ("WebVTT", "SubRip", "plain text (default)"), strict=True):
        formats.add_argument(f"--{name}", dest="format", action="store_const", const=name, help=f"print {title}")
    formats.add_argument("--save-as", type=Path, metavar="FILE", help="write to a new .vtt or .srt file instead")
    transcript.add_argument("--overwrite", action="store_true", help="replace an existing file")
    transcript.set_defaults(format="text")
    upload = add("upload", "upload video and image files")
    upload.add_argument("files", nargs="+", type=Path, metavar="FILE", help="video or image file")
    upload.add_argument("--wait", action="store_true", help="wait until each video is ready")
    download = add("download", "download a video of your library")
    download.add_argument("video_no", metavar="VIDEO_NO", help="number of the video")
    download.add_argument(
        "target", nargs="?", type=Path, metavar="TARGET", help="file or folder to write to (default: VIDEO_NO.mp4)"
    )
    download.add_argument("--overwrite", action="store_true", help="replace an existing file")
