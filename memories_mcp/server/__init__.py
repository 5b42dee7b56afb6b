"""The MCP server. Apart from the demo, the only package that imports `mcp`."""
