"""`hailuo-tasks-mcp serve --http` as a process: what it prints, refuses and does when stopped."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import httpx
import pytest

from hailuo_tasks_mcp.cli import serve_http
from hailuo_tasks_mcp.cli.main import main
from hailuo_tasks_mcp.sandbox.tasks import QUEUED_H3_TASK_ID, SUCCEEDED_H3_TASK_ID
from helpers import TIMEOUT_SECONDS, TOKEN
from http_app import call_of, headers_of, result_of
from http_process import http_process
from raw_http import exchange
from stdio_process import MODERN_VERSION, measured_command

VERSIONS = (MODERN_VERSION, "2025-06-18")
HALF_A_REQUEST = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{"
CALLERS_OWN = (
    "Callers send a token of Ace Data Cloud as the header Authorization: Bearer YOUR-TOKEN."
)
on_posix = pytest.mark.skipif(os.name != "posix", reason="there are no such signals")


# Wrong usage


@pytest.mark.parametrize(
    "arguments",
    [
        ["--host", "127.0.0.1"],
        ["--port", "8788"],
        ["--workers", "1"],
        ["--allowed-host", "a.test"],
        ["--allowed-origin", "https://a.test"],
        ["--shared-token"],
        ["--access-token-file", "x"],
        ["--max-waits-per-caller", "50"],
        ["--max-waits", "1000"],
        ["--metrics"],
    ],
    ids=str,
)
def test_an_option_of_http_is_refused_without_it(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", *arguments])

    assert caught.value.code == 2
    assert f"error: {arguments[0]} is for serve --http\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--workers", "0"],
        ["--workers", "10001"],
        ["--max-waits", "0"],
        ["--max-waits-per-caller", "-1"],
        ["--port", "65536"],
        ["--port", "http"],
    ],
    ids=str,
)
def test_a_number_out_of_range_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--http", *arguments])

    assert caught.value.code == 2
    assert f"argument {arguments[0]}: must be " in capsys.readouterr().err


PUBLIC = ("--host", "0.0.0.0", "--allowed-host", "tasks.example.com")  # noqa: S104 - refused
NEEDS_SECRETS = (
    "--shared-token lets whoever reaches this server use your token, so it needs "
    "--access-token-file, unless --host and all names are this machine's own\n"
)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["--host", "10.0.0.7"],
            "--host 10.0.0.7 can be reached from other machines, so --allowed-host must say by wh",
        ),
        ([*PUBLIC, "--shared-token"], NEEDS_SECRETS),
        (["--allowed-host", "tasks.example.com", "--shared-token"], NEEDS_SECRETS),
        (
            ["--access-token-file", "tokens"],
            "--access-token-file is for --shared-token; without that, each caller sends a token",
        ),
        (
            ["--shared-token", "--access-token-file", "/nonexistent/tokens"],
            "--access-token-file cannot be read: No such file or directory",
        ),
        (["--shared-token"], "--shared-token needs a token in ACEDATACLOUD_API_TOKEN"),
        (["--allowed-host", "a b"], "--allowed-host 'a b' is no name such as tasks.example.com"),
        (["--allowed-host", "https://a.test"], "--allowed-host 'https://a.test' is no name such"),
        (["--allowed-host", "*"], "--allowed-host '*' is no name such as tasks.example.com"),
        (["--allowed-origin", "a.test"], "--allowed-origin 'a.test' is none such as https://exa"),
        (["--allowed-origin", "https://a.test/"], "--allowed-origin 'https://a.test/' is none"),
        (["--allowed-origin", "*"], "--allowed-origin '*' is none such as https://example.com"),
    ],
)
def test_what_cannot_be_served_is_refused(
    arguments: list[str], error: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--http", *arguments]) == 2

    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(f"hailuo-tasks-mcp: {error}")


def test_access_tokens_that_cannot_be_used_are_refused_without_repeating_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tokens").write_text("s3cret\n")
    path = str(tmp_path / "tokens")

    assert main(["serve", "--http", "--shared-token", "--access-token-file", path]) == 2
    err = capfd.readouterr().err
    assert err.startswith("hailuo-tasks-mcp: Line 1 of --access-token-file is no access token: ")
    assert "s3cret" not in err


@pytest.mark.parametrize(
    ("variable", "value", "error"),
    [
        ("ACEDATACLOUD_API_BASE_URL", "ftp://s3cret", "ACEDATACLOUD_API_BASE_URL is not a URL"),
        ("HAILUO_MAX_WAIT_SECONDS", "s3cret", "HAILUO_MAX_WAIT_SECONDS must be a whole number"),
    ],
)
def test_a_bad_setting_refuses_the_start(
    variable: str,
    value: str,
    error: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)

    assert main(["serve", "--http"]) == 2
    err = capfd.readouterr().err
    assert err.startswith(f"hailuo-tasks-mcp: {error}")
    assert "s3cret" not in err


def test_metrics_without_the_library_are_refused(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve_http, "find_spec", lambda _: None)

    assert main(["serve", "--http", "--metrics"]) == 2
    assert capfd.readouterr().err == (
        "hailuo-tasks-mcp: --metrics needs prometheus-client: install hailuo-tasks-mcp[metrics]\n"
    )


def test_several_processes_are_refused_on_windows(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve_http, "WINDOWS", sys.platform)

    assert main(["serve", "--http", "--workers", "2"]) == 2
    assert "--workers above 1 is not possible on Windows\n" in capfd.readouterr().err


@pytest.mark.real_time
@pytest.mark.skipif(sys.platform != "linux", reason="ports are divided on Linux only")
def test_workers_do_not_share_the_port_of_another_server_that_would_let_them(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve_http, "run_workers", lambda *_: 0)
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--http", "--sandbox", "--workers", "2", "--port", port]) == 2

    assert "Address already in use" in capfd.readouterr().err


@pytest.mark.real_time
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_reported(workers: str, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        arguments = ["--port", port, "--workers", workers]
        assert main(["serve", "--http", "--sandbox", *arguments]) == 2

    assert capfd.readouterr().err == (
        f"hailuo-tasks-mcp: 127.0.0.1, port {port}: Address already in use\n"
    )


# One process


@pytest.mark.real_time
async def test_it_prints_its_url_and_serves_there() -> None:
    async with http_process(measured=True) as server:
        answers = [await server.call(each, SUCCEEDED_H3_TASK_ID) for each in VERSIONS]
        ready = await server.client.get("/readyz")
        end = await server.end()

    assert [answer["state"] for answer in answers] == ["succeeded"] * 2
    assert ready.text == "ready\n"
    assert end == (0, "")
    assert server.told == (
        f"Serving MCP at {server.url}/mcp\n"
        "No token is asked for: whoever reaches this address can use it.\nCtrl-C ends it.\n"
    )


@pytest.mark.real_time
async def test_callers_with_tokens_of_their_own_do_not_use_the_environments() -> None:
    async with http_process(
        sandbox=False, ACEDATACLOUD_API_TOKEN=TOKEN, ACEDATACLOUD_API_BASE_URL="http://127.0.0.1:9"
    ) as server:
        body, headers = call_of(MODERN_VERSION, "t")
        del headers["authorization"]
        response = await server.client.post("/mcp", json=body, headers=headers)

        assert await server.end() == (0, "")
    assert response.status_code == 401
    assert CALLERS_OWN in server.told


@pytest.mark.real_time
async def test_off_loopback_it_says_by_which_name_it_is_reached(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("an-access-token-of-it\n")
    async with http_process(
        *("--shared-token", "--access-token-file", str(tmp_path / "tokens"), *PUBLIC),
        sandbox=False,
        measured=True,
        ACEDATACLOUD_API_TOKEN=TOKEN,
    ) as server:
        await server.client.get("/livez")
        assert await server.end() == (0, "")

    assert "\nas tasks.example.com; TLS is for a proxy to add\n" in server.told
    assert "\nCallers send an access token as the header Authorization: Bearer" in server.told


@pytest.mark.real_time
@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6")
async def test_it_serves_over_ipv6_too() -> None:
    async with http_process("--host", "::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert (await server.client.get("/livez")).text == "alive\n"


@pytest.mark.real_time
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_signal_has_every_wait_answered_with_what_to_do_next(
    version: str, number: signal.Signals
) -> None:
    async with http_process("--metrics", measured=True) as server:
        waiting = [
            asyncio.create_task(server.call(version, QUEUED_H3_TASK_ID, 50)) for _ in range(20)
        ]
        await server.until_waiting(20)
        end = await server.end(number)
        answers = await asyncio.gather(*waiting)

    assert end == (0, "")
    for answer in answers:
        assert answer["state"] == "pending"
        assert f'retrieve_task(task_id="{QUEUED_H3_TASK_ID}", wait_se' in answer["next_step"]


@pytest.mark.real_time
@pytest.mark.parametrize("version", VERSIONS)
async def test_clients_that_do_not_finish_their_request_or_do_not_read_do_not_hold_it_up(
    version: str,
) -> None:
    async with http_process("--metrics") as server:
        wait = asyncio.create_task(server.call(version, QUEUED_H3_TASK_ID, 50))
        half = asyncio.create_task(exchange(server.port, HALF_A_REQUEST))
        head = asyncio.create_task(exchange(server.port, HALF_A_REQUEST[:30]))
        silent = asyncio.create_task(exchange(server.port))
        await server.until_waiting(1)
        end = await server.end()
        answer = await wait
        left = await asyncio.gather(half, head, silent)

    assert end == (0, "")
    assert answer["state"] == "pending"
    assert not any(b" 200 " in each for each in left)


@pytest.mark.real_time
async def test_a_second_signal_ends_it_at_once_and_quietly() -> None:
    async with http_process("--metrics", measured=True) as server:
        half = asyncio.create_task(exchange(server.port, HALF_A_REQUEST))
        wait = asyncio.create_task(server.call(MODERN_VERSION, QUEUED_H3_TASK_ID, 50))
        await server.until_waiting(1)
        server.process.send_signal(signal.SIGTERM)
        end = await server.end()
        await asyncio.gather(half, wait, return_exceptions=True)

    assert end == (0, "")


# Several processes


@on_posix
@pytest.mark.real_time
async def test_each_worker_serves_and_metrics_are_their_sums() -> None:
    async with http_process("--metrics", "--workers", "2", measured=True) as server:

        async def call_alone() -> None:
            # A new connection, which either of them may take.
            body, headers = call_of(MODERN_VERSION, SUCCEEDED_H3_TASK_ID)
            async with httpx.AsyncClient(base_url=server.url) as client:
                result_of(await client.post("/mcp", json=body, headers=headers))

        await asyncio.gather(*(call_alone() for _ in range(40)))
        waiting = [
            asyncio.create_task(server.call(version, QUEUED_H3_TASK_ID, 50))
            for version in VERSIONS * 10
        ]
        await server.until_waiting(20)
        metrics = await server.metrics()
        end = await server.end()
        answers = await asyncio.gather(*waiting)

    assert metrics['hailuo_tasks_calls_total{outcome="ok",tool="retrieve_task"}'] == 40
    assert [answer["state"] for answer in answers] == ["pending"] * 20
    assert end == (0, "")


@on_posix
@pytest.mark.real_time
async def test_workers_end_with_the_process_that_looks_after_them() -> None:
    async with http_process("--workers", "2", "--metrics") as server:
        wait = asyncio.create_task(server.call(MODERN_VERSION, QUEUED_H3_TASK_ID, 50))
        await server.until_waiting(1)
        await server.end(signal.SIGKILL)
        # Its workers hold stderr open until they end.
        assert (await wait)["state"] == "pending"
        with pytest.raises(httpx.ConnectError):
            await server.client.get("/livez")


@on_posix
@pytest.mark.real_time
async def test_a_worker_serves_until_its_stdin_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, descriptor = listener.getsockname()[1], listener.fileno()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *measured_command("-m", "hailuo_tasks_mcp"), "serve", "--http"),
            *("--sandbox", "--workers", "2", "--listen-fd", str(descriptor)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            pass_fds=[descriptor],
        )
        assert process.stdin
        async with asyncio.timeout(TIMEOUT_SECONDS):
            process.stdin.write(b"whatever")
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                response = await client.get("/livez", timeout=TIMEOUT_SECONDS)
            process.stdin.close()
            out, err = await process.communicate()

    assert response.text == "alive\n"
    assert (process.returncode, out, err) == (0, b"", b"")


@pytest.mark.real_time
async def test_a_malformed_notification_is_no_line_of_the_log() -> None:
    # Whoever sends a token that is made up could fill the log with them.
    body = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": {}}}
    async with http_process() as server:
        for version in VERSIONS:
            headers = headers_of(version, str(body["method"]))
            assert (await server.client.post("/mcp", json=body, headers=headers)).status_code == 202
        assert await server.end() == (0, "")


@pytest.mark.real_time
async def test_the_environments_token_is_not_read_where_each_caller_has_one() -> None:
    async with http_process(sandbox=False, ACEDATACLOUD_API_TOKEN="not a token") as server:
        assert "a token of Ace Data Cloud" in server.told
