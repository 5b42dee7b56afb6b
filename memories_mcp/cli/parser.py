"""The parser of the command line. Every start imports this module, so it imports only what parsing needs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

TRANSCRIPT_FORMATS = ("vtt", "srt", "text")
"""The formats in which `transcript` can print."""

_EPILOG = "Options stand before or after COMMAND. `memories-mcp COMMAND --help` describes a command."
_COMMAND_EPILOG = "Options of every command, such as --sandbox, are in `memories-mcp --help`."


class _CommandParser(argparse.ArgumentParser):
    """A command's parser. It takes the general options too, without defaults: those before the command stay."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(epilog=_COMMAND_EPILOG, conflict_handler="resolve", **arguments)
        _add_general_options(self, hidden=True)


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
        "--workers", type=int, metavar="N",
        help="processes that serve, with http and sse; about one a core (default: 1)",
    )  # fmt: skip
    _add_general_options(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=_CommandParser)

    def add(name: str, description: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=description, description=f"{description[0].upper()}{description[1:]}.")

    add("demo", "show an agent at work on a demo video; offline, needs no key")
    _add_reading_commands(add)
    _add_library_commands(add)
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


def _add_general_options(parser: argparse.ArgumentParser, *, hidden: bool = False) -> None:
    def add(name: str, description: str, **option: Any) -> None:
        description = argparse.SUPPRESS if hidden else description
        option["default"] = argparse.SUPPRESS if hidden else None
        parser.add_argument(name, help=description, **option)

    add("--sandbox", "use an offline simulation of the API with a demo library; needs no key", action="store_true")
    add("--toolsets", "toolsets to offer, `default` or `all`", metavar="A,B")
    add("--tools", "single tools to offer, in addition to --toolsets or on their own", metavar="A,B")
    add("--read-only", "offer only tools that change nothing", action="store_true")
    add("--exclude-tools", "tools not to offer", metavar="A,B")
    add("--log-level", "level of the server's log on stderr: debug, info, warning (default), error", metavar="LEVEL")


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


def _add_reading_commands(add: Callable[[str, str], argparse.ArgumentParser]) -> None:
    search = add("search", "find moments in your videos, with what is said and seen there")
    search.add_argument("query", metavar="QUERY", help="what to search for, in plain language")
    search.add_argument("-k", type=int, default=10, metavar="N", help="maximum number of hits (default: 10)")
    search.add_argument(
        "--video",
        action="append",
        metavar="VIDEO",
        help="search only this video, by number or name; repeat the option for several",
    )
    search.add_argument(
        "--text", action=argparse.BooleanOptionalAction, default=True,
        help="print what is said and seen at the moments (default); --no-text reads no transcripts, which are billed",
    )  # fmt: skip
    search.add_argument("--show", action="store_true", help="also show the hits with their pictures, in the browser")
    _add_page_options(search)
    show = add("show", "show moments with their pictures, in the browser")
    show.add_argument(
        "refs", nargs="+", metavar="REF", help="moment, as `search` prints it, such as VI612515093881740229#t=3:32,4:16"
    )
    _add_page_options(show)
    ask = add("ask", "ask your videos a question")
    ask.add_argument("question", metavar="QUESTION", help="the question, in plain language")
    ask.add_argument(
        "--video", action="append", metavar="VIDEO",
        help="ask only this video, by number or name; repeat the option for several (default: the whole library)",
    )  # fmt: skip
    transcript = add("transcript", "print what is said or seen in a video")
    transcript.add_argument("video", metavar="VIDEO", help="number or name of the video, such as VI612515093881740229")
    transcript.add_argument(
        "--track", choices=["audio", "visual"], default="audio",
        help="audio: what is said (default); visual: what is seen",
    )  # fmt: skip
    transcript.add_argument("--start", metavar="TIME", help="print from this time on, such as 95, 1:35 or 1:02:05")
    transcript.add_argument("--end", metavar="TIME", help="print up to this time")
    formats = transcript.add_mutually_exclusive_group()
    for name, title in zip(TRANSCRIPT_FORMATS, ("WebVTT", "SubRip", "plain text (default)"), strict=True):
        formats.add_argument(f"--{name}", dest="format", action="store_const", const=name, help=f"print {title}")
    formats.add_argument("--save-as", type=Path, metavar="FILE", help="write to a new .vtt or .srt file instead")
    transcript.add_argument("--overwrite", action="store_true", help="replace an existing file")
    transcript.set_defaults(format="text")


def _add_page_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that writes the page of the evidence viewer."""
    parser.add_argument("--page", type=Path, metavar="FILE", help="the HTML file to write (default: a temporary file)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument(
        "--open", action=argparse.BooleanOptionalAction, default=True, help="open the page in the browser (default)"
    )
    parser.add_argument(
        "--clips", action="store_true",
        help="put a short clip of each moment into the page too; downloads the videos, which is billed",
    )  # fmt: skip


def _add_library_commands(add: Callable[[str, str], argparse.ArgumentParser]) -> None:
    listing = add("list", "list the videos of your library, newest first")
    listing.add_argument("name", nargs="?", metavar="WORDS", help="list only videos with these words in their name")
    listing.add_argument("--status", choices=["ready", "processing", "failed"], help="list only videos in this state")
    listing.add_argument("--page", type=int, metavar="N", help="page to print (default: 1)")
    listing.add_argument("--size", type=int, metavar="N", help="videos per page (default: 20)")
    status = add("status", "print the state of videos; the exit code is 0 if all are ready")
    status.add_argument("videos", nargs="+", metavar="VIDEO", help="number or name of the video")
    status.add_argument("--wait", action="store_true", help="wait until each video is processed")
    upload = add("upload", "upload video and image files, links to media files, or posts of YouTube, TikTok, Instagram")
    upload.add_argument("sources", nargs="+", metavar="FILE_OR_URL", help="video file, image file or URL")
    upload.add_argument("--wait", action="store_true", help="wait until each video is ready")
    download = add("download", "download a video of your library")
    download.add_argument("video", metavar="VIDEO", help="number or name of the video")
    download.add_argument(
        "target", nargs="?", type=Path, metavar="TARGET", help="file or folder to write to (default: VIDEO.mp4)"
    )
    download.add_argument("--overwrite", action="store_true", help="replace an existing file")
    delete = add("delete", "delete videos of your library permanently; asks first")
    delete.add_argument("videos", nargs="+", metavar="VIDEO", help="number or name of the video")
    delete.add_argument("--yes", action="store_true", help="delete without asking")
