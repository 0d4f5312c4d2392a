"""`python -m hailuo_tasks_mcp` is the command `hailuo-tasks-mcp`."""

from hailuo_tasks_mcp.cli.main import main

raise SystemExit(main())
