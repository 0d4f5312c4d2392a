"""What look-ups and lists bring, and how long they may take; without HTTP, for their readers."""

from typing import NamedTuple

from hailuo_tasks_mcp.api.records import TaskRecord
from hailuo_tasks_mcp.errors import Failure

# Of every attempt and every page together.
LOOKUP_SECONDS = 44.0
LISTED_SECONDS = 7 * 86_400 - 120.0
"""How long ago a task may have been created: 7 days as documented, less what clocks may differ and
what the pages take."""


class LookupResult(NamedTuple):
    """What is known of tasks; an id that is in neither part is not known to the API.

    Attributes:
        records: the records, by task id.
        failures: why no record, or no newer one, could be fetched, by task id.

    """

    records: dict[str, TaskRecord]
    failures: dict[str, Failure]


class Listing(NamedTuple):
    """The tasks that were listed.

    Attributes:
        records: the records, the newest first, those without a time last.
        left_out: how many records were of no use: no object, without an id, or an error.
        complete: whether these are all; if not, there may be more.
        unfetched: how many more there are at least.
        failure: the fault because of which they are not all; None if there was none.

    """

    records: list[TaskRecord]
    left_out: int = 0
    complete: bool = True
    unfetched: int = 0
    failure: Failure | None = None
