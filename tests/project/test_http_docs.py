"""What docs/http.md says in tables and numbers is what the code does."""

import re

import pytest

from documents import table, text_of
from hailuo_tasks_mcp.cli.main import main
from hailuo_tasks_mcp.transports.streamable_http.bodies import MAX_BODY_BYTES
from hailuo_tasks_mcp.transports.streamable_http.http_server import MAX_CONNECTIONS
from hailuo_tasks_mcp.transports.streamable_http.metrics import Metrics
from hailuo_tasks_mcp.transports.streamable_http.options import MIN_ACCESS_TOKEN_LENGTH
from hailuo_tasks_mcp.uvicorn_protocol import MAX_HEAD_BYTES, READ_SECONDS, REQUEST_SECONDS

PAGE = "docs/http.md"


def test_every_option_is_listed_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    out = capsys.readouterr().out
    helped = re.findall(r"^  (--[\w-]+)((?:.*\n)(?:    .*\n)*)", out, re.MULTILINE)
    defaults = {option: re.search(r"\(default:\s(\S+)\)", text) for option, text in helped}

    listed = {option: default for option, default, _ in table(PAGE, "Start it")}

    assert listed.keys() | {"`--http`"} == {f"`{option}`" for option in defaults}
    assert {option: default[1] for option, default in defaults.items() if default} == {
        option.strip("`"): default.strip("`")
        for option, default in listed.items()
        if default.startswith("`")
    }


def test_every_metric_is_listed_with_its_labels() -> None:
    metrics = Metrics()
    metrics.call_ended("retrieve_task", "ok", 0.1)
    metrics.platform_answered("hailuo", "200")
    metrics.waits_changed(1)
    lines = re.findall(
        r"^(hailuo_\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? ",
        bytes(metrics.page().body).decode(),
        re.MULTILINE,
    )
    told = {
        name: set(re.findall(r"(\w+)=", labels)) - {"le"}
        for name, labels in lines
        if not name.endswith("_created")
    }

    assert told == {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(hailuo_\w+)` \|(.*?)\|", text_of(PAGE), re.MULTILINE)
    }


@pytest.mark.parametrize("document", [PAGE, "SECURITY.md"])
def test_the_bounds_are_those_of_the_code(document: str) -> None:
    text = " ".join(text_of(document).split())
    body = f"{MAX_BODY_BYTES:,} bytes" if document == PAGE else f"{MAX_BODY_BYTES >> 20} MiB"

    for bound in (
        body,
        f"{MAX_HEAD_BYTES:,} bytes",
        f"{REQUEST_SECONDS:.0f} seconds to arrive",
        f"{MAX_CONNECTIONS:,} connections",
    ):
        assert bound in text
    assert re.search(rf"\b{READ_SECONDS:.0f}\b", text)
    if document == PAGE:
        assert f"{MIN_ACCESS_TOKEN_LENGTH} or more characters" in text
