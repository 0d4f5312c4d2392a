"""How long things take and last, as the platform's documents say."""

from collections.abc import Mapping

from hailuo_tasks_mcp.api.services import ServiceName

USUAL_DURATIONS: Mapping[ServiceName, str] = {"hailuo": "1-2 min", "minimax": "up to 7 min"}
"""How long a run takes, in words."""

LONGEST_USUAL_SECONDS: Mapping[ServiceName, int] = {"hailuo": 2 * 60, "minimax": 7 * 60}
"""The upper ends of those, for what is drawn."""

# After so long, the platform advises to give a task up and to make it anew.
OVERDUE_SECONDS = 10 * 60

# Documented for Hailuo's videos, and assumed for MiniMax H3's.
LINK_DAYS = 30
