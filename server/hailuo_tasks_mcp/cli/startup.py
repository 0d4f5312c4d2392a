"""What every command that sends requests starts with: effective settings, and the log."""

import os
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hailuo_tasks_mcp.logs import log_to_stderr
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.settings import READ_IN_SANDBOX, VARIABLES, Settings, effective_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx


class Startup(NamedTuple):
    """What a command works with.

    Attributes:
        settings: the effective settings.
        transport: carries the requests in place of the network, if anything does.
        redactor: knows the tokens in use; the log shares it.

    """

    settings: Settings
    transport: "httpx.AsyncBaseTransport | None"
    redactor: Redactor


def start(*, sandbox: bool) -> Startup:
    """Read the environment and send the log to stderr."""
    environ: Mapping[str, str] = os.environ
    transport = None
    if sandbox:
        # Here, because most commands run without it, and it takes a while to import.
        import httpx  # noqa: PLC0415

        from hailuo_tasks_mcp.sandbox.app import (  # noqa: PLC0415
            SANDBOX_ENVIRONMENT,
            create_sandbox,
        )

        # The user's token is not even read, so it cannot be sent; and no request reaches a network.
        read = {name: os.environ.get(name, "") for name in READ_IN_SANDBOX}
        environ = {**SANDBOX_ENVIRONMENT, **read}
        transport = httpx.ASGITransport(create_sandbox())
    settings = replace(effective_settings(environ), sandbox=sandbox)
    secrets = [getattr(settings, name) for name, each in VARIABLES.items() if each.secret]
    redactor = Redactor(*secrets)
    log_to_stderr(settings.log_level, redactor)
    return Startup(settings, transport, redactor)
