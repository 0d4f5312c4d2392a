"""Descriptors that whoever shares them has made non-blocking are read and written all the same."""

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hailuo_tasks_mcp.descriptors import read_chunk, write_all


@contextmanager
def non_blocking_pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    yield ends
    for end in ends:
        os.close(end)


def test_an_empty_pipe_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with non_blocking_pipe() as (reading, writing):

        def fill(*waited_for: Any) -> None:
            assert waited_for == ([reading], [], [])
            os.write(writing, b"text")

        monkeypatch.setattr(select, "select", fill)

        assert read_chunk(reading) == b"text"


def test_a_full_pipe_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    text = bytes(range(256)) * 1_000
    received = b""
    with non_blocking_pipe() as (reading, writing):

        def empty(*waited_for: Any) -> None:
            nonlocal received
            assert waited_for == ([], [writing], [])
            received += os.read(reading, len(text))

        monkeypatch.setattr(select, "select", empty)
        write_all(writing, text)
        received += os.read(reading, len(text))

    assert received == text
