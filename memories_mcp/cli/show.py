"""The command `show`, and `search --show`: moments as one HTML page, the evidence viewer with the pictures inside."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from memories_mcp.cli.calls import call_tool, print_note, with_files_root
from memories_mcp.cli.progress import ProgressBar
from memories_mcp.context import Progress
from memories_mcp.errors import FATAL_ERRORS, MemoriesError
from memories_mcp.models.evidence import Evidence
from memories_mcp.operations.common.search import Moments
from memories_mcp.operations.evidence import EvidenceReport
from memories_mcp.operations.viewer import viewer
from memories_mcp.runner import Runner, open_runner
from memories_mcp.server.viewer import read_page
from memories_mcp.settings import Settings

_DATA = '<script type="application/json" id="embedded">{}</script>'
"""The element of the page that holds the data when there is no host; it holds `null` in the page as written."""


class Page(NamedTuple):
    """The page to write.

    Attributes:
        file: Where to write it; `None` for a new temporary file, which stays for the browser.
        overwrite: Whether an existing file is replaced.
        is_opened: Whether the browser opens the page.
        kinds: The media in it: `frame`, `clip`.
        download: Whether videos are downloaded to cut the media from, which is billed.
    """

    file: Path | None
    overwrite: bool
    is_opened: bool
    kinds: Sequence[str]
    download: bool


def page_of(options: argparse.Namespace) -> Page:
    """Return the page that the options of a command describe."""
    kinds = ("frame", "clip") if options.clips else ("frame",)
    return Page(options.page, options.overwrite, options.open, kinds, options.command == "show" or options.clips)


async def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run `show` and return the exit code: 1 if no moment could be read."""
    async with open_runner(settings) as runner:
        with ProgressBar("Reading", shows_bytes=False) as bar:
            answer = await call_tool(runner, "get_evidence", bar, refs=options.refs, context_seconds=5)
        print_note(answer)
        for line in answer.output.unread:
            print(line, file=sys.stderr)
        if not answer.output.moments:
            return 1
        await write_page(runner, "get_evidence", answer.output, page_of(options))
    return 0


async def write_page(runner: Runner, tool: str, output: EvidenceReport | Moments, page: Page) -> None:
    """Write the viewer's page with a result and its media, print the path and open the page.

    Args:
        runner: The runner.
        tool: The tool that the result is of: `get_evidence` or `search_videos`.
        output: The result.
        page: The page to write.
    """
    media: dict[str, dict[str, Any]] = {}
    refs = [moment.ref if isinstance(moment, Evidence) else moment.refs[0] for moment in output.moments]
    with ProgressBar("Loading pictures", shows_bytes=False) as bar:
        for number, ref in enumerate(refs):
            await bar.follow(Progress(number, len(refs), f"Loading picture {number + 1} of {len(refs)}"))
            media[ref] = {kind: await _read_media(runner, ref, kind, download=page.download) for kind in page.kinds}
    document = _with_data({"tool": tool, "result": output.structured(), "media": media})
    file = page.file or Path(tempfile.mkdtemp(prefix="memories-moments-")) / "moments.html"
    files = with_files_root(runner, file.parent).files
    target = files.writable(file.name, overwrite=page.overwrite)
    files.write(target, document.encode())
    written = target.root.joinpath(*target.names)
    print(written)
    if page.is_opened and not webbrowser.open(written.as_uri()):
        print("No browser was found. Open the file yourself.", file=sys.stderr)


def _with_data(data: object) -> str:
    """Return the page with its data, in which no `<` can end the script element."""
    document = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    before, after = read_page().split(_DATA.format("null"))
    return f"{before}{_DATA.format(document)}{after}"


async def _read_media(runner: Runner, ref: str, kind: str, *, download: bool) -> dict[str, Any]:
    """Return the media of a moment as the viewer gets them; a failure is a reason that the page shows."""
    [get_moment_media] = viewer.operations
    try:
        answer = await runner.run(get_moment_media, {"ref": ref, "kind": kind, "download": download})
    except FATAL_ERRORS:
        raise
    except MemoriesError as error:
        return {"ref": ref, "kind": kind, "reason": str(error)}
    return answer.structured
