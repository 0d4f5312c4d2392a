"""An MCP server that reports on Hailuo (MiniMax) video-generation tasks at Ace Data Cloud.

The modules, top down; each imports only from those below it:

    cli        the command: picks what to run
    demo       plays a conversation for `hailuo-tasks-mcp demo`
    sandbox_http, sandbox
               a stand-in for the API: served, and itself
    stdio      serves an MCP server over stdin and stdout
    server     assembles an MCP server from settings
    tools      the two tools: what they publish, what they do
    client     asks the API over HTTP
    summary    what a record means, and the answers made of it
    records    the API's JSON, read leniently
    schema     JSON Schemas as hosts can read them
    settings   the environment, read once
    errors     everything that can go wrong, worded for a model
    text       foreign text made safe to show
"""

__version__ = "0.1.0"
