"""What to do about each error, for a model and for a person."""

from typing import Any

import pytest

from hailuo_tasks_mcp import errors
from hailuo_tasks_mcp.messages import error_text

# What the remedies of some kinds name.
DETAILS: Any = {
    "at_base_url": " at https://api.test",
    "usage": "It takes `x`",
    "variables": "HTTPS_PROXY",
}


def kinds(base: type[errors.HailuoTasksError]) -> list[type[errors.HailuoTasksError]]:
    return [kind for sub in base.__subclasses__() for kind in (sub, *kinds(sub))]


@pytest.mark.parametrize("kind", kinds(errors.HailuoTasksError))
def test_every_error_has_advice_for_a_person_that_does_not_mention_the_user(
    kind: type[errors.HailuoTasksError],
) -> None:
    error = kind("It happened", trace_id="abc-1", retry_after_seconds=90, **DETAILS)

    words = error_text(error.failure, "person")

    assert "user" not in words
    assert words.endswith(
        ". Not before 90 seconds from now. Trace id for the vendor's support: abc-1."
    )


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (errors.AccessDeniedError, "https://platform.acedata.cloud that the account is active"),
        (errors.BalanceUsedUpError, "Top it up at https://platform.acedata.cloud."),
        (errors.RequestRejectedError, "Trying again will not help."),
        (errors.RateLimitedError, "try again later"),
        (errors.UpstreamError, "try again later"),
        (errors.UnreachableError, "Check the network, the proxy and ACEDATACLOUD_API_BASE_URL"),
        (errors.UnreadableResponseError, "Check ACEDATACLOUD_API_BASE_URL"),
        (errors.WrongBaseUrlError, "Correct ACEDATACLOUD_API_BASE_URL"),
        (errors.SettingsError, "Correct it"),
        (errors.InvalidArgumentsError, "hailuo-tasks-mcp retrieve --help"),
    ],
)
def test_advice_names_what_to_do(kind: type[errors.HailuoTasksError], words: str) -> None:
    assert words in error_text(kind("It happened").failure, "person")


@pytest.mark.parametrize("kind", kinds(errors.HailuoTasksError))
def test_every_error_has_advice_for_a_model(
    kind: type[errors.HailuoTasksError],
) -> None:
    error = kind("It happened", trace_id="abc-1", **DETAILS)

    words = error_text(error.failure, "model")

    assert words.startswith("It happened. ")
    assert "{" not in words
    assert words.endswith(". Trace id for the vendor's support: abc-1.")
    # It cannot do it itself.
    phrases = ("Ask the user", "ask the user", "tell the user", "It takes `x`")
    assert any(phrase in words for phrase in phrases)


@pytest.mark.parametrize("kind", kinds(errors.HailuoTasksError))
def test_a_failure_makes_the_same_error_again(
    kind: type[errors.HailuoTasksError],
) -> None:
    failure = kind("It happened", trace_id="abc-1", retry_after_seconds=90, **DETAILS).failure

    again = failure.to_error()

    assert type(again) is kind
    assert again.failure == failure
    assert again.__traceback__ is None
