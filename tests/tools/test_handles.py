"""The ids of MCP tasks: what they hold comes out as it went in, and nothing else is one."""

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hailuo_tasks_mcp.tools.handles import (
    MAX_HANDLE_LENGTH,
    Handle,
    NotAHandleError,
    decode,
    encode,
)

NONCE = b"12345678"
TOOLS = st.sampled_from(["retrieve_task", "retrieve_tasks_batch"])
UUIDS = st.uuids().map(str)
TEXTS = st.from_regex(r"[A-Za-z0-9_.:-]{1,12}", fullmatch=True)
HANDLES = st.builds(
    Handle,
    TOOLS,
    st.lists(UUIDS, min_size=1, max_size=5) | st.lists(TEXTS | UUIDS, min_size=1, max_size=2),
    st.integers(0, 2**32 - 1),
    st.binary(min_size=8, max_size=8),
)


@given(HANDLES)
def test_what_is_put_in_comes_out(handle: Handle) -> None:
    text = encode(handle)

    assert decode(text) == handle
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert len(text) <= MAX_HANDLE_LENGTH == 128


@given(
    st.text() | st.from_regex(r"[A-Za-z0-9_-]{10}[AQgw](E|I)[A-Za-z0-9_-]{10,130}", fullmatch=True)
)
def test_any_other_text_is_no_handle(text: str) -> None:
    try:
        handle = decode(text)
    except NotAHandleError:
        return
    assert encode(handle) == text


@given(HANDLES, st.integers(0), st.sampled_from("AZaz09-_"))
def test_a_changed_character_makes_another_handle_or_none(
    handle: Handle, place: int, character: str
) -> None:
    text = encode(handle)
    place %= len(text)
    changed = text[:place] + character + text[place + 1 :]
    try:
        other = decode(changed)
    except NotAHandleError:
        return
    assert (other == handle) == (changed == text)


def test_five_uuids_fit_into_a_handle_and_six_do_not() -> None:
    ids = [str(UUID(int=number)) for number in range(6)]

    lengths = [
        len(encode(Handle("retrieve_tasks_batch", ids[:count], 1, NONCE))) for count in (5, 6)
    ]

    assert lengths[0] <= MAX_HANDLE_LENGTH < lengths[1]


@pytest.mark.parametrize(
    "task_id", ["09D4A93E-D5C8-4778-BDF2-711773D71C59", "09d4a93ed5c84778bdf2711773d71c59"]
)
def test_an_id_that_is_a_uuid_in_another_spelling_stays_as_it_is(task_id: str) -> None:
    handle = Handle("retrieve_task", [task_id], 1, NONCE)

    assert decode(encode(handle)) == handle
