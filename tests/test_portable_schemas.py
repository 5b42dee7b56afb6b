"""Input schemas that every provider's converter carries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from memories_mcp.operation import Operation
from memories_mcp.operations import OPERATIONS

TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict,
}  # fmt: skip
KEYWORDS = {
    "type", "description", "properties", "required", "items", "enum", "default", "additionalProperties",
    "minimum", "maximum", "minItems", "maxItems",
}  # fmt: skip


def schemas(schema: object) -> Iterator[dict[str, Any]]:
    assert isinstance(schema, dict), "a boolean schema"
    node = cast(dict[str, Any], schema)
    yield node
    for child in [*node.get("properties", {}).values(), *([node["items"]] if "items" in node else [])]:
        yield from schemas(child)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_part_of_an_input_schema_has_one_type_and_plain_keywords(operation: Operation[Any, Any]) -> None:
    for node in schemas(operation.input_schema):
        assert node.keys() <= KEYWORDS
        kind = node["type"]
        assert kind in TYPES
        if "enum" in node:
            assert kind == "string"
            assert all(isinstance(value, str) for value in node["enum"])
        if "default" in node:
            assert isinstance(node["default"], TYPES[kind])
            assert kind == "boolean" or not isinstance(node["default"], bool)
            assert node["default"] in node.get("enum", [node["default"]])
