"""Entry point for bundles: a host runs this file, which starts the command beside it."""

from hailuo_tasks_mcp.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
