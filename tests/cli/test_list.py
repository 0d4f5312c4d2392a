"""`hailuo-tasks-mcp list`: what a person reads, what a script gets, and the exit codes."""

import json
import time
from typing import Any

import httpx
import pytest

from hailuo_tasks_mcp.cli import main as command
from hailuo_tasks_mcp.cli.list import run_list
from hailuo_tasks_mcp.cli.main import main
from hailuo_tasks_mcp.sandbox.tasks import (
    CANCELLED_H3_TASK_ID,
    FAILED_H3_TASK_ID,
    NO_URL_H3_TASK_ID,
    SUCCEEDED_H3_TASK_ID,
)
from hailuo_tasks_mcp.tasks import recent
from hailuo_tasks_mcp.tasks.recent import NOTE, Query
from helpers import TOKEN, URL, ended, startup, video
from listing_api import NOW, ListingApi, listed
from two_services import h3


async def shown(
    capsys: pytest.CaptureFixture[str], api: httpx.AsyncBaseTransport, **options: Any
) -> tuple[int, str, str]:
    """Return the exit code, and what was printed on stdout and stderr."""
    form = options.pop("form", "table")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: NOW)
        code = await run_list(startup(api), Query(**options), form=form)
    return (code, *capsys.readouterr())


def local(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


async def test_a_person_sees_a_line_for_each_task_with_its_link_last(
    capsys: pytest.CaptureFixture[str],
) -> None:
    items = [
        h3("a", "running", created_at=NOW - 60),
        h3("task-b", created_at=NOW - 3600, resolution="2K", duration=10),
        h3("c", "failed", created_at=None),
    ]

    code, out, err = await shown(capsys, ListingApi(items))

    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "TASK ID  STATE       CREATED           VIDEO      LINK",
        f"a        processing  {local(NOW - 60)}  4 s, 768P",
        f"task-b   succeeded   {local(NOW - 3600)}  10 s, 2K   https://cdn.test/task-b.mp4",
        "c        failed      -                 -",
        "",
        f"3 tasks of the last 24 hours, in local time. {NOTE}",
    ]


async def test_a_person_sees_how_many_more_there_are_and_what_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, out, _ = await shown(capsys, ListingApi([*listed(3), None]), limit=1, hours=0.5)
    assert out.splitlines()[-3:] == [
        f"1 task of the last 0.5 hours, in local time. {NOTE}",
        "2 more, older: see --limit and --state.",
        "Left out, because of no use: 1 of the API's records.",
    ]

    same_page = ListingApi(
        listed(40), max_limit=None, obeys_offset=False, obeys_max=False, counts=None
    )
    _, out, _ = await shown(capsys, same_page)
    assert out.splitlines()[-1] == "There may be more."

    _, out, _ = await shown(capsys, ListingApi(), states=["failed", "unknown"])
    assert out == f"No tasks of the last 24 hours (failed, unknown), in local time. {NOTE}\n"


async def test_several_videos_of_a_task_are_counted_beside_the_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    several = h3("t", created_at=NOW) | {
        "response": ended(success=True, data=[video(), video(url=f"{URL}?2")])["response"]
    }

    _, out, _ = await shown(capsys, ListingApi([several]))

    assert out.splitlines()[1].endswith(f"{URL} and 1 more")


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="The time zone cannot be set here.")
async def test_times_are_local_and_one_that_no_calendar_has_is_not_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    items = [h3("last", created_at=253_402_300_799), h3("now", created_at=NOW)]
    with pytest.MonkeyPatch.context() as patch:
        # No zone of the database, which not every system has.
        patch.setenv("TZ", "XXX-14")
        time.tzset()
        code, out, _ = await shown(capsys, ListingApi(items))
    time.tzset()

    assert code == 0
    assert out.splitlines()[1].startswith("last     succeeded  -                 4 s, 768P")
    assert out.splitlines()[2].startswith("now      succeeded  2026-11-23 00:00  4 s, 768P")


async def test_the_ids_alone_can_be_piped(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = await shown(capsys, ListingApi(listed(3)), form="ids")
    assert (code, out, err) == (0, "t0\nt1\nt2\n", "")

    _, out, err = await shown(capsys, ListingApi(listed(3)), form="ids", limit=2)
    assert out == "t0\nt1\n"
    assert "1 more, older: see --limit" in err


async def test_more_than_a_model_gets_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = await shown(capsys, ListingApi(listed(300)), form="ids", limit=1000)

    assert len(out.splitlines()) == 300


async def test_json_is_what_a_model_gets(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = await shown(capsys, ListingApi(listed(2)), form="json", limit=1)

    assert json.loads(out) == {
        "tasks": [
            {
                "task_id": "t0",
                "state": "succeeded",
                "created_at": "2026-11-22T09:59Z",
                "video": "4 s, 768P",
                "url": "https://cdn.test/t0.mp4",
            }
        ],
        "more": 1,
        "note": NOTE,
        "next_step": "1 more, older: use `states` or a `limit` of up to 50.",
    }


@pytest.mark.parametrize("form", ["table", "ids", "json"])
async def test_a_list_of_which_a_part_is_missing_because_of_a_fault_exits_with_1(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = httpx.Response(401, json={"error": {"code": "invalid_token", "message": TOKEN}})
    api = ListingApi(
        listed(40), max_limit=None, fault=lambda number: refused if number == 2 else None
    )

    code, out, err = await shown(capsys, api, form=form)

    assert code == 1
    assert "t11" in out
    told = err if form == "ids" else out
    assert "At least 28 more" in told
    assert "Set ACEDATACLOUD_API_TOKEN" in told
    assert TOKEN not in out + err


@pytest.mark.parametrize("form", ["table", "ids", "json"])
async def test_a_list_that_cannot_be_made_exits_with_1_and_says_what_to_do(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = {"error": {"code": "invalid_token", "message": TOKEN}, "trace_id": "trace-1"}
    api = ListingApi(fault=lambda _: httpx.Response(401, json=error))

    code, out, err = await shown(capsys, api, form=form)

    assert code == 1
    assert TOKEN not in out + err
    if form == "json":
        assert json.loads(out)["error"].keys() == {"message", "remedy", "trace_id"}
    else:
        assert out == ""
        assert err.startswith("hailuo-tasks-mcp: The API rejected the token")


def test_main_lists_the_tasks_of_the_sandbox_in_the_states_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["list", "--sandbox", "--hours", "2.5", "--limit", "5", "--ids"]

    assert main([*given, "--state", "failed", "--state", "succeeded"]) == 0
    assert capsys.readouterr().out.split() == [
        CANCELLED_H3_TASK_ID,
        NO_URL_H3_TASK_ID,
        SUCCEEDED_H3_TASK_ID,
        FAILED_H3_TASK_ID,
    ]


def test_main_says_that_tasks_of_the_sandbox_are_made_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["list", "--sandbox"]) == 0
    assert capsys.readouterr().out.endswith("SANDBOX: these tasks and videos are made up.\n")

    assert main(["list", "--sandbox", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sandbox"] is True


@pytest.mark.parametrize(
    "given",
    [
        ["--hours", "0"],
        ["--hours", "168.5"],
        ["--hours", "-1"],
        ["--hours", "nan"],
        ["--hours", "1e2"],
        ["--limit", "0"],
        ["--limit", "1001"],
        ["--state", "done"],
        ["--json", "--ids"],
        ["an-id"],
    ],
)
def test_main_refuses_wrong_usage(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["list", "--sandbox", *given])

    assert caught.value.code == 2
    assert capsys.readouterr().out == ""


def test_main_knows_the_limits_of_a_list_without_loading_it() -> None:
    assert command.LISTED_STATES == recent.LISTED_STATES
    assert command.HIGHEST_HOURS == recent.HIGHEST_HOURS
    assert (command.DEFAULT_HOURS, command.DEFAULT_LIMIT) == (
        recent.DEFAULT_HOURS,
        recent.DEFAULT_LIMIT,
    )
