"""MCP server and tools over Memories.ai, a video-understanding API."""
