import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import trustme
from hypothesis import settings

from simulated_time import SimulatedTimeLoop

# A shell that runs this in the background has it ignore Ctrl-C, and every server that it starts
# would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The tests must not depend on the proxies, certificates and settings of the person who runs them.
for variable in list(os.environ):
    if variable.lower().endswith("_proxy") or variable.startswith(
        ("SSL_CERT_", "SSLKEYLOGFILE", "ACEDATACLOUD_", "HAILUO_")
    ):
        del os.environ[variable]

# No deadline: a slow machine is no failure. In CI the same examples every time.
settings.register_profile("default", deadline=None, max_examples=300)
settings.register_profile("ci", deadline=None, max_examples=300, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

_EVENTS_BEYOND_THE_PROCESS = {
    *("socket.bind", "socket.connect", "socket.getaddrinfo"),
    *("subprocess.Popen", "os.exec", "os.fork", "os.posix_spawn", "os.system"),
}
_events: list[str] = []


def _record_event(event: str, _: object) -> None:
    if event in _EVENTS_BEYOND_THE_PROCESS:
        _events.append(event)


# An audit hook cannot be removed, so one is added for all tests.
sys.addaudithook(_record_event)


@pytest.fixture(autouse=True)
def _within_the_process(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that opens a socket or starts a process without being marked so."""
    _events.clear()
    yield
    if not request.node.get_closest_marker("real_time"):
        assert _events == [], "Mark this test with real_time"


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Simulate time but for the tests that need a real one: for sockets and for processes."""
    if item.get_closest_marker("real_time"):
        return {"real_time": asyncio.new_event_loop}
    return {"simulated_time": SimulatedTimeLoop}


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted_authority(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> trustme.CA:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority
