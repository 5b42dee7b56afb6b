"""A reference for calls and for the start: the typed search on FastMCP.

python benchmarks/fastmcp_server.py stdio | python benchmarks/fastmcp_server.py PORT
"""

import sys

from fastmcp import FastMCP
from search_job import search_videos

server = FastMCP("search")
server.tool(search_videos)

if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run("stdio", show_banner=False, log_level="WARNING")
    else:
        server.run("http", port=int(sys.argv[1]), show_banner=False, log_level="WARNING")
