"""Which tools there are."""

from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.tools import list_recent_tasks, retrieve_task, retrieve_tasks_batch
from hailuo_tasks_mcp.tools.tool import Tool


def tools_for(settings: Settings) -> tuple[Tool, ...]:
    """Return the tools that a server with these settings offers, in the order it lists them."""
    tools = [
        retrieve_task.tool(settings),
        retrieve_tasks_batch.tool(settings),
        list_recent_tasks.tool(settings),
    ]
    if settings.save_dir is not None:
        # Here, because most servers save nothing, and start faster without.
        from hailuo_tasks_mcp.tools import save_videos  # noqa: PLC0415

        tools.append(save_videos.tool(settings))
    return tuple(tools)
