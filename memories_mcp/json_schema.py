"""JSON Schemas that every provider and client takes, made from pydantic models.

No `title` keys, no `anyOf` for optionals, no defaults of `null`: hosts reject or misread them, and they cost tokens.
Lengths of strings are checked and explained when a call breaks them; no model needs them to make one.
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
"""One JSON file a tool, written by `make definitions` and compared with the code by a test."""


def written_definition(name: str) -> dict[str, Any]:
    """What models see of a tool: its file in `DEFINITIONS`.

    Raises:
        ConfigurationError: `make definitions` was not run after the operation was added.
    """
    try:
        return json.loads((DEFINITIONS / f"{name}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"The tool {name} has no definition.", next_step="Run `make definitions`.") from None


class _Plain(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if self.mode == "serialization" or made.get("default") in (None, [], ""):
            made.pop("default", None)
        return made

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        return {"type": "string"}

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        made.pop("title", None)
        if made.get("description") == "":
            del made["description"]
        return made


def json_schema(model: type[BaseModel], mode: Literal["validation", "serialization"]) -> dict[str, Any]:
    """The model's schema: `validation` for arguments, `serialization` for results."""
    made = model.model_json_schema(by_alias=False, schema_generator=_Plain, mode=mode)
    made.pop("description", None)  # the tool's own description says it
    for each in made.get("properties", {}).values():
        each.pop("examples", None)
    return _inlined(made, made.pop("$defs", {})) if mode == "validation" else made


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    """References replaced by what they name: some providers do not follow them in arguments."""
    if isinstance(node, list):
        return [_inlined(each, definitions) for each in cast(list[Any], node)]
    if not isinstance(node, dict):
        return node
    found = cast(dict[str, Any], node)
    if "$ref" in found:
        return _inlined(definitions[str(found["$ref"]).rsplit("/", 1)[1]], definitions)
    return {name: _inlined(each, definitions) for name, each in found.items()}
