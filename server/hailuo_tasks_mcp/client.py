"""The Hailuo Tasks API over HTTP: task ids in, records out."""

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, NamedTuple, Self

import httpx

from hailuo_tasks_mcp import __version__
from hailuo_tasks_mcp.errors import (
    BASE_URL_VARIABLE,
    HailuoTasksError,
    SettingsError,
    UnreachableError,
    UnreadableAnswerError,
    error_from_answer,
)
from hailuo_tasks_mcp.records import (
    TaskPage,
    TaskRecord,
    read_page,
    read_record,
    reports_error,
    tells_of_tasks,
)
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.text import clean_text, without_secret

TASKS_PATH = "/hailuo/tasks"
IDS_PER_REQUEST = 100
# Enough to keep a long list moving, few enough to stay a polite guest.
CONCURRENT_REQUESTS = 4

logger = logging.getLogger(__name__)


class BatchRecords(NamedTuple):
    """What was learned of several tasks; an id that is in neither part is not known to the API.

    Attributes:
        records: the records, by task id.
        errors: why nothing could be learned of an id, by task id.

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
        self._transport = transport
        self._opened: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        """Make the client ready; connections are opened when they are needed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        if self._opened is not None:
            await self._opened.aclose()

    async def retrieve(self, task_id: str) -> TaskRecord | None:
        """Return the record of one task; None if the API does not know it.

        Raises:
            HailuoTasksError: the API could not be asked, or did not answer.

        """
        body = await self._post({"action": "retrieve", "id": task_id})
        record = read_record(body)
        if record is not None and record.task_id not in {None, task_id}:
            raise self._unreadable("the record of another task", "the task asked for")
        return record

    async def retrieve_batch(self, task_ids: Iterable[str]) -> BatchRecords:
        """Return what can be learned of any number of tasks; repeats are folded.

        Raises:
            HailuoTasksError: nothing could be learned of any of them, for this reason.

        """
        ids = list(dict.fromkeys(task_ids))
        answer = BatchRecords({}, {})
        turn = asyncio.Semaphore(CONCURRENT_REQUESTS)
        async with asyncio.TaskGroup() as group:
            for start in range(0, len(ids), IDS_PER_REQUEST):
                chunk = ids[start : start + IDS_PER_REQUEST]
                group.create_task(self._retrieve_chunk(chunk, answer, turn))
        if ids and len(answer.errors) == len(ids):
            raise answer.errors[ids[0]]
        return answer

    async def _retrieve_chunk(
        self, task_ids: Sequence[str], answer: BatchRecords, turn: asyncio.Semaphore
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
                    records, whole = await self._retrieve_page(missing)
                    found = {key: records[key] for key in missing if key in records}
                    if not found and not whole:
                        raise self._unreadable("a list with holes", "the tasks asked for")
                    if not found:
                        break
                    answer.records.update(found)
                    missing = [task_id for task_id in missing if task_id not in found]
            except HailuoTasksError as error:
                answer.errors.update(dict.fromkeys(missing, error))

    async def _retrieve_page(self, task_ids: Sequence[str]) -> TaskPage:
        body = await self._post(
            {"action": "retrieve_batch", "ids": task_ids, "limit": len(task_ids)}
        )
        page = read_page(body)
        if page is None:
            raise self._unreadable("an object without items", "a list of tasks")
        return page

    async def _post(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the API one thing and return the JSON object that it answers with."""
        token = self._settings.usable_token()
        http = self._http()
        seconds = self._settings.request_timeout_seconds
        base_url = self._settings.api_base_url
        try:
            # httpx bounds each read; an answer that drips in must end as well.
            async with asyncio.timeout(seconds):
                response = await http.post(
                    TASKS_PATH, json=question, headers={"authorization": f"Bearer {token}"}
                )
        except (TimeoutError, httpx.TimeoutException) as error:
            raise self._unreachable(f"No answer within {seconds:g} s from {base_url}") from error
        except httpx.DecodingError as error:
            raise self._unreadable("a body that cannot be decoded", "JSON") from error
        except httpx.RequestError as error:
            # Some of these texts quote what was received.
            reason = clean_text(without_secret(f"{type(error).__name__}: {error}", token), 160)
            raise self._unreachable(f"{base_url} could not be reached ({reason})") from error
        return self._read_answer(response, token)

    def _http(self) -> httpx.AsyncClient:
        """Return the one HTTP client, made at first use.

        A server whose proxy or certificates are set up badly can so still start and say it.
        """
        if self._opened is None:
            base_url = self._settings.api_base_url
            try:
                self._opened = httpx.AsyncClient(
                    base_url=base_url,
                    headers={
                        "accept": "application/json",
                        "user-agent": f"hailuo-tasks-mcp/{__version__}",
                    },
                    # The API needs no cookies, and what it sets says who asked.
                    cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                    timeout=self._settings.request_timeout_seconds,
                    transport=self._transport,
                    # The token goes to one host only.
                    follow_redirects=False,
                    # What travels in the clear is meant for this machine, and passes no proxy.
                    trust_env=base_url.startswith("https:"),
                )
            except (OSError, ValueError, httpx.InvalidURL) as error:
                # Not its text: a proxy's URL may hold a password.
                raise SettingsError(
                    "HTTP cannot be set up with the proxy or certificates that the environment "
                    f"names ({type(error).__name__})",
                    "Ask the user to correct or unset HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, "
                    "NO_PROXY and SSL_CERT_FILE for this server, and to restart it.",
                ) from error
        return self._opened

    def _read_answer(self, response: httpx.Response, token: str) -> dict[str, Any]:
        """Return the JSON object of an answer, without the token if the API echoed it."""
        status, content = response.status_code, response.content
        logger.debug("%s answered %d, %d bytes", response.url, status, len(content))
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
            raise error_from_answer(status, body, base_url=self._settings.api_base_url)
        if isinstance(body, dict):
            return body
        raise self._unreadable(came or _JSON_KINDS[type(body)])

    def _unreachable(self, happened: str) -> UnreachableError:
        return UnreachableError(
            happened,
            "The task itself goes on: ask again in about 30 seconds. If it stays so, ask the user "
            f"to check the network, the proxy and {BASE_URL_VARIABLE}.",
        )

    def _unreadable(self, came: str, belongs: str = "a JSON object") -> UnreadableAnswerError:
        return UnreadableAnswerError(
            f"{self._settings.api_base_url} answered with {came} instead of {belongs}",
            "The task itself goes on: ask again in about 30 seconds. If it stays so, ask the user "
            f"to check {BASE_URL_VARIABLE}; something else may be answering there.",
        )


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
