"""A thread for what blocks on a disk: one call after the other, in order, and nobody must wait.

Not the executors of Python: at the end they wait for their threads, so that a disk that hangs would
keep the process alive.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_Job = tuple["Future[Any]", Callable[[], Any]]


class DiskThread(Executor):
    """One thread, which ends once it is stopped and all that it was given is done."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        Thread(target=self._work, name="disk", daemon=True).start()

    def submit(
        self,
        function: Callable[Parameters, Result],
        /,
        *arguments: Parameters.args,
        **options: Parameters.kwargs,
    ) -> "Future[Result]":
        """Have the thread call a function, after what it was given before."""
        future: Future[Result] = Future()
        self._jobs.put((future, lambda: function(*arguments, **options)))
        return future

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Return what a function returns in the thread; once it runs there, it runs to its end."""
        return await asyncio.get_running_loop().run_in_executor(self, function, *arguments)

    def stop(self) -> None:
        """End the thread after what it was given."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, function = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001 - for whoever waits for the future
                future.set_exception(error)
            else:
                future.set_result(result)
            # Or the next job would be waited for with what this one holds.
            del job, future, function
