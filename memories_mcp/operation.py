"""Operations: an input model and a typed async function each, registered in a toolset by a decorator.

MCP tools, LangChain tools, the command line, the documentation and the contract tests are derived from this registry.
"""

from __future__ import annotations

import typing
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, Generic, TypeVar, cast, get_args

from pydantic.fields import FieldInfo

from memories_mcp.api import Endpoint
from memories_mcp.context import Context
from memories_mcp.errors import InvalidArguments
from memories_mcp.file_access import LOCAL, OPTION
from memories_mcp.json_schema import load_definition
from memories_mcp.models.base import Input, Output
from memories_mcp.validation import validate

_NO_FILES = (
    "no file can be written here: that takes MEMORIES_FILES_ROOT, a server that is not read-only, and over HTTP "
    "MEMORIES_HTTP_FILES. Leave it out."
)


class Effect(Enum):
    """The effect of an operation on the user's library and files.

    A chat and a summary are READ: they change no video and no file. Each call is billed and leaves a session behind.
    """

    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"


In = TypeVar("In", bound=Input)
Out = TypeVar("Out", bound=Output)

Handler = Callable[[Context, In], Awaitable[Out]]
DefinitionSource = Callable[["Operation[Any, Any]"], dict[str, Any]]


def _load_definition(operation: Operation[Any, Any]) -> dict[str, Any]:
    return load_definition(operation.name)


@dataclass(frozen=True)
class Operation(Generic[In, Out]):
    """One registered operation.

    Attributes:
        name: The name of the tool; also the name of the function.
        title: The title that MCP clients display.
        toolset: The name of the toolset.
        whole_account: Whether a call reaches the videos of all namespaces.
        effect: The effect of a call.
        idempotent: Whether a second call with the same arguments changes and costs nothing more.
        endpoints: Every endpoint that the function may call.
        input: The model of the arguments.
        output: The model of the result.
        function: The async function that carries out the operation.
        define: Returns the definition of the operation.
    """

    name: str
    title: str
    toolset: str
    whole_account: bool
    effect: Effect
    idempotent: bool
    endpoints: tuple[Endpoint, ...]
    input: type[In]
    output: type[Out]
    function: Handler[In, Out] = field(repr=False)
    define: DefinitionSource = field(repr=False)

    @cached_property
    def definition(self) -> dict[str, Any]:
        """Name, title, description, annotations and schemas, as models see them, in the shape of MCP's `Tool`."""
        return self.define(self)

    @property
    def description(self) -> str:
        """The description that models see."""
        return self.definition["description"]

    @property
    def input_schema(self) -> dict[str, Any]:
        """The JSON Schema of the arguments; every surface serves this same object."""
        return self.definition["inputSchema"]

    @property
    def output_schema(self) -> dict[str, Any]:
        """The JSON Schema of the structured result."""
        return self.definition["outputSchema"]

    @property
    def hints(self) -> dict[str, bool]:
        """The annotations of the MCP tool."""
        return {
            "readOnlyHint": self.effect is Effect.READ and not self.file_options,
            "destructiveHint": self.effect is Effect.DESTRUCTIVE,
            "idempotentHint": self.idempotent,
            "openWorldHint": bool(self.endpoints),
        }

    @cached_property
    def uses_files(self) -> bool:
        """Whether an argument is the path of a local file or folder, or a list of such paths."""
        return any(LOCAL in _annotations(field) for field in self.input.model_fields.values())

    @cached_property
    def file_options(self) -> dict[str, Any]:
        """The optional arguments with which the operation writes a file, and their defaults."""
        fields = self.input.model_fields.items()
        return {name: field.default for name, field in fields if OPTION in _annotations(field)}

    @property
    def example(self) -> dict[str, Any]:
        """The arguments of a valid call: the first example of each argument that has one."""
        return {name: argument.examples[0] for name, argument in self.input.model_fields.items() if argument.examples}

    def definition_without(self, withheld: Collection[str]) -> dict[str, Any]:
        """Return the definition without the arguments that a caller cannot set.

        Without its file options, an operation that only reads is marked so.
        """
        schema = self.input_schema
        properties = {name: value for name, value in schema["properties"].items() if name not in withheld}
        if len(properties) == len(schema["properties"]):
            return self.definition
        annotations = dict(self.definition["annotations"])
        if not self.file_options.keys() & properties.keys():
            annotations["readOnlyHint"] = self.effect is Effect.READ
        return {**self.definition, "annotations": annotations, "inputSchema": {**schema, "properties": properties}}

    def validate(self, raw: Mapping[str, Any] | None, pinned: Mapping[str, Any]) -> In:
        """Return the input model with validated arguments.

        Args:
            raw: The arguments as the caller sent them.
            pinned: Arguments that the caller cannot set, by name.

        Raises:
            InvalidArguments: Lists every problem, one line each; pinned and unknown arguments are refused.
        """
        raw = raw or {}
        if refused := raw.keys() & pinned.keys() & self.file_options.keys():
            raise InvalidArguments([f"{name}: {_NO_FILES}" for name in sorted(refused)])
        return validate(self.input, raw, pinned)


def _annotations(argument: FieldInfo) -> list[Any]:
    """Return the metadata of an argument's own `Annotated` type and of the types inside it, such as a list's items."""
    metadata = list(argument.metadata)
    for inner_type in get_args(argument.annotation):
        metadata += getattr(inner_type, "__metadata__", ())
    return metadata


@dataclass(frozen=True)
class Toolset:
    """A group of operations that the operator turns on or off together.

    Attributes:
        name: The name, as used in `--toolsets`.
        about: The purpose, in one sentence.
        default: Whether the toolset is offered without `--toolsets`.
        whole_account: Whether the operations reach the videos of all namespaces; not offered in a fixed namespace.
        define: Returns the definition of an operation; the default loads the file that `make definitions` wrote.
        operations: The operations in the order of their registration.
    """

    name: str
    about: str
    default: bool = True
    whole_account: bool = False
    define: DefinitionSource = field(default=_load_definition, repr=False)
    operations: list[Operation[Any, Any]] = field(default_factory=list[Operation[Any, Any]], repr=False)

    def operation(
        self, *, title: str, effect: Effect, endpoints: Sequence[Endpoint], idempotent: bool | None = None
    ) -> Callable[[Handler[In, Out]], Handler[In, Out]]:
        """Return a decorator that registers a function as an operation and returns the function unchanged.

        The function's name, docstring and annotations give the operation's name, description and models.

        Args:
            title: The title that MCP clients display.
            effect: The effect of a call.
            endpoints: Every endpoint that the function may call.
            idempotent: Whether a second call with the same arguments changes and costs nothing more. By default, that
                holds if every endpoint may be sent twice.
        """
        repeatable = all(endpoint.repeatable for endpoint in endpoints)

        def register(function: Handler[In, Out]) -> Handler[In, Out]:
            hints = typing.get_type_hints(function)
            self.operations.append(
                Operation(
                    name=function.__name__,
                    title=title,
                    toolset=self.name,
                    whole_account=self.whole_account,
                    effect=effect,
                    idempotent=repeatable if idempotent is None else idempotent,
                    endpoints=tuple(endpoints),
                    input=cast(type[In], hints["args"]),
                    output=cast(type[Out], hints["return"]),
                    function=function,
                    define=self.define,
                )
            )
            return function

        return register
