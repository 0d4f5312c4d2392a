"""The tasks of the API: ids in, records out."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
import httpx

from hailuo_tasks_mcp.api.error_responses import error_from_response
from hailuo_tasks_mcp.api.http import (
    MAX_RESPONSE_BYTES,
    HttpPool,
    ResponseTooLargeError,
    retry_after_seconds,
)
from hailuo_tasks_mcp.api.network import PROXY_VARIABLES
from hailuo_tasks_mcp.api.records import (
    TaskPage,
    TaskRecord,
    holds_task,
    read_page,
    read_record,
    reports_error,
)
from hailuo_tasks_mcp.errors import (
    Failure,
    HailuoTasksError,
    NetworkConfigurationError,
    TokenMissingError,
    UnreachableError,
    UnreadableResponseError,
)
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.text import clean_text

TASKS_PATH = "/hailuo/tasks"
# Both actions of TASKS_PATH only read, so the API may receive one more than once.
MAX_LOOKUP_ATTEMPTS = 3
IDS_PER_REQUEST = 100
# Of one batch, so that a long list of ids does not use up what the API allows.
MAX_CONCURRENT_REQUESTS = 4
# How long a look-up may take in all, every attempt and every page included.
LOOKUP_SECONDS = 44.0


class _Deadline(NamedTuple):
    """When a look-up must have ended: on the event loop's clock, and how far ahead that was."""

    at: float
    within_seconds: float


class LookupResult(NamedTuple):
    """What is known of tasks; an id that is in neither part is not known to the API.

    Attributes:
        records: the records, by task id.
        failures: why no record, or no newer one, could be fetched, by task id.

    """

    records: dict[str, TaskRecord]
    failures: dict[str, Failure]


class ApiClient:
    """What can be asked of the API, on behalf of one caller.

    Cheap to make, so that each call has its own; several things can be asked at once.

    Args:
        settings: where the API is, and whether requests may be sent at all.
        pool: sends the requests.
        token: the caller's bearer token; None if there is none.
        redactor: knows the tokens in use, which no response may bring back.

    """

    def __init__(
        self, settings: Settings, pool: HttpPool, token: str | None, redactor: Redactor
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._token = token
        self._redactor = redactor

    async def retrieve(
        self, task_id: str, *, within_seconds: float = LOOKUP_SECONDS
    ) -> TaskRecord | None:
        """Return the record of one task; None if the API does not know it.

        Args:
            task_id: the task's id.
            within_seconds: how long it may take in all.

        Raises:
            HailuoTasksError: no request could be sent, or no usable response came in time.

        """
        body = await self._post({"action": "retrieve", "id": task_id}, _deadline(within_seconds))
        record = read_record(body)
        if record is not None and record.task_id not in {None, task_id}:
            raise self._unreadable("the record of another task", "the task asked for")
        return record

    async def retrieve_batch(
        self, task_ids: Iterable[str], *, within_seconds: float = LOOKUP_SECONDS
    ) -> LookupResult:
        """Return what can be learned of any number of tasks; an id given twice counts once.

        Args:
            task_ids: the tasks' ids.
            within_seconds: how long it may take in all; what came until then is kept.

        Raises:
            HailuoTasksError: nothing could be learned of any of them, for this reason.

        """
        ids = list(dict.fromkeys(task_ids))
        result = LookupResult({}, {})
        deadline = _deadline(within_seconds)
        slots = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)
        # Not asyncio's: before Python 3.13 it can leave a cancellation behind, seen by the SDK.
        async with anyio.create_task_group() as group:
            for start in range(0, len(ids), IDS_PER_REQUEST):
                chunk = ids[start : start + IDS_PER_REQUEST]
                group.start_soon(self._retrieve_chunk, chunk, result, deadline, slots)
        if ids and len(result.failures) == len(ids):
            raise result.failures[ids[0]].to_error()
        return result

    async def _retrieve_chunk(
        self,
        task_ids: Sequence[str],
        result: LookupResult,
        deadline: _Deadline,
        slots: asyncio.Semaphore,
    ) -> None:
        """Add to `result` what can be learned of at most `IDS_PER_REQUEST` tasks.

        The API pages, by 12 unless `limit` says otherwise, and nothing promises that `limit` is
        obeyed or what `count` counts. So ids still missing are requested again until a response
        brings none of them; only then are they not known.
        """
        missing = list(task_ids)
        async with slots:
            try:
                while missing:
                    records, complete = await self._retrieve_page(missing, deadline)
                    found = {key: records[key] for key in missing if key in records}
                    if not found and not complete:
                        raise self._unreadable("a list with holes", "the tasks asked for")
                    if not found:
                        break
                    result.records.update(found)
                    missing = [task_id for task_id in missing if task_id not in found]
            except HailuoTasksError as error:
                result.failures.update(dict.fromkeys(missing, error.failure))

    async def _retrieve_page(self, task_ids: Sequence[str], deadline: _Deadline) -> TaskPage:
        body = await self._post(
            {"action": "retrieve_batch", "ids": task_ids, "limit": len(task_ids)}, deadline
        )
        page = read_page(body)
        if page is None:
            raise self._unreadable("an object without items", "a list of tasks")
        return page

    async def _post(self, payload: Mapping[str, Any], deadline: _Deadline) -> dict[str, Any]:
        """Send a look-up and return the JSON object of the response."""
        base_url = self._settings.api_base_url
        try:
            response = await self._pool.post(
                TASKS_PATH,
                payload,
                self._usable_token(),
                max_attempts=MAX_LOOKUP_ATTEMPTS,
                deadline=deadline.at,
            )
        except TimeoutError as error:
            raise UnreachableError(
                f"Not answered within {deadline.within_seconds:.3g} s by {base_url}"
            ) from error
        except ResponseTooLargeError as error:
            size = f"more than {MAX_RESPONSE_BYTES // 1_000_000} MB"
            raise self._unreadable(size, "a few kilobytes of JSON") from error
        except httpx.RequestError as error:
            raise self._request_error(error) from error
        return self._read_response(response)

    def _usable_token(self) -> str:
        if self._settings.problem is not None:
            raise self._settings.problem.to_error()
        if self._token is None:
            raise TokenMissingError("No API token is set")
        return self._token

    def _request_error(self, error: httpx.RequestError) -> HailuoTasksError:
        """Return the error that an error of httpx is for the caller."""
        base_url = self._settings.api_base_url
        if isinstance(error, httpx.TimeoutException):
            return UnreachableError(
                f"No answer from {base_url}, though each try was given "
                f"{self._settings.request_timeout_seconds:g} s"
            )
        if isinstance(error, httpx.DecodingError):
            return self._unreadable("a body that cannot be decoded", "JSON")
        # Some of these texts quote what was received.
        quoted = ": ".join(filter(None, (type(error).__name__, str(error))))
        reason = clean_text(self._redactor.redact(quoted), 160)
        if isinstance(error, httpx.ProxyError) and not _PROXY_FAILED.match(str(error)):
            # Not transient: a proxy may lock out a user whom it refuses again and again.
            return NetworkConfigurationError(
                f"The proxy refuses to reach {base_url} ({reason})", variables=PROXY_VARIABLES
            )
        broke_off = isinstance(error, httpx.ReadError | httpx.RemoteProtocolError)
        problem = "broke off before it had answered" if broke_off else "could not be reached"
        return UnreachableError(f"{base_url} {problem} ({reason})")

    def _read_response(self, response: httpx.Response) -> dict[str, Any]:
        """Return the JSON object of a response, redacted in case the API echoed a token."""
        status, content = response.status_code, response.content
        received, body = "", None
        try:
            body = self._redactor.redact_json(json.loads(content.decode("utf-8-sig")))
        except ValueError:
            media_type = response.headers.get("content-type", "no content type")
            shown = clean_text(self._redactor.redact(media_type), 60)
            received = f"text that is not JSON ({shown})" if content else "an empty body"
        except RecursionError:
            received = "JSON that is nested too deeply"
        if not response.is_success or _is_error_body(body):
            raise error_from_response(
                status,
                body,
                base_url=self._settings.api_base_url,
                retry_after_seconds=retry_after_seconds(response),
            )
        if isinstance(body, dict):
            return body
        raise self._unreadable(received or _JSON_KINDS[type(body)])

    def _unreadable(
        self, received: str, expected: str = "a JSON object"
    ) -> UnreadableResponseError:
        return UnreadableResponseError(
            f"{self._settings.api_base_url} answered with {received} instead of {expected}"
        )


@asynccontextmanager
async def open_client(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    redactor: Redactor | None = None,
) -> AsyncIterator[ApiClient]:
    """Yield a client for the token of the settings, with a pool of connections of its own.

    Args:
        settings: the token, where the API is, and how long an attempt may take.
        transport: carries the requests in place of the network.
        redactor: knows the tokens in use; by default, that of the settings.

    """
    async with HttpPool(settings, transport=transport) as pool:
        token = settings.api_token
        yield ApiClient(settings, pool, token, redactor or Redactor(token))


def _deadline(within_seconds: float) -> _Deadline:
    return _Deadline(asyncio.get_running_loop().time() + within_seconds, within_seconds)


# httpx's text for an HTTP proxy that failed, and for a SOCKS proxy that could not get through.
_PROXY_FAILED = re.compile(r"5\d\d|Proxy Server could not connect")

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
