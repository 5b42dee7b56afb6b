"""What an operation is: an input model and a typed async function, recorded by a decorator.

Everything else (MCP tool, LangChain tool, command line, documentation, contract tests) is derived from the records.
"""

from __future__ import annotations

import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, Generic, TypeVar, cast, get_args

from memories_mcp.api import Endpoint
from memories_mcp.context import Context
from memories_mcp.file_access import LOCAL
from memories_mcp.json_schema import written_definition
from memories_mcp.models.base import Input, Output
from memories_mcp.validation import validate


class Effect(Enum):
    """What calling an operation does to the world."""

    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"

    @property
    def hints(self) -> dict[str, bool]:
        """The annotations of an MCP tool."""
        return {
            "readOnlyHint": self is Effect.READ,
            "destructiveHint": self is Effect.DESTRUCTIVE,
            "idempotentHint": self is not Effect.WRITE,
            "openWorldHint": True,
        }


In = TypeVar("In", bound=Input)


Out = TypeVar("Out", bound=Output)


Handler = Callable[[Context, In], Awaitable[Out]]
Definer = Callable[["Operation[Any, Any]"], dict[str, Any]]


def _written(operation: Operation[Any, Any]) -> dict[str, Any]:
    return written_definition(operation.name)


@dataclass(frozen=True)
class Operation(Generic[In, Out]):
    """One operation, as the decorator recorded it."""

    name: str
    title: str
    toolset: str
    effect: Effect
    endpoints: tuple[Endpoint, ...]
    input: type[In]
    output: type[Out]
    function: Handler[In, Out] = field(repr=False)
    define: Definer = field(repr=False)

    @cached_property
    def definition(self) -> dict[str, Any]:
        """What models see: name, title, description, annotations and schemas, in the shape of MCP's `Tool`."""
        return self.define(self)

    @property
    def description(self) -> str:
        """The description that models see."""
        return self.definition["description"]

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

    def definition_without(self, pinned: Mapping[str, Any]) -> dict[str, Any]:
        """The definition for callers whose arguments named in `pinned` are fixed."""
        schema = self.input_schema
        if not pinned.keys() & schema["properties"].keys():
            return self.definition
        properties = {name: value for name, value in schema["properties"].items() if name not in pinned}
        return {**self.definition, "inputSchema": {**schema, "properties": properties}}

    def validate(self, raw: Mapping[str, Any] | None, pinned: Mapping[str, Any]) -> In:
        """Turn raw arguments into the input model, the same way on every surface.

        Raises:
            InvalidArguments: One line a field; pinned and unknown arguments are refused.
        """
        return validate(self.input, raw or {}, pinned)


def _marks(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__metadata__", ())


@dataclass(frozen=True)
class Toolset:
    """A group of operations that an operator switches as one.

    Attributes:
        name: As written in `--toolsets`.
        about: What it is for, in one sentence.
        default: Whether it is offered without `--toolsets`.
        define: Gives the definition of an operation; the product's are files that `make definitions` writes.
        operations: In the order of their definition.
    """

    name: str
    about: str
    default: bool = True
    define: Definer = field(default=_written, repr=False)
    operations: list[Operation[Any, Any]] = field(default_factory=list[Operation[Any, Any]], repr=False)

    def operation(
        self, *, title: str, effect: Effect, endpoints: Sequence[Endpoint]
    ) -> Callable[[Handler[In, Out]], Handler[In, Out]]:
        """Record a function as an operation of this toolset and return it unchanged.

        The name is the function's, the description its docstring, the models its annotations.

        Args:
            title: The title that clients show.
            effect: What a call does to the world.
            endpoints: Every endpoint that the function may call.
        """

        def record(function: Handler[In, Out]) -> Handler[In, Out]:
            hints = typing.get_type_hints(function)
            returned = cast(type[Out], hints.pop("return"))
            self.operations.append(
                Operation(
                    name=function.__name__,
                    title=title,
                    toolset=self.name,
                    effect=effect,
                    endpoints=tuple(endpoints),
                    input=cast(type[In], hints["args"]),
                    output=returned,
                    function=function,
                    define=self.define,
                )
            )
            return function

        return record
