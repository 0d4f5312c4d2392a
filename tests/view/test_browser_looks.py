"""How the view looks and is used: colours, widths, languages, keyboard; in Chromium."""

from typing import Any

import pytest

from hailuo_tasks_mcp.view.resource import FILE_HOSTS
from helpers import Json
from view.browser import View, done, failed, running

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("view"),
]

BATCH = (running("a"), done("b"), failed("c"), running("d"), done("e"))
STATES: dict[str, tuple[Json, ...]] = {
    "running": (running("a-task"),),
    "done": (done("a-task"),),
    "failed": (failed("a-task"),),
    "batch": BATCH,
}
LONG = "x" * 400
WIDTHS = (280, 700)


async def colors(view: View) -> tuple[str, str]:
    """Return the colours of the page and of its text."""
    body = view.content.locator("body")
    pair: list[str] = await body.evaluate(
        "body => [getComputedStyle(body).backgroundColor, getComputedStyle(body).color]"
    )
    return pair[0], pair[1]


def brightness(color: str) -> float:
    values = [float(value) for value in color[color.index("(") + 1 : -1].split(",")]
    return sum(values[:3]) / 3


def is_light(background: str, text: str) -> bool:
    return brightness(background) > 200 and brightness(text) < 80


def is_dark(background: str, text: str) -> bool:
    return is_light(text, background)


async def test_light_and_dark_follow_the_theme_of_the_host(view: View) -> None:
    await view.show(done("a-task"), theme="light")
    light = await colors(view)

    await view.host("change", {"theme": "dark"})
    await view.settle()
    dark = await colors(view)

    assert is_light(*light)
    assert is_dark(*dark)


@pytest.mark.page(color_scheme="dark")
async def test_without_a_theme_of_the_host_that_of_the_system_counts(view: View) -> None:
    await view.show(done("a-task"), theme=None)

    background, text = await colors(view)

    assert is_dark(background, text)


async def test_the_colours_and_the_font_of_the_host_win(view: View) -> None:
    variables = {
        "--color-background-primary": "rgb(1, 2, 3)",
        "--color-text-primary": "rgb(250, 240, 230)",
        "--font-sans": "'Host Sans', serif",
    }
    await view.show(done("a-task"), styles={"variables": variables})

    assert await colors(view) == ("rgb(1, 2, 3)", "rgb(250, 240, 230)")
    family = await view.content.locator("body").evaluate(
        "body => getComputedStyle(body).fontFamily"
    )
    assert "Host Sans" in family


@pytest.mark.parametrize("state", STATES)
async def test_nothing_is_wider_than_the_page(view: View, state: str) -> None:
    await view.show(*STATES[state])

    for width in WIDTHS:
        await view.resize(width)
        await assert_fits(view, width)


async def test_no_text_is_too_long_for_the_page(view: View) -> None:
    await view.open()
    long = {"task_id": LONG, "prompt": LONG, "model": LONG, "resolution": LONG, "next_step": LONG}
    error = {"code": LONG, "message": LONG}
    urls = [f"https://videos.example/{LONG}", f"http://{LONG}"]

    for state in ("processing", "succeeded", "failed", "unknown"):
        task: Json = {**long, "state": state, "final": True, "error": error, "video_urls": urls}
        for told in (task, {"tasks": [task, {**task, "task_id": "another"}]}):
            await view.tell(told)
            for width in WIDTHS:
                await view.resize(width)
                await assert_fits(view, width)


async def assert_fits(view: View, width: int) -> None:
    await view.tasks().first.wait_for()
    page: list[int] = await view.inside("() => [innerWidth, document.documentElement.scrollWidth]")
    assert page == [width, width]
    wide = await view.content.locator("body *").evaluate_all(
        """elements => elements
            .filter((each) => each.getBoundingClientRect().right > innerWidth + 0.5)
            .map((each) => each.outerHTML.slice(0, 80))"""
    )
    assert wide == []


async def test_a_wide_batch_has_columns_and_a_narrow_one_has_one(view: View) -> None:
    await view.show(*BATCH)

    async def columns() -> int:
        lefts = await view.tasks().evaluate_all(
            "articles => articles.map((article) => article.getBoundingClientRect().left)"
        )
        return len(set(lefts))

    await view.resize(700)
    assert await columns() > 1
    await view.resize(280)
    assert await columns() == 1


@pytest.mark.parametrize("state", STATES)
async def test_the_host_is_told_the_height_and_it_comes_to_rest(view: View, state: str) -> None:
    await view.show(*STATES[state])
    await view.advance(1)

    sizes = await view.asked("sizes")
    await view.advance(0.5)
    await view.advance(0.5)

    assert await view.asked("sizes") == sizes
    height, inner = await view.inside("() => [document.documentElement.scrollHeight, innerHeight]")
    assert sizes[-1]["height"] == height == inner


@pytest.mark.parametrize(
    ("locale", "language"), [("zh-Hant-TW", "zh"), ("en-GB", "en"), ("fr", "en")]
)
async def test_its_language_is_that_of_the_host(view: View, locale: str, language: str) -> None:
    await view.show(done("a-task"), locale=locale)

    words = {
        "en": ("Done", "Open", "Download", "Full screen"),
        "zh": ("已完成", "打开", "下载", "全屏"),
    }
    state, *buttons = words[language]
    await view.status(state).wait_for()
    assert await view.content.get_by_role("button").all_inner_texts() == buttons
    lang = await view.content.locator("html").get_attribute("lang")
    assert (lang or "").startswith(language)


@pytest.mark.page(locale="zh-CN")
async def test_without_a_language_of_the_host_that_of_the_browser_counts(view: View) -> None:
    await view.show(done("a-task"), locale=None)

    await view.status("已完成").wait_for()


async def test_a_batch_in_chinese_has_no_english_words(view: View) -> None:
    await view.show(*BATCH, locale="zh-CN")

    shown = await view.content.locator("body").inner_text()

    for word in ("Running", "Done", "Failed", "Open", " of ", "usual", "min"):
        assert word not in shown.replace("minimax", "")


async def test_the_keyboard_reaches_each_button_and_shows_where_it_is(view: View) -> None:
    await view.show(done("a-task"))
    reached: dict[str, Any] = {}

    # A video has controls of its own in between.
    for _ in range(25):
        await view.page.keyboard.press("Tab")
        focused = await view.inside(
            """() => {
                const { textContent, tagName } = document.activeElement;
                const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
                return { tagName, textContent, outlineStyle, outlineWidth };
            }"""
        )
        if focused["tagName"] == "BUTTON":
            reached[focused["textContent"]] = focused
    assert list(reached) == ["Open", "Download", "Full screen"]
    for focused in reached.values():
        assert focused["outlineStyle"] != "none"
        assert float(focused["outlineWidth"].removesuffix("px")) > 0

    await view.button("Open").focus()
    await view.page.keyboard.press("Enter")
    await view.settle()
    assert len(await view.asked("links")) == 1


async def test_buttons_keep_the_focus_while_the_view_is_updated(view: View) -> None:
    await view.show(done("one"), running("two"))
    await view.button("Open").focus()

    await view.advance(2)
    view.platform.know(failed("two"))
    await view.advance(3)

    await view.status("Failed").wait_for()
    assert await view.inside("document.activeElement.textContent") == "Open"


async def test_a_screen_reader_is_told_of_each_change_of_state(view: View) -> None:
    await view.show(running("a-task"))
    status = view.content.get_by_role("status")
    await status.evaluate("element => { window.same = element; }")

    view.platform.know(done("a-task"))
    await view.advance(2)

    await view.status("Done").wait_for()
    assert await status.evaluate("element => element === window.same")
    # The seconds that pass are not read out.
    assert "s" not in (await status.inner_text()).replace("Running", "").replace("Done", "")


async def test_a_screen_reader_is_told_nothing_while_nothing_changes(view: View) -> None:
    await view.show(running("one"), done("two"))
    await view.inside(
        """() => {
            window.changes = [];
            const observer = new MutationObserver((records) => window.changes.push(...records));
            for (const live of document.querySelectorAll("[aria-live], [role=status]")) {
                observer.observe(live, { childList: true, characterData: true, subtree: true });
            }
        }"""
    )

    await view.advance(2)
    await view.advance(3)
    assert await view.polls() == ["retrieve_task"] * 2
    assert await view.inside("() => window.changes.length") == 0
    view.platform.know(done("one"))
    await view.advance(3)
    assert await view.inside("() => window.changes.length") > 0


async def test_a_video_has_a_name_for_a_screen_reader(view: View) -> None:
    await view.show(done("a-task", prompt="A lighthouse in fog"))

    assert await view.video().get_attribute("aria-label") in {"A lighthouse in fog", "a-task"}


async def moving(view: View) -> list[str]:
    """Return what is animated, or would be if it changed."""
    tags: list[str] = await view.content.locator("body *").evaluate_all(
        """elements => elements
            .filter((element) => {
                const { animationName, transitionDuration } = getComputedStyle(element);
                return animationName !== "none" || transitionDuration !== "0s";
            })
            .map(({ tagName }) => tagName)"""
    )
    return tags


async def test_what_runs_moves(view: View) -> None:
    await view.show(running("a-task"))

    assert await moving(view) != []


@pytest.mark.page(reduced_motion="reduce")
async def test_nothing_moves_where_motion_is_to_be_reduced(view: View) -> None:
    await view.show(*BATCH)

    assert await moving(view) == []


@pytest.mark.page(forced_colors="active")
async def test_states_are_told_apart_without_their_colours(view: View) -> None:
    await view.show(*BATCH)

    for state in ("Running", "Done", "Failed"):
        assert await view.status(state).first.is_visible()


async def test_a_batch_of_a_hundred_loads_few_videos_by_itself(view: View) -> None:
    urls = [f"https://{FILE_HOSTS[0]}/{number}-video.mp4" for number in range(100)]
    await view.show(*(done(f"task-{number}", url) for number, url in enumerate(urls)))

    await view.text("100 of 100 done").wait_for()
    assert await view.video().count() == 100
    assert len(set(view.requested)) < 10
