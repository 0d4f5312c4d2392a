"""The files of deploy/: they start the server as it can be started, and agree with it."""

import json
import re
from configparser import RawConfigParser

import httpx
import pytest

from documents import serving_http, text_of
from hailuo_tasks_mcp.cli.main import DEFAULT_HTTP_PORT
from hailuo_tasks_mcp.sandbox.app import SANDBOX_TOKEN
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.transports.streamable_http.app import MCP_PATH
from hailuo_tasks_mcp.transports.streamable_http.bodies import MAX_BODY_BYTES
from repository import ROOT

FILES = ("Caddyfile", "nginx.conf", "hailuo-tasks-mcp.service", "Dockerfile", "kubernetes.yaml")
HOST = "tasks.example.com"


def directives(file: str) -> str:
    """Return a file of deploy/ without its comments."""
    return re.sub(r"^\s*#.*\n", "", text_of(f"deploy/{file}"), flags=re.MULTILINE)


def unit() -> RawConfigParser:
    # Values of lists are given in several lines of one name; the last one will do.
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text_of("deploy/hailuo-tasks-mcp.service"))
    return parser


def docker(instruction: str) -> list[str]:
    """Return what stands after the last instruction of a kind, as words or as a JSON list."""
    value = re.findall(rf"^{instruction} (.*)$", directives("Dockerfile"), re.MULTILINE)[-1]
    words: list[str] = json.loads(value) if value.startswith("[") else value.split()
    return words


def arguments(file: str) -> list[str]:
    """Return what a file gives the command `hailuo-tasks-mcp`."""
    if file == "hailuo-tasks-mcp.service":
        program, *words = unit()["Service"]["ExecStart"].split()
        assert program.endswith("/bin/hailuo-tasks-mcp")
        return words
    program, *words = docker("ENTRYPOINT")
    assert program == "hailuo-tasks-mcp"
    if file == "Dockerfile":
        return words + docker("CMD")
    (args,) = re.findall(r"^ +args: (\[.*\])$", directives(file), re.MULTILINE)
    return words + list(json.loads(args))


@pytest.mark.real_time
@pytest.mark.parametrize("file", FILES[2:])
async def test_a_server_that_is_started_so_answers_to_its_name(file: str) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = "application/json, text/event-stream"
    token = f"Bearer {SANDBOX_TOKEN}"

    async with serving_http(arguments(file)) as url, httpx.AsyncClient() as client:
        response = await client.post(
            url, json=request, headers={"host": HOST, "accept": accept, "authorization": token}
        )

    assert response.status_code == 200
    assert "retrieve_tasks_batch" in response.text
    # Where others reach it, that name is needed to start at all.
    assert arguments(file)[arguments(file).index("--allowed-host") + 1] == HOST


@pytest.mark.parametrize("file", FILES)
def test_no_secret_is_in_a_file(file: str) -> None:
    assert "TOKEN" not in directives(file)
    assert "--shared-token" not in directives(file)


def test_the_proxies_forward_mcp_alone_to_the_port_of_the_server() -> None:
    caddy, nginx = directives("Caddyfile"), directives("nginx.conf")
    server = f"127.0.0.1:{DEFAULT_HTTP_PORT}"

    assert re.findall(r"handle (\S+) \{\s+reverse_proxy (\S+) ", caddy) == [(MCP_PATH, server)]
    assert re.findall(r"location = (\S+) \{\s+proxy_pass http://(\S+);", nginx) == [
        (MCP_PATH, "hailuo_tasks_mcp")
    ]
    assert f"upstream hailuo_tasks_mcp {{\n    server {server};" in nginx
    assert (caddy.count("reverse_proxy"), nginx.count("proxy_pass")) == (1, 1)
    assert caddy.startswith(f"{HOST} {{")
    assert f"server_name {HOST};" in nginx


def test_the_proxies_tell_the_server_of_clients_that_go_away_and_wait_long_enough() -> None:
    nginx = directives("nginx.conf")
    (timeout,) = re.findall(r"proxy_read_timeout (\d+)s;", nginx)

    # Caddy would let the request go on.
    assert "flush_interval" not in directives("Caddyfile")
    assert "proxy_ignore_client_abort" not in nginx
    assert int(timeout) > Settings().max_wait_seconds + 2
    assert f"client_max_body_size {MAX_BODY_BYTES >> 20}m;" in nginx


def test_the_image_and_the_pods_run_without_root_at_the_same_port() -> None:
    manifest = directives("kubernetes.yaml")
    (user,) = docker("USER")

    assert int(user.partition(":")[0]) > 0
    assert re.findall(r"runAsUser: (\d+)", manifest) == [user.partition(":")[0]]
    assert re.findall(r"containerPort: (\d+)", manifest) == docker("EXPOSE")
    assert docker("EXPOSE") == [str(DEFAULT_HTTP_PORT)]
    assert "runAsNonRoot: true" in manifest
    assert unit()["Service"]["DynamicUser"] == "yes"


def test_the_image_copies_what_is_there() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", directives("Dockerfile"), re.MULTILINE)

    paths = [path for line in copied for path in line.split()]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.real_time
async def test_the_probes_of_the_pods_are_answered() -> None:
    paths = re.findall(r"httpGet: \{path: (\S+), port: http\}", directives("kubernetes.yaml"))

    async with serving_http(arguments("kubernetes.yaml")) as url, httpx.AsyncClient() as client:
        # As the kubelet does, by the address of the pod.
        responses = [
            await client.get(url.replace(MCP_PATH, path), headers={"host": "10.0.0.7:8788"})
            for path in paths
        ]

    assert paths == ["/livez", "/readyz"]
    assert [response.status_code for response in responses] == [200, 200]
