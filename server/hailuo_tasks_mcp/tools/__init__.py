"""The MCP tools, one file each, and the one runner of all."""
