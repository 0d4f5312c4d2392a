"""Where `hailuo-tasks-mcp retrieve` takes ids from: arguments, a file, stdin."""

import io
import json
import sys
import tracemalloc
from pathlib import Path

import pytest

from hailuo_tasks_mcp.cli import retrieve
from hailuo_tasks_mcp.cli.id_list import MAX_BYTES, read_ids
from hailuo_tasks_mcp.cli.main import main
from hailuo_tasks_mcp.errors import InvalidArgumentsError
from helpers import startup, task_ids
from two_services import TwoServices

GIVEN = """\
# What was made on Monday
a
b, c;d
  e\tf # and what was not
https://host.test/g#h
b
"""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> TwoServices:
    """Stand in for the platform of every look-up of the command."""
    api = TwoServices()
    monkeypatch.setattr(retrieve, "start", lambda *, sandbox: startup(api, sandbox=sandbox))
    return api


def pipe(monkeypatch: pytest.MonkeyPatch, contents: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(contents)))


def asked(api: TwoServices) -> list[str]:
    """Return the ids that each service was asked for, having seen that both were asked alike."""
    minimax, hailuo = api.requested["minimax"], api.requested["hailuo"]
    assert sorted(minimax) == sorted(hailuo)
    return minimax


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("arguments", [["-"], ["--file", "-"], ["--file", "{file}"]])
def test_ids_stand_one_or_many_in_a_line_with_comments(
    arguments: list[str],
    encoding: str,
    api: TwoServices,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "my ids.txt"
    contents = GIVEN.replace("https://host.test/g#h", "g").replace("\n", "\r\n").encode(encoding)
    file.write_bytes(contents)
    pipe(monkeypatch, contents)

    assert main(["retrieve", *(part.format(file=file) for part in arguments)]) == 1

    assert asked(api) == list("abcdefg")


def test_a_number_sign_within_a_word_begins_no_comment(
    api: TwoServices, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(monkeypatch, b"a#b\n")

    assert main(["retrieve", "-"]) == 2

    # It is taken as it stands, which is no id.
    assert "may only hold letters" in capsys.readouterr().err
    assert asked(api) == []


def test_ids_of_arguments_come_before_those_of_a_file(
    api: TwoServices, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ids").write_text("b a\n")

    main(["retrieve", "c", "a", "--file", str(tmp_path / "ids")])

    heads = [block.partition(":")[0] for block in capsys.readouterr().out.split("\n\n")]
    assert heads == ["c", "a", "b", "3 tasks"]
    assert len(asked(api)) == 3


def test_thousands_of_ids_are_looked_up_a_hundred_in_a_request(
    api: TwoServices, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = task_ids(1234)
    api.know("hailuo", *ids)
    pipe(monkeypatch, "\n".join(ids).encode())

    assert main(["retrieve", "-"]) == 0

    assert capsys.readouterr().out.endswith("\n\n1234 tasks: 1234 succeeded\n")
    assert sorted(api.requested["hailuo"]) == sorted(ids)
    assert max(len(question["ids"]) for question in api.payloads) == 100


@pytest.fixture
def nothing_but_comments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").write_text("# nothing yet\n\n")
    pipe(monkeypatch, b"# nothing yet\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no task id is given"),
        (["-"], "there is no task id on stdin"),
        (["--file", "{folder}/empty"], "there is no task id in {folder}/empty"),
        (["--file", "{folder}/none"], "{folder}/none: No such file or directory"),
        (["--file", "{folder}"], "{folder}: Is a directory"),
        (["--file", "a\0b"], "embedded null byte"),
        (["a", "-"], "- stands for the ids on stdin, and must be the only ID"),
        (["-", "--file", "{folder}/empty"], "- stands for the ids on stdin"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.usefixtures("api", "nothing_but_comments")
def test_where_there_are_no_ids_it_says_so(
    arguments: list[str],
    words: str,
    as_json: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [part.format(folder=tmp_path) for part in arguments]

    assert main(["retrieve", *given, *(["--json"] if as_json else [])]) == 2

    out, err = capsys.readouterr()
    said = json.loads(out)["error"]["message"] if as_json else err
    assert "Nothing was looked up: " in said
    assert words.format(folder=tmp_path) in said


def test_a_closed_stdin_has_no_ids(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)

    assert main(["retrieve", "--sandbox", "-"]) == 2

    assert "there is no task id on stdin" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        (b"a\n" * 1_000_000, "at most 10000 ids"),
        (b"?,;" * 2_000_000, "at most 10000 ids"),
        (b"a" * 8_000_001, "more than 8 MB"),
        (b"# " * 5_000_000, "more than 8 MB"),
    ],
    ids=["ids", "punctuation", "one word", "a comment"],
)
@pytest.mark.parametrize("file", ["-", "ids"])
def test_a_list_that_is_too_long_is_refused_without_being_taken_apart(
    contents: bytes,
    words: str,
    file: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ids").write_bytes(contents)
    pipe(monkeypatch, contents)

    tracemalloc.start()
    try:
        with pytest.raises(InvalidArgumentsError, match=words):
            read_ids([], file)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # The bytes, the text, and the text without comments.
    assert peak_bytes < 4 * MAX_BYTES


def test_an_endless_stdin_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert size > 0
            return b"a" * size

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Endless()))

    assert main(["retrieve", "--sandbox", "-"]) == 2

    assert "more than 8 MB" in capsys.readouterr().err


def test_more_arguments_than_are_taken_at_once_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["retrieve", "--sandbox", *task_ids(10_001)]) == 2

    assert "at most 10000 ids" in capsys.readouterr().err
