"""What this server tells of its work, for counters and the like."""


class Observer:
    """Is told what happens; this one takes no note of it.

    Nothing that it is told identifies a caller or a task, and each name is one of a small set.
    """

    def call_ended(self, tool: str, outcome: str, seconds: float) -> None:
        """Take note of the end of a call.

        Args:
            tool: the name of one of this server's tools.
            outcome: "ok"; the name of a class of `errors`; "InternalError" for a defect of this
                server, "Cancelled" for a call that its caller gave up, and "Working" for one, or a
                poll, that leaves an MCP task running.
            seconds: how long it took.

        """

    def platform_answered(self, service: str, status: str) -> None:
        """Take note of what one attempt of a request brought.

        Args:
            service: the name of one of `api.services`.
            status: the HTTP status, such as "200", or the name of the fault because of which there
                is none, such as "ConnectError", "ReadTimeout" or "UntrustedCertificateError".

        """

    def waits_changed(self, under_way: int) -> None:
        """Take note of how many calls wait now."""
