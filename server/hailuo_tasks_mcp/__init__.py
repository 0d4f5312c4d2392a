"""An MCP server that reports on Hailuo (MiniMax) video-generation tasks at Ace Data Cloud."""

__version__ = "0.1.0"
