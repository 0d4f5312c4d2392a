"""What the view shows, and what it asks its host for; in Chromium."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from hailuo_tasks_mcp.view.resource import FILE_HOSTS
from helpers import Json
from view.browser import (
    VERSIONS,
    VIDEO_URL,
    View,
    done,
    failed,
    running,
)

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("view"),
]

TASK = "a-task"
PROMPT = "A lighthouse in fog"
UI = "io.modelcontextprotocol/ui"

FOREIGN_URL = "https://videos.example/video.mp4"
MISSING_URL = f"https://{FILE_HOSTS[0]}/missing.mp4"

# The browser reports a file that is not there.
a_missing_file = pytest.mark.problems("Failed to load resource: the server responded with a .* 404")
a_refused_video = pytest.mark.problems("Content Security Policy")


def answer(state: str, **fields: Any) -> Json:
    """Return an answer about one task, as the product gives it."""
    final = state not in {"pending", "processing", "unknown"}
    return {"task_id": TASK, "state": state, "final": final, "prompt": PROMPT} | fields


# A task from its beginning to its end.


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_view_is_opened_and_says_that_it_is_ready(view: View, version: str) -> None:
    negotiated = await view.open(version=version)

    assert negotiated["version"] == version
    assert UI in negotiated["extensions"]
    assert negotiated["csp"]["resourceDomains"] == [f"https://{host}" for host in FILE_HOSTS]
    assert (await view.host("bridge.getAppVersion"))["name"] == "hailuo-tasks"


async def test_the_task_that_is_looked_up_is_named_before_its_answer(view: View) -> None:
    await view.open()

    await view.host("bridge.sendToolInput", {"arguments": {"task_id": TASK}})

    await view.status("Looking up").wait_for()
    await view.text(TASK).wait_for()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_running_task_shows_its_state_its_bar_and_its_prompt(
    view: View, version: str
) -> None:
    await view.show(running(TASK, PROMPT, age_seconds=37), version=version)

    await view.status("Running").wait_for()
    await view.text(PROMPT).wait_for()
    await view.text("0:37").wait_for()
    bar = view.content.get_by_role("progressbar")
    assert "0:37 · usually up to 2 min" in (await bar.get_attribute("aria-valuetext") or "")
    assert await bar.get_attribute("aria-valuenow") is None
    assert await bar.get_attribute("aria-label") == "Running"


async def test_a_call_that_waits_is_followed_before_it_is_answered(view: View) -> None:
    view.platform.know(running(TASK))
    await view.open()
    await view.host("bridge.sendToolInput", {"arguments": {"task_id": TASK, "wait_seconds": 50}})
    await view.status("Looking up").wait_for()

    await view.advance(2)

    await view.status("Running").wait_for()
    assert await view.asked("calls") == [{"name": "retrieve_task", "arguments": {"task_id": TASK}}]


async def test_a_call_that_waits_is_not_said_to_be_given_up_where_the_view_may_not_call(
    view: View,
) -> None:
    await view.open(capabilities={"openLinks": {}})

    await view.host("bridge.sendToolInput", {"arguments": {"task_id": TASK, "wait_seconds": 50}})
    await view.status("Looking up").wait_for()

    assert await view.text("No longer updated").count() == 0


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_running_task_is_followed_to_its_end_by_its_tool_alone(
    view: View, version: str
) -> None:
    await view.show(running(TASK), version=version)
    assert await view.polls() == []

    await view.advance(2)
    assert await view.asked("calls") == [{"name": "retrieve_task", "arguments": {"task_id": TASK}}]
    view.platform.know(done(TASK))
    await view.advance(3)

    await view.status("Done").wait_for()
    await view.video().wait_for()
    await view.advance(600)
    assert await view.polls() == ["retrieve_task"] * 2


async def test_the_pace_is_that_of_a_call_that_waits(view: View) -> None:
    await view.show(running(TASK))
    polls, moments = 0, []
    for second in range(1, 46):
        await view.advance(1)
        if len(await view.polls()) > polls:
            polls += 1
            moments.append(second)

    pauses = [after - before for before, after in zip([0, *moments], moments, strict=False)]
    assert pauses[0] == 2
    assert set(pauses[1:9]) == {3}
    assert set(pauses[11:]) == {5}


async def test_a_task_that_was_queued_says_so_until_it_runs(view: View) -> None:
    queued = running(TASK)
    del queued["started_at"]
    await view.show(queued)
    await view.status("Queued").wait_for()

    view.platform.know(running(TASK))
    await view.advance(2)

    await view.status("Running").wait_for()


async def test_the_time_that_a_run_takes_goes_on_between_two_polls(view: View) -> None:
    await view.show(running(TASK, age_seconds=37))

    await view.advance(1)

    assert await view.polls() == []
    await view.text("0:38").wait_for()


async def test_the_bar_fills_towards_the_usual_time_and_then_says_that_it_takes_longer(
    view: View,
) -> None:
    await view.open()
    fractions = []
    for elapsed in (10, 60, 110, 400):
        await view.tell(answer("processing", elapsed_seconds=elapsed, model="minimax-t2v"))
        bar = view.content.get_by_role("progressbar")
        fractions.append(
            await bar.evaluate("bar => parseFloat(bar.firstElementChild.style.width) / 100")
        )
        longer = "longer than usual" in (await bar.get_attribute("aria-valuetext") or "")
        assert longer == (elapsed == 400)

    assert fractions == sorted(fractions)
    assert 0 < fractions[0] < fractions[1] < fractions[2] <= fractions[3] < 1


async def test_a_run_of_h3_may_take_longer_before_it_is_longer_than_usual(view: View) -> None:
    await view.open()

    await view.tell(answer("processing", elapsed_seconds=300, model="MiniMax-H3", resolution="2K"))
    assert not await view.text("longer than usual").is_visible()
    await view.tell(answer("processing", elapsed_seconds=500, model="MiniMax-H3", resolution="2K"))
    await view.text("longer than usual").wait_for()


# Videos.


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_video_plays_in_place(view: View, version: str) -> None:
    await view.show(done(TASK), version=version)

    await view.play(until_seconds=0.2)

    size = await view.video().evaluate("video => [video.videoWidth, video.videoHeight]")
    assert size == [640, 360]
    assert view.requested
    assert set(view.requested) == {VIDEO_URL}


async def test_nothing_plays_before_it_is_asked_to(view: View) -> None:
    await view.show(done(TASK))

    assert await view.video().evaluate("video => video.paused && !video.autoplay")


async def test_a_video_plays_on_while_other_tasks_are_followed(view: View) -> None:
    await view.show(done("one"), running("two"))
    await view.video().evaluate("video => { window.same = video; }")
    await view.play(until_seconds=0.1)

    view.platform.know(failed("two"))
    await view.advance(2)

    await view.status("Failed").wait_for()
    assert await view.video().evaluate("video => video === window.same && !video.paused")


async def test_open_and_download_reach_the_host_with_the_url(view: View) -> None:
    await view.show(done(TASK))

    await view.button("Open").click()
    await view.button("Download").click()
    await view.settle()

    assert await view.asked("links") == [VIDEO_URL]
    ((link,),) = await view.asked("downloads")
    assert link["type"] == "resource_link"
    assert link["uri"] == VIDEO_URL
    assert link["mimeType"] == "video/mp4"
    assert link["name"].endswith(".mp4")


async def test_full_screen_asks_the_host_for_it_and_back(view: View) -> None:
    await view.show(done(TASK))

    await view.button("Full screen").click()
    await view.settle()
    assert await view.asked("modes") == ["fullscreen"]
    await view.button("Full screen").click()
    await view.settle()

    assert await view.asked("modes") == ["fullscreen", "inline"]


async def test_a_host_that_can_do_nothing_is_asked_for_nothing(view: View) -> None:
    await view.show(done(TASK), capabilities={}, availableDisplayModes=["inline"])

    await view.video().wait_for()
    assert await view.content.get_by_role("button").count() == 0
    assert await view.text(VIDEO_URL).is_visible()


async def test_a_host_that_passes_no_tools_on_is_not_polled(view: View) -> None:
    await view.show(running(TASK), capabilities={"openLinks": {}, "logging": {}})

    await view.advance(60)

    assert await view.polls() == []
    await view.text("ask again").wait_for()


@a_missing_file
async def test_a_video_that_cannot_play_leaves_the_link(view: View) -> None:
    await view.show(done(TASK, MISSING_URL))

    await view.text("cannot play here").wait_for()
    assert await view.video().count() == 0
    await view.button("Open").click()
    await view.settle()
    assert await view.asked("links") == [MISSING_URL]


@a_refused_video
async def test_where_the_host_lets_no_video_through_it_says_so(view: View) -> None:
    await view.show(done(TASK), ignores_csp=True)

    await view.text("cannot play here").wait_for()
    assert view.requested == []
    await view.button("Open").click()
    await view.settle()
    assert await view.asked("links") == [VIDEO_URL]


async def test_a_url_of_another_host_is_a_button_and_nothing_else(view: View) -> None:
    await view.show(done(TASK, FOREIGN_URL))

    await view.button("Open").click()
    await view.settle()

    assert await view.video().count() == 0
    assert await view.button("Download").count() == 0
    assert await view.asked("links") == [FOREIGN_URL]


async def test_a_url_that_only_looks_like_a_file_hosts_plays_nothing(view: View) -> None:
    await view.open()

    for url in (
        f"https://{FILE_HOSTS[0]}.example/video.mp4",
        f"https://{FILE_HOSTS[0]}@videos.example/video.mp4",
        f"https://videos.example/{FILE_HOSTS[0]}/video.mp4",
        f"https://{FILE_HOSTS[0]}:8443/video.mp4",
    ):
        await view.tell(answer("succeeded", video_urls=[url]))
        assert await view.video().count() == 0
        assert await view.content.get_by_role("button").all_inner_texts() == ["Open"]


async def test_a_url_that_is_not_https_is_text(view: View) -> None:
    await view.open()

    for url in (
        f"http://{FILE_HOSTS[0]}/video.mp4",
        "javascript:parent.postMessage(1, '*')",
        "data:video/mp4;base64,AAAA",
        "file:///etc/passwd",
        f"blob:https://{FILE_HOSTS[0]}/video.mp4",
        "not a url",
    ):
        await view.tell(answer("succeeded", video_urls=[url]))
        await view.text(url).wait_for()
        for role in ("button", "link"):
            assert await view.content.get_by_role(role).count() == 0
        assert await view.video().count() == 0


async def test_a_task_with_several_videos_shows_each(view: View) -> None:
    urls = [f"https://{FILE_HOSTS[0]}/{number}-video.mp4" for number in range(3)]

    await view.show(done(TASK, *urls))

    sources = await view.video().evaluate_all("videos => videos.map(({ src }) => src)")
    assert sources == urls
    assert await view.button("Open").count() == 3


async def test_links_that_have_run_out_are_said_to_have(view: View) -> None:
    old = done(TASK)
    for moment in ("created_at", "started_at", "finished_at"):
        old[moment] -= 40 * 86_400

    await view.show(old)

    await view.text("expired").wait_for()


async def test_links_that_live_are_not_said_to_have_run_out(view: View) -> None:
    await view.show(done(TASK))

    await view.video().wait_for()
    assert await view.text("expired").count() == 0


@pytest.mark.parametrize(("days", "expired"), [(0, 0), (-1, 1)])
async def test_links_run_out_after_the_date_of_their_answer(
    view: View, days: int, expired: int
) -> None:
    await view.open()
    milliseconds = await view.page.evaluate("Date.now()") + days * 86_400_000
    date = datetime.fromtimestamp(milliseconds / 1000, UTC).date().isoformat()

    await view.tell(answer("succeeded", video_urls=[VIDEO_URL], urls_expire_at=date))

    await view.video().wait_for()
    assert await view.text("expired").count() == expired


# What did not work.


async def test_a_failed_task_says_why_and_what_to_do(view: View) -> None:
    await view.show(failed(TASK, "The prompt was rejected by the content policy."))

    await view.status("Failed").wait_for()
    await view.text("The prompt was rejected by the content policy.").wait_for()
    await view.text(re.compile("Change the prompt")).wait_for()
    await view.advance(600)
    assert await view.polls() == []


async def test_a_task_that_nobody_knows_says_so(view: View) -> None:
    await view.open()
    await view.call(task_id="nobodys")

    await view.status("Not found").wait_for()
    await view.text("nobodys").wait_for()
    await view.advance(60)
    assert await view.polls() == []


async def test_a_look_up_that_failed_says_why(view: View) -> None:
    view.platform.fail(httpx.Response(401, json={"error": {"code": "invalid_token"}}))
    await view.open()
    await view.call(task_id=TASK)

    await view.text("token").wait_for()
    await view.advance(60)
    assert await view.polls() == []


async def test_a_poll_that_fails_says_so_and_goes_on(view: View) -> None:
    await view.show(running(TASK))
    view.platform.fail(httpx.Response(403, json={"error": {"code": "forbidden"}}))
    await view.advance(2)
    await view.text("trying again").wait_for()
    await view.status("Running").wait_for()

    view.platform.fail(None)
    view.platform.know(done(TASK))
    await view.advance(20)

    await view.status("Done").wait_for()
    assert await view.text("trying again").count() == 0


async def test_a_poll_with_a_strange_answer_changes_nothing_and_it_goes_on(view: View) -> None:
    await view.show(running(TASK))
    answers: list[Json] = [
        {"content": [{"type": "text", "text": "It failed."}], "isError": True},
        {"content": []},
        {"content": [], "structuredContent": answer("succeeded", task_id="another")},
        {"content": [], "structuredContent": {"tasks": [None, 7]}},
    ]
    for strange in answers:
        polls = len(await view.polls())
        await view.page.evaluate("answer => { host.answer = answer; }", strange)
        await view.advance(20)
        assert len(await view.polls()) == polls + 1
        await view.status("Running").wait_for()

    await view.page.evaluate("host.answer = null")
    view.platform.know(done(TASK))
    await view.advance(20)

    await view.status("Done").wait_for()
    assert await view.tasks().count() == 1


async def test_a_call_that_was_cancelled_says_so(view: View) -> None:
    await view.open()

    await view.host("bridge.sendToolCancelled", {"reason": "The user stopped it"})

    await view.text("cancelled").wait_for()


# When it ends.


async def test_after_half_an_hour_it_is_followed_no_longer(view: View) -> None:
    await view.show(running(TASK))
    await view.advance(2)
    for _ in range(3):
        await view.advance(590)
    assert len(await view.polls()) == 4

    await view.advance(60)
    polls = len(await view.polls())
    await view.advance(600)

    assert len(await view.polls()) == polls
    await view.text("No longer updated").wait_for()


async def test_a_view_that_is_torn_down_polls_no_longer(view: View) -> None:
    await view.show(running(TASK))
    await view.advance(2)

    assert await view.host("bridge.teardownResource", {}) == {}
    await view.advance(60)

    assert await view.polls() == ["retrieve_task"]


# Batches.


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_batch_counts_what_is_done_and_shows_each_task(view: View, version: str) -> None:
    tasks = (running("a"), done("b"), failed("c"), running("d"), done("e"))

    await view.show(*tasks, version=version)

    await view.text("3 of 5 done").wait_for()
    assert await view.tasks().count() == 5
    assert await view.video().count() == 2
    assert await view.content.get_by_role("progressbar").count() == 2


async def test_of_a_batch_only_what_still_runs_is_asked_for(view: View) -> None:
    await view.show(*(running(task_id) for task_id in "abcd"))

    for ended in ("c", "a", "b", "d"):
        view.platform.know(done(ended))
        await view.advance(3)
    await view.text("4 of 4 done").wait_for()
    await view.advance(600)

    several = "retrieve_tasks_batch"
    assert [(call["name"], *call["arguments"].values()) for call in await view.asked("calls")] == [
        (several, ["a", "b", "c", "d"]),
        (several, ["a", "b", "d"]),
        (several, ["b", "d"]),
        ("retrieve_task", "d"),
    ]


async def test_of_a_batch_what_has_changed_last_comes_first(view: View) -> None:
    tasks = [running(task_id) for task_id in ("task-1", "task-2", "task-3", "task-4")]
    await view.show(*tasks)
    assert await order(view) == ["task-1", "task-2", "task-3", "task-4"]

    view.platform.know(done("task-3"))
    await view.advance(2)
    assert await order(view) == ["task-3", "task-1", "task-2", "task-4"]
    view.platform.know(failed("task-2"))
    await view.advance(3)
    assert await order(view) == ["task-2", "task-3", "task-1", "task-4"]


async def order(view: View) -> list[str]:
    texts = await view.tasks().all_inner_texts()
    return [re.findall(r"task-\d", text)[0] for text in texts]


# Texts of others.


POISON = (
    '<img src=x onerror="window.poisoned = 1"><script>window.poisoned = 1</script>'
    "\u202egnp.exe\u2066\u200b</q></article><b id=poison>"
)


async def test_a_poisoned_text_stays_text(view: View) -> None:
    await view.open()

    for fields in (
        {"state": "processing", "prompt": POISON},
        {"state": "failed", "error": {"code": POISON, "message": POISON}, "trace_id": POISON},
        {"state": "succeeded", "model": POISON, "resolution": POISON, "urls_expire_at": POISON},
        {"state": "unknown", "next_step": POISON},
        {"state": POISON, "task_id": POISON},
        {"state": "succeeded", "video_urls": [POISON]},
    ):
        await view.tell(answer("processing") | fields)
        await view.tasks().wait_for()
        body = view.content.locator("body")
        assert await body.locator("img, article script, #poison").count() == 0
        shown = await body.inner_text()
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b]", shown)
    assert await view.inside("window.poisoned") is None


async def test_a_poisoned_prompt_of_the_platform_stays_text(view: View) -> None:
    await view.show(running(TASK, "<img src=x onerror=alert(1)> \u202eevil"))

    await view.text("<img src=x onerror=alert(1)>").wait_for()
    assert await view.content.locator("img").count() == 0


async def test_a_prompt_from_right_to_left_does_not_turn_what_is_around_it(view: View) -> None:
    prompt = "قارب عند الغروب"
    await view.show(running(TASK, prompt))

    style = await view.text(prompt).evaluate(
        "element => [getComputedStyle(element).display, getComputedStyle(element).unicodeBidi]"
    )
    # A block is a paragraph of its own.
    assert style[0] == "block" or style[1] in {"isolate", "plaintext"}


HOSTILE: list[Any] = [
    None,
    0,
    "text",
    [],
    {},
    [[[]]],
    {"tasks": None},
    {"tasks": 3},
    {"tasks": [None, 1, "x", [], {}, {"task_id": None}, {"task_id": {}}]},
    {"tasks": [{"task_id": "t"}] * 3000, "counts": [], "final": 1},
    {"task_id": "t"},
    {"task_id": "t", "state": "constructor", "final": "no"},
    {"task_id": "t", "state": "__proto__", "final": None},
    {"task_id": "t", "state": "done", "final": True},
    {"task_id": "t", "state": ["succeeded"], "video_urls": {"length": 5}},
    {"task_id": "t", "state": "succeeded", "video_urls": "https://a.example"},
    {
        "task_id": "t",
        "state": "succeeded",
        "video_urls": [None, 1, {}, [], "", "https://", "x" * 99999],
    },
    {"task_id": "t", "state": "succeeded", "video_urls": ["https://a.example/"] * 5000},
    {"task_id": "t", "state": "failed", "error": "text", "next_step": {}},
    {"task_id": "t", "state": "failed", "error": {"message": [], "code": {}}},
    {"task_id": "t", "state": "processing", "elapsed_seconds": "37"},
    {"task_id": "t", "state": "processing", "elapsed_seconds": -5},
    {"task_id": "t", "state": "processing", "elapsed_seconds": 1e300},
    {"task_id": "t", "state": "processing", "prompt": "x" * 1_000_000},
    {"task_id": "t", "state": "processing", "prompt": {"toString": None}},
    {"task_id": "t", "state": "succeeded", "urls_expire_at": 7, "model": [1], "resolution": {}},
    {"task_id": "x" * 100_000, "state": "succeeded", "final": False},
]


async def test_no_answer_is_too_strange_for_it(view: View) -> None:
    """That it raised nothing, the page itself says at the end."""
    await view.open()
    for strange in HOSTILE:
        await view.tell(strange)
        await view.tell({"tasks": [strange, answer("processing")]})
        await view.advance(1)
        shown = await view.content.locator("body").inner_text()
        assert len(shown) < 60_000
        for word in ("undefined", "[object", "NaN", "Infinity", "null"):
            assert word not in shown, strange

    # Deeper than Python's own recursion goes.
    deep = '{"task_id": "deep", "prompt": {"tasks": [' * 400 + "]}}" * 400
    await view.page.evaluate("deep => host.tell({ tasks: [JSON.parse(deep)] })", deep)
    await view.text("deep").wait_for()
    await view.tell(answer("succeeded", video_urls=[VIDEO_URL]))
    await view.status("Done").wait_for()


STRANGE_MESSAGES: list[Any] = [
    None,
    7,
    "text",
    [],
    {},
    {"jsonrpc": "2.0"},
    {"jsonrpc": "2.0", "id": 99, "result": {}},
    {"jsonrpc": "2.0", "id": None, "error": None},
    {"jsonrpc": "2.0", "method": "no/such/notification"},
    {"jsonrpc": "2.0", "method": "constructor"},
    {"jsonrpc": "2.0", "method": "ui/notifications/tool-input"},
    {"jsonrpc": "2.0", "method": "ui/notifications/tool-result", "params": None},
    {"jsonrpc": "2.0", "method": "ui/notifications/tool-input", "params": {"arguments": 5}},
    {
        "jsonrpc": "2.0",
        "method": "ui/notifications/tool-input",
        "params": {"arguments": {"task_ids": "a,b", "task_id": []}},
    },
    {
        "jsonrpc": "2.0",
        "method": "ui/notifications/host-context-changed",
        "params": {
            "locale": 5,
            "theme": {},
            "styles": {"variables": 3, "css": 1},
            "availableDisplayModes": 3,
            "displayMode": [],
        },
    },
]


async def test_no_message_is_too_strange_for_it(view: View) -> None:
    await view.show(running(TASK))

    for message in STRANGE_MESSAGES:
        await view.page.evaluate(
            "message => document.querySelector('iframe').contentWindow.postMessage(message, '*')",
            message,
        )
        await view.settle()

    await view.tell(answer("succeeded", video_urls=[VIDEO_URL]))
    await view.status("Done").wait_for()
    await view.video().wait_for()


async def test_messages_of_others_than_the_host_are_not_heard(view: View) -> None:
    await view.show(running(TASK))

    await view.inside(
        """(structuredContent) => {
            const method = "ui/notifications/tool-result";
            window.postMessage({ jsonrpc: "2.0", method, params: { structuredContent } }, "*");
        }""",
        answer("failed"),
    )
    await view.settle()

    assert await view.status("Failed").count() == 0
    await view.status("Running").wait_for()


async def test_the_answer_is_read_from_the_text_where_a_host_passes_on_no_other(view: View) -> None:
    await view.open()

    text = json.dumps(answer("processing"))
    await view.host("bridge.sendToolResult", {"content": [{"type": "text", "text": text}]})

    await view.status("Running").wait_for()
