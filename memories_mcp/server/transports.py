"""How the server is reached."""

from __future__ import annotations

import anyio
from mcp.server.stdio import stdio_server

from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings


def serve_stdio(settings: Settings) -> None:
    """Serve one client over stdin and stdout until it closes them."""

    async def run() -> None:
        server = make_server(settings)
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    anyio.run(run)
