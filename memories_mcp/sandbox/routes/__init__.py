"""The API's routes, one module per toolset; importing this package registers their handlers in `ROUTES`."""

from __future__ import annotations

from memories_mcp.sandbox.routes import (
    captions,
    chat,
    folders,
    library,
    public,
    public_upload,
    search,
    sessions,
    transcripts,
    upload,
)
from memories_mcp.sandbox.routing import ROUTES

__all__ = [
    "ROUTES", "captions", "chat", "folders", "library", "public", "public_upload", "search", "sessions", "transcripts",
    "upload",
]  # fmt: skip
