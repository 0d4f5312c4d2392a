"""The environment, read once and checked."""

import math
import re
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hailuo_tasks_mcp.errors import SettingsError
from hailuo_tasks_mcp.messages import error_text
from hailuo_tasks_mcp.settings import (
    VARIABLES,
    Settings,
    Variable,
    effective_settings,
    read_settings,
)
from helpers import TOKEN


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings({}) == Settings(
        api_token=None,
        api_base_url="https://api.acedata.cloud",
        request_timeout_seconds=15,
        max_wait_seconds=50,
        max_mcp_task_seconds=1800,
        log_level="WARNING",
        sandbox=False,
        problem=None,
    )


def test_every_variable_is_read() -> None:
    assert read_settings(
        {
            "ACEDATACLOUD_API_TOKEN": f" {TOKEN}\n",
            "ACEDATACLOUD_API_BASE_URL": "https://gateway.test/acedata/",
            "HAILUO_REQUEST_TIMEOUT_SECONDS": "2.5",
            "HAILUO_MAX_WAIT_SECONDS": "3600",
            "HAILUO_MAX_MCP_TASK_SECONDS": "43200",
            "HAILUO_SAVE_DIR": "/videos/of mine",
            "HAILUO_MAX_VIDEO_MB": "1200",
            "HAILUO_STALL_SECONDS": "7.5",
            "HAILUO_LOG_LEVEL": "debug",
        }
    ) == Settings(
        api_token=TOKEN,
        api_base_url="https://gateway.test/acedata",
        request_timeout_seconds=2.5,
        max_wait_seconds=3600,
        max_mcp_task_seconds=43_200,
        save_dir=str(Path("/videos/of mine")),
        max_video_mb=1200,
        stall_seconds=7.5,
        log_level="DEBUG",
    )


@pytest.mark.parametrize(
    "blank", ["", " ", "\t\n", "${TOKEN}", "${user_config.api_token}", " ${} "]
)
def test_a_value_that_was_never_filled_in_counts_as_not_set(blank: str) -> None:
    variables = (
        "ACEDATACLOUD_API_TOKEN",
        "ACEDATACLOUD_API_BASE_URL",
        "HAILUO_REQUEST_TIMEOUT_SECONDS",
        "HAILUO_MAX_WAIT_SECONDS",
        "HAILUO_MAX_MCP_TASK_SECONDS",
        "HAILUO_LOG_LEVEL",
    )

    assert read_settings(dict.fromkeys(variables, blank)) == Settings()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Bearer Bearer"])
def test_a_token_pasted_with_its_scheme_is_accepted(scheme: str) -> None:
    assert read_settings({"ACEDATACLOUD_API_TOKEN": f"{scheme} {TOKEN}"}).api_token == TOKEN


def test_a_scheme_before_a_placeholder_makes_no_token() -> None:
    assert read_settings({"ACEDATACLOUD_API_TOKEN": "Bearer ${TOKEN}"}).api_token is None


def test_the_token_is_not_shown() -> None:
    assert TOKEN not in repr(Settings(api_token=TOKEN))


@pytest.mark.parametrize("token", [f"{TOKEN}\n{TOKEN}", f"{TOKEN} x", f"{TOKEN}é", f"{TOKEN}\x00"])
def test_a_token_that_no_header_can_carry_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(SettingsError, match="ACEDATACLOUD_API_TOKEN") as caught:
        read_settings({"ACEDATACLOUD_API_TOKEN": token})

    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.acedata.cloud",
        "http://localhost:8787",
        "http://127.0.0.1:8787",
        "http://127.8.9.10",
        "http://[::1]:8787",
        "HTTPS://API.TEST",
    ],
)
def test_a_base_url_over_tls_or_on_this_machine_is_accepted(url: str) -> None:
    assert read_settings({"ACEDATACLOUD_API_BASE_URL": url}).api_base_url == url.lower()


@pytest.mark.parametrize(
    "url",
    [
        "http://api.acedata.cloud",
        "http://192.168.1.2",
        "http://localhost.evil.test",
        "http://127.0.0.1.evil.test",
        "http://127.0.0.1@evil.test",
        "http://evil.test\\@127.0.0.1",
        "http://2130706433",
        "http://0.0.0.0",
        "ftp://api.acedata.cloud",
        "file:///etc/passwd",
        "https://",
        "https:///hailuo",
        "https://a..test",
        f"https://{'a' * 64}.test",
        "api.acedata.cloud",
        "not a url",
        "https://user:password@api.acedata.cloud",
        "https://api.acedata.cloud?x=1",
        "https://api.acedata.cloud#x",
        "https://api.acedata.cloud/?",
        "https://api.acedata.cloud/#",
        "https://api.acedata.cloud:port",
        "https://[broken",
        "http://xn--",
        "https://xn--a.test",
        "http://[::1%ä]",
        "http://[::1%a b]",
        "https://\udcff.test",
        f"https://{'a.' * 127}test",
    ],
)
def test_any_other_base_url_is_refused_by_the_name_of_its_variable(url: str) -> None:
    environ = {"ACEDATACLOUD_API_BASE_URL": url, "ACEDATACLOUD_API_TOKEN": TOKEN}

    with pytest.raises(SettingsError, match="ACEDATACLOUD_API_BASE_URL") as caught:
        read_settings(environ)

    assert TOKEN not in str(caught.value)
    assert "password" not in str(caught.value)


@given(
    st.sampled_from(list(VARIABLES.values())),
    st.sampled_from(["", "http://", "https://", "http://[::1%", "https://xn--"]),
    # What the environment holds of bytes that are not UTF-8 are lone surrogates.
    st.text(st.one_of(st.sampled_from("[]:@/%.?#-xn"), st.characters()), max_size=40),
)
def test_whatever_is_set_is_used_or_told_by_the_name_of_its_variable_without_repeating_it(
    variable: Variable, start: str, text: str
) -> None:
    value = f"{start}{text}planted-password"

    result = effective_settings({variable.name: value})

    if result.problem is None:
        assert result.api_base_url.isascii()
        assert httpx.URL(result.api_base_url).host
    else:
        assert result.problem.message.startswith(f"{variable.name} ")
        assert "planted" not in result.problem.message


@pytest.mark.parametrize("value", ["0", "-1", "41", "nan", "inf", "soon", "1e9"])
def test_an_invalid_timeout_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="HAILUO_REQUEST_TIMEOUT_SECONDS"):
        read_settings({"HAILUO_REQUEST_TIMEOUT_SECONDS": value})


@pytest.mark.parametrize(
    "value", ["0", "-1", "3601", "1.5", "1e2", "soon", "٣", "1_0", "00005", "9" * 5000]
)
def test_an_invalid_maximum_wait_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="HAILUO_MAX_WAIT_SECONDS must be a whole number"):
        read_settings({"HAILUO_MAX_WAIT_SECONDS": value})


@pytest.mark.parametrize("value", ["0", "43201", "1.5", "soon"])
def test_an_invalid_length_of_an_mcp_task_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="HAILUO_MAX_MCP_TASK_SECONDS must be a whole number"):
        read_settings({"HAILUO_MAX_MCP_TASK_SECONDS": value})


def test_a_log_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SettingsError, match="HAILUO_LOG_LEVEL must be one of DEBUG, INFO"):
        read_settings({"HAILUO_LOG_LEVEL": "loud"})


@pytest.mark.parametrize("variable", VARIABLES.values(), ids=lambda variable: variable.name)
def test_a_variable_is_described_with_its_bounds(variable: Variable) -> None:
    described = set(re.findall(r"\d+", variable.meaning))

    bounds = {bound for bound in (variable.minimum, variable.maximum) if 0 < bound < math.inf}
    assert {f"{bound:g}" for bound in bounds} <= described


@pytest.mark.parametrize("variable", VARIABLES.values(), ids=lambda variable: variable.name)
def test_setting_a_variable_to_its_default_changes_nothing(variable: Variable) -> None:
    environ = {} if variable.default_text is None else {variable.name: variable.default_text}

    assert read_settings(environ) == Settings()


@pytest.mark.parametrize("variable", VARIABLES.values(), ids=lambda variable: variable.name)
def test_a_value_that_cannot_be_used_becomes_the_problem_of_the_settings(
    variable: Variable,
) -> None:
    broken = effective_settings({variable.name: "\x00not usable\x00"})

    assert broken.problem is not None
    assert variable.name in broken.problem.message
    assert broken.problems == (broken.problem,)
    assert replace(broken, problem=None, problems=()) == Settings()


def test_all_that_cannot_be_used_is_one_problem_of_a_call_and_one_of_each_variable() -> None:
    environ = {
        "ACEDATACLOUD_API_TOKEN": "YOUR-TOKEN",
        "HAILUO_REQUEST_TIMEOUT_SECONDS": "soon",
        "HAILUO_MAX_WAIT_SECONDS": "240",
        "HAILUO_LOG_LEVEL": "loud",
    }

    broken = effective_settings(environ)

    named = [problem.details["variable"] for problem in broken.problems]
    assert named == ["ACEDATACLOUD_API_TOKEN", *list(environ)[1::2]]
    assert broken.problem is not None
    assert error_text(broken.problem, "model") == (
        "ACEDATACLOUD_API_TOKEN holds a placeholder, not a token; HAILUO_REQUEST_TIMEOUT_SECONDS "
        "must be a number of seconds above 0 and at most 40; HAILUO_LOG_LEVEL must be one of "
        "DEBUG, INFO, WARNING, ERROR, CRITICAL. Ask the user to correct each of them, and to "
        "restart this server."
    )
    # What can be used is.
    assert broken.max_wait_seconds == 240
    with pytest.raises(SettingsError, match="HAILUO_LOG_LEVEL"):
        read_settings(environ)


@pytest.mark.parametrize(
    "placeholder",
    [
        *("YOUR-TOKEN", "your_token_here", "<token>", "<YOUR TOKEN>", "YOUR_API_KEY", "yourtoken"),
        *("Bearer YOUR-TOKEN", '"YOUR-TOKEN"', "'<token>'", "Bearer <your token>", "{{token}}"),
        *("token", "API token", "acedatacloud_api_token", "token-here", "my-token", "paste it"),
        *("$ACEDATACLOUD_API_TOKEN", "%ACEDATACLOUD_API_TOKEN%", "$(cat token)", "[token]"),
        *("xxxxxxxx-xxxx", "...", "…", "******", "changeme", "你的Token", "<您的 Token>"),
        # A token in brackets is told the same, and is not repeated either.
        f"<{TOKEN}>",
    ],
)
def test_a_placeholder_of_a_token_is_called_one(placeholder: str) -> None:
    problem = effective_settings({"ACEDATACLOUD_API_TOKEN": placeholder}).problem

    assert problem is not None
    assert error_text(problem, "person") == (
        "ACEDATACLOUD_API_TOKEN holds a placeholder, not a token. Put a token in its place, "
        "without brackets; create one at https://platform.acedata.cloud."
    )


@pytest.mark.parametrize(
    "quoted",
    [
        *(f'"{TOKEN}"', f"'{TOKEN}'", f"`{TOKEN}`", f"“{TOKEN}”", f"‘{TOKEN}’"),
        *(f'"Bearer {TOKEN}"', f'Bearer "{TOKEN}"', f'"{TOKEN}', f"{TOKEN}'", f'" {TOKEN} "'),
    ],
)
def test_a_token_in_quotes_is_called_one(quoted: str) -> None:
    problem = effective_settings({"ACEDATACLOUD_API_TOKEN": quoted}).problem

    assert problem is not None
    assert error_text(problem, "person") == (
        "ACEDATACLOUD_API_TOKEN holds its token in quotes. Remove these quotes."
    )


@pytest.mark.parametrize("nothing", ['""', "''", '"${TOKEN}"', '"Bearer "', "Bearer ''"])
def test_quotes_around_nothing_make_no_token(nothing: str) -> None:
    assert read_settings({"ACEDATACLOUD_API_TOKEN": nothing}).api_token is None


@pytest.mark.parametrize(
    "token",
    [
        *("0f8a4c1be2d94a7f9c3d5e6f7a8b9c0d", "58cc618b-9639-4ee7-add2-d2fcf260d9a3", "sandbox"),
        *("sandbox-used_up", "not-a-token", "your-1-token", "keyboard", "tokens", "t", "x-x0"),
        *("a<b>", "sk-xxxx", "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl", "a'b\"c"),
    ],
)
def test_what_may_be_a_token_is_taken_for_one(token: str) -> None:
    assert read_settings({"ACEDATACLOUD_API_TOKEN": token}).api_token == token


def test_a_folder_may_begin_with_the_home_of_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))

    assert read_settings({"HAILUO_SAVE_DIR": "~/v"}).save_dir == str(tmp_path / "v")


@pytest.mark.parametrize(
    "folder",
    ["videos", "./videos", "../videos", "~nobody-of-this-name/v", "/a\nb", "/" + "x" * 1000],
)
def test_what_is_no_full_path_of_a_folder_is_refused_without_repeating_it(folder: str) -> None:
    with pytest.raises(SettingsError, match="HAILUO_SAVE_DIR must be the full path") as caught:
        read_settings({"HAILUO_SAVE_DIR": folder})

    assert folder not in str(caught.value)


def test_a_file_is_no_folder_and_one_that_is_not_there_yet_may_become_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    assert read_settings({"HAILUO_SAVE_DIR": str(tmp_path / "new")}).save_dir
    assert read_settings({"HAILUO_SAVE_DIR": str(tmp_path)}).save_dir
    with pytest.raises(SettingsError, match="no folder"):
        read_settings({"HAILUO_SAVE_DIR": str(tmp_path / "file")})


def test_a_folder_that_cannot_be_looked_at_is_left_to_be_found_out_when_it_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def exists(_: Path) -> bool:
        raise PermissionError

    monkeypatch.setattr(Path, "exists", exists)

    assert read_settings({"HAILUO_SAVE_DIR": "/videos"}).save_dir == str(Path("/videos"))


@pytest.mark.parametrize("size", ["0", "100001", "-1", "1.5", "many"])
def test_the_size_of_a_video_is_a_whole_number_of_mb(size: str) -> None:
    with pytest.raises(SettingsError, match="whole number of MB from 1 to 100000"):
        read_settings({"HAILUO_MAX_VIDEO_MB": size})
