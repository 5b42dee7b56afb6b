"""What goes into an operation and comes out of it: models read as tolerantly as models and wires write."""

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
    missing,
    names,
    without_nothings,
)
from memories_mcp.models.ids import Namespace


class Input(BaseModel):
    """Arguments of an operation: closed, immutable, every field described under itself."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _as_models_write(cls, raw: Any) -> Any:
        """Accepts what language models send: lists as JSON text or as one value, `null` for "left out"."""
        if not isinstance(raw, dict):
            return raw
        values = dict(cast(dict[str, Any], raw))
        for name, each in cls.model_fields.items():
            if name not in values:
                continue
            if not each.is_required() and (values[name] is None or values[name] == "null"):
                del values[name]
            elif _takes_list(each.annotation) and not isinstance(values[name], list):
                values[name] = _listed(values[name])
        return values

    def wire(self) -> dict[str, Any]:
        """As the API names and wants them; what was left out stays out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class PrivateInput(Input):
    """Arguments of an operation on the caller's own library."""

    unique_id: Namespace | None = None
    """Namespace; leave out for the default one."""


class ConfirmableInput(Input):
    """Arguments of an operation that cannot be undone."""

    confirmation_token: str | None = Field(default=None, exclude=True)
    """From the preview that the first call returned; only after the user agreed."""


def _takes_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(get_origin(each) is list for each in get_args(annotation))


def _listed(value: Any) -> Any:
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return [value]
    return [value]


class Row(BaseModel):
    """A part of a result, read from the wire as tolerantly as that needs."""

    model_config = ConfigDict(
        extra="ignore",
        defer_build=True,
        populate_by_name=True,
        alias_generator=AliasGenerator(validation_alias=lambda name: names(name)),
    )

    _nothings = model_validator(mode="before")(without_nothings)


class Output(Row):
    """The result of an operation; it reads the wire's answer where that has the same shape."""

    note: str | None = None
    """What was left out or can be done next."""

    def structured(self) -> dict[str, Any]:
        """As JSON data, empty fields left out."""
        return self.model_dump(mode="json", exclude_defaults=True)


R = TypeVar("R", bound=BaseModel)


def parts(row: BaseModel, kind: type[R]) -> Iterator[R]:
    """Every part of a result that is of a kind, in order, the result itself first."""
    if isinstance(row, kind):
        yield row
    for name in _holders(type(row)):
        value: object = getattr(row, name)
        for each in cast(list[Any], value) if isinstance(value, list) else [value]:
            if not isinstance(each, BaseModel):
                break  # a list is of one kind; transcripts hold tens of thousands of raw rows
            yield from parts(each, kind)


@cache
def _holders(model: type[BaseModel]) -> tuple[str, ...]:
    """The fields that can hold models; the others need not be looked at, row by row."""
    return tuple(name for name, each in model.model_fields.items() if _mentions_model(each.annotation))


def _mentions_model(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return True
    return annotation is Any or any(map(_mentions_model, get_args(annotation)))


class Page(Output):
    """A result that comes in pages."""

    page: Annotated[int, BeforeValidator(lambda value: 1 if missing(value) else value)] = Field(
        default=1, validation_alias=names("current_page", "page")
    )
    """This page's number, from 1."""
    total: Count = Field(default=None, validation_alias=names("total_count", "total"))
    """How many there are in all, as the API counts them."""


class Wire(BaseModel):
    """What the API sends: unknown fields pass, both casings are read, `null` is an empty object."""

    model_config = ConfigDict(
        extra="ignore",
        defer_build=True,
        alias_generator=AliasGenerator(validation_alias=lambda name: names(name)),
    )

    _nothings = model_validator(mode="before")(without_nothings)
