"""Videos from the servers of files into a folder; knows nothing of MCP."""
