"""Pictures of the view: in `dist` for whoever wants to look, and the two of the README."""

import io
import os
from typing import Literal

import pytest

from helpers import DOCUMENTED_ID, Json
from repository import ROOT
from view.browser import View, done, failed, running

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("view"),
    pytest.mark.page(device_scale_factor=2),
]

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
PROMPT = "A sailing boat in a bay at dusk"
STATES: dict[str, tuple[Json, ...]] = {
    "running": (running("a-task", PROMPT, age_seconds=45),),
    "done": (done("a-task", prompt=PROMPT),),
    "failed": (failed("a-task"),),
    "batch": (
        running("task-1", "A lighthouse in fog"),
        done("task-2", prompt=PROMPT),
        failed("task-3"),
        running("task-4", "Waves on black sand", age_seconds=200),
        done("task-5", prompt="The same bay, later"),
    ),
}
# Everyone who reads the README loads them.
MAX_BYTES = 40_000
# So many keep the sky smooth within that.
COLORS = 200


@pytest.mark.parametrize("state", STATES)
async def test_each_state_can_be_looked_at(view: View, state: str) -> None:
    # A page that holds all of it, for a picture of more would make the page larger in between.
    await view.page.set_viewport_size({"width": 640, "height": 1200})
    await view.show(*STATES[state])
    await view.advance(1)
    for number in range(await view.video().count()):
        await view.play(number, until_seconds=0.3 + number)
    folder = ROOT / "dist"
    folder.mkdir(exist_ok=True)

    pictures = []
    for theme in THEMES:
        await view.page.emulate_media(color_scheme=theme)
        await view.host("change", {"theme": theme})
        await view.settle()
        pictures.append(await view.page.locator("iframe").screenshot())
        (folder / f"view-{state}-{theme}.png").write_bytes(pictures[-1])

    assert pictures[0] != pictures[1]


@pytest.mark.parametrize("theme", THEMES)
async def test_the_readme_shows_a_video_that_plays_in_a_chat(view: View, theme: Theme) -> None:
    """To make the pictures anew: UPDATE_SNAPSHOTS=1 make test-view."""
    await view.page.emulate_media(color_scheme=theme)
    await view.page.set_viewport_size({"width": 480, "height": 800})
    await view.show(done(DOCUMENTED_ID, prompt=PROMPT), page="chat.html", theme=theme)
    # So that its controls are seen.
    await view.video().hover()
    await view.play(until_seconds=1.5)

    picture = await view.page.locator("body").screenshot()

    path = ROOT / "docs" / f"view-{theme}.png"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_bytes(with_few_colors(picture))
    assert path.stat().st_size < MAX_BYTES


def with_few_colors(picture: bytes) -> bytes:
    """Return a PNG with a palette, which takes a fifth of the bytes."""
    # Only where pictures are made; see the extra `view`.
    from PIL import Image  # noqa: PLC0415

    file = io.BytesIO()
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(COLORS, kmeans=2).save(file, "PNG", optimize=True)
    return file.getvalue()
