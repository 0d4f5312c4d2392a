"""The names of files: none leaves its folder, means something else, or is another's."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hailuo_tasks_mcp.downloads.names import file_stem
from hailuo_tasks_mcp.tools.arguments import find_task_id

UUID = "58cc618b-9639-4ee7-add2-d2fcf260d9a3"
ODD = [
    *("con", "CON", "con.mp4", "aux", "nul", "com1", "lpt9.x", "prn"),
    *("..a", ".a", "a.", "a..", "a.mp4", "a.part", "a:b", "a_b", "a.b", "-rf", "--a"),
    *("abc", "ABC", "Abc", "abc-1", "abc-12", "task_1", "x" * 128, "0"),
]
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)


def test_a_uuid_is_its_own_name() -> None:
    assert file_stem(UUID) == UUID
    assert file_stem(UUID, 2) == f"{UUID}-2"


def test_a_plain_id_is_its_own_name() -> None:
    assert file_stem("task_7a-b") == "task_7a-b"


@pytest.mark.parametrize("task_id", ODD)
def test_an_odd_id_makes_a_name_that_every_system_takes(task_id: str) -> None:
    for stem in (file_stem(task_id), file_stem(task_id, 1)):
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_~-]{0,150}", stem)
        assert not RESERVED.match(stem)


def test_no_two_ids_share_a_name_where_capitals_are_small_letters() -> None:
    numbers = [None, 1, 2, 12]
    stems = [file_stem(*each).lower() for each in product(ODD, numbers)]

    assert len(set(stems)) == len(stems)


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "../a", "a/b", "a\\b", "/etc/passwd", "a\x00", "a b", "é", "x" * 129, "a\n"],
)
def test_what_is_no_id_makes_no_name(text: str) -> None:
    with pytest.raises(ValueError, match="no task id"):
        file_stem(text)


@given(st.text(min_size=1, max_size=140))
def test_every_id_that_a_tool_takes_has_a_name_in_the_folder(text: str) -> None:
    task_id = find_task_id(text)
    if task_id is not None:
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_~-]*", file_stem(task_id))
