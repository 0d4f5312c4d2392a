"""JSON Schemas as hosts can read them."""

from typing import Annotated

from pydantic import BaseModel, Field

from hailuo_tasks_mcp.tools.schema import flat_schema


def test_a_nested_model_is_inlined_with_its_fields_own_description() -> None:
    class Inner(BaseModel):
        """Not for hosts."""

        number: int

    class Outer(BaseModel):
        """Not for hosts either."""

        inner: Annotated[Inner | None, Field(description="What it is for.")] = None
        several: list[Inner]
        seconds: int = 0

    inner = {
        "type": "object",
        "properties": {"number": {"type": "integer"}},
        "required": ["number"],
    }
    assert flat_schema(Outer, "validation") == {
        "type": "object",
        "properties": {
            "inner": {"description": "What it is for.", **inner},
            "several": {"type": "array", "items": inner},
            "seconds": {"type": "integer", "default": 0},
        },
        "required": ["several"],
    }
