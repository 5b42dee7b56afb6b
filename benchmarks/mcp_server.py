"""A reference for calls: the typed search on the SDK's own `MCPServer`.

python benchmarks/mcp_server.py stdio | python benchmarks/mcp_server.py PORT
"""

import sys

from mcp.server.mcpserver import MCPServer
from search_job import search_videos

server = MCPServer("search", log_level="WARNING")
server.tool()(search_videos)

if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run("stdio")
    else:
        server.run("streamable-http", port=int(sys.argv[1]))
