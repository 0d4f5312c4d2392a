"""Flat JSON Schemas.

Several hosts do not support `anyOf`, `$ref` and `$defs`, and a generated `title` only costs a model
tokens. So definitions are inlined, null is left out, and there are no generated titles.
"""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import core_schema


class _FlatSchema(GenerateJsonSchema):
    """A field that may be None is one that may be left out, so neither null nor default shows."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        if schema.get("default") is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def flat_schema(model: type[BaseModel], mode: JsonSchemaMode) -> dict[str, Any]:
    """Return the JSON Schema of `model`, flat: no `$ref`, no `$defs`, no titles."""
    schema = model.model_json_schema(mode=mode, schema_generator=_FlatSchema)
    definitions = schema.pop("$defs", {})
    for node in (schema, *definitions.values()):
        # The name and docstring of a class are for readers of the code.
        node.pop("title", None)
        node.pop("description", None)

    def flat(node: Any) -> Any:
        if isinstance(node, list):
            return [flat(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            node = definitions[name] | {k: v for k, v in node.items() if k != "$ref"}
        return {key: flat(value) for key, value in node.items()}

    flattened: dict[str, Any] = flat(schema)
    return flattened
