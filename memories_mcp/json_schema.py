"""Portable JSON Schemas of pydantic models, and the generated tool definitions.

The schemas have no `title` keys, no `anyOf` for optionals and no `null` defaults: some providers reject or misread
these, and all of them cost tokens. Lengths of strings and lists, lower limits of 0 and 1, and defaults of 0, 1 and
false are omitted too: models keep them anyway, and validation enforces limits and explains violations.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from memories_mcp.errors import ConfigurationError

DEFINITIONS = Path(__file__).with_name("definitions")
"""Folder with one JSON file per tool, written by `make definitions`; a test compares the files with the code."""


def load_definition(name: str) -> dict[str, Any]:
    """Return a tool's definition (name, title, description, annotations, schemas) from its file in `DEFINITIONS`.

    Raises:
        ConfigurationError: The file is missing because `make definitions` was not run.
    """
    try:
        return json.loads((DEFINITIONS / f"{name}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"The tool {name} has no definition.", next_step="Run `make definitions`.") from None


class _PortableSchema(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        json_schema = super().default_schema(schema)
        if self.mode == "serialization" or json_schema.get("default") in (None, [], "", 0, 1):  # False and True too
            json_schema.pop("default", None)
        return json_schema

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        return {"type": "string"}

    def list_schema(self, schema: core_schema.ListSchema) -> JsonSchemaValue:
        return {
            "type": "array",
            "items": self.generate_inner(schema["items_schema"]) if "items_schema" in schema else {},
        }

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        return _without_low_minimum(super().int_schema(schema))

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        return _without_low_minimum(super().float_schema(schema))

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        json_schema = super().model_schema(schema)
        json_schema.pop("title", None)
        if json_schema.get("description") == "":
            del json_schema["description"]
        return json_schema


def _without_low_minimum(schema: JsonSchemaValue) -> JsonSchemaValue:
    if schema.get("minimum") in (0, 1):
        del schema["minimum"]
    return schema


def json_schema(model: type[BaseModel], mode: Literal["validation", "serialization"]) -> dict[str, Any]:
    """Return a model's JSON Schema: mode `validation` for arguments, `serialization` for results."""
    schema = model.model_json_schema(by_alias=False, schema_generator=_PortableSchema, mode=mode)
    schema.pop("description", None)  # repeats the tool's description
    for property_schema in schema.get("properties", {}).values():
        property_schema.pop("examples", None)
    if mode == "serialization":
        return schema
    definitions = schema.pop("$defs", {})
    for definition in definitions.values():
        definition.pop("description", None)  # repeats that of the argument
    return _resolve_references(schema, definitions)


def _resolve_references(node: Any, definitions: dict[str, Any]) -> Any:
    """Return a schema with each `$ref` replaced by its target: some providers do not resolve them in arguments."""
    if isinstance(node, list):
        return [_resolve_references(item, definitions) for item in cast(list[Any], node)]
    if not isinstance(node, dict):
        return node
    schema = cast(dict[str, Any], node)
    if "$ref" in schema:
        return _resolve_references(definitions[str(schema["$ref"]).rsplit("/", 1)[1]], definitions)
    return {name: _resolve_references(value, definitions) for name, value in schema.items()}
