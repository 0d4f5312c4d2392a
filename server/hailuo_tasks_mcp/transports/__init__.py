"""How an MCP server is served."""
