"""What a task means; knows neither HTTP nor MCP."""
