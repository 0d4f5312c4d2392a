"""Downloads over TLS, and through proxies."""

from pathlib import Path

import pytest
import trustme

from hailuo_tasks_mcp.downloads import download
from hailuo_tasks_mcp.errors import DownloadRefusedError, UntrustedCertificateError
from helpers import listening, tls_context
from saving import contents, failure, save, saved
from video_files import mp4

pytestmark = pytest.mark.real_time

VIDEO = mp4()
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(VIDEO), VIDEO)


async def test_a_video_comes_over_tls(trusted_authority: trustme.CA, tmp_path: Path) -> None:
    async with listening(RESPONSE, tls_context(trusted_authority)) as (address, _):
        link = f"https://localhost:{address.rpartition(':')[2]}/v"
        path = saved(await save(link, tmp_path / "videos"))

    assert path.read_bytes() == VIDEO


async def test_a_certificate_that_is_not_trusted_is_an_error_at_once(
    authority: trustme.CA, tmp_path: Path
) -> None:
    async with listening(RESPONSE, tls_context(authority)) as (address, received):
        link = f"https://localhost:{address.rpartition(':')[2]}/v"
        message = failure(await save(link, tmp_path), UntrustedCertificateError)

    assert message.startswith("The certificate of the server of the file is not trusted (")
    assert received == []
    assert contents(tmp_path) == {}


async def test_a_proxy_that_refuses_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(download, "PAUSES_SECONDS", (0.0, 0.0, 0.0))
    async with listening(b"HTTP/1.1 403 Not here\r\n\r\n") as (address, received):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")
        result = await save("https://cdn.test/v", tmp_path, api_base_url="https://api.test")

    message = failure(result, DownloadRefusedError)
    assert message == 'The proxy refuses: HTTP 403: "Not here"'
    assert [request.split(b"\r\n")[0] for request in received] == [b"CONNECT cdn.test:443 HTTP/1.1"]
