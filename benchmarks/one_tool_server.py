"""A reference for the start: the SDK's own server with one tool, over stdio."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("one-tool")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


if __name__ == "__main__":
    server.run("stdio")
