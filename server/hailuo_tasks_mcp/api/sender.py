"""One caller's requests that only read: sends a JSON object and reads the one that comes back."""

import json
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import httpx

from hailuo_tasks_mcp.api.error_responses import error_from_response, may_refuse_id
from hailuo_tasks_mcp.api.http import (
    HttpPool,
    ResponseTooLargeError,
    Result,
    Throttle,
    date_of,
    retry_after_seconds,
)
from hailuo_tasks_mcp.api.network import PROXY_VARIABLES
from hailuo_tasks_mcp.api.proxies import ProxyRefusalError
from hailuo_tasks_mcp.api.records import holds_task, read_text, reports_error
from hailuo_tasks_mcp.api.services import MINIMAX, Service
from hailuo_tasks_mcp.errors import (
    Failure,
    HailuoTasksError,
    NetworkConfigurationError,
    UnreachableError,
    UnreadableResponseError,
)
from hailuo_tasks_mcp.observer import Observer
from hailuo_tasks_mcp.redaction import Redactor
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.text import clean_quoting_text, max_json_values, quoted

# They only read, so the API may receive one more than once.
MAX_READ_ATTEMPTS = 3
# How large a response may be: a documented record has 1,100 bytes and 45 values, a prompt may be
# long and come more than once.
_MAX_BYTES = 1_000_000
_MAX_VALUES = 20_000
_MORE_BYTES_FOR_EACH_RECORD = 20_000
_MORE_VALUES_FOR_EACH_RECORD = 300


class Attempt(NamedTuple):
    """What an attempt of a request brought.

    Attributes:
        failure: the fault that it brought; None if it was none.
        date: when it was answered, in Unix seconds by the API's clock; None if that is not known.

    """

    failure: Failure | None = None
    date: float | None = None


class Sender:
    """Sends the requests of one caller.

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

    def redact(self, text: str) -> str:
        """Return a text without the tokens in use."""
        return self.redactor.redact(text)

    async def post(
        self,
        service: Service,
        payload: Mapping[str, Any],
        *,
        max_records: int,
        on_attempt: Callable[[Attempt], None],
    ) -> dict[str, Any]:
        """Send a request that only reads, and return the JSON object of the response.

        Args:
            service: which service is asked.
            payload: the JSON to post.
            max_records: how many records the response may have, which bounds its size.
            on_attempt: called with what each attempt brought, for callers that give up before the
                last one.

        Raises:
            HailuoTasksError: there is no such object, for this reason.

        """
        max_bytes = _MAX_BYTES + (max_records - 1) * _MORE_BYTES_FOR_EACH_RECORD
        max_values = _MAX_VALUES + (max_records - 1) * _MORE_VALUES_FOR_EACH_RECORD

        def on_result(result: Result) -> None:
            failure, date, status = None, None, type(result).__name__
            if isinstance(result, httpx.Response):
                status, date = str(result.status_code), date_of(result)
                if not result.is_success:
                    failure = self._error_of(result, service, max_values)
            elif isinstance(result, httpx.RequestError):
                failure = self._request_error(result).failure
            on_attempt(Attempt(failure, date))
            self._observer.platform_answered(service.name, status)

        if self.token is None:
            raise RuntimeError("No call of this caller is under way")
        try:
            response = await self._pool.post(
                service.path,
                payload,
                self.token,
                max_response_bytes=max_bytes,
                max_attempts=MAX_READ_ATTEMPTS,
                throttle=self._throttle,
                on_attempt=on_result,
            )
        except ResponseTooLargeError as error:
            size = f"more than {max_bytes / 1_000_000:.3g} MB"
            raise self.unreadable(size, "a few kilobytes of JSON") from error
        except httpx.RequestError as error:
            raise self._request_error(error) from error
        return self._read_response(response, service, max_values)

    def _request_error(self, error: httpx.RequestError) -> HailuoTasksError:
        """Return the error that an error of httpx is for the caller."""
        api = f"API{self._settings.at_base_url}"
        if isinstance(error, httpx.TimeoutException):
            return UnreachableError(
                f"No answer from the {api}, though each attempt was given "
                f"{self._settings.request_timeout_seconds:g} s"
            )
        if isinstance(error, httpx.DecodingError):
            return self.unreadable("a body that cannot be decoded", "JSON")
        # Some of these texts quote what was received.
        words = clean_quoting_text(self.redact(str(error)), 160)
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
            media_type = read_text(response.headers.get("content-type"), self.redact)
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
                redact=self.redact,
            )
        if isinstance(body, dict):
            return body
        raise self.unreadable(received or _JSON_KINDS[type(body)])

    def unreadable(self, received: str, expected: str = "a JSON object") -> UnreadableResponseError:
        """Return the error of a response that is not what the API sends."""
        return UnreadableResponseError(
            f"The API{self._settings.at_base_url} answered with {received} instead of {expected}"
        )


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
