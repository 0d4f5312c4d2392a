"""What a server tells of what it does, for whoever counts it."""


class Observer:
    """Is told what happens, without ids, tokens and prompts; this one does nothing with it."""

    def call_ended(self, tool: str, outcome: str, seconds: float) -> None:
        """Take that a call of a tool ended.

        Args:
            tool: its name.
            outcome: `ok`, or the name of the kind of error.
            seconds: how long it took.

        """

    def platform_answered(self, service: str, status: str) -> None:
        """Take that an attempt of a request to the platform ended.

        Args:
            service: the name of the service.
            status: of HTTP, or the kind of fault.

        """

    def waits_changed(self, under_way: int) -> None:
        """Take how many calls wait now."""
