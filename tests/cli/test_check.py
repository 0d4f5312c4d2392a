"""`hailuo-tasks-mcp check`: what it finds, how it reports it, and that it reveals no secret."""

import asyncio
import json
import socket
import ssl
from contextlib import suppress
from typing import Any

import httpx
import pytest
import trustme

from hailuo_tasks_mcp import __version__
from hailuo_tasks_mcp.api.client import open_client
from hailuo_tasks_mcp.cli import check
from hailuo_tasks_mcp.cli.main import main
from hailuo_tasks_mcp.errors import SettingsError, UntrustedCertificateError
from helpers import (
    TOKEN,
    ConnectionHandler,
    HailuoAlone,
    ScriptedApi,
    example,
    http_response,
    listening,
    look_up_one,
    raw_server,
    read_request,
    settings,
    startup,
    tls_context,
)
from repository import variables_that_are_read
from two_services import TwoServices

UNUSABLE_PROXY = (
    "names no proxy that can be used (http, https, socks5, socks5h; user and password "
    "percent-encoded)"
)
PUT_A_TOKEN = (
    "Put a token in its place, without brackets; create one at https://platform.acedata.cloud."
)
TOKENS = ("token at MiniMax H3", "token at Hailuo")
IMPOSSIBLE_ID = "00000000-0000-0000-0000-000000000000"


async def findings(capsys: pytest.CaptureFixture[str], **changes: Any) -> dict[str, dict[str, Any]]:
    """Return what a check prints as JSON, by step; assert that its exit code agrees."""
    code = await check.run_check(startup(**changes), as_json=True)
    report = json.loads(capsys.readouterr().out)
    assert report["version"] == __version__
    assert report["ok"] == (code == 0)
    assert report["ok"] == all(found["verdict"] != "FAIL" for found in report["checks"])
    for found in report["checks"]:
        assert (found["remedy"] is not None) == (found["verdict"] == "FAIL")
    return {found["step"]: found for found in report["checks"]}


def verdicts(found: dict[str, dict[str, Any]], *steps: str) -> list[str]:
    return [found[step]["verdict"] if step in found else "" for step in steps]


@pytest.mark.parametrize("arguments", [["check", "--sandbox"], ["--sandbox", "check"]])
def test_all_is_well_in_the_sandbox(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0

    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith(f"hailuo-tasks-mcp {__version__}, Python ")
    assert lines[:4] == [
        "skip  settings: the sandbox's own; of yours only these are read",
        "ok    HAILUO_SAVE_DIR: not set",
        "ok    HAILUO_LOG_LEVEL: WARNING, the default",
        "skip  network: the sandbox is in this process",
    ]
    for line, step in zip(lines[4:6], TOKENS, strict=True):
        assert line.startswith(f"ok    {step}: accepted by the sandbox (")
    assert lines[6:] == ["All is well."]


def test_in_the_sandbox_the_environment_does_not_matter(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAILUO_REQUEST_TIMEOUT_SECONDS", "soon")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:x")
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
    monkeypatch.setenv("ACEDATACLOUD_API_TOKEN", TOKEN)

    assert main(["check", "--sandbox"]) == 0

    assert TOKEN[-4:] not in capsys.readouterr().out


def test_times_are_shown_in_milliseconds() -> None:
    finding = check.Finding(step="name", verdict="ok", detail="found", seconds=0.25)

    assert finding.lines() == "ok    name: found (250 ms)"


@pytest.mark.real_time
async def test_an_ipv6_address_is_written_in_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    found = await findings(capsys, api_base_url="http://[::1]:9")

    (failed,) = [step for step in found.values() if step["verdict"] == "FAIL"]
    assert failed["detail"].startswith("[::1]:9: ")


@pytest.mark.real_time
def test_without_a_token_it_says_which_variable_to_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACEDATACLOUD_API_TOKEN", raising=False)
    monkeypatch.setenv("ACEDATACLOUD_API_BASE_URL", "http://127.0.0.1:9")

    assert main(["check"]) == 1

    out = capsys.readouterr().out
    assert (
        "FAIL  ACEDATACLOUD_API_TOKEN: not set\n"
        "      Set ACEDATACLOUD_API_TOKEN; create one at https://platform.acedata.cloud.\n"
    ) in out
    # The rest of the route is checked all the same, but nothing is sent.
    assert "connection: " in out
    assert "token at" not in out
    assert out.endswith("Not all is well: see FAIL.\n")


def test_all_settings_that_cannot_be_used_are_reported_and_nothing_is_sent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACEDATACLOUD_API_TOKEN", "YOUR-TOKEN")
    monkeypatch.setenv("HAILUO_MAX_WAIT_SECONDS", "soon")
    monkeypatch.setenv("HAILUO_REQUEST_TIMEOUT_SECONDS", "20")

    assert main(["check"]) == 1

    _, *lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "FAIL  ACEDATACLOUD_API_TOKEN: holds a placeholder, not a token",
        f"      {PUT_A_TOKEN}",
        "ok    ACEDATACLOUD_API_BASE_URL: https://api.acedata.cloud, the default",
        "ok    HAILUO_REQUEST_TIMEOUT_SECONDS: 20",
        "FAIL  HAILUO_MAX_WAIT_SECONDS: must be a whole number of seconds from 1 to 3600",
        "      Correct it, or unset it to use the default.",
        "ok    HAILUO_MAX_MCP_TASK_SECONDS: 1800, the default",
        "ok    HAILUO_SAVE_DIR: not set",
        "ok    HAILUO_MAX_VIDEO_MB: 500, the default",
        "ok    HAILUO_STALL_SECONDS: 30, the default",
        "ok    HAILUO_LOG_LEVEL: WARNING, the default",
        "Not all is well: see FAIL.",
    ]


def test_a_missing_token_is_told_beside_another_setting_that_cannot_be_used(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAILUO_LOG_LEVEL", "loud")

    assert main(["check"]) == 1

    out = capsys.readouterr().out
    assert "FAIL  ACEDATACLOUD_API_TOKEN: not set\n" in out
    assert "FAIL  HAILUO_LOG_LEVEL: must be one of DEBUG, INFO" in out


def test_a_token_in_quotes_is_told_and_not_repeated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACEDATACLOUD_API_TOKEN", f'"{TOKEN}"')

    assert main(["check"]) == 1

    out = capsys.readouterr().out
    assert (
        "FAIL  ACEDATACLOUD_API_TOKEN: holds its token in quotes\n      Remove these quotes.\n"
        in out
    )
    assert TOKEN[-4:] not in out


def test_in_the_sandbox_the_log_level_is_still_checked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAILUO_LOG_LEVEL", "loud")

    assert main(["check", "--sandbox"]) == 1

    assert "FAIL  HAILUO_LOG_LEVEL: must be one of" in capsys.readouterr().out


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(403, json={"error": {"code": "disabled"}}), "denied access"),
        (httpx.Response(503), "The API failed (HTTP 503)"),
    ],
)
async def test_each_service_is_told_by_itself(
    failing: int, answer: httpx.Response, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    api = TwoServices()
    api.services[["minimax", "hailuo"][failing]].fault = lambda _: answer

    # With the sandbox's settings there is no route to look at first.
    assert await check.run_check(startup(api, sandbox=True), as_json=True) == 1

    told = json.loads(capsys.readouterr().out)["checks"][-2:]
    assert [finding["step"] for finding in told] == list(TOKENS)
    assert told[failing]["verdict"] == "FAIL"
    assert words in told[failing]["detail"]
    assert told[1 - failing]["verdict"] == "ok"
    assert api.payloads[:2] == [{"action": "retrieve", "id": IMPOSSIBLE_ID}] * 2


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (TOKEN, "set, 24 characters, ending in 6789"),
        ("a-long-zebra", "set, 12 characters, ending in ebra"),
        ("short-zebra", "set, 11 characters"),
    ],
)
async def test_no_more_of_the_token_is_shown_than_its_last_4_characters(
    token: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with listening(http_response({})) as (address, _):
        given = startup(api_token=token, api_base_url=f"http://{address}")
        assert await check.run_check(given, as_json=False) == 0

    out, err = capsys.readouterr()
    assert f"ACEDATACLOUD_API_TOKEN: {shown}\n" in out
    assert token[-5:] not in out + err


@pytest.mark.real_time
async def test_the_token_is_checked_with_an_id_that_cannot_exist(
    capsys: pytest.CaptureFixture[str],
) -> None:
    received: list[bytes] = []

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            received.append(await read_request(reader))
            writer.write(http_response({}))
            await writer.drain()

    async with raw_server(on_connection) as address:
        found = await findings(capsys, api_base_url=f"http://{address}", max_wait_seconds=240)

    steps = ("name", "connection", "TLS", *TOKENS)
    assert verdicts(found, *steps) == ["ok", "ok", "skip", "ok", "ok"]
    assert found["TLS"]["detail"] == "plain http, to this machine only"
    assert all(found[step]["seconds"] >= 0 for step in ("name", "connection", *TOKENS))
    assert found["HAILUO_MAX_WAIT_SECONDS"]["detail"] == "240"
    paths = {request.partition(b" HTTP/")[0] for request in received}
    assert paths == {b"POST /minimax/tasks", b"POST /hailuo/tasks"}
    assert len(received) == 2
    for request in received:
        assert IMPOSSIBLE_ID.encode() in request
        assert b"Bearer " + TOKEN.encode() in request


@pytest.mark.parametrize(
    ("response", "detail", "remedy"),
    [
        (
            httpx.Response(401, json={"error": {"code": "invalid_token"}}),
            "The API rejected the token",
            "Set ACEDATACLOUD_API_TOKEN to a token that is valid; create one",
        ),
        (httpx.Response(403, json={"error": {"code": "used_up"}}), "balance is used up", "Top it"),
        (
            httpx.Response(404, text="<html>"),
            "There is no such API",
            "Correct ACEDATACLOUD_API_BASE",
        ),
        (httpx.Response(200, text="<html>"), "not JSON", "Check ACEDATACLOUD_API_BASE_URL"),
        (httpx.Response(200, json=example("retrieve")), "record of another task", "Check ACEDATA"),
        (
            httpx.Response(200, json={"response": {"success": True}}),
            "tells of a task that cannot be",
            "something else may be answering there",
        ),
        (
            httpx.Response(429, headers={"retry-after": "90"}, json={"trace_id": "abc-1"}),
            "rate limit",
            "later. Not before 90 seconds from now. Trace id for the vendor's support: abc-1.",
        ),
    ],
)
async def test_a_failed_token_check_is_reported_with_what_to_do(
    response: httpx.Response, detail: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sandboxed = startup(HailuoAlone(ScriptedApi(response)), sandbox=True)

    assert await check.run_check(sandboxed, as_json=False) == 1

    failed, advice, end = capsys.readouterr().out.splitlines()[-3:]
    assert failed.startswith("FAIL  token at Hailuo: ")
    assert detail in failed
    assert advice.startswith("      ")
    assert remedy in advice
    assert end == "Not all is well: see FAIL."


@pytest.mark.real_time
async def test_a_name_that_cannot_be_resolved_ends_the_check(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = await findings(capsys, api_base_url="https://api.invalid")

    assert verdicts(found, "name", "connection", *TOKENS) == ["FAIL", "", "", ""]
    assert found["name"]["detail"].startswith("api.invalid:443: ")
    assert "ACEDATACLOUD_API_BASE_URL" in found["name"]["remedy"]


@pytest.mark.real_time
async def test_a_port_where_nothing_listens_ends_the_check(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        found = await findings(capsys, api_base_url=f"http://{address}")

    assert verdicts(found, "name", "connection", *TOKENS) == ["ok", "FAIL", "", ""]
    assert found["connection"]["detail"] == f"{address}: Connection refused"
    assert "HTTPS_PROXY" in found["connection"]["remedy"]


def responding(content: bytes) -> ConnectionHandler:
    """Return a handler that sends this whatever it receives."""

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(content)
        await writer.drain()

    return on_connection


async def check_over_tls(
    capsys: pytest.CaptureFixture[str], certificates: ssl.SSLContext
) -> tuple[dict[str, dict[str, Any]], list[bytes]]:
    """Check a server on localhost that shows certificates; also return what it received."""
    async with listening(http_response({}), certificates) as (address, received):
        port = address.rpartition(":")[2]
        return await findings(capsys, api_base_url=f"https://localhost:{port}"), received


@pytest.mark.real_time
async def test_a_certificate_of_the_users_own_authority_is_trusted_through_ssl_cert_file(
    trusted_authority: trustme.CA, capsys: pytest.CaptureFixture[str]
) -> None:
    found, _ = await check_over_tls(capsys, tls_context(trusted_authority))

    assert verdicts(found, "name", "connection", "TLS", *TOKENS) == ["ok"] * 5
    assert found["TLS"]["detail"] == "TLSv1.3, the certificate is good"


@pytest.mark.real_time
async def test_an_untrusted_certificate_is_reported_with_what_to_do(
    authority: trustme.CA, capsys: pytest.CaptureFixture[str]
) -> None:
    found, received = await check_over_tls(capsys, tls_context(authority))

    assert verdicts(found, "connection", "TLS", *TOKENS) == ["ok", "FAIL", "", ""]
    assert "unable to get local issuer certificate" in found["TLS"]["detail"]
    assert "SSL_CERT_FILE" in found["TLS"]["remedy"]
    assert received == []


@pytest.mark.real_time
async def test_a_certificate_for_another_name_is_reported(
    trusted_authority: trustme.CA, capsys: pytest.CaptureFixture[str]
) -> None:
    found, received = await check_over_tls(capsys, tls_context(trusted_authority, "api.test"))

    assert verdicts(found, "connection", "TLS", *TOKENS) == ["ok", "FAIL", "", ""]
    assert received == []
    assert "Hostname mismatch" in found["TLS"]["detail"]
    assert "ACEDATACLOUD_API_BASE_URL" in found["TLS"]["remedy"]


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "wrong version number"),
        (b"", "the connection was closed"),
    ],
)
async def test_a_server_that_does_not_speak_tls_is_reported(
    greeting: bytes, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with raw_server(responding(greeting)) as address:
        found = await findings(capsys, api_base_url=f"https://{address}")

    assert verdicts(found, "connection", "TLS", *TOKENS) == ["ok", "FAIL", "", ""]
    assert found["TLS"]["detail"] == f"{address}: {reason}"
    assert found["TLS"]["remedy"].startswith("Check the scheme, the host and the port of ")


@pytest.mark.real_time
async def test_a_proxy_that_speaks_tls_is_checked_up_to_its_certificate(
    authority: trustme.CA,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening(b"", tls_context(authority)) as (address, _):
        proxy = f"localhost:{address.split(':')[1]}"
        monkeypatch.setenv("HTTPS_PROXY", f"https://{proxy}")
        found = await findings(capsys, api_base_url="https://api.invalid")
        with pytest.raises(
            UntrustedCertificateError, match=r"The certificate of api.invalid or of the proxy"
        ):
            async with open_client(settings(api_base_url="https://api.invalid")) as client:
                await look_up_one(client, "t")

    assert verdicts(found, "proxy", "connection", "TLS", *TOKENS) == ["ok", "ok", "FAIL", "", ""]
    assert found["TLS"]["detail"].startswith(f"{proxy}: unable to get local issuer certificate")


@pytest.mark.real_time
@pytest.mark.parametrize("greeting", [b"SSH-2.0-x\r\n", b"\x04\x00"])
async def test_a_proxy_that_does_not_speak_socks5_is_reported(
    greeting: bytes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with raw_server(responding(greeting)) as address:
        monkeypatch.setenv("ALL_PROXY", f"socks5://{address}")
        found = await findings(capsys, api_base_url="https://api.invalid")

    assert verdicts(found, "proxy", "connection", "TLS", *TOKENS) == [
        "ok",
        "ok",
        "skip",
        "FAIL",
        "FAIL",
    ]
    assert "(it does not speak SOCKS5)" in found[TOKENS[0]]["detail"]
    assert found[TOKENS[0]]["remedy"] == "Correct or unset HTTPS_PROXY, ALL_PROXY and NO_PROXY."


@pytest.mark.real_time
async def test_a_certificate_must_be_for_the_name_in_the_base_url(
    trusted_authority: trustme.CA, capsys: pytest.CaptureFixture[str]
) -> None:
    async with listening(b"", tls_context(trusted_authority)) as (address, _):
        found = await findings(capsys, api_base_url=f"https://{address}")

    assert verdicts(found, "TLS") == ["FAIL"]
    assert "IP address mismatch" in found["TLS"]["detail"]


@pytest.mark.real_time
async def test_a_bad_proxy_does_not_stop_requests_that_use_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:x")
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")

    async with listening(http_response({})) as (address, _):
        found = await findings(capsys, api_base_url=f"http://{address}")

    assert verdicts(found, *TOKENS) == ["ok", "ok"]


@pytest.mark.real_time
async def test_a_silent_server_times_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "STEP_SECONDS", 0.1)

    async def on_connection(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(on_connection) as address:
        found = await findings(capsys, api_base_url=f"https://{address}")

    assert verdicts(found, "connection", "TLS") == ["ok", "FAIL"]
    assert found["TLS"]["detail"] == f"{address}: no answer in 0.1 s"
    assert found["TLS"]["seconds"] >= 0.1


@pytest.mark.real_time
async def test_with_a_proxy_the_route_to_the_proxy_is_checked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as (
        proxy,
        received,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://someone:secret-word@{proxy}")
        found = await findings(capsys, api_base_url="https://api.invalid")

    steps = ("proxy", "name", "connection", "TLS", *TOKENS)
    assert verdicts(found, *steps) == ["ok", "ok", "ok", "skip", "FAIL", "FAIL"]
    assert found["proxy"]["detail"] == f"requests go through {proxy}"
    assert found["TLS"]["detail"] == "the proxy is in between"
    assert "refuses to reach the API at https://api.invalid" in found[TOKENS[0]]["detail"]
    assert "HTTPS_PROXY" in found[TOKENS[0]]["remedy"]
    assert "secret-word" not in json.dumps(found)
    assert received[0].startswith(b"CONNECT api.invalid:443 ")


@pytest.mark.real_time
async def test_a_proxy_that_intercepts_tls_is_reported_with_what_to_do(
    authority: trustme.CA,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    received = []

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await read_request(reader))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with suppress(OSError):
            await writer.start_tls(tls_context(authority, "api.invalid"))

    async with raw_server(on_connection) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy}")
        found = await findings(capsys, api_base_url="https://api.invalid")

    assert verdicts(found, "connection", "TLS", *TOKENS) == ["ok", "skip", "FAIL", "FAIL"]
    assert found[TOKENS[0]]["detail"] == (
        "The certificate of api.invalid is not trusted (unable to get local issuer certificate)"
    )
    assert "SSL_CERT_FILE" in found[TOKENS[0]]["remedy"]
    # Once for each service: another attempt would end the same way.
    assert len(received) == 2


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("variables", "target"),
    [
        ({"ALL_PROXY": "socks5://127.0.0.1:{port}"}, "127.0.0.1:{port}"),
        ({"HTTPS_PROXY": "127.0.0.1:{port}"}, "127.0.0.1:{port}"),
        ({"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "invalid"}, "api.invalid:443"),
        ({"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "a, .INVALID"}, "api.invalid:443"),
        ({"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "a,*"}, "api.invalid:443"),
        ({"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "api.invalid:443"}, "api.invalid:443"),
        ({"HTTPS_PROXY": "proxy.invalid", "NO_PROXY": "api.invalid:8443"}, "proxy.invalid:80"),
        ({"HTTPS_PROXY": "proxy.invalid", "NO_PROXY": "pi.invalid, , ."}, "proxy.invalid:80"),
        ({"HTTP_PROXY": "http://127.0.0.1:1"}, "api.invalid:443"),
        ({"HTTPS_PROXY": "http://127.0.0.1:{port}", "ALL_PROXY": "x.invalid"}, "127.0.0.1:{port}"),
        ({"HTTPS_PROXY": "proxy.invalid"}, "proxy.invalid:80"),
        ({"HTTPS_PROXY": "https://proxy.invalid"}, "proxy.invalid:443"),
        ({"ALL_PROXY": "socks5h://proxy.invalid"}, "proxy.invalid:1080"),
    ],
)
async def test_the_check_takes_the_same_route_as_requests(
    variables: dict[str, str],
    target: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        for name, value in variables.items():
            monkeypatch.setenv(name, value.format(port=port))
        found = await findings(capsys, api_base_url="https://api.invalid")

    (failed,) = [step for step in found.values() if step["verdict"] == "FAIL"]
    assert failed["detail"].startswith(f"{target.format(port=port)}: ")
    assert "Unknown error" not in failed["detail"]
    # What a request reaches first is to be checked first.
    blamed = "ACEDATACLOUD_API_BASE_URL" if target.startswith("api.") else "HTTPS_PROXY, ALL_PROXY"
    assert failed["remedy"].startswith(f"Check {blamed}")


@pytest.mark.parametrize(
    ("variable", "value", "detail"),
    [
        ("HTTPS_PROXY", "http://127.0.0.1:secret", UNUSABLE_PROXY),
        ("HTTPS_PROXY", "http://", UNUSABLE_PROXY),
        ("HTTPS_PROXY", "http://\udcffsecret@127.0.0.1:9", UNUSABLE_PROXY),
        ("SSLKEYLOGFILE", "/secret/log", "cannot be used (No such file or directory)"),
        ("HTTPS_PROXY", "http://127.0.0.1:99999", UNUSABLE_PROXY),
        ("HTTPS_PROXY", "http://secret..b:80", UNUSABLE_PROXY),
        ("HTTPS_PROXY", f"http://{'a' * 64}.b", UNUSABLE_PROXY),
        ("ALL_PROXY", "socks4://127.0.0.1", UNUSABLE_PROXY),
        (
            "SSL_CERT_FILE",
            "/secret.pem",
            "cannot be used (No such file or directory)",
        ),
        ("SSL_CERT_FILE", __file__, "cannot be used (no certificate or crl found)"),
    ],
)
async def test_a_proxy_or_certificates_that_cannot_be_used_are_reported(
    variable: str,
    value: str,
    detail: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, value)

    found = await findings(capsys, api_base_url="https://api.invalid")

    assert found["network"]["verdict"] == "FAIL"
    assert found["network"]["detail"] == f"{variable} {detail}"
    assert found["network"]["remedy"] == f"Correct or unset {variable}."
    assert "name" not in found
    assert "secret" not in json.dumps(found)


@pytest.mark.real_time
async def test_plain_http_to_this_machine_uses_no_proxy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(http_response({}))
        await writer.drain()

    async with raw_server(on_connection) as address:
        found = await findings(capsys, api_base_url=f"http://{address}")

    assert "proxy" not in found
    assert verdicts(found, *TOKENS) == ["ok", "ok"]


@pytest.mark.real_time
async def test_every_variable_that_is_read_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    async with listening(http_response({})) as (address, _):
        found = await findings(capsys, api_base_url=f"http://{address}")

    assert list(found)[: len(variables_that_are_read())] == variables_that_are_read()


async def test_with_a_problem_in_the_settings_nothing_is_sent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    api = ScriptedApi(httpx.Response(200, json={}))
    wrong = SettingsError("It is wrong", variable="HAILUO_LOG_LEVEL").failure
    broken = startup(api, problem=wrong, problems=(wrong,))

    assert await check.run_check(broken, as_json=False) == 1

    assert "Ask the user" not in capsys.readouterr().out
    assert api.requests == []
