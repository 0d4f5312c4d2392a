"""Whatever JSON the API sends, the answer made of it fits the published schema."""

import asyncio
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hailuo_tasks_mcp.api.error_responses import error_from_response, read_error_body
from hailuo_tasks_mcp.api.records import read_page, read_record
from hailuo_tasks_mcp.api.results import LookupResult
from hailuo_tasks_mcp.settings import Settings
from hailuo_tasks_mcp.tasks.summarize import summarize_batch, summarize_task
from hailuo_tasks_mcp.text import clean_text
from hailuo_tasks_mcp.tools.catalog import tools_for
from hailuo_tasks_mcp.tools.tool import compact_json
from helpers import NOW, model_text

SCHEMAS = {
    tool.name: jsonschema.Draft202012Validator(tool.definition.output_schema or False)
    for tool in tools_for(Settings())
}

# JSON as Python's reader yields it: with NaN, huge numbers and lone surrogates.
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(st.characters(), max_size=40)
    | st.sampled_from(["https://cdn.test/a.mp4", "2025-01-14T14:00:31Z", "succeeded", "failed"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


def loosely(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Generate objects with some of the fields, right or wrong, or any other JSON."""
    return st.fixed_dictionaries({}, optional={k: v | JSON for k, v in fields.items()}) | JSON


WORDS = st.sampled_from(
    ["pending", "processing", "running", "queued", "succeeded", "completed", "failed", "cancelled"]
)
ERROR = loosely(code=st.sampled_from(["used_up", "x"]), message=st.text())
VIDEO = loosely(state=WORDS, status=WORDS, video_url=st.just("https://cdn.test/a.mp4"))
NOWS = st.floats(0, 2e9)
TIME = NOWS | st.datetimes(timezones=st.timezones()).map(str) | st.datetimes().map(str)
RESPONSE = loosely(
    success=st.booleans(), data=st.lists(VIDEO, max_size=3) | VIDEO, error=ERROR, task_id=st.text()
)
RECORD = loosely(
    id=st.just("t"),
    created_at=TIME,
    started_at=TIME,
    finished_at=TIME,
    elapsed=TIME,
    request=loosely(prompt=st.text(), model=st.text(), first_image_url=st.text()),
    response=RESPONSE,
    status=WORDS,
    content=loosely(url=st.just("https://cdn.test/a.mp4")),
    error=ERROR,
)


@given(value=RECORD | st.fixed_dictionaries({"task": RECORD}), now=NOWS)
def test_any_json_becomes_an_answer_that_fits_its_schema(value: Any, now: float) -> None:
    answer = summarize_task("t", read_record(value), now=now, max_wait_seconds=50).as_data()

    SCHEMAS["retrieve_task"].validate(answer)
    compact_json(answer).encode()
    assert answer["final"] is (answer["state"] in {"succeeded", "failed", "not_found"})


@given(value=loosely(items=st.lists(RECORD, max_size=4), count=st.integers(), total=st.integers()))
def test_any_json_as_a_batch_becomes_an_answer_that_fits_its_schema(value: Any) -> None:
    page = asyncio.run(read_page(value, ["t", "u"]))
    answer = summarize_batch(
        ["t", "u"], LookupResult(page.records if page else {}, {}), now=NOW, max_wait_seconds=50
    ).as_data()

    SCHEMAS["retrieve_tasks_batch"].validate(answer)
    assert [task["task_id"] for task in answer["tasks"]] == ["t", "u"]
    assert sum(answer["counts"].values()) == 2


@given(status=st.integers(100, 599), body=loosely(error=ERROR | st.text(), trace_id=st.text()))
def test_any_json_as_an_error_body_becomes_an_error_of_bounded_length(
    status: int, body: Any
) -> None:
    message = model_text(error_from_response(status, body, at_base_url=" at https://api.test"))

    assert f"HTTP {status}" in message
    assert len(message) < 1000
    assert (read_error_body(body).code or "") in message


@given(text=st.text(st.characters()), limit=st.integers(2, 50))
def test_cleaned_text_is_one_short_line_that_can_be_written_down(text: str, limit: int) -> None:
    cleaned = clean_text(text, limit)

    assert len(cleaned) <= limit
    assert cleaned == " ".join(cleaned.split())
    cleaned.encode()


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schemas_are_valid_json_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name].schema)
