"""Several processes that serve at one address, and one that looks after them.

They share nothing, because requests stand alone. uvicorn's own supervisor looks at its signals
twice a second, which is a quarter of the time in which everything is to end.
"""

import logging
import queue
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

# One that ends so soon after its start would do so again, unless others have lived for longer.
_MIN_LIFE_SECONDS = 5.0
# More than a worker takes to drain.
_END_SECONDS = 3.0

logger = logging.getLogger(__name__)


class _Worker:
    """One process, which ends when its stdin does, so also when this process is killed."""

    def __init__(self, command: Sequence[str], listener: socket.socket) -> None:
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, str(listener.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )

    @property
    def is_new(self) -> bool:
        """Whether it was started a moment ago."""
        return time.monotonic() - self.started_at < _MIN_LIFE_SECONDS

    def stop(self) -> None:
        """Have it drain and end."""
        if self.process.stdin is not None:
            self.process.stdin.close()


def run_workers(
    command: Sequence[str], listeners: Sequence[socket.socket], on_end: Callable[[int], None]
) -> int:
    """Keep workers running until SIGTERM or SIGINT, and return the exit code.

    Args:
        command: starts a worker, with the descriptor of its listening socket as one more argument.
        listeners: the listening sockets, one for each worker; closed in the end.
        on_end: called with the id of a process that has ended by itself.

    """
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: signals.put(number))
    workers = [_Worker(command, listener) for listener in listeners]
    exit_code = 0
    while exit_code == 0 and signals.get() == signal.SIGCHLD:
        for place, worker in enumerate(workers):
            status = worker.process.poll()
            if status is None:
                continue
            logger.error("A worker ended by itself (%d)", status)
            on_end(worker.process.pid)
            if all(each.is_new for each in workers):
                exit_code = 1
                break
            workers[place] = _Worker(command, listeners[place])
    # Nothing more is taken from now on, though a worker may hang.
    for listener in listeners:
        listener.close()
    for worker in workers:
        worker.stop()
    end = time.monotonic() + _END_SECONDS
    for worker in workers:
        with suppress(subprocess.TimeoutExpired):
            worker.process.wait(max(0.0, end - time.monotonic()))
            continue
        worker.process.kill()
        worker.process.wait()
    return exit_code
