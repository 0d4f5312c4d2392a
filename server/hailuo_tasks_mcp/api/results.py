"""What a look-up brings, and how long it may take; without HTTP, for those who only read it."""

from typing import NamedTuple

from hailuo_tasks_mcp.api.records import TaskRecord
from hailuo_tasks_mcp.errors import Failure

# Of every attempt and every page together.
LOOKUP_SECONDS = 44.0


class LookupResult(NamedTuple):
    """What is known of tasks; an id that is in neither part is not known to the API.

    Attributes:
        records: the records, by task id.
        failures: why no record, or no newer one, could be fetched, by task id.

    """

    records: dict[str, TaskRecord]
    failures: dict[str, Failure]
