"""`hailuo-tasks-mcp retrieve`: what a person reads, what a script gets, and the exit codes."""

import asyncio
import io
import json
import os
import sys
import time
from typing import Any

import httpx
import pytest

from hailuo_tasks_mcp.cli.main import main
from hailuo_tasks_mcp.cli.retrieve import run_retrieve
from hailuo_tasks_mcp.sandbox.tasks import DOCUMENTED_TIMED_TASK_ID, FAILED_TASK_ID, RUNNING_TASK_ID
from helpers import (
    DOCUMENTED_ID,
    TIMEOUT_SECONDS,
    HailuoAlone,
    ScriptedApi,
    call,
    ended,
    example,
    http_response,
    listening,
    record,
    startup,
    succeeded,
    text_of,
    video,
)
from stdio_process import server_process

# Longer than a line, and with places where it could be broken.
LONG_URL = "https://cdn.test/" + "-a" * 60 + ".mp4"
PROCESSING = record(started_at=1736863662)


async def shown(
    capsys: pytest.CaptureFixture[str], *responses: httpx.Response | Exception, **options: Any
) -> tuple[int, str]:
    """Return the exit code and what was printed of the task `t`, or of those in the options."""
    task_ids = options.pop("task_ids", ["t"])
    given = {"wait_seconds": 0, "as_json": False} | options
    code = await run_retrieve(startup(HailuoAlone(ScriptedApi(*responses))), task_ids, **given)
    return code, capsys.readouterr().out


def ok(body: Any) -> httpx.Response:
    return httpx.Response(200, json=body)


@pytest.mark.parametrize(
    ("task_ids", "code"),
    [
        ([DOCUMENTED_ID], 0),
        ([DOCUMENTED_ID, DOCUMENTED_TIMED_TASK_ID], 0),
        ([FAILED_TASK_ID], 1),
        (["nowhere"], 1),
        ([DOCUMENTED_ID, FAILED_TASK_ID], 1),
        ([DOCUMENTED_ID, "nowhere"], 1),
        ([RUNNING_TASK_ID], 3),
        ([DOCUMENTED_ID, RUNNING_TASK_ID], 3),
        # Nothing is final as long as one runs.
        ([FAILED_TASK_ID, "nowhere", RUNNING_TASK_ID], 3),
        (["not/an/id"], 2),
        ([""], 2),
        # More than a model may ask for.
        ([f"t{number}" for number in range(101)], 1),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_the_exit_code_reflects_the_states(
    task_ids: list[str], code: int, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["retrieve", "--sandbox", *task_ids, *(["--json"] if as_json else [])]) == code

    out, err = capsys.readouterr()
    if code != 2:
        assert (out != "", err) == (True, "")
    elif as_json:
        assert json.loads(out)["error"]["message"].startswith("Nothing was looked up: ")
        assert err == ""
    else:
        assert out == ""
        assert err.startswith("hailuo-tasks-mcp: Nothing was looked up: ")


@pytest.mark.parametrize("wait", ["-1", "3601", "1.5", "soon", "9" * 5000])
def test_an_invalid_wait_is_wrong_usage(wait: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["retrieve", "--sandbox", "t", f"--wait={wait}"])

    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert "must be 0 to 3600" in err
    assert len(err) < 400


async def test_a_task_is_printed_in_one_block(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = await shown(capsys, ok(example("retrieve")), task_ids=[DOCUMENTED_ID])

    assert code == 0
    assert out == (
        f"{DOCUMENTED_ID}: succeeded\n"
        "  video    https://file.aigpai.com/czjl/tjU3QYKgU96IJFgpL0eMfBFhmy0qXz9Y05P2IBhShCYaDCFUA/"
        "tmp5uligw3a.output.mp4\n"
        "  model    minimax-t2v\n"
        "  prompt   Internal heat\n"
        "  created  2025-01-14T14:00:31Z\n"
    )


@pytest.mark.parametrize(
    "given", [DOCUMENTED_ID.upper(), f"'{DOCUMENTED_ID}'", f"https://cdn.test/{DOCUMENTED_ID}.mp4"]
)
async def test_what_is_around_an_id_does_not_matter(
    given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = {"items": [example("retrieve"), succeeded("b")]}

    for response, task_ids in ((example("retrieve"), [given]), (page, [given, "b"])):
        code, out = await shown(capsys, ok(response), task_ids=task_ids)

        assert code == 0
        assert out.startswith(f"{DOCUMENTED_ID}: succeeded\n")


async def test_what_is_no_id_is_said_to_be_none_beside_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out = await shown(capsys, ok(succeeded("a")), task_ids=["a", "not/an/id"])

    assert code == 1
    assert "\n\nnot/an/id: not_found\n  reason   This is no task id.\n\n" in out
    assert out.endswith("2 tasks: 1 succeeded, 1 not_found\n")


async def test_each_task_of_several_has_its_block_in_the_order_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = {"items": [succeeded("a"), {**PROCESSING, "id": "b"}]}

    code, out = await shown(capsys, ok(page), ok({}), task_ids=["b", "c", "a", "b "])

    assert code == 3
    *heads, counts = [block.partition("\n")[0] for block in out.split("\n\n")]
    assert heads == ["b: processing", "c: not_found", "a: succeeded"]
    assert counts == "3 tasks: 1 processing, 1 not_found, 1 succeeded"


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (PROCESSING, 3, ["t: processing", "age      ", " s; usually 1-2 min\n"]),
        (record(), 3, ["t: pending", "age      "]),
        (
            ended(success=False, error={"code": "oops", "message": "No."}, trace_id="abc-1"),
            1,
            ["t: failed", "reason   No. (oops)", "took     68 s", "trace id abc-1"],
        ),
        (ended(success=False, error={"message": "No."}), 1, ["t: failed", "reason   No.\n"]),
        (
            ended(success=True, data=[video(), video("failed", None)]),
            0,
            ["t: succeeded", "video    https://cdn.test/a.mp4", "missing  1 more failed"],
        ),
        (
            ended(success=True, data=[video(url=LONG_URL), video(url=LONG_URL + "2")]),
            0,
            [f"  video    {LONG_URL}\n", f"  video    {LONG_URL}2\n"],
        ),
        (
            {**PROCESSING, "request": {"first_image_url": "https://cdn.test/a.png"}},
            3,
            ["  image    https://cdn.test/a.png\n"],
        ),
        (
            {},
            1,
            [
                "t: not_found",
                "reason   Neither MiniMax H3 nor Hailuo knows this task for this account.",
            ],
        ),
        ({"id": "t", "x": 1, "response": 3}, 1, ["t: unknown", "fits no known state"]),
    ],
)
async def test_every_state_is_printed_with_its_reason(
    body: Any, code: int, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    actual, out = await shown(capsys, ok(body))

    assert actual == code
    for word in words:
        assert word in out


@pytest.mark.parametrize("task_ids", [[DOCUMENTED_ID], [DOCUMENTED_ID, "b"]])
async def test_json_is_what_a_model_gets(
    task_ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    one = ok(example("retrieve"))
    several = ok({"items": [example("retrieve"), {"id": "b", "x": 1, "response": 3}]})
    response = one if len(task_ids) == 1 else several
    tool = "retrieve_task" if len(task_ids) == 1 else "retrieve_tasks_batch"
    argument = {"task_id": task_ids[0]} if len(task_ids) == 1 else {"task_ids": task_ids}

    _, out = await shown(capsys, response, task_ids=task_ids, as_json=True)

    same = await call(tool, argument, ScriptedApi(response), now=time.time)
    assert out == text_of(same) + "\n"


async def test_json_names_the_maximum_wait_for_models(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, out = await shown(capsys, ok(PROCESSING), wait_seconds=60, as_json=True)

    assert "wait_seconds=50)" in json.loads(out)["next_step"]


async def test_a_wait_ends_when_the_task_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    responses = [ok(PROCESSING), ok(PROCESSING), ok(succeeded("t"))]

    # Longer than the maximum for models, which does not bind a person.
    code, out = await shown(capsys, *responses, wait_seconds=600)

    assert code == 0
    assert out.startswith("t: succeeded\n")


async def test_a_last_seen_state_is_printed_with_the_problem(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out = await shown(capsys, ok(PROCESSING), httpx.Response(500), wait_seconds=20)

    assert code == 3
    assert out.startswith(
        "t: processing\n  problem  The API failed (HTTP 500). It may pass; try again later.\n"
    )


async def test_a_task_that_could_not_be_looked_up_is_printed_with_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    task_ids = [f"t{number}" for number in range(60)]
    page = {"items": [succeeded(task_id) for task_id in task_ids[:50]]}

    class HalfAnApi(ScriptedApi):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            first = "t0" in json.loads(request.content)["ids"]
            return ok(page) if first else httpx.Response(500)

    code = await run_retrieve(
        startup(HailuoAlone(HalfAnApi())), task_ids, wait_seconds=0, as_json=False
    )

    assert code == 1
    *blocks, counts = capsys.readouterr().out.split("\n\n")
    assert counts == "60 tasks: 50 succeeded, 10 unknown\n"
    assert [block.partition(": ")[0] for block in blocks] == task_ids
    assert blocks[0].startswith("t0: succeeded\n")
    assert blocks[-1].startswith("t59: unknown\n  problem  The API failed (HTTP 500).")


def test_without_a_token_it_says_which_variable_to_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACEDATACLOUD_API_TOKEN", raising=False)

    assert main(["retrieve", "t"]) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "hailuo-tasks-mcp: No API token is set. Set ACEDATACLOUD_API_TOKEN; create one at "
        "https://platform.acedata.cloud.\n"
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_on_a_terminal_a_wait_shows_its_progress_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "24")
    known = {**PROCESSING, "created_at": 4102444800}

    code, out = await shown(capsys, ok(known), ok(known), ok(succeeded("t")), wait_seconds=60)

    terminal = sys.stderr
    assert isinstance(terminal, Terminal)
    lines = terminal.getvalue().split("\r")
    assert all(len(line) < 24 for line in lines)
    texts = [line.rstrip(", ") for line in lines[:-1]]
    assert list(dict.fromkeys(texts)) == [
        "",
        *(f"{second} of 60 s: processing" for second in range(6)),
        "5 of 60 s: succeeded",
    ]
    # The line is removed at the end, and the bell rings.
    assert (lines[-2].strip(), lines[-1]) == ("", "\a")
    assert len(lines[-2]) == len("5 of 60 s: succeeded")
    assert (code, out.partition("\n")[0]) == (0, "t: succeeded")


async def test_without_a_terminal_no_progress_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    api = ScriptedApi(ok(PROCESSING), ok(succeeded("t")))

    await run_retrieve(startup(HailuoAlone(api)), ["t"], wait_seconds=60, as_json=False)

    assert capsys.readouterr().err == ""


@pytest.mark.real_time
@pytest.mark.parametrize("option", ["", "--json"])
async def test_a_pipe_gets_any_script_whatever_its_encoding(option: str) -> None:
    body = example("retrieve")
    body["response"]["data"][0]["prompt"] = "海螺 🐚"
    async with (
        listening(http_response(body)) as (address, _),
        server_process(
            "retrieve",
            DOCUMENTED_ID,
            *filter(None, [option]),
            ACEDATACLOUD_API_BASE_URL=f"http://{address}",
            ACEDATACLOUD_API_TOKEN="t",
            PYTHONIOENCODING="ascii",
        ) as process,
    ):
        out = await process.stdout.read()
        _, err = await process.finish()

    assert "海螺 🐚" in out.decode()
    assert (process.process.returncode, err) == (0, "")


@pytest.mark.real_time
async def test_a_terminal_without_the_script_shows_what_it_can() -> None:
    body = example("retrieve")
    body["response"]["data"][0]["prompt"] = "海螺 🐚"
    ours, theirs = os.openpty()
    async with listening(http_response(body)) as (address, _), asyncio.timeout(TIMEOUT_SECONDS):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hailuo_tasks_mcp", "retrieve", DOCUMENTED_ID),
            stdout=theirs,
            stderr=theirs,
            env={
                **os.environ,
                "ACEDATACLOUD_API_BASE_URL": f"http://{address}",
                "ACEDATACLOUD_API_TOKEN": "t",
                "PYTHONIOENCODING": "gbk",
            },
        )
        assert await process.wait() == 0
    os.close(theirs)
    out = os.read(ours, 10_000)
    os.close(ours)

    assert "prompt   海螺 ?".encode("gbk") in out
