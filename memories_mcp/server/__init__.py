"""The MCP server: with the demo, the only importer of mcp."""
