import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping

import pytest
from hypothesis import settings

from simulated_time import SimulatedTimeLoop

# A shell that runs this in the background has it ignore Ctrl-C, and every server that it starts
# would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Proxies, certificates and settings of whoever runs the tests are none of theirs.
for variable in list(os.environ):
    if variable.lower().endswith("_proxy") or variable.startswith(
        ("SSL_CERT_", "ACEDATACLOUD_", "HAILUO_")
    ):
        del os.environ[variable]

# No deadline: a slow machine is not a wrong answer. In CI the same examples every time.
settings.register_profile("default", deadline=None, max_examples=300)
settings.register_profile("ci", deadline=None, max_examples=300, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

_BEYOND_THE_PROCESS = {
    *("socket.bind", "socket.connect", "socket.getaddrinfo"),
    *("subprocess.Popen", "os.exec", "os.fork", "os.posix_spawn", "os.system"),
}
_seen: list[str] = []


def _watch(event: str, _: object) -> None:
    if event in _BEYOND_THE_PROCESS:
        _seen.append(event)


# Cannot be taken back, so it is added once and for all tests.
sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def _within_the_process(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that opens a socket or starts a process without being marked so."""
    _seen.clear()
    yield
    if not request.node.get_closest_marker("real_time"):
        assert _seen == [], "Mark this test with real_time"


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Simulate time but for the tests that need a real one: for sockets and for processes."""
    if item.get_closest_marker("real_time"):
        return {"real_time": asyncio.new_event_loop}
    return {"simulated_time": SimulatedTimeLoop}
