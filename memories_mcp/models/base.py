"""Base classes of the models: arguments, results and the API's responses, each read tolerantly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin

from pydantic import (
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from memories_mcp.models.coercions import (
    Count,
    drop_missing,
    is_missing,
    wire_names,
)
from memories_mcp.models.ids import Namespace


class Input(BaseModel):
    """Arguments of an operation: closed, immutable, every field described by the docstring below it."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _accept_model_spellings(cls, raw: Any) -> Any:
        """Accept what language models write: lists as JSON text or as one value, `null` for an omitted argument."""
        if not isinstance(raw, dict):
            return raw
        values = dict(cast(dict[str, Any], raw))
        for name, field in cls.model_fields.items():
            if name not in values:
                continue
            if not field.is_required() and (values[name] is None or values[name] == "null"):
                del values[name]
            elif _is_list(field.annotation) and not isinstance(values[name], list):
                values[name] = _parse_list(values[name])
        return values

    def wire(self) -> dict[str, Any]:
        """Return the arguments under the API's names, without those that are `None`."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class PrivateInput(Input):
    """Arguments of an operation on the caller's own library."""

    unique_id: Namespace | None = None
    """Namespace; leave out for the default one."""


class ConfirmableInput(Input):
    """Arguments of an operation that cannot be undone."""

    confirmation_token: str | None = Field(default=None, exclude=True)
    """From the preview that the first call returned; only after the user agreed."""


def _is_list(annotation: Any) -> bool:
    """Return whether an annotation is a list or a union with one."""
    return get_origin(annotation) is list or any(get_origin(member) is list for member in get_args(annotation))


def _parse_list(value: Any) -> Any:
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return [value]
    return [value]


class Wire(BaseModel):
    """A response of the API: unknown fields are ignored, both casings are read, `null` is an empty object."""

    model_config = ConfigDict(
        extra="ignore",
        defer_build=True,
        alias_generator=AliasGenerator(validation_alias=lambda name: wire_names(name)),
    )

    _drop_missing = model_validator(mode="before")(drop_missing)


class Row(BaseModel):
    """A part of a result; read from the wire like `Wire`, and by field name where our own code builds the part."""

    model_config = ConfigDict(
        extra="ignore",
        defer_build=True,
        populate_by_name=True,
        alias_generator=AliasGenerator(validation_alias=lambda name: wire_names(name)),
    )

    _drop_missing = model_validator(mode="before")(drop_missing)


class Output(Row):
    """The result of an operation; validates the API's response directly where both have the same shape."""

    note: str | None = None
    """What was left out or can be done next."""

    def add_note(self, note: str | None) -> None:
        """Add a sentence to the note."""
        self.note = " ".join(part for part in (self.note, note) if part) or None

    def structured(self) -> dict[str, Any]:
        """Return the result as JSON data without the fields that have their default."""
        return self.model_dump(mode="json", exclude_defaults=True)


class Page(Output):
    """A result that comes in pages."""

    page: Annotated[int, BeforeValidator(lambda value: 1 if is_missing(value) else value)] = Field(
        default=1, validation_alias=wire_names("current_page", "page")
    )
    """This page's number, from 1."""
    total: Count = Field(default=None, validation_alias=wire_names("total_count", "total"))
    """How many there are in all, as the API counts them."""


ModelT = TypeVar("ModelT", bound=BaseModel)


def iter_parts(row: BaseModel, kind: type[ModelT]) -> Iterator[ModelT]:
    """Yield every part of a result that is an instance of `kind`, in order, the result itself first."""
    if isinstance(row, kind):
        yield row
    for name in _fields_with_models(type(row)):
        value: object = getattr(row, name)
        for item in cast(list[Any], value) if isinstance(value, list) else [value]:
            if not isinstance(item, BaseModel):
                break  # a list holds one type; transcripts hold tens of thousands of raw rows
            yield from iter_parts(item, kind)


@cache
def _fields_with_models(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the fields that can hold models; skipping the others keeps `parts` cheap for long lists."""
    return tuple(name for name, field in model.model_fields.items() if _mentions_model(field.annotation))


def _mentions_model(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return True
    return annotation is Any or any(map(_mentions_model, get_args(annotation)))
