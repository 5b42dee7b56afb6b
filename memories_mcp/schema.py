"""JSON Schemas that every provider and client takes, made from pydantic models.

No `title` keys, no `anyOf` for optionals, no defaults of `null`: hosts reject or misread them, and they cost tokens.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema


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
    return made
