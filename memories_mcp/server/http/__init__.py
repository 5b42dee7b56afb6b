"""The server over streamable HTTP and SSE."""
