"""What an operation is: an input model and a typed async function, recorded by a decorator.

Everything else (MCP tool, LangChain tool, command line, documentation, contract tests) is derived from the records.
"""

from __future__ import annotations

import difflib
import inspect
import json
import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar, cast, get_args, get_origin

from pydantic import AliasGenerator, BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails

from memories_mcp.api import Api, Endpoint
from memories_mcp.errors import InvalidArguments
from memories_mcp.files import Files
from memories_mcp.schema import json_schema
from memories_mcp.wire import names, without_nothings


class Input(BaseModel):
    """Arguments of an operation: closed, immutable, every field described under itself."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)

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


class Private(Input):
    """Arguments of an operation on the caller's own library."""

    unique_id: str | None = None
    """Namespace; leave out for the default one."""


class Confirmable(Input):
    """Arguments of an operation that cannot be undone."""

    confirmation_token: str | None = None
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
        use_attribute_docstrings=True,
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


class Effect(Enum):
    """What calling an operation does to the world."""

    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"

    @property
    def hints(self) -> dict[str, bool]:
        """The behaviour hints of MCP, in snake_case."""
        return {
            "read_only_hint": self is Effect.READ,
            "destructive_hint": self is Effect.DESTRUCTIVE,
            "idempotent_hint": self is not Effect.WRITE,
            "open_world_hint": True,
        }


class Preview(Row):
    """What would be lost, shown before anything is sent."""

    action: str
    """What will happen, in one sentence."""
    items: list[str]
    """What it happens to, one line each."""


class Pending(Row):
    """Nothing was done yet: the same call with the token does it."""

    action: str
    """What will happen, in one sentence."""
    items: list[str] = []
    """What it happens to, one line each."""
    confirmation_token: str
    """Pass it back with the same arguments, after the user agreed."""
    expires_in_seconds: int
    """How long the token is valid."""


class Context(Protocol):
    """What an operation gets from whoever calls it: MCP, LangChain or the command line."""

    @property
    def api(self) -> Api:
        """The API, with the caller's key."""
        ...

    @property
    def files(self) -> Files:
        """The files the caller opened to tools."""
        ...

    @property
    def callback_url(self) -> str | None:
        """Where the operator wants the service to report; never an argument, or a model could send data anywhere."""
        ...

    @property
    def follows(self) -> bool:
        """Whether anybody follows the progress, so that streaming an answer is of use."""
        ...

    async def progress(self, done: float, total: float | None, message: str) -> None:
        """Say how far it is; a no-op where nobody follows."""
        ...

    async def confirm(self, preview: Preview) -> Pending | None:
        """Ask before what cannot be undone.

        Returns:
            `None` to go on, or what the result must carry so that a second call can confirm.

        Raises:
            Declined: A person said no.
        """
        ...


In = TypeVar("In", bound=Input)
Out = TypeVar("Out", bound=Output)
Handler = Callable[[Context, In], Awaitable[Out]]


@dataclass(frozen=True)
class Operation(Generic[In, Out]):
    """One operation, as the decorator recorded it."""

    name: str
    title: str
    description: str
    toolset: str
    effect: Effect
    endpoints: tuple[Endpoint, ...]
    input: type[In]
    output: type[Out]
    function: Handler[In, Out] = field(repr=False)

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        """The JSON Schema of the arguments; one object, served by every surface."""
        return json_schema(self.input, "validation")

    @cached_property
    def output_schema(self) -> dict[str, Any]:
        """The JSON Schema of the structured result."""
        return json_schema(self.output, "serialization")

    @property
    def example(self) -> dict[str, Any]:
        """A valid call: the first example of each argument that has one."""
        return {name: each.examples[0] for name, each in self.input.model_fields.items() if each.examples}

    def schema_without(self, pinned: Mapping[str, Any]) -> dict[str, Any]:
        """The input schema for callers whose arguments named in `pinned` are fixed."""
        schema = self.input_schema
        if not pinned.keys() & schema["properties"].keys():
            return schema
        kept = {name: each for name, each in schema["properties"].items() if name not in pinned}
        return {**schema, "properties": kept}

    def validate(self, raw: Mapping[str, Any] | None, pinned: Mapping[str, Any]) -> In:
        """Turn raw arguments into the input model, the same way on every surface.

        Raises:
            InvalidArguments: One line a field; pinned and unknown arguments are refused.
        """
        raw = raw or {}
        known = [name for name in self.input.model_fields if name not in pinned]
        unknown = [_unknown(name, known) for name in raw if name not in known]
        fixed = {name: value for name, value in pinned.items() if name in self.input.model_fields}
        given = {name: value for name, value in raw.items() if name in known}
        try:
            args = self.input.model_validate({**given, **fixed})
        except ValidationError as error:
            raise InvalidArguments([*unknown, *(_problem(each) for each in error.errors())]) from None
        if unknown:
            raise InvalidArguments(unknown)
        return args


def _unknown(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    shown = name if len(name) <= 60 else f"{name[:60]}…"
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known) or 'none'}."
    return f"{shown}: unknown argument; {hint}"


def _problem(error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "arguments"
    if error["type"] == "missing":
        return f"{where}: required."
    message = error["msg"].removeprefix("Value error, ")
    given = error["input"]
    if isinstance(given, str | int | float | bool):
        shown = str(given)
        message += f" (got {shown[:60]!r}{'…' if len(shown) > 60 else ''})"
    return f"{where}: {message}."


@dataclass(frozen=True)
class Toolset:
    """A group of operations that an operator switches as one.

    Attributes:
        name: As written in `--toolsets`.
        about: What it is for, in one sentence.
        default: Whether it is offered when nothing is said.
        operations: In the order of their definition.
    """

    name: str
    about: str
    default: bool = True
    operations: list[Operation[Any, Any]] = field(default_factory=list[Operation[Any, Any]], repr=False)

    def operation(
        self, *, title: str, effect: Effect, endpoints: Sequence[Endpoint]
    ) -> Callable[[Handler[In, Out]], Handler[In, Out]]:
        """Record a function as an operation of this toolset and hand it back unchanged.

        The name is the function's, the description its docstring, the models its annotations.
        """

        def record(function: Handler[In, Out]) -> Handler[In, Out]:
            hints = typing.get_type_hints(function)
            returned = cast(type[Out], hints.pop("return"))
            self.operations.append(
                Operation(
                    name=function.__name__,
                    title=title,
                    description=inspect.cleandoc(function.__doc__ or ""),
                    toolset=self.name,
                    effect=effect,
                    endpoints=tuple(endpoints),
                    input=cast(type[In], hints["args"]),
                    output=returned,
                    function=function,
                )
            )
            return function

        return record


__all__ = [
    "Confirmable",
    "Context",
    "Effect",
    "Input",
    "Operation",
    "Output",
    "Pending",
    "Preview",
    "Private",
    "Row",
    "Toolset",
]
