"""Logs for whoever operates the server: one JSON object a line, on stderr, with the id of the request it belongs to."""

from __future__ import annotations

import logging
import secrets
import sys
from contextvars import ContextVar

_request: ContextVar[str] = ContextVar("memories_mcp_request", default="")

_OURS = ("memories_mcp", "langchain_tools")


def configure(level: str) -> None:
    """Write our own logs from this level on, those of libraries from `warning` on.

    Below `warning` libraries log what passes through them, which is the callers' and not the operator's.
    """
    from pythonjsonlogger.json import JsonFormatter  # not before something is served

    handler = logging.StreamHandler(sys.stderr)
    names = "%(levelname)s %(name)s %(message)s %(request)s"
    handler.setFormatter(JsonFormatter(names, rename_fields={"levelname": "level"}, timestamp=True))
    handler.addFilter(_tidied)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in _OURS:
        logging.getLogger(name).setLevel(level.upper())


def begin_request() -> str:
    """Give the request under way an id of its own; every line that is logged for it carries it."""
    made = secrets.token_hex(6)
    _request.set(made)
    return made


def request_id() -> str:
    """The id of the request under way; empty outside of one."""
    return _request.get()


def _tidied(record: logging.LogRecord) -> bool:
    record.request = request_id() or None
    if record.name.startswith("mcp."):
        record.exc_info = record.exc_text = None  # the SDK's tracebacks quote what the caller sent
    return True
