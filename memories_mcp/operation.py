"""What an operation is: an input model and a typed async function, recorded by a decorator.

Everything else (MCP tool, LangChain tool, command line, documentation, contract tests) is derived from the records.
"""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from memories_mcp.api import Api, Endpoint
from memories_mcp.errors import InvalidArguments
from memories_mcp.files import LOCAL, Files
from memories_mcp.schema import definition, json_schema
from memories_mcp.shapes import Confirmable, Input, Output, Private, Row, parts


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


ProgressKind = Literal["status", "thinking", "answer"]
"""What a message of progress is: where the work stands, a step of reasoning, or the answer so far."""


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


class Progress(NamedTuple):
    """How far a call is; `done` only grows."""

    done: float
    total: float | None
    message: str
    kind: ProgressKind = "status"


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

    async def progress(self, done: float, total: float | None, message: str, kind: ProgressKind = "status") -> None:
        """Say how far it is; a no-op where nobody follows. The message of an `answer` is all of it so far."""
        ...

    def changed(self, *uris: str) -> None:
        """Say which resources are no longer what they were, so that subscribers read them again."""
        ...

    async def confirm(self, preview: Preview) -> Pending | None:
        """Ask before what cannot be undone.

        Returns:
            `None` to go on, or what the result must carry so that a second call can confirm.

        Raises:
            Declined: A person said no.
        """
        ...


M = TypeVar("M", bound=BaseModel)
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
    def definition(self) -> dict[str, Any]:
        """What models see of it, as written; made from the models where nothing was written yet."""
        return definition(self.name) or {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "annotations": self.effect.hints,
            "inputSchema": json_schema(self.input, "validation"),
            "outputSchema": json_schema(self.output, "serialization"),
        }

    @property
    def input_schema(self) -> dict[str, Any]:
        """The JSON Schema of the arguments; one object, served by every surface."""
        return self.definition["inputSchema"]

    @property
    def output_schema(self) -> dict[str, Any]:
        """The JSON Schema of the structured result."""
        return self.definition["outputSchema"]

    @cached_property
    def uses_files(self) -> bool:
        """Whether it reads or writes files of the caller's."""
        return any(
            LOCAL in (*each.metadata, *(mark for part in get_args(each.annotation) for mark in _marks(part)))
            for each in self.input.model_fields.values()
        )

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
            args = validated(self.input, {**given, **fixed})
        except InvalidArguments as error:
            raise InvalidArguments([*unknown, *error.problems]) from None
        if unknown:
            raise InvalidArguments(unknown)
        return args


def validated(model: type[M], values: Mapping[str, Any]) -> M:
    """Values as a model.

    Raises:
        InvalidArguments: One line a field.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise InvalidArguments([_problem(each) for each in error.errors()]) from None


def _marks(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__metadata__", ())


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
    "Progress",
    "ProgressKind",
    "Row",
    "Toolset",
    "parts",
    "validated",
]
