"""The server with the fixtures of the official conformance suite beside its own tools, for `make interop` alone.

The fixtures pass through the product's handlers: tools are operations, questions are asked by `Asking`, resources and
prompts stand in the same registries. What is not offered is listed in `exclusions.toml`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import mcp_types as t
from mcp import MCPError
from mcp.server import Server, ServerRequestContext

from memories_mcp.context import Context
from memories_mcp.errors import MemoriesError
from memories_mcp.models.base import Input, Output
from memories_mcp.operation import Effect, Operation, Toolset
from memories_mcp.runner import Runner
from memories_mcp.server.app import Surface, make_server
from memories_mcp.server.elicitation import Elicitation, NeedsInput
from memories_mcp.server.http.app import running
from memories_mcp.server.prompts import PROMPTS, Argument, Prompt
from memories_mcp.server.resource_types import KINDS, Document, ResourceKind
from memories_mcp.server.tenants import Tenants
from memories_mcp.settings import Settings
from tools.write_definitions import make_definition

fixtures = Toolset("fixtures", "What the conformance suite calls.", define=make_definition)


class Nothing(Input):
    """No arguments."""


class Message(Input):
    """A message to show."""

    message: str
    """The message."""


class Told(Output):
    """A text."""

    text: str


@fixtures.operation(title="Simple text", effect=Effect.READ, endpoints=[])
async def test_simple_text(context: Context, args: Nothing) -> Told:
    """Return a simple text."""
    return Told(text="This is a simple text response for testing.")


@fixtures.operation(title="Error", effect=Effect.READ, endpoints=[])
async def test_error_handling(context: Context, args: Nothing) -> Told:
    """Fail in a way that a model can act on."""
    raise MemoriesError("This tool intentionally returns an error for testing.")


@fixtures.operation(title="Progress", effect=Effect.READ, endpoints=[])
async def test_tool_with_progress(context: Context, args: Nothing) -> Told:
    """Tell its progress three times."""
    for done in (0, 50, 100):
        await context.progress(done, 100, f"{done} of 100")
        await asyncio.sleep(0.05)
    return Told(text="Done.")


@fixtures.operation(title="Logging", effect=Effect.READ, endpoints=[])
async def test_logging_tool(context: Context, args: Nothing) -> Told:
    """Do something worth a log line, which goes to the operator and never to the client."""
    await context.progress(1, 1, "Done")
    return Told(text="Logged where logs belong.")


async def _described(context: Context, args: Input) -> Told:
    """Ask a person something."""
    raise NotImplementedError("answered by a form before it gets here")


def _form_tool(name: str, arguments: type[Input] = Nothing) -> Operation[Any, Any]:
    return Operation(
        name=name, title=name, toolset="fixtures", effect=Effect.READ, endpoints=(), input=arguments, output=Told,
        function=_described, define=make_definition,
    )  # fmt: skip


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_NAME = _object(name={"type": "string"})
_OK = _object(ok={"type": "boolean"})
_OPTIONS = ["option1", "option2", "option3"]
_TITLED = [{"const": f"value{n}", "title": f"Choice {n}"} for n in (1, 2, 3)]
_ENUMS = _object(
    untitledSingle={"type": "string", "enum": _OPTIONS},
    titledSingle={"type": "string", "oneOf": _TITLED},
    legacyEnum={"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["One", "Two", "Three"]},
    untitledMulti={"type": "array", "items": {"type": "string", "enum": _OPTIONS}},
    titledMulti={"type": "array", "items": {"anyOf": _TITLED}},
)
_DEFAULTS = _object(
    name={"type": "string", "default": "John Doe"},
    age={"type": "integer", "default": 30},
    score={"type": "number", "default": 95.5},
    status={"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    verified={"type": "boolean", "default": True},
)

Forms = list[tuple[str, str, dict[str, Any]]]
FORMS: dict[str, Forms] = {
    "test_elicitation": [("answer", "", _object(username={"type": "string"}, email={"type": "string"}))],
    "test_elicitation_sep1034_defaults": [("answer", "Your details", _DEFAULTS)],
    "test_elicitation_sep1330_enums": [("answer", "Your choices", _ENUMS)],
    "test_streaming_elicitation": [("user_name", "What is your name?", _NAME)],
    "test_input_required_result_elicitation": [("user_name", "What is your name?", _NAME)],
    "test_input_required_result_request_state": [("confirm", "Please confirm", _OK)],
    "test_input_required_result_tampered_state": [("confirm", "Please confirm", _OK)],
    "test_input_required_result_multi_round": [
        ("step1", "Step 1: What is your name?", _NAME),
        ("step2", "Step 2: What is your favorite color?", _object(color={"type": "string"})),
    ],
}
"""What each tool asks, one form after the other."""


async def _asked(
    ctx: ServerRequestContext[Any, Any], params: t.CallToolRequestParams, forms: Forms
) -> t.CallToolResult:
    asking = Elicitation(ctx, params)
    answers: list[Any] = []
    for key, message, schema in forms:
        answer = await asking.form(key, message or str((params.arguments or {}).get("message")), schema)
        if answer is None:
            raise MCPError(code=t.INVALID_PARAMS, message="The client cannot be asked.")
        answers.append(answer.model_dump(mode="json", exclude_none=True))
    return t.CallToolResult(content=[t.TextContent(text=f"state-ok: {json.dumps(answers)}")])


async def _needs_sampling(ctx: ServerRequestContext[Any, Any]) -> t.CallToolResult:
    """A tool for clients with a capability that this product never uses."""
    capabilities = ctx.session.client_capabilities
    if capabilities is None or capabilities.sampling is None:
        wanted = t.MissingRequiredClientCapabilityErrorData(
            required_capabilities=t.ClientCapabilities(sampling=t.SamplingCapability())
        )
        raise MCPError(
            code=t.MISSING_REQUIRED_CLIENT_CAPABILITY,
            message="This needs sampling.",
            data=wanted.model_dump(mode="json", by_alias=True, exclude_none=True),
        )
    return t.CallToolResult(content=[t.TextContent(text="There it is.")])


# ---- resources


class Template(Input):
    """Variables of the template."""

    id: str


_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="


class Picture(Document):
    """A binary document."""

    def contents(self, uri: str) -> t.TextResourceContents | t.BlobResourceContents:
        """As base64."""
        return t.BlobResourceContents(uri=uri, mime_type=self.mime_type, blob=base64.b64encode(self._bytes()).decode())

    def _bytes(self) -> bytes:
        return base64.b64decode(self.text)


def _fixed(uri: str, mime_type: str, document: Document) -> ResourceKind[Any]:
    async def read(runner: Runner, args: Nothing) -> Document:
        return document

    return ResourceKind(
        template=uri, fixed=uri, name=uri.rpartition("/")[2], title=uri, description="A fixture.",
        mime_type=mime_type, variables=Nothing, tools=[], read=read,
    )  # fmt: skip


async def _filled(runner: Runner, args: Template) -> Document:
    return Document(
        json.dumps({"id": args.id, "templateTest": True, "data": f"Data for ID: {args.id}"}), "application/json"
    )


TEXT = Document("This is the content of the static text resource.", "text/plain")

RESOURCES: tuple[ResourceKind[Any], ...] = (
    *KINDS,
    _fixed("test://static-text", "text/plain", TEXT),
    _fixed("test://static-binary", "image/png", Picture(_PIXEL, "image/png")),
    _fixed("test://watched-resource", "text/plain", Document("Watched.", "text/plain")),
    ResourceKind(
        template="test://template/{id}/data", name="template", title="Template", description="A fixture.",
        mime_type="application/json", variables=Template, tools=[], read=_filled,
    ),
)  # fmt: skip


# ---- prompts


def _said(text: str) -> list[t.PromptMessage]:
    return [t.PromptMessage(role="user", content=t.TextContent(text=text))]


def _prompt(name: str, write: Callable[[Mapping[str, str]], list[t.PromptMessage]], *arguments: str) -> Prompt:
    return Prompt(
        name=name, title=name, description="A fixture.", tools=[], write=write,
        arguments=[Argument(name=each, description=each) for each in arguments],
    )  # fmt: skip


def _embedding(given: Mapping[str, str]) -> list[t.PromptMessage]:
    held = t.TextResourceContents(uri=given["resourceUri"], mime_type="text/plain", text="Embedded resource content.")
    return [t.PromptMessage(role="user", content=t.EmbeddedResource(resource=held)), *_said("Process it.")]


def _showing(given: Mapping[str, str]) -> list[t.PromptMessage]:
    image = t.ImageContent(data=_PIXEL, mime_type="image/png")
    return [t.PromptMessage(role="user", content=image), *_said("Analyze it.")]


FIXTURE_PROMPTS = (
    _prompt("test_simple_prompt", lambda given: _said("This is a simple prompt for testing.")),
    _prompt(
        "test_prompt_with_arguments",
        lambda given: _said(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"),
        "arg1", "arg2",
    ),
    _prompt("test_prompt_with_embedded_resource", _embedding, "resourceUri"),
    _prompt("test_prompt_with_image", _showing),
    _prompt("test_input_required_result_prompt", lambda given: _said("Never without its context.")),
)  # fmt: skip


def make(settings: Settings, tenants: Tenants) -> Server[Tenants]:
    """The product's server, with the fixtures that ask in front of its own handlers."""
    surface = Surface(resources=RESOURCES, prompts=(*PROMPTS, *FIXTURE_PROMPTS))
    server = make_server(settings, tenants=tenants, surface=surface)
    tools, prompts = _handler(server, "tools/call"), _handler(server, "prompts/get")

    async def call_tool(ctx: ServerRequestContext[Tenants], params: t.CallToolRequestParams) -> Any:
        try:
            if params.name in FORMS:
                return await _asked(ctx, params, FORMS[params.name])
            if params.name == "test_missing_capability":
                return await _needs_sampling(ctx)
        except NeedsInput as needed:
            return needed.result
        return await tools(ctx, params)

    async def get_prompt(ctx: ServerRequestContext[Tenants], params: t.GetPromptRequestParams) -> Any:
        if params.name != "test_input_required_result_prompt":
            return await prompts(ctx, params)
        try:
            context = _object(context={"type": "string"})
            answer = await Elicitation(ctx, params).form("user_context", "What context should the prompt use?", context)
        except NeedsInput as needed:
            return needed.result
        return t.GetPromptResult(messages=_said(f"Context: {answer.content if answer else None}"))

    server.add_request_handler("tools/call", t.CallToolRequestParams, call_tool)
    server.add_request_handler("prompts/get", t.GetPromptRequestParams, get_prompt)
    return server


def _handler(server: Server[Tenants], method: str) -> Callable[..., Awaitable[Any]]:
    entry = server.get_request_handler(method)
    assert entry
    return entry.handler


async def main() -> None:
    """Serve until the standard input closes."""
    settings = Settings(sandbox=True)
    asked = [_form_tool(name, Message if name == "test_elicitation" else Nothing) for name in FORMS]
    also = [*fixtures.operations, *asked, _form_tool("test_missing_capability")]
    async with running(settings, port=int(sys.argv[1]), tenants=Tenants(settings, also=also), make=make) as url:
        print(url, flush=True)  # noqa: T201 (for whoever started it)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
