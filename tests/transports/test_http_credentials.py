"""Requests over HTTP without a token that can be used."""

from pathlib import Path

import httpx
import pytest

from hailuo_tasks_mcp.errors import SettingsError
from hailuo_tasks_mcp.transports.streamable_http.options import (
    HttpOptions,
    digest,
    read_access_tokens,
)
from http_app import (
    CALLER_TOKEN,
    VERSIONS,
    call_of,
    client_of,
    error_message_of,
    post,
    running_app,
)
from two_services import TwoServices

ACCESS_TOKEN = "an-access-token-of-the-team"
SHARED = HttpOptions(shared_token=True, access_tokens=(digest(ACCESS_TOKEN),))
REALM = 'Bearer realm="hailuo-tasks-mcp"'
MALFORMED = (
    "The Authorization header holds characters that no token has (white space, control or "
    "non-ASCII characters)"
)


async def refused(options: HttpOptions, *values: bytes) -> httpx.Response:
    """Send a call with these Authorization headers; assert that the API is not asked."""
    body, headers = call_of(VERSIONS[-1], "t")
    del headers["authorization"]
    given = [(name.encode(), value.encode()) for name, value in headers.items()]
    given += [(b"authorization", value) for value in values]
    api = TwoServices()
    async with running_app(api, options) as app, client_of(app) as client:
        response = await client.post("/mcp", json=body, headers=given)
    assert response.status_code == 401
    assert api.sent == []
    return response


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([], "The request has no Authorization header"),
        ([b"Bearer one-token-1", b"Bearer two-token-2"], "The request has more than one"),
        ([b""], "The Authorization header holds no token"),
        ([b"Bearer"], "The Authorization header holds no token"),
        ([b"Bearer  "], "The Authorization header holds no token"),
        ([b"Bearer ${TOKEN_OF_4711}"], "The Authorization header holds no token"),
        ([b"Basic dXNlcjpwYXNzd29yZA=="], "The Authorization header is not of the scheme Bearer"),
        ([b"plain-token-4711"], "The Authorization header is not of the scheme Bearer"),
        ([b"Bearerplain-token-4711"], "The Authorization header is not of the scheme Bearer"),
        ([b'Bearer "quoted-token-4711"'], "The Authorization header holds its token in quotes"),
        ([b"Bearer YOUR-TOKEN"], "The Authorization header holds a placeholder, not a token"),
        ([b"Bearer <token-of-4711>"], "The Authorization header holds a placeholder, not a token"),
        ([b"Bearer two words-4711"], MALFORMED),
        ([b"Bearer a\tb-4711"], MALFORMED),
        ([b"Bearer a\x1b[31m-4711"], MALFORMED),
        ([b"Bearer t\xf6ken-4711"], MALFORMED),
        ([b"Bearer " + b"x y" * 5_000], MALFORMED),
    ],
)
async def test_a_request_without_a_usable_token_is_told_how_to_send_one(
    values: list[bytes], problem: str
) -> None:
    response = await refused(HttpOptions(), *values)
    message = error_message_of(response)

    assert message.startswith(f"{problem}")
    for words in (
        "`Authorization: Bearer YOUR-TOKEN`",
        "https://platform.acedata.cloud/console/applications",
        "claude mcp add --transport http",
        "Cursor (mcp.json)",
        "VS Code (.vscode/mcp.json)",
    ):
        assert words in message
    challenge = response.headers["www-authenticate"]
    assert challenge == (REALM if not values else f'{REALM}, error="invalid_token"')


@pytest.mark.parametrize(
    "value", [b"Basic c2VjcmV0LTQ3MTE=", b"Bearer s3cret 4711", b'Bearer "s3cret-4711"', b"s3cret"]
)
@pytest.mark.parametrize("options", [HttpOptions(), SHARED], ids=["own", "shared"])
async def test_what_was_sent_is_not_repeated(
    options: HttpOptions, value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    response = await refused(options, value)

    for part in ("s3cret", "4711", "c2VjcmV0"):
        assert part not in response.text + str(response.headers) + caplog.text


@pytest.mark.parametrize(
    "sent",
    [ACCESS_TOKEN[:-1], f"{ACCESS_TOKEN}x", ACCESS_TOKEN.upper(), CALLER_TOKEN, "y7" * 7_500],
)
async def test_a_shared_token_is_used_with_a_known_access_token_only(sent: str) -> None:
    response = await refused(SHARED, f"Bearer {sent}".encode())
    message = error_message_of(response)

    assert message.startswith(
        "This access token is not known here. With every request send an access token, which "
        "whoever runs this server gives out, as `Authorization: Bearer YOUR-TOKEN`. Claude Code: "
    )
    assert response.headers["www-authenticate"] == f'{REALM}, error="invalid_token"'
    assert "acedata" not in message


async def test_a_very_long_token_is_asked_of_the_api_like_any_other() -> None:
    api = TwoServices()
    api.fail(httpx.Response(401, json={"error": {"code": "invalid_token", "message": "no"}}))
    token = "y7" * 7_500
    async with running_app(api) as app:
        response = await post(app, call_of(VERSIONS[-1], "t"), authorization=f"Bearer {token}")

    assert response.status_code == 200
    assert token[:100] not in response.text


# Access tokens of a file


def write(folder: Path, text: bytes) -> str:
    path = folder / "tokens"
    path.write_bytes(text)
    return str(path)


def test_access_tokens_are_read_one_from_each_line(tmp_path: Path) -> None:
    text = f"{ACCESS_TOKEN}\r\n\n  another-token-of-it \n{ACCESS_TOKEN}\n".encode()

    tokens = read_access_tokens(write(tmp_path, text))

    assert tokens == (digest(ACCESS_TOKEN), digest("another-token-of-it"))
    assert ACCESS_TOKEN.encode() not in b"".join(tokens)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "--access-token-file holds no access token"),
        (b"\n \n", "--access-token-file holds no access token"),
        (b"long-enough-token-1\nshort-s3cret\n", "Line 2 of --access-token-file is no access"),
        (b"has white space s3cret\n", "Line 1 of --access-token-file is no access token"),
        (b"has-a-control-\x1b-s3cret\n", "Line 1 of --access-token-file is no access token"),
        (b"is-not-ascii-t\xc3\xb6ken-s3cret", "cannot be read: it is not ASCII text"),
        (None, "--access-token-file cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_without_repeating_it(
    text: bytes | None, problem: str, tmp_path: Path
) -> None:
    path = str(tmp_path / "none") if text is None else write(tmp_path, text)
    with pytest.raises(SettingsError, match=problem) as caught:
        read_access_tokens(path)

    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_folder_is_no_file_of_access_tokens(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--access-token-file cannot be read: "):
        read_access_tokens(str(tmp_path))
