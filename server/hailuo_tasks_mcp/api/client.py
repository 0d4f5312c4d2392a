"""The Hailuo Tasks API over HTTP: task ids in, records out."""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import anyio
import httpx

from hailuo_tasks_mcp.api.http import (
    MAX_ANSWER_BYTES,
    TRIES,
    AnswerTooLargeError,
    Transport,
    retry_after_seconds,
)
from hailuo_tasks_mcp.api.network import PROXY_VARIABLES
from hailuo_tasks_mcp.api.records import (
    TaskPage,
    TaskRecord,
    read_page,
    read_record,
    reports_error,
    tells_of_tasks,
)
from hailuo_tasks_mcp.errors import (
    BASE_URL_VARIABLE,
    HailuoTasksError,
    NetworkSetupError,
    UnreachableError,
    UnreadableAnswerError,
    error_from_answer,
)
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.text import clean_text, without_secret

TASKS_PATH = "/hailuo/tasks"
IDS_PER_REQUEST = 100
# Enough to keep a long list moving, few enough to stay a polite guest.
CONCURRENT_REQUESTS = 4
# How long a look-up may take in all, every try and every page included.
LOOK_UP_SECONDS = 44.0


class _Deadline(NamedTuple):
    """When a look-up must have ended: on the event loop's clock, and how long that was ahead."""

    at: float
    within_seconds: float


class BatchRecords(NamedTuple):
    """What was learned of several tasks; an id that is in neither part is not known to the API.

    Attributes:
        records: the records, by task id.
        errors: why nothing could be learned of an id, by task id; one error can stand for many.

    """

    records: dict[str, TaskRecord]
    errors: dict[str, HailuoTasksError]


class HailuoTasksClient:
    """Asks for the records of tasks, over one pool of connections.

    Use it as an async context manager; it can be asked several things at once.

    Args:
        settings: the token, where the API is, and how long a request may take.
        transport: carries the requests in place of the network.

    """

    def __init__(
        self, settings: Settings, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._settings = settings
        self._carrier = transport
        self._opened: Transport | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        """Make the client ready; connections are opened when they are needed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections, for good."""
        self._closed = True
        if self._opened is not None:
            await self._opened.aclose()

    async def retrieve(
        self, task_id: str, *, within_seconds: float = LOOK_UP_SECONDS
    ) -> TaskRecord | None:
        """Return the record of one task; None if the API does not know it.

        Args:
            task_id: the task's id.
            within_seconds: how long it may take in all.

        Raises:
            HailuoTasksError: the API could not be asked, or did not answer in time.

        """
        body = await self._post({"action": "retrieve", "id": task_id}, _deadline(within_seconds))
        record = read_record(body)
        if record is not None and record.task_id not in {None, task_id}:
            raise self._unreadable("the record of another task", "the task asked for")
        return record

    async def retrieve_batch(
        self, task_ids: Iterable[str], *, within_seconds: float = LOOK_UP_SECONDS
    ) -> BatchRecords:
        """Return what can be learned of any number of tasks; repeats are folded.

        Args:
            task_ids: the tasks' ids.
            within_seconds: how long it may take in all; what came until then is kept.

        Raises:
            HailuoTasksError: nothing could be learned of any of them, for this reason.

        """
        ids = list(dict.fromkeys(task_ids))
        answer = BatchRecords({}, {})
        deadline = _deadline(within_seconds)
        turn = asyncio.Semaphore(CONCURRENT_REQUESTS)
        # Not asyncio's: before Python 3.13 it can leave a cancellation behind, seen by the SDK.
        async with anyio.create_task_group() as group:
            for start in range(0, len(ids), IDS_PER_REQUEST):
                chunk = ids[start : start + IDS_PER_REQUEST]
                group.start_soon(self._retrieve_chunk, chunk, answer, deadline, turn)
        if ids and len(answer.errors) == len(ids):
            raise answer.errors[ids[0]]
        return answer

    async def _retrieve_chunk(
        self,
        task_ids: Sequence[str],
        answer: BatchRecords,
        deadline: _Deadline,
        turn: asyncio.Semaphore,
    ) -> None:
        """Add to `answer` what can be learned of at most `IDS_PER_REQUEST` tasks.

        The API pages, by 12 unless `limit` says otherwise, and nothing promises that `limit` is
        obeyed or what `count` counts. So the ids still missing are asked for again until a round
        brings nothing new; only then are they not known.
        """
        missing = list(task_ids)
        async with turn:
            try:
                while missing:
                    records, whole = await self._retrieve_page(missing, deadline)
                    found = {key: records[key] for key in missing if key in records}
                    if not found and not whole:
                        raise self._unreadable("a list with holes", "the tasks asked for")
                    if not found:
                        break
                    answer.records.update(found)
                    missing = [task_id for task_id in missing if task_id not in found]
            except HailuoTasksError as error:
                # Its traceback would hold on to the answer, and the answer to it.
                answer.errors.update(dict.fromkeys(missing, error.with_traceback(None)))

    async def _retrieve_page(self, task_ids: Sequence[str], deadline: _Deadline) -> TaskPage:
        body = await self._post(
            {"action": "retrieve_batch", "ids": task_ids, "limit": len(task_ids)}, deadline
        )
        page = read_page(body)
        if page is None:
            raise self._unreadable("an object without items", "a list of tasks")
        return page

    async def _post(self, question: Mapping[str, Any], deadline: _Deadline) -> dict[str, Any]:
        """Ask the API one thing and return the JSON object that it answers with."""
        token = self._settings.usable_token()
        transport = self._transport()
        base_url = self._settings.api_base_url
        try:
            # Both actions only read, so sending one again is always safe.
            response = await transport.post(
                TASKS_PATH, question, token, tries=TRIES, deadline=deadline.at
            )
        except TimeoutError as error:
            raise self._unreachable(
                f"Not answered within {deadline.within_seconds:.3g} s by {base_url}"
            ) from error
        except httpx.TimeoutException as error:
            raise self._unreachable(
                f"No answer from {base_url}, though each try was given "
                f"{self._settings.request_timeout_seconds:g} s"
            ) from error
        except AnswerTooLargeError as error:
            size = f"more than {MAX_ANSWER_BYTES // 1_000_000} MB"
            raise self._unreadable(size, "a few kilobytes of JSON") from error
        except httpx.DecodingError as error:
            raise self._unreadable("a body that cannot be decoded", "JSON") from error
        except httpx.RequestError as error:
            # Some of these texts quote what was received.
            quoted = ": ".join(filter(None, (type(error).__name__, str(error))))
            reason = clean_text(without_secret(quoted, token), 160)
            broke_off = isinstance(error, httpx.ReadError | httpx.RemoteProtocolError)
            happened = "broke off before it had answered" if broke_off else "could not be reached"
            if isinstance(error, httpx.ProxyError) and not _PROXY_TRIED.match(str(error)):
                # Not one that passes: some proxies lock out whoever asks too often.
                refused = f"The proxy refuses to reach {base_url} ({reason})"
                raise NetworkSetupError(refused, PROXY_VARIABLES) from error
            raise self._unreachable(f"{base_url} {happened} ({reason})") from error
        return self._read_answer(response, token)

    def _transport(self) -> Transport:
        """Return the one transport, made at first use.

        A server whose proxy or certificates are set up badly can so still start and say it.
        """
        if self._closed:
            raise RuntimeError("This client is closed")
        if self._opened is None:
            self._opened = Transport(self._settings, self._carrier)
        return self._opened

    def _read_answer(self, response: httpx.Response, token: str) -> dict[str, Any]:
        """Return the JSON object of an answer, without the token if the API echoed it."""
        status, content = response.status_code, response.content
        came, body = "", None
        try:
            body = _without(token, json.loads(content.decode("utf-8-sig")))
        except ValueError:
            media_type = response.headers.get("content-type", "no content type")
            shown = clean_text(without_secret(media_type, token), 60)
            came = f"text that is not JSON ({shown})" if content else "an empty body"
        except RecursionError:
            came = "JSON that is nested too deeply"
        if not response.is_success or _is_fault(body):
            raise error_from_answer(
                status,
                body,
                base_url=self._settings.api_base_url,
                retry_after_seconds=retry_after_seconds(response),
            )
        if isinstance(body, dict):
            return body
        raise self._unreadable(came or _JSON_KINDS[type(body)])

    def _unreachable(self, happened: str) -> UnreachableError:
        return UnreachableError(
            happened,
            "The task itself goes on: {ask_again}. If it stays so, ask the user to check the "
            f"network, the proxy and {BASE_URL_VARIABLE}.",
        )

    def _unreadable(self, came: str, belongs: str = "a JSON object") -> UnreadableAnswerError:
        return UnreadableAnswerError(
            f"{self._settings.api_base_url} answered with {came} instead of {belongs}",
            "The task itself goes on: {ask_again}. If it stays so, ask the user "
            f"to check {BASE_URL_VARIABLE}; something else may be answering there.",
        )


def _deadline(within_seconds: float) -> _Deadline:
    return _Deadline(asyncio.get_running_loop().time() + within_seconds, within_seconds)


# What httpx says of an HTTP proxy that failed, and of a SOCKS proxy that could not get through.
_PROXY_TRIED = re.compile(r"5\d\d|Proxy Server could not connect")

_JSON_KINDS = {
    type(None): "null",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
}


def _is_fault(body: object) -> bool:
    """Tell whether a body reports an error, and nothing of a task, under whatever status."""
    return isinstance(body, dict) and reports_error(body) and not tells_of_tasks(body)


def _without(token: str, value: Any) -> Any:
    """Return a JSON value without the token in any of its texts."""
    if isinstance(value, str):
        return without_secret(value, token)
    if isinstance(value, list):
        return [_without(token, item) for item in value]
    if isinstance(value, dict):
        return {key: _without(token, item) for key, item in value.items()}
    return value
