"""The evidence viewer as an MCP App: what tells hosts of the page, and how they read it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import mcp_types as t
from mcp.server import ServerRequestContext

from memories_mcp.server.viewer import read_page

EXTENSION = "io.modelcontextprotocol/ui"
PAGE_URI = "ui://memories/evidence.html"
PAGE_TYPE = "text/html;profile=mcp-app"
MEDIA_TOOL = "get_moment_media"
"""The tool that only the page calls."""

SHOWN_TOOLS = frozenset({"get_evidence", "search_videos"})
"""The tools whose results the page shows."""
_NO_ORIGINS: dict[str, list[str]] = {f"{kind}Domains": [] for kind in ("connect", "resource", "frame", "baseUri")}


def tool_meta(name: str) -> dict[str, Any] | None:
    """Return what a tool's `_meta` says about the page."""
    if name in SHOWN_TOOLS:
        return {"ui": {"resourceUri": PAGE_URI}, "ui/resourceUri": PAGE_URI}  # the flat key is that of older hosts
    if name == MEDIA_TOOL:
        return {"ui": {"resourceUri": PAGE_URI, "visibility": ["app"]}}
    return None


def lists_media_tool(ctx: ServerRequestContext[Any, Any], offered: Collection[str]) -> bool:
    """Return whether a list of tools holds the page's own tool, which is noise to a client that shows no page.

    Args:
        ctx: The context of the request.
        offered: The names of all tools that the caller may use.
    """
    return MEDIA_TOOL in offered and _shows_apps(ctx)


def _shows_apps(ctx: ServerRequestContext[Any, Any]) -> bool:
    capabilities = ctx.session.client_capabilities
    if not capabilities or EXTENSION not in (capabilities.extensions or {}):
        return False
    from mcp.server.apps import client_supports_apps  # the clients without apps need not wait for its import

    return client_supports_apps(ctx)


def read_app(uri: str, valid_ms: int) -> t.ReadResourceResult | None:
    """Return the page as a resource; `None` if the URI is that of another resource.

    Args:
        uri: The URI of a resource.
        valid_ms: How long clients may keep the page, which is the same for all callers.
    """
    if uri != PAGE_URI:
        return None
    meta = {"ui": {"csp": _NO_ORIGINS, "prefersBorder": True}}
    page = t.TextResourceContents(uri=uri, mime_type=PAGE_TYPE, text=read_page(), _meta=meta)
    return t.ReadResourceResult(contents=[page], ttl_ms=valid_ms, cache_scope="public")
