"""The demo: what a newcomer sees first."""

import re
import tempfile
from pathlib import Path

import pytest

from hailuo_tasks_mcp.cli import demo
from hailuo_tasks_mcp.cli.main import main
from hailuo_tasks_mcp.sandbox.tasks import SUCCEEDED_H3_TASK_ID
from helpers import DOCUMENTED_ID

pytestmark = pytest.mark.real_time


@pytest.fixture(autouse=True)
def _temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_the_demo_shows_a_complete_conversation(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo"]) == 0

    shown, err = capfd.readouterr()
    assert err == ""
    for words in (
        "SANDBOX",
        "  retrieve_task, retrieve_tasks_batch, list_recent_tasks\n",
        f'> retrieve_task {{"task_id": "{DOCUMENTED_ID}"}}',
        "state: succeeded",
        "tmp5uligw3a.output.mp4",
        "model: MiniMax-H3",
        "state: processing",
        "state: not_found",
        '"wait_seconds": 50}',
        "/57a27ed0-5eed-4000-8000-000000000002.mp4",
        f'> save_videos {{"task_ids": ["{SUCCEEDED_H3_TASK_ID}"]}}',
        "error: The API rejected the token",
    ):
        assert words in shown
    (video,) = tmp_path.rglob("*.mp4")
    assert str(video) in shown
    assert f"bytes: {video.stat().st_size}\n" in shown
    # How far apart is for the tests of waiting, in simulated time.
    assert (
        len(re.findall(r"^  … \d+ s: processing, 6\d s; usually 1-2 min$", shown, re.MULTILINE)) > 1
    )
    assert len(shown.splitlines()) < 80


def test_the_demo_fits_80_columns_and_ends_with_what_to_paste(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever is waited for, it is done.
    monkeypatch.setattr(demo, "LEFT_TO_RUN_SECONDS", 0.0)
    main(["demo"])
    shown = capfd.readouterr().out
    main(["config", "claude-code"])
    block = capfd.readouterr().out

    # A URL and a path stay in one piece.
    wide = [line for line in shown.splitlines() if len(line) > 80 and " " in line.strip()]
    assert [line for line in wide if line not in block] == []
    assert shown.endswith(f"\n\n{block}")


@pytest.mark.parametrize(
    ("name", "value"), [("SANDBOX_TOKEN", "wrong"), ("WRONG_TOKEN", "sandbox")]
)
def test_a_demo_that_goes_wrong_exits_with_1(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, name, value)
    monkeypatch.setattr(demo, "LEFT_TO_RUN_SECONDS", 0.0)

    assert main(["demo"]) == 1
