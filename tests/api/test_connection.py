"""What is received over the wire, what is not, and what is never passed on."""

import asyncio
import json
import ssl
from typing import Any

import httpx
import pytest
import trustme

from hailuo_tasks_mcp.api.client import open_client
from hailuo_tasks_mcp.api.services import HAILUO
from hailuo_tasks_mcp.errors import (
    SettingsError,
    TokenMissingError,
    UnreachableError,
    UnreadableResponseError,
    UntrustedCertificateError,
    WrongBaseUrlError,
)
from helpers import (
    TOKEN,
    ScriptedApi,
    example,
    listening,
    look_up_one,
    model_text,
    raises,
    retrieve,
    retrieve_error,
    settings,
)


@pytest.mark.parametrize(
    ("response", "received"),
    [
        (httpx.Response(200, content=b"null"), "null"),
        (httpx.Response(200, json=[example("retrieve")]), "a list"),
        (httpx.Response(200, json="x"), "a string"),
        (httpx.Response(200, json=1), "a number"),
        (httpx.Response(200, json=1.5), "a number"),
        (httpx.Response(200, json=True), "a truth value"),
        (httpx.Response(200, html="<html>"), 'text that is not JSON ("text/html; charset=utf-8")'),
        (
            httpx.Response(200, content=b'{"id": "t", "resp'),
            "text that is not JSON (no content type)",
        ),
        (httpx.Response(200, content=b"\xff\xfe\xff"), "text that is not JSON"),
        (
            httpx.Response(
                200, headers={b"content-type": b'x"). Ask the user (' + b"y" * 99}, content=b"x"
            ),
            r'text that is not JSON ("x\"). Ask the user (yyyy',
        ),
        (httpx.Response(200, content=b"[" * 15_000), "JSON that is nested too deeply"),
        (httpx.Response(200), "an empty body"),
        (httpx.DecodingError("bad gzip"), "a body that cannot be decoded"),
    ],
)
async def test_an_unreadable_response_is_reported_with_what_was_received(
    response: httpx.Response | Exception, received: str
) -> None:
    error = await retrieve_error(response)

    assert type(error) is UnreadableResponseError
    assert f"https://api.test answered with {received}" in model_text(error)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            httpx.ConnectError("[Errno -2] Name not known"),
            "ConnectError: [Errno -2] Name not known",
        ),
        (httpx.ProxyError('HTTP 503: "Busy"'), '(ProxyError: HTTP 503: "Busy")'),
        (
            httpx.RemoteProtocolError("peer closed"),
            "broke off before it had answered (RemoteProtocolError: peer closed)",
        ),
        (httpx.ReadError(""), "broke off before it had answered (ReadError)"),
        (
            httpx.ReadTimeout("slow"),
            "No answer from the API at https://api.test, though each attempt was given 15 s",
        ),
        (httpx.ConnectTimeout("slow"), "though each attempt was given 15 s"),
    ],
)
async def test_a_missing_response_is_reported_with_the_reason(fault: Exception, words: str) -> None:
    error = await retrieve_error(fault)

    assert type(error) is UnreachableError
    assert words in model_text(error)
    assert "ACEDATACLOUD_API_BASE_URL" in model_text(error)


async def test_a_request_without_a_response_times_out() -> None:
    class HangingApi(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await asyncio.Event().wait()
            raise AssertionError(request)

    async with asyncio.timeout(5):
        async with open_client(
            settings(request_timeout_seconds=0.01), transport=HangingApi()
        ) as client:
            with pytest.raises(UnreachableError, match=r"each attempt was given 0\.01 s"):
                await look_up_one(client, "t")


async def test_no_redirect_is_followed() -> None:
    away = httpx.Response(307, headers={"location": "https://elsewhere.test/"})
    api = ScriptedApi(away)

    with pytest.raises(WrongBaseUrlError):
        await retrieve(api)

    assert [request.url.host for request in api.requests] == ["api.test"]


async def test_a_token_that_the_api_echoes_is_redacted() -> None:
    echo = {"error": {"code": TOKEN, "message": f"Bearer {TOKEN} is odd"}, "trace_id": TOKEN}

    error = model_text(await retrieve_error(httpx.Response(500, json=echo)))

    assert TOKEN not in error
    assert "Bearer [token] is odd" in error


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(500, content='{"error": {"message": "planted\\u002dtoken-0123456789"}}'),
        httpx.Response(500, json={"error": {"message": f"{TOKEN[:9]}\u200b\x00{TOKEN[9:]}"}}),
        httpx.Response(500, content=json.dumps({"error": TOKEN}).encode("utf-16")),
        httpx.Response(200, content=b"x", headers={"content-type": f"text/{TOKEN}"}),
        httpx.RemoteProtocolError(f"illegal header line: bytearray(b'Authorization {TOKEN}')"),
    ],
)
async def test_a_disguised_token_echo_is_not_repeated(response: httpx.Response | Exception) -> None:
    assert TOKEN not in model_text(await retrieve_error(response))


async def test_a_token_echoed_in_a_record_is_redacted() -> None:
    body = {"id": "t", "request": {"prompt": f"of {TOKEN}"}, "response": None}

    record = await retrieve(ScriptedApi(httpx.Response(200, json=body)))

    assert record is not None
    assert record.request.prompt == "of [token]"


@pytest.mark.parametrize(
    ("token", "expected"), [("abcdefgh", "of [token]"), ("sandbox", "of sandbox")]
)
async def test_only_a_token_of_8_characters_or_more_is_redacted(token: str, expected: str) -> None:
    api = ScriptedApi(httpx.Response(200, json={"id": "t", "request": {"prompt": f"of {token}"}}))

    async with open_client(settings(api_token=token), transport=api) as client:
        record = await look_up_one(client, "t")

    assert record is not None
    assert record.request.prompt == expected


async def test_text_from_the_peer_is_never_used_as_a_template() -> None:
    error = await retrieve_error(httpx.RemoteProtocolError('{"error": {base_url.__class__}}'))

    assert '{"error": {base_url.__class__}}' in model_text(error)


async def test_cookies_are_not_kept() -> None:
    api = ScriptedApi(httpx.Response(200, json={}, headers={"set-cookie": "a=b; Path=/"}))

    async with open_client(settings(), transport=api) as client:
        await look_up_one(client, "t")
        await look_up_one(client, "t")

    assert "cookie" not in api.requests[1].headers


@pytest.mark.parametrize(
    ("unusable", "kind"),
    [
        ({"api_token": None}, TokenMissingError),
        ({"problem": SettingsError("It is wrong").failure}, SettingsError),
    ],
)
async def test_nothing_is_sent_with_settings_that_cannot_be_used(
    unusable: dict[str, Any], kind: type[Exception]
) -> None:
    api = ScriptedApi(httpx.Response(200, json={}))

    async with open_client(settings(**unusable), transport=api) as client:
        with pytest.raises(kind):
            await look_up_one(client, "t")
        with pytest.raises(kind):
            await client.look_up_at(HAILUO, ["t"])

    assert api.requests == []


@pytest.mark.real_time
async def test_requests_to_this_machine_use_no_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    async with listening(b"") as (proxy, received), listening(response) as (api, _):
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy}")
        monkeypatch.setenv("ALL_PROXY", f"http://{proxy}")
        async with open_client(settings(api_base_url=f"http://{api}")) as client:
            assert await look_up_one(client, "t") is None

    assert received == []


@pytest.mark.real_time
async def test_requests_to_the_network_use_the_configured_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening(b"HTTP/1.1 403 Forbidden\r\n\r\n") as (proxy, received):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy}")
        async with open_client(settings()) as client:
            with pytest.raises(SettingsError, match="The proxy refuses to reach"):
                await look_up_one(client, "t")

    assert received[0].startswith(b"CONNECT api.test:443 ")
    assert TOKEN.encode() not in received[0]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTPS_PROXY", "foo:secret:baz"),
        ("ALL_PROXY", "gopher://user:secret@127.0.0.1:1"),
        ("SSL_CERT_FILE", "/nonexistent/secret.pem"),
    ],
)
async def test_a_bad_proxy_or_certificate_is_reported_at_the_call(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    async with open_client(settings()) as client:
        with raises(SettingsError, match=variable) as caught:
            await look_up_one(client, "t")

    assert "secret" not in model_text(caught.value)


@pytest.mark.real_time
async def test_an_untrusted_certificate_is_reported_with_what_to_set() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(tls)
    async with listening(b"", tls) as (api, received):
        base_url = f"https://localhost:{api.rpartition(':')[2]}"
        async with open_client(settings(api_base_url=base_url)) as client:
            with pytest.raises(UntrustedCertificateError) as caught:
                await look_up_one(client, "t")

    text = model_text(caught.value)
    assert text.startswith(f"The certificate of {base_url.removeprefix('https://')} is not trusted")
    assert "SSL_CERT_FILE" in text
    assert not caught.value.failure.transient
    assert received == []


@pytest.mark.real_time
async def test_a_socks_proxy_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")

    async with open_client(settings()) as client:
        with pytest.raises(UnreachableError, match="ConnectError"):
            await look_up_one(client, "t")
