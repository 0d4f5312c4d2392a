"""What to do about each error, for each of those who read it."""

import re
from typing import Any

import pytest

from hailuo_tasks_mcp import errors
from hailuo_tasks_mcp.messages import Reader, error_text, for_reader, is_for_operator

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


REMOTE_READERS: list[Reader] = ["remote", "remote_shared"]
AT_GATEWAY = " at https://gateway.internal"


@pytest.mark.parametrize("reader", REMOTE_READERS)
@pytest.mark.parametrize("kind", kinds(errors.HailuoTasksError))
def test_no_error_names_a_variable_or_an_address_of_this_machine_to_a_remote_reader(
    kind: type[errors.HailuoTasksError], reader: Reader
) -> None:
    happened = f"It happened{AT_GATEWAY}"
    if issubclass(kind, errors.SettingsError):
        # These are the kinds whose messages name variables.
        happened = f"ACEDATACLOUD_API_TOKEN holds a placeholder{AT_GATEWAY}"
    details = {**DETAILS, "at_base_url": AT_GATEWAY, "variables": "HTTPS_PROXY"}
    failure = kind(happened, trace_id="abc-1", **details).failure

    words = error_text(for_reader(failure, reader, AT_GATEWAY), reader)

    # Names of variables are all in capitals, and have an underscore.
    assert not re.search(r"[A-Z]{2,}_[A-Z_]+", words)
    assert "gateway" not in words
    assert "restart" not in words
    happened, _, remedy = words.partition(". ")
    assert happened
    assert any(phrase in remedy for phrase in ("Ask the user", "tell the user", "It takes `x`"))
    assert remedy.endswith(". Trace id for the vendor's support: abc-1.")


@pytest.mark.parametrize(
    "kind",
    [
        errors.SettingsError,
        errors.SeveralSettingsError,
        errors.NetworkConfigurationError,
        errors.UntrustedCertificateError,
        errors.WrongBaseUrlError,
    ],
)
@pytest.mark.parametrize("reader", REMOTE_READERS)
def test_what_only_the_operator_can_correct_is_not_told_to_a_remote_reader(
    kind: type[errors.HailuoTasksError], reader: Reader
) -> None:
    failure = kind("The proxy in HTTPS_PROXY refuses to reach gateway.internal", **DETAILS).failure

    assert is_for_operator(failure, reader)
    assert error_text(for_reader(failure, reader, ""), reader) == (
        "This server cannot ask the API as it is set up. Ask the user to tell whoever runs this "
        "server, who finds the details in its log; asking again before they have corrected it will "
        "not help."
    )


@pytest.mark.parametrize(
    ("kind", "happened", "told"),
    [
        (errors.TokenRejectedError, "The API rejected the token", "The API rejected the token"),
        (errors.TokenMissingError, "No API token is set", "No API token is set"),
        (
            errors.TokenQuotedError,
            "ACEDATACLOUD_API_TOKEN holds its token in quotes",
            "The Authorization header holds its token in quotes",
        ),
        (errors.AccessDeniedError, "The API denied access", "The API denied access"),
    ],
)
def test_a_remote_reader_with_a_token_of_their_own_is_sent_to_the_header_that_holds_it(
    kind: type[errors.HailuoTasksError], happened: str, told: str
) -> None:
    failure = kind(happened, **DETAILS).failure

    words = error_text(for_reader(failure, "remote", ""), "remote")

    assert words.startswith(f"{told}. Ask the user to ")
    assert "the Authorization header in the configuration of this server in their client" in words
    assert not is_for_operator(failure, "remote")
    assert is_for_operator(failure, "remote_shared")
    assert "Authorization" not in error_text(
        for_reader(failure, "remote_shared", ""), "remote_shared"
    )


def test_who_tops_up_the_balance_is_the_one_whose_token_it_is() -> None:
    failure = errors.BalanceUsedUpError("The account's balance is used up").failure

    assert "Ask the user to top it up at https" in error_text(failure, "remote")
    assert "Ask the user to tell whoever runs this server" in error_text(failure, "remote_shared")


@pytest.mark.parametrize("reader", ["model", "person"])
@pytest.mark.parametrize("kind", kinds(errors.HailuoTasksError))
def test_whoever_runs_this_server_is_told_all_that_happened(
    kind: type[errors.HailuoTasksError], reader: Reader
) -> None:
    failure = kind(f"HTTPS_PROXY is wrong{AT_GATEWAY}", **DETAILS).failure

    assert for_reader(failure, reader, AT_GATEWAY) == failure
    assert not is_for_operator(failure, reader)


@pytest.mark.parametrize("kind", kinds(errors.HailuoTasksError))
def test_a_failure_makes_the_same_error_again(
    kind: type[errors.HailuoTasksError],
) -> None:
    failure = kind("It happened", trace_id="abc-1", retry_after_seconds=90, **DETAILS).failure

    again = failure.to_error()

    assert type(again) is kind
    assert again.failure == failure
    assert again.__traceback__ is None
