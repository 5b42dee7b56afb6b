"""Progress of uploads and downloads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from memories_mcp.context import Context
from memories_mcp.rendering.text import format_size


def byte_progress(context: Context, verb: str) -> Callable[[int, int | None], Awaitable[None]]:
    """Return a callback that reports transferred bytes as progress, such as "698 MB sent"."""

    async def report(done: int, total: int | None) -> None:
        await context.progress(done, total, f"{format_size(done)} {verb}")

    return report
