"""The HTTP client of the API, and the only importer of httpx2."""

from memories_mcp.api.bodies import without_blocking
from memories_mcp.api.client import Api
from memories_mcp.api.endpoints import Endpoint
from memories_mcp.api.streaming import ChatEvent, join_pieces
from memories_mcp.api.transfers import Part, SourceFile, Target, atomic_write

__all__ = [
    "Api",
    "ChatEvent",
    "Endpoint",
    "Part",
    "SourceFile",
    "Target",
    "atomic_write",
    "join_pieces",
    "without_blocking",
]
