"""What can go wrong, as data; what to do about it stands in `messages`.

    HailuoTasksError
    ├── InvalidArgumentsError              a tool does not take these arguments
    ├── SettingsError                      a setting cannot be used
    │   ├── TokenMissingError              there is no token
    │   ├── SeveralSettingsError           several settings cannot be used
    │   ├── TokenMalformedError            the token cannot be one
    │   ├── TokenPlaceholderError          what the documents write where a token belongs
    │   ├── TokenQuotedError               the token is in quotes
    │   ├── NetworkConfigurationError      a proxy or certificate file cannot be used
    │   └── UntrustedCertificateError      the certificate that the API shows is not trusted
    ├── TokenRejectedError                 HTTP 401, or 400 `token_mismatched`
    ├── AccessDeniedError                  HTTP 403 other than `used_up`
    ├── BalanceUsedUpError                 HTTP 403 `used_up`, or 402
    ├── RequestRejectedError               HTTP 4xx that is none of the others
    ├── WrongBaseUrlError                  HTTP 404, 405, or a redirect
    ├── RateLimitedError                   HTTP 429
    ├── UpstreamError                      HTTP 408 or 5xx, or an unknown error under 2xx
    ├── UnreachableError                   no connection, no complete response, or none in time
    ├── UnreadableResponseError            a response that is not what the API sends
    ├── DownloadRefusedError               a video's URL, redirect or address is not allowed
    ├── VideoGoneError                     HTTP 401, 403, 404 or 410 for a video: its link expired
    ├── NotAVideoError                     what came is no video, or not all of one
    ├── VideoTooLargeError                 a video has more bytes than it may
    ├── DownloadInterruptedError           a video did not come, not all of it, or not in time
    ├── FolderError                        the folder, or a file in it, cannot be written
    │   └── DiskFullError                  there is no room for a video
    ├── TooManyWaitsError                  as many calls wait as may
    └── StoppingError                      this server is being stopped

No error holds a token or a complete upstream body.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Failure:
    """An error without its traceback: what may be kept after the call that raised it.

    A traceback keeps alive every local variable on the way to it, response bodies among them.

    Attributes:
        kind: the class of the error.
        message: what happened, without a full stop.
        trace_id: by which the vendor's support finds the request; None if there is none.
        retry_after_seconds: how long not to send requests to the API; None if it did not say.
        details: what the remedies in `messages` name, by the name of their placeholder.

    """

    kind: type["HailuoTasksError"]
    message: str
    trace_id: str | None = None
    retry_after_seconds: float | None = None
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.kind.transient

    def to_error(self) -> "HailuoTasksError":
        """Return a new error to raise: one raised twice would collect both tracebacks."""
        return self.kind(
            self.message,
            trace_id=self.trace_id,
            retry_after_seconds=self.retry_after_seconds,
            **self.details,
        )


class HailuoTasksError(Exception):
    """Base of all errors of this package; the arguments are those of `Failure`."""

    transient: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        trace_id: str | None = None,
        retry_after_seconds: float | None = None,
        **details: str,
    ) -> None:
        super().__init__(message)
        self.failure = Failure(type(self), message, trace_id, retry_after_seconds, details)


class InvalidArgumentsError(HailuoTasksError):
    """A tool does not take these arguments, so nothing is sent.

    Details: `usage`, which arguments the tool takes.
    """


class SettingsError(HailuoTasksError):
    """A setting cannot be used, so nothing is sent.

    Details: `variable`, the environment variable that decides on it, where that is one.
    """


class TokenMissingError(SettingsError):
    """There is no token, so nothing is sent."""


class TokenMalformedError(SettingsError):
    """What is set as the token cannot be one, so nothing is sent."""


class TokenPlaceholderError(SettingsError):
    """What is set as the token was to be replaced by one, so nothing is sent."""


class TokenQuotedError(SettingsError):
    """The token is in quotes, which would be sent as a part of it, so nothing is sent."""


class SeveralSettingsError(SettingsError):
    """Several settings cannot be used, and the message names each, so nothing is sent."""


class NetworkConfigurationError(SettingsError):
    """The environment's proxy or certificates cannot be used.

    Details: `variables`, the environment variables that decide on them.
    """


class UntrustedCertificateError(SettingsError):
    """The certificate shown at the base URL is not trusted, so nothing is sent."""


class TokenRejectedError(HailuoTasksError):
    """Another token is needed. Details: `at_base_url`, where it was rejected."""


class AccessDeniedError(HailuoTasksError):
    """The token is valid but not allowed to do this."""


class BalanceUsedUpError(HailuoTasksError):
    """The balance must be topped up."""


class RequestRejectedError(HailuoTasksError):
    """The request itself is refused."""


class WrongBaseUrlError(HailuoTasksError):
    """The base URL does not lead to the API."""


class RateLimitedError(HailuoTasksError):
    """Too many requests."""

    transient = True


class UpstreamError(HailuoTasksError):
    """The platform, or a proxy before it, failed."""

    transient = True


class UnreachableError(HailuoTasksError):
    """No connection, no complete response, or none in time."""

    transient = True


class UnreadableResponseError(HailuoTasksError):
    """A response came that is not what the API sends."""

    transient = True


class DownloadRefusedError(HailuoTasksError):
    """The URL of a video, a redirect from it or its address is not allowed, or its server refuses.

    Nothing is fetched from there.
    """


class VideoGoneError(HailuoTasksError):
    """The link of a video does not work any more."""


class NotAVideoError(HailuoTasksError):
    """What came in place of a video is none, or not a whole one."""


class VideoTooLargeError(HailuoTasksError):
    """A video has more bytes than a file may."""


class DownloadInterruptedError(HailuoTasksError):
    """A video did not come, not to its end or not in time."""

    transient = True


class FolderError(HailuoTasksError):
    """The folder, or a file in it, cannot be written."""


class DiskFullError(FolderError):
    """There is no room for a video on the disk."""


class TooManyWaitsError(HailuoTasksError):
    """As many calls wait as may, so nothing is sent."""

    transient = True


class StoppingError(HailuoTasksError):
    """This server is being stopped, so it is not waited for an answer."""

    transient = True
