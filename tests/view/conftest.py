import re
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from hailuo_tasks_mcp.view.resource import FILE_HOSTS
from helpers import NOW, TIMEOUT_SECONDS
from view.browser import METHODS, Stage, View, open_stage
from view.needs import missing

session = pytest_asyncio.fixture(scope="session", loop_scope="session")
within_session = pytest_asyncio.fixture(loop_scope="session")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what cannot be run; not in a fixture, so that the reason is given once for all."""
    if "view" in getattr(item, "fixturenames", ()) and (reason := missing()):
        pytest.skip(f"The view in a browser {reason}")


@session
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Start one browser for all tests."""
    async with open_stage(tmp_path_factory.mktemp("stage")) as opened:
        yield opened


@within_session
async def view(stage: Stage, request: pytest.FixtureRequest) -> AsyncIterator[View]:
    """Give a test a page of its own, and see that nothing went wrong in it that was not meant to.

    The mark `page` has options of the browser's context, `problems` a pattern of what a test means
    to go wrong.
    """
    options: dict[str, Any] = {}
    for mark in request.node.iter_markers("page"):
        options |= mark.kwargs
    stage.platform.reset()
    context = await stage.browser.new_context(ignore_https_errors=True, **options)
    context.set_default_timeout(TIMEOUT_SECONDS * 1000)
    page = await context.new_page()
    await page.clock.install(time=NOW)
    view = View(page, stage, token=f"token-{secrets.token_urlsafe()}")
    view.listen()
    yield view
    methods = await page.evaluate("[...(window.host?.methods ?? [])]")
    await context.close()
    assert set(methods) <= METHODS
    meant = [mark.args[0] for mark in request.node.iter_markers("problems")]
    for pattern in meant:
        assert [problem for problem in view.problems if re.search(pattern, problem)]
    assert [p for p in view.problems if not any(re.search(each, p) for each in meant)] == []
    allowed = tuple(f"https://{host}/" for host in FILE_HOSTS)
    assert [url for url in view.requested if not url.startswith(allowed)] == []
