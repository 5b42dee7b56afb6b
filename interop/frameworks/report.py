"""What each framework's client reports about the server, as one JSON object on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

COMMAND, *ARGUMENTS = sys.argv[1:]
"""The command of the server: a separate process, because a framework may need another version of `mcp`."""

VALID: dict[str, Any] = {"query": "price of the Team plan", "top_k": 3}
INVALID: dict[str, Any] = {"query": ""}


def content_texts(blocks: Iterable[Any]) -> list[str]:
    """Return the text of each content block; of a block without text, its type."""
    return [block.text if block.type == "text" else block.type for block in blocks]


def report(*, tools: list[str], texts: list[str], structured: object, error: str, is_error: bool) -> None:
    """Print what the client received.

    Args:
        tools: The names of all tools.
        texts: The content blocks of a successful `search_videos`, as `content_texts` returns them.
        structured: The structured content of the same call; `None` if the framework drops it.
        error: The text of a refused call.
        is_error: Whether the framework reported that call as an error.
    """
    fields = {"tools": tools, "texts": texts, "structured": structured, "error": error, "is_error": is_error}
    sys.stdout.write(json.dumps(fields) + "\n")
