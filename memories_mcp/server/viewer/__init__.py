"""The evidence viewer: one HTML page, which a host of MCP Apps draws below a result, and the command line opens."""

from functools import cache
from pathlib import Path

PAGE = Path(__file__).with_name("evidence.html")


@cache
def read_page() -> str:
    """Return the page; it is read when it is first needed."""
    return PAGE.read_text(encoding="utf-8")
