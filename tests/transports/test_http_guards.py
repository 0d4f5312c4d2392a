"""By which names, from which web pages and with which requests an HTTP server is used."""

from typing import Any

import httpx
import pytest

from hailuo_tasks_mcp.transports.streamable_http.options import HttpOptions
from http_app import client_of, error_message_of, initialize_of, post, running_app
from two_services import TwoServices

PUBLIC = HttpOptions(
    loopback=False,
    allowed_hosts=("tasks.example.com", "[2001:db8::1]", "exact.example.com:8443"),
    allowed_origins=("https://app.example.com", "http://[2001:db8::1]:9"),
)
INITIALIZE = initialize_of("2025-06-18")
PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,mcp-protocol-version",
}


async def send(options: HttpOptions, **headers: str) -> httpx.Response:
    async with running_app(TwoServices(), options) as app:
        return await post(app, INITIALIZE, **headers)


async def request(options: HttpOptions, method: str, path: str, **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    async with running_app(TwoServices(), options) as app, client_of(app) as client:
        return await client.request(method, path, headers=given)


def cors_headers(response: httpx.Response) -> dict[str, str]:
    return {
        name.removeprefix("access-control-"): value
        for name, value in response.headers.items()
        if name.startswith("access-control-")
    }


# Names


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8788", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:65535"],
)
async def test_on_loopback_it_answers_to_this_machines_names_whatever_the_port(host: str) -> None:
    assert (await send(HttpOptions(), host=host)).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("tasks.example.com", "TASKS.example.com:443", "[2001:db8::1]", "[2001:DB8::1]:80"),
        "exact.example.com:8443",
    ],
)
async def test_elsewhere_it_answers_to_the_allowed_names(host: str) -> None:
    assert (await send(PUBLIC, host=host)).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.test",
            "evil.test:8788",
            "localhost.evil.test",
            "127.0.0.1.evil.test",
            "localhost.",
        ),
        *("", "@", "localhost@evil.test", "localhost:", "localhost:x", "localhost:8788:1", "::1"),
        *("10.0.0.1", "localhost/x", "[::1", "::1]:1"),
    ],
)
async def test_a_request_for_another_name_is_misdirected(host: str) -> None:
    response = await send(HttpOptions(), host=host)

    assert response.status_code == 421
    assert error_message_of(response) == (
        f'This server is not reached as "{host}". Whoever runs it can allow this name with '
        "--allowed-host."
    )


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8788", "exact.example.com", "tasks.example.com.evil.test"]
)
async def test_elsewhere_it_answers_to_the_allowed_names_only(host: str) -> None:
    assert (await send(PUBLIC, host=host)).status_code == 421


async def test_a_request_without_a_host_is_misdirected() -> None:
    """One of HTTP/1.0, which may have none."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}"}

    async def record(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": []}
    async with running_app(TwoServices()) as app:
        await app(scope, receive, record)

    assert sent[0]["status"] == 421


async def test_a_long_name_is_shown_in_part_and_clean() -> None:
    message = error_message_of(await send(HttpOptions(), host="\x1b[31m" + "x" * 9_000))

    assert len(message) < 250
    assert "\x1b" not in message


# Web pages


@pytest.mark.parametrize(
    ("options", "origin"),
    [
        (HttpOptions(), "http://localhost"),
        (HttpOptions(), "http://localhost:6274"),
        (HttpOptions(), "https://127.0.0.1:3000"),
        (HttpOptions(), "http://[::1]:3000"),
        (HttpOptions(allowed_origins=("https://app.example.com",)), "https://app.example.com"),
        (PUBLIC, "https://app.example.com"),
        (PUBLIC, "http://[2001:db8::1]:9"),
    ],
)
async def test_pages_of_allowed_origins_are_answered_and_can_read_the_answer(
    options: HttpOptions, origin: str
) -> None:
    host = "localhost" if options.loopback else "tasks.example.com"
    headers = {"host": host, "origin": origin}
    answered = await send(options, **headers)
    preflight = await request(options, "OPTIONS", "/mcp", **headers, **PREFLIGHT)
    refused = await send(options, **headers, authorization="")

    exposed = {"allow-origin": origin, "expose-headers": "WWW-Authenticate, Retry-After"}
    assert (answered.status_code, cors_headers(answered)) == (200, exposed)
    # A page must be able to tell that it needs a token.
    assert (refused.status_code, cors_headers(refused)) == (401, exposed)
    assert preflight.status_code == 200
    allowed = cors_headers(preflight)
    assert (allowed["allow-origin"], allowed["allow-methods"]) == (origin, "POST")
    assert allowed["allow-headers"] == PREFLIGHT["access-control-request-headers"]
    assert answered.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    ("options", "origin"),
    [
        (HttpOptions(), "https://evil.test"),
        (HttpOptions(), "http://localhost.evil.test"),
        (HttpOptions(), "http://localhost:3000.evil.test"),
        (HttpOptions(), "http://localhost@evil.test"),
        (HttpOptions(), "http://localhost\n"),
        (HttpOptions(), "null"),
        (HttpOptions(), ""),
        (HttpOptions(), "file://"),
        (HttpOptions(), "vscode-webview://localhost"),
        (PUBLIC, "http://localhost:3000"),
        (PUBLIC, "http://app.example.com"),
        (PUBLIC, "https://app.example.com:444"),
        (PUBLIC, "https://app.example.com.evil.test"),
        (PUBLIC, "null"),
    ],
)
@pytest.mark.parametrize("path", ["/mcp", "/livez", "/elsewhere"])
async def test_pages_of_other_origins_are_refused_and_cannot_read_why(
    options: HttpOptions, origin: str, path: str
) -> None:
    headers = {"host": "localhost" if options.loopback else "tasks.example.com", "origin": origin}
    for method in ("POST", "GET", "OPTIONS"):
        response = await request(options, method, path, **headers, **PREFLIGHT)

        assert response.status_code == 403
        assert "--allowed-origin" in error_message_of(response)
        assert cors_headers(response) == {}


async def test_a_page_may_not_send_what_is_not_answered() -> None:
    headers = PREFLIGHT | {"origin": "http://localhost", "access-control-request-method": "DELETE"}

    assert (await request(HttpOptions(), "OPTIONS", "/mcp", **headers)).status_code == 400


# Methods and paths


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "POST\x01"])
async def test_only_post_is_answered(method: str) -> None:
    response = await request(HttpOptions(), method, "/mcp")

    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/mcp/", "/MCP", "//mcp", "/mcp/x", "/sse", "/metrics", "/livez/"),
        *("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"),
        "/.well-known/oauth-authorization-server",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
async def test_there_is_nothing_elsewhere(path: str, method: str) -> None:
    response = await request(HttpOptions(), method, path)

    assert response.status_code == 404
    if method != "HEAD":
        message = error_message_of(response)
        assert message.startswith("There is nothing here. MCP is served at /mcp, without OAuth.")


# Probes


@pytest.mark.parametrize(("path", "text"), [("/livez", "alive\n"), ("/readyz", "ready\n")])
@pytest.mark.parametrize("host", ["10.0.0.7:8788", "localhost"])
async def test_probes_need_no_token_and_know_the_server_by_its_address(
    path: str, text: str, host: str
) -> None:
    response = await request(PUBLIC, "GET", path, host=host)
    head = await request(PUBLIC, "HEAD", path, host=host)
    post = await request(PUBLIC, "POST", path, host=host)

    assert (response.status_code, response.text) == (200, text)
    assert head.status_code == 200
    assert (post.status_code, post.headers["allow"]) == (405, "GET, HEAD")


async def test_under_another_name_pages_of_the_callers_own_machine_are_not_trusted() -> None:
    # Whoever comes through a proxy has another localhost.
    options = HttpOptions(allowed_hosts=("tasks.example.com",))
    response = await send(options, host="tasks.example.com", origin="http://localhost:3000")

    assert response.status_code == 403
    assert cors_headers(response) == {}


@pytest.mark.parametrize("host", ["127.0.0.2:8788", "[::1]:1", "127.8.9.10"])
async def test_every_address_of_this_machine_is_its_name(host: str) -> None:
    assert (await send(HttpOptions(), host=host)).status_code == 200


@pytest.mark.parametrize("name", ["via", "forwarded", "x-forwarded-for", "x-real-ip"])
async def test_what_a_proxy_passes_on_is_not_answered_where_no_token_is_asked_for(
    name: str,
) -> None:
    options = HttpOptions(shared_token=True)
    response = await send(options, **{name: "1.1 example.com"})

    assert response.status_code == 403
    assert "--access-token-file" in error_message_of(response)
    assert (await send(options)).status_code == 200
    assert (await send(HttpOptions(), **{name: "1.1 example.com"})).status_code == 200
