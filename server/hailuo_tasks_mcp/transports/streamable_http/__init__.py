"""Serves an MCP server over Streamable HTTP, to many callers."""
