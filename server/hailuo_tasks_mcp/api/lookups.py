"""One caller's look-ups: sends a group of ids to a service and reads what comes back."""

from collections.abc import Mapping, Sequence
from typing import Any

from hailuo_tasks_mcp.api.batching import Absence, Group
from hailuo_tasks_mcp.api.records import holds_task, read_page, read_record
from hailuo_tasks_mcp.api.sender import Attempt, Sender
from hailuo_tasks_mcp.api.services import MINIMAX
from hailuo_tasks_mcp.errors import HailuoTasksError, RequestRejectedError

# How many further requests may find out which ids of a group make its request fail.
_MAX_DIVIDED_REQUESTS = 32


class LookupSender:
    """Sends the look-ups of one caller.

    Args:
        sender: sends the caller's requests.

    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def send(self, group: Group) -> None:
        """Look a group of ids up, and resolve each of them."""
        if len(group.ids) == 1:
            await self._retrieve(group, group.ids[0])
            return
        missing, error = await self._retrieve_batch(group, group.ids)
        if error is not None:
            await self._divide(group, missing, error)

    async def _retrieve(self, group: Group, task_id: str) -> None:
        try:
            body = await self._post(group, {"action": "retrieve", "id": task_id})
            record = read_record(body, group.service.name, self._sender.redact)
            its_id = None if record is None else record.task_id
            # MiniMax H3 has no record without an id; how it says that it knows none is not known.
            says_nothing = group.service is MINIMAX or not holds_task(body)
            if record is not None and its_id is None and says_nothing:
                raise self._sender.unreadable(
                    "an object that says nothing of a task", "the task asked for"
                )
            # An id may come back in another case, as UUIDs do.
            if its_id is not None and its_id.lower() != task_id.lower():
                raise self._sender.unreadable("the record of another task", "the task asked for")
        except HailuoTasksError as error:
            group.resolve(task_id, Absence.UNKNOWN if _refuses_id(error) else error.failure)
        else:
            group.resolve(task_id, Absence.UNKNOWN if record is None else record)

    async def _retrieve_batch(
        self, group: Group, task_ids: Sequence[str]
    ) -> tuple[list[str], HailuoTasksError | None]:
        """Look several ids up, and resolve those of which something was learned.

        The API pages, by 12 unless `limit` says otherwise, and nothing promises that `limit` is
        obeyed or what `count` counts. So what is missing from a response that may be one page of
        several is requested again; it is unknown once a response brought nothing, and none of the
        responses left anything open.

        Returns: the ids that are left, and the error because of which they are.
        """
        missing, found = list(task_ids), list[str]()
        # How many tasks were counted and have not come.
        owed = 0
        try:
            while missing:
                payload = {"action": "retrieve_batch", "ids": missing, "limit": len(missing)}
                page = await read_page(
                    await self._post(group, payload),
                    missing,
                    group.service.name,
                    self._sender.redact,
                )
                if page is None:
                    raise self._sender.unreadable("an object without items", "a list of tasks")
                found = list(page.records)
                for task_id, record in page.records.items():
                    group.resolve(task_id, record)
                missing = [task_id for task_id in missing if task_id not in page.records]
                owed = max(page.missing, owed - len(found))
                doubt = page.doubt or (
                    f"fewer tasks than it counts ({owed} missing)" if owed else None
                )
                if not found and doubt:
                    raise self._sender.unreadable(doubt, "the tasks asked for")
                if not found or not (page.may_be_followed or owed):
                    break
        except HailuoTasksError as error:
            return missing, error
        absence = Absence.UNCONFIRMED if found else Absence.UNKNOWN
        for task_id in missing:
            group.resolve(task_id, absence)
        return [], None

    async def _divide(self, group: Group, task_ids: Sequence[str], error: HailuoTasksError) -> None:
        """Find out by halves which ids make a request fail, and resolve all."""
        left = _MAX_DIVIDED_REQUESTS
        failed: list[tuple[Sequence[str], HailuoTasksError]] = [(task_ids, error)]
        while failed:
            ids, error = failed.pop()
            if len(ids) == 1 or not _may_concern_one_id(error) or left < 2:  # noqa: PLR2004
                for task_id in ids:
                    unknown = len(ids) == 1 and _refuses_id(error)
                    group.resolve(task_id, Absence.UNKNOWN if unknown else error.failure)
                continue
            left -= 2
            half = len(ids) // 2
            results = [await self._retrieve_batch(group, part) for part in (ids[:half], ids[half:])]
            failures = [(missing, found) for missing, found in results if found is not None]
            if len(failures) == len(results) and not isinstance(error, RequestRejectedError):
                # It is not the ids.
                for missing, found in failures:
                    for task_id in missing:
                        group.resolve(task_id, found.failure)
            else:
                failed += failures

    async def _post(self, group: Group, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Send a look-up and return the JSON object of the response."""

        def on_attempt(attempt: Attempt) -> None:
            group.last_failure = attempt.failure

        records = len(payload.get("ids", [""]))
        return await self._sender.post(
            group.service, payload, max_records=records, on_attempt=on_attempt
        )


def _refuses_id(error: HailuoTasksError) -> bool:
    """Return whether an error is how a service says that it knows no such task."""
    return error.failure.details.get("refuses") == "id"


def _may_concern_one_id(error: HailuoTasksError) -> bool:
    """Return whether a request may have failed because of some of its ids."""
    refused = isinstance(error, RequestRejectedError) or _refuses_id(error)
    return refused or error.failure.details.get("status") == "500"
