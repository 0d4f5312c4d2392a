"""One caller's look-ups: sends a group of ids to a service and reads what comes back."""

import json
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from hailuo_tasks_mcp.api.batching import Absence, Group
from hailuo_tasks_mcp.api.error_responses import error_from_response, may_refuse_id
from hailuo_tasks_mcp.api.http import (
    HttpPool,
    ResponseTooLargeError,
    Result,
    Throttle,
    retry_after_seconds,
)
from hailuo_tasks_mcp.api.network import PROXY_VARIABLES
from hailuo_tasks_mcp.api.proxies import ProxyRefusalError
from hailuo_tasks_mcp.api.records import (
    holds_task,
    read_page,
    read_record,
    read_text,
    reports_error,
)
from hailuo_tasks_mcp.api.services import MINIMAX, Service
from hailuo_tasks_mcp.errors import (
    Failure,
    HailuoTasksError,
    NetworkConfigurationError,
    RequestRejectedError,
    UnreachableError,
    UnreadableResponseError,
)
from hailuo_tasks_mcp.observer import Observer
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.text import clean_text, max_json_values, quoted

# Both actions only read, so the API may receive one more than once.
MAX_LOOKUP_ATTEMPTS = 3
# How large a response may be: a documented record has 1,100 bytes and 45 values, a prompt may be
# long and come more than once.
_MAX_BYTES = 1_000_000
_MAX_VALUES = 20_000
_MORE_BYTES_FOR_EACH_ID = 20_000
_MORE_VALUES_FOR_EACH_ID = 300
# How many further requests may find out which ids of a group make its request fail.
_MAX_DIVIDED_REQUESTS = 32


class LookupSender:
    """Sends the look-ups of one caller.

    Args:
        settings: where the API is, and how long an attempt may take.
        pool: sends the requests.
        redactor: knows the caller's tokens in use, which no response may bring back.
        observer: is told what each attempt brought.

    Attributes:
        token: the caller's bearer token; None while no call of theirs is under way.

    """

    def __init__(
        self, settings: Settings, pool: HttpPool, redactor: Redactor, observer: Observer
    ) -> None:
        self.token: str | None = None
        self.redactor = redactor
        self._settings = settings
        self._pool = pool
        self._observer = observer
        self._throttle = Throttle(redactor.redact)

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
            record = read_record(body, group.service.name, self.redactor.redact)
            its_id = None if record is None else record.task_id
            # MiniMax H3 has no record without an id; how it says that it knows none is not known.
            says_nothing = group.service is MINIMAX or not holds_task(body)
            if record is not None and its_id is None and says_nothing:
                raise self._unreadable(
                    "an object that says nothing of a task", "the task asked for"
                )
            # An id may come back in another case, as UUIDs do.
            if its_id is not None and its_id.lower() != task_id.lower():
                raise self._unreadable("the record of another task", "the task asked for")
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
                    self.redactor.redact,
                )
                if page is None:
                    raise self._unreadable("an object without items", "a list of tasks")
                found = list(page.records)
                for task_id, record in page.records.items():
                    group.resolve(task_id, record)
                missing = [task_id for task_id in missing if task_id not in page.records]
                owed = max(page.missing, owed - len(found))
                doubt = page.doubt or (
                    f"fewer tasks than it counts ({owed} missing)" if owed else None
                )
                if not found and doubt:
                    raise self._unreadable(doubt, "the tasks asked for")
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
        more_ids = len(payload.get("ids", [""])) - 1
        max_bytes = _MAX_BYTES + more_ids * _MORE_BYTES_FOR_EACH_ID
        max_values = _MAX_VALUES + more_ids * _MORE_VALUES_FOR_EACH_ID

        def on_attempt(result: Result) -> None:
            group.last_failure = None
            status = type(result).__name__
            if isinstance(result, httpx.Response):
                status = str(result.status_code)
                if not result.is_success:
                    group.last_failure = self._error_of(result, group.service, max_values)
            elif isinstance(result, httpx.RequestError):
                group.last_failure = self._request_error(result).failure
            self._observer.platform_answered(group.service.name, status)

        if self.token is None:
            raise RuntimeError("No call of this caller is under way")
        try:
            response = await self._pool.post(
                group.service.path,
                payload,
                self.token,
                max_response_bytes=max_bytes,
                max_attempts=MAX_LOOKUP_ATTEMPTS,
                throttle=self._throttle,
                on_attempt=on_attempt,
            )
        except ResponseTooLargeError as error:
            size = f"more than {max_bytes / 1_000_000:.3g} MB"
            raise self._unreadable(size, "a few kilobytes of JSON") from error
        except httpx.RequestError as error:
            raise self._request_error(error) from error
        return self._read_response(response, group.service, max_values)

    def _request_error(self, error: httpx.RequestError) -> HailuoTasksError:
        """Return the error that an error of httpx is for the caller."""
        api = f"API{self._settings.at_base_url}"
        if isinstance(error, httpx.TimeoutException):
            return UnreachableError(
                f"No answer from the {api}, though each attempt was given "
                f"{self._settings.request_timeout_seconds:g} s"
            )
        if isinstance(error, httpx.DecodingError):
            return self._unreadable("a body that cannot be decoded", "JSON")
        # Some of these texts quote what was received.
        words = clean_text(self.redactor.redact(str(error)), 160)
        if isinstance(error, ProxyRefusalError):
            return NetworkConfigurationError(
                f"The proxy refuses to reach the {api} ({words})", variables=PROXY_VARIABLES
            )
        reason = ": ".join(filter(None, (type(error).__name__, words)))
        broke_off = isinstance(error, httpx.ReadError | httpx.RemoteProtocolError)
        happened = "broke off before it had answered" if broke_off else "could not be reached"
        return UnreachableError(f"The {api} {happened} ({reason})")

    def _error_of(
        self, response: httpx.Response, service: Service, max_values: int
    ) -> Failure | None:
        try:
            self._read_response(response, service, max_values)
        except HailuoTasksError as error:
            return error.failure
        return None

    def _read_response(
        self, response: httpx.Response, service: Service, max_values: int
    ) -> dict[str, Any]:
        """Return the JSON object of a response, in which the API may have echoed a token."""
        status, content = response.status_code, response.content
        received, body = "", None
        try:
            if max_json_values(content) > max_values:
                received = f"JSON of more than {max_values:,} values"
            else:
                # Not by "utf-8-sig", a codec that would be loaded at the first answer.
                body = json.loads(content.removeprefix(BOM_UTF8).decode())
        except ValueError:
            media_type = read_text(response.headers.get("content-type"), self.redactor.redact)
            shown = quoted(media_type, 60) if media_type else "no content type"
            received = f"text that is not JSON ({shown})" if content else "an empty body"
        except RecursionError:
            received = "JSON that is nested too deeply"
        if not response.is_success or _is_error_body(body):
            raise error_from_response(
                status,
                body,
                at_base_url=self._settings.at_base_url,
                retry_after_seconds=retry_after_seconds(response),
                refuses_id=service is MINIMAX and may_refuse_id(status, body),
                redact=self.redactor.redact,
            )
        if isinstance(body, dict):
            return body
        raise self._unreadable(received or _JSON_KINDS[type(body)])

    def _unreadable(
        self, received: str, expected: str = "a JSON object"
    ) -> UnreadableResponseError:
        return UnreadableResponseError(
            f"The API{self._settings.at_base_url} answered with {received} instead of {expected}"
        )


def _refuses_id(error: HailuoTasksError) -> bool:
    """Return whether an error is how a service says that it knows no such task."""
    return error.failure.details.get("refuses") == "id"


def _may_concern_one_id(error: HailuoTasksError) -> bool:
    """Return whether a request may have failed because of some of its ids."""
    refused = isinstance(error, RequestRejectedError) or _refuses_id(error)
    return refused or error.failure.details.get("status") == "500"


_JSON_KINDS = {
    type(None): "null",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
}


def _is_error_body(body: object) -> bool:
    """Return whether a body reports an error, and nothing of a task, under whatever status."""
    return isinstance(body, dict) and reports_error(body) and not holds_task(body)
