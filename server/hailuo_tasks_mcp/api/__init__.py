"""Speaks HTTP and the platform's JSON; knows nothing of MCP."""
