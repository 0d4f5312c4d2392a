"""Which URLs may be fetched, and which addresses connected to."""

import asyncio
import errno
import socket
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from hailuo_tasks_mcp.downloads import download
from hailuo_tasks_mcp.downloads.addresses import AddressRules, is_public
from hailuo_tasks_mcp.errors import DownloadInterruptedError, DownloadRefusedError
from hailuo_tasks_mcp.redaction import Redactor
from helpers import TOKEN
from saving import contents, failure, save

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"]
EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing listens there
NOT_PUBLIC = [
    *("127.0.0.1", "127.8.9.10", EVERYWHERE, "10.1.2.3", "172.16.0.1", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "192.0.0.8", "198.18.0.1", "224.0.0.1", "255.255.255.255"),
    *("240.0.0.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1"),
    *("ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:a00:1::", "64:ff9b::10.0.0.1"),
    *("64:ff9b::127.0.0.1", "64:ff9b:1::1", "2001:db8::1", "2001::1", "100::1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_no_other_address_is(address: str) -> None:
    assert not is_public(ip_address(address))


def refused(base_url: str, link: str, *addresses: str) -> bool:
    rules = AddressRules(base_url, str)
    try:
        url = rules.checked_url(link)
        rules.allowed(url, [(address, 443) for address in addresses])
    except DownloadRefusedError:
        return True
    return False


def test_loopback_is_for_a_base_url_on_this_machine() -> None:
    assert refused("https://api.test", "https://cdn.test/v", "127.0.0.1")
    assert not refused("http://localhost:8787", "https://cdn.test/v", "127.0.0.1")
    assert not refused("http://127.0.0.1", "http://[::1]:80/v", "::1")
    assert refused("http://localhost:8787", "https://cdn.test/v", "10.0.0.1")
    assert refused("http://localhost:8787", "http://cdn.test/v")
    assert refused("http://localhost:8787", "https://cdn.test/v", "169.254.169.254")


def test_the_host_of_the_base_url_may_be_anywhere() -> None:
    assert not refused("https://gateway.test/api", "https://gateway.test/v.mp4", "10.0.0.1")
    assert refused("https://gateway.test/api", "https://other.test/v.mp4", "10.0.0.1")


def test_of_several_addresses_the_public_ones_are_left() -> None:
    rules = AddressRules("https://api.test", str)
    url = rules.checked_url("https://cdn.test/v")

    allowed = rules.allowed(url, [("10.0.0.1", 443), ("8.8.8.8", 443), ("no address", 443)])

    assert allowed == [("8.8.8.8", 443)]


@pytest.mark.parametrize(
    "host",
    ["10.0.0.1", "[::1]", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "a.localhost"],
)
def test_behind_a_proxy_the_addresses_in_urls_are_checked(host: str) -> None:
    rules = AddressRules("https://api.test", str)

    with pytest.raises(DownloadRefusedError):
        rules.check_literal(rules.checked_url(f"https://{host}/v"))


@pytest.mark.parametrize("host", ["cdn.test", "8.8.8.8"])
def test_behind_a_proxy_names_are_left_to_it(host: str) -> None:
    rules = AddressRules("https://api.test", str)

    rules.check_literal(rules.checked_url(f"https://{host}/v"))


@pytest.mark.real_time
async def test_a_proxy_is_not_asked_for_an_address_that_is_not_public(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setattr(download, "PAUSES_SECONDS", (0.0,))

    refused_one = await save("https://169.254.169.254/v", tmp_path, api_base_url="https://api.test")
    named = await save("https://cdn.test/v", tmp_path, api_base_url="https://api.test")

    assert "not public" in failure(refused_one, DownloadRefusedError)
    assert "the proxy: " in failure(named, DownloadInterruptedError)


@pytest.mark.real_time
async def test_the_addresses_that_were_checked_are_the_ones_connected_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A name that resolves to a public address first, and to this machine from then on."""
    answers = ["93.184.216.34", "127.0.0.1"]
    asked: list[Any] = []
    connected: list[Any] = []

    def resolve(host: Any, port: int, **_: Any) -> list[Any]:
        address = answers[min(len(asked), 1)]
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    async def connect(_: Any, __: Any, host: str, port: int, **___: Any) -> Any:
        connected.append((host, port))
        raise OSError(errno.ECONNREFUSED, "refused")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", connect)
    monkeypatch.setattr(download, "PAUSES_SECONDS", (0.0, 0.0, 0.0))

    result = await save("https://rebind.test/v", tmp_path, api_base_url="https://api.test")

    assert (
        failure(result, DownloadRefusedError) == "rebind.test is at an address that is not public"
    )
    assert asked == [b"rebind.test"] * 2
    assert connected == [("93.184.216.34", 443)]
    assert contents(tmp_path) == {}


def test_no_host_that_is_refused_shows_the_token() -> None:
    rules = AddressRules("https://api.test", Redactor(TOKEN).redact)
    url = rules.checked_url(f"https://{'x' * 30}.{TOKEN}.test/v")

    with pytest.raises(DownloadRefusedError) as caught:
        rules.allowed(url, [("10.0.0.1", 443)])

    assert TOKEN[:9] not in caught.value.failure.message
