"""The `public_upload` routes: imports into the public library."""

from __future__ import annotations

from typing import Any

from memories_mcp.sandbox.routes.upload import import_creator, import_hashtags, import_posts
from memories_mcp.sandbox.routing import Call, route


@route("POST", "scraper_url_public")
async def scraper_url_public(call: Call) -> Any:
    """Publish posts."""
    return import_posts(call, public=True)


@route("POST", "scraper_public")
async def scraper_public(call: Call) -> Any:
    """Publish a creator's latest videos."""
    return import_creator(call, public=True)


@route("POST", "scraper_tag_public")
async def scraper_tag_public(call: Call) -> Any:
    """Publish the latest videos of hashtags."""
    return import_hashtags(call, public=True)
