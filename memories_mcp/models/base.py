"""Base classes of the models: arguments, results and the API's responses, each read tolerantly."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, NamedTuple, Self, TypeVar, cast, get_args

from pydantic import (
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    model_validator,
)

from memories_mcp.models.argument_names import describe_unknown, resolve_names
from memories_mcp.models.coercions import (
    Count,
    drop_missing,
    is_missing,
    wire_names,
)
from memories_mcp.models.ids import Namespace
from memories_mcp.models.spellings import Reader, Unreadable, is_blank, longest_wait, make_reader


class Input(BaseModel):
    """Arguments of an operation: closed, immutable, every field described by the docstring below it."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    _reading_notes: tuple[str, ...] = PrivateAttr(default=())

    @property
    def reading_notes(self) -> tuple[str, ...]:
        """Sentences on arguments that were read as another value than the caller sent."""
        return self._reading_notes

    @model_validator(mode="wrap")
    @classmethod
    def _read_spellings(cls, raw: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Read the arguments as language models and their hosts write them; a blank one counts as left out."""
        if not isinstance(raw, Mapping):
            return handler(raw)
        values, notes = _read_values(cls, cast(Mapping[str, Any], raw))
        args = handler(values)
        args._reading_notes = tuple(notes)
        return args

    def wire(self) -> dict[str, Any]:
        """Return the arguments under the API's names, without those that are `None`."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class PrivateInput(Input):
    """Arguments of an operation on the caller's own library."""

    unique_id: Namespace | None = None
    """Namespace."""


class ConfirmableInput(Input):
    """Arguments of an operation that cannot be undone."""

    confirmation_token: str | None = Field(default=None, exclude=True)
    """From the preview; agreement counts only if the user saw it or asked for exactly this."""


@cache
def _readers(model: type[Input]) -> dict[str, Reader]:
    """Return the readers of a model's arguments; an argument without one is read by pydantic alone."""
    readers = {name: make_reader(field, _read_nested) for name, field in model.model_fields.items()}
    return {name: read for name, read in readers.items() if read}


def _read_values(model: type[Input], raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a call's arguments as the model expects them, without the blank ones, and notes on changed values."""
    readers = _readers(model)
    values: dict[str, Any] = {}
    notes: list[str] = []
    for name, value in raw.items():
        field = model.model_fields.get(name)
        if is_blank(value) or (value == "null" and field and not field.is_required()):
            continue
        if read := readers.get(name):
            read_value = read(value)
            # An empty list is no value for an optional argument, and blanks alone are none for a required one.
            if read_value == [] and field and (value != [] or not field.is_required()):
                continue
            value = read_value
        longest = longest_wait(field) if field else None
        if longest is not None and isinstance(value, int | float):
            value = math.ceil(value)
            if value > longest:
                value = longest
                notes.append(f"{name} was cut to {longest}, the longest wait of one call.")
        values[name] = value
    return values, notes


def _read_nested(model: type[BaseModel], value: Any) -> Any:
    """Return the arguments of an object inside an argument under their own names."""
    if not isinstance(value, Mapping):
        return value
    names = resolve_names(model.model_fields, cast(Mapping[str, Any], value))
    if names.unknown:
        return Unreadable(describe_unknown(names.unknown[0], model.model_fields).rstrip("."), value)
    return names.values


class Wire(BaseModel):
    """A response of the API: unknown fields are ignored, both casings are read, `null` is an empty object."""

    model_config = ConfigDict(
        extra="ignore",
        defer_build=True,
        alias_generator=AliasGenerator(validation_alias=lambda name: wire_names(name)),
    )

    _drop_missing = model_validator(mode="before")(drop_missing)


@dataclass(frozen=True)
class NotInText:
    """Annotation of a field that only structured content shows: a program needs it, and a reader has no use for it."""


class Row(BaseModel):
    """A part of a result; read from the wire like `Wire`, and by field name where our own code builds the part."""

    model_config = ConfigDict(
        extra="ignore",
        defer_build=True,
        populate_by_name=True,
        alias_generator=AliasGenerator(validation_alias=lambda name: wire_names(name)),
    )

    _drop_missing = model_validator(mode="before")(drop_missing)


class Picture(NamedTuple):
    """A picture that belongs to a result.

    Attributes:
        data: The encoded picture.
        mime_type: Its type, such as `image/jpeg`.
    """

    data: bytes
    mime_type: str


class Output(Row):
    """The result of an operation; validates the API's response directly where both have the same shape."""

    note: str | None = None
    """What was left out or can be done next."""
    _quotations: list[str] = PrivateAttr(default_factory=list[str])
    _pictures: list[Picture] = PrivateAttr(default_factory=list[Picture])

    @property
    def pictures(self) -> list[Picture]:
        """Pictures that a surface shows after the text; structured content does not hold them."""
        return self._pictures

    @property
    def quotations(self) -> list[str]:
        """Sentences of the note that hold text of the service: the text form shows them inside the fence."""
        return self._quotations

    def quote(self, sentences: Sequence[str]) -> None:
        """Add sentences that hold text of the service to the note."""
        self._quotations += sentences

    def add_note(self, note: str | None) -> None:
        """Add a sentence to the note."""
        self.note = " ".join(part for part in (self.note, note) if part) or None

    def structured(self) -> dict[str, Any]:
        """Return the result as JSON data without the fields that have their default."""
        fields = self.model_dump(mode="json", exclude_defaults=True)
        if self._quotations:
            fields["note"] = " ".join([*self._quotations, *filter(None, [self.note])])
        return fields


class JsonOutput(Output):
    """A result whose text is its structured form as JSON, where the contract of a client requires exactly these fields.

    The note has no field of its own: it follows the prose, if there is prose.

    Attributes:
        prose: The field with untrusted prose, which the text fences; empty if there is none.
    """

    prose: ClassVar[str] = ""

    def structured(self) -> dict[str, Any]:
        """Return the result as JSON data without the note."""
        return self.structured_with(getattr(self, self.prose, ""))

    def structured_with(self, prose: str) -> dict[str, Any]:
        """Return the result as JSON data, with another form of the prose, which the note follows."""
        fields = self.model_dump(mode="json", exclude_defaults=True, exclude={"note"})
        if self.prose:
            fields[self.prose] = "\n".join(part for part in (prose, self.note) if part)
        return fields


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
