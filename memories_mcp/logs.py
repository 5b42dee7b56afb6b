"""Logging for the operator: one JSON object per line on stderr, with the id of the current request."""

from __future__ import annotations

import logging
import secrets
import sys
from contextvars import ContextVar

_request: ContextVar[str] = ContextVar("memories_mcp_request", default="")

_PACKAGES = ("memories_mcp", "langchain_tools")


def configure(level: str, *, audit: bool = False) -> None:
    """Send this package's records from `level` upwards, and those of libraries from `warning` upwards, to stderr.

    Below `warning`, libraries log the content of requests, which is the callers' private data.

    Args:
        level: The lowest level.
        audit: Whether the lines of the audit are sent at any level.
    """
    from pythonjsonlogger.json import JsonFormatter  # imported late: only a running server logs

    handler = logging.StreamHandler(sys.stderr)
    field_names = "%(levelname)s %(name)s %(message)s %(request)s"
    handler.setFormatter(JsonFormatter(field_names, rename_fields={"levelname": "level"}, timestamp=True))
    handler.addFilter(_prepare)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in _PACKAGES:
        logging.getLogger(name).setLevel(level.upper())
    if audit:
        logging.getLogger("memories_mcp.audit").setLevel(logging.INFO)


def begin_request() -> str:
    """Assign a new id to the current request and return it; every record that the request logs carries the id."""
    new_id = secrets.token_hex(6)
    _request.set(new_id)
    return new_id


def request_id() -> str:
    """Return the id of the current request, or an empty string outside a request."""
    return _request.get()


def _prepare(record: logging.LogRecord) -> bool:
    """Add the request id to a record; a logging filter that passes every record."""
    record.request = request_id() or None
    if record.name.startswith("mcp."):
        record.exc_info = record.exc_text = None  # tracebacks of the SDK quote the caller's input
    return True
