"""The command `hailuo-tasks-mcp`, one file for each command."""
