"""The wire: everything that knows HTTP, and the only importer of httpx2."""

from memories_mcp.api.client import Api
from memories_mcp.api.endpoint import Endpoint
from memories_mcp.api.files import Part
from memories_mcp.api.stream import ChatEvent

__all__ = ["Api", "ChatEvent", "Endpoint", "Part"]
