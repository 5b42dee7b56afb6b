"""The server extended by the fixtures of the official conformance suite; used by `make interop` only.

The fixtures are an `Extension` and pass through the package's own handlers: tools are operations, forms go through
`Elicitation`, resources and prompts are in the same registries. `exclusions.toml` lists the scenarios left out.
"""

from __future__ import annotations

import asyncio
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
from memories_mcp.server.elicitation import Elicitation, InputRequired
from memories_mcp.server.extension import Extension
from memories_mcp.server.http.app import run_http_server
from memories_mcp.server.prompts import Argument, Prompt
from memories_mcp.server.resource_types import ResourceContent, ResourceType
from memories_mcp.server.tenants import Tenants
from memories_mcp.settings import Settings
from tools.write_definitions import make_definition

fixtures = Toolset("fixtures", "Tools that the conformance suite calls.", define=make_definition)


class NoArguments(Input):
    """No arguments."""


class Message(Input):
    """A message to show."""

    message: str
    """The message."""


class TextOutput(Output):
    """A text."""

    text: str


@fixtures.operation(title="Simple text", effect=Effect.READ, endpoints=[])
async def test_simple_text(context: Context, args: NoArguments) -> TextOutput:
    """Return a simple text."""
    return TextOutput(text="This is a simple text response for testing.")


@fixtures.operation(title="Error", effect=Effect.READ, endpoints=[])
async def test_error_handling(context: Context, args: NoArguments) -> TextOutput:
    """Fail in a way that a model can act on."""
    raise MemoriesError("This tool intentionally returns an error for testing.")


@fixtures.operation(title="Progress", effect=Effect.READ, endpoints=[])
async def test_tool_with_progress(context: Context, args: NoArguments) -> TextOutput:
    """Report progress three times."""
    for done in (0, 50, 100):
        await context.progress(done, 100, f"{done} of 100")
        await asyncio.sleep(0.05)
    return TextOutput(text="Done.")


@fixtures.operation(title="Logging", effect=Effect.READ, endpoints=[])
async def test_logging_tool(context: Context, args: NoArguments) -> TextOutput:
    """Report progress; log lines go to the operator and never to the client."""
    await context.progress(1, 1, "Done")
    return TextOutput(text="Logged to stderr only.")


async def _show_form(context: Context, args: Input) -> TextOutput:
    """Show a form to a person."""
    raise NotImplementedError("the handlers of `install` answer this tool")  # an operation must have a function


def _form_tool(name: str, arguments: type[Input] = NoArguments) -> Operation[Any, Any]:
    return Operation(
        name=name, title=name, toolset="fixtures", effect=Effect.READ, endpoints=(), input=arguments, output=TextOutput,
        function=_show_form, define=make_definition, idempotent=True, whole_account=False,
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
"""The forms of each tool, in order: key, message, schema."""


async def _show_forms(
    ctx: ServerRequestContext[Any, Any], params: t.CallToolRequestParams, forms: Forms
) -> t.CallToolResult:
    elicitation = Elicitation(ctx, params)
    answers: list[Any] = []
    for key, message, schema in forms:
        answer = await elicitation.form(key, message or str((params.arguments or {}).get("message")), schema)
        if answer is None:
            raise MCPError(code=t.INVALID_PARAMS, message="The client cannot show forms.")
        answers.append(answer.model_dump(mode="json", exclude_none=True))
    return t.CallToolResult(content=[t.TextContent(text=f"state-ok: {json.dumps(answers)}")])


async def _needs_sampling(ctx: ServerRequestContext[Any, Any]) -> t.CallToolResult:
    """Answer a tool that needs sampling, a capability that the package never uses."""
    capabilities = ctx.session.client_capabilities
    if capabilities is None or capabilities.sampling is None:
        data = t.MissingRequiredClientCapabilityErrorData(
            required_capabilities=t.ClientCapabilities(sampling=t.SamplingCapability())
        )
        raise MCPError(
            code=t.MISSING_REQUIRED_CLIENT_CAPABILITY,
            message="This needs sampling.",
            data=data.model_dump(mode="json", by_alias=True, exclude_none=True),
        )
    return t.CallToolResult(content=[t.TextContent(text="Sampling is available.")])


# ---- resources


class TemplateVariables(Input):
    """The variables of the template."""

    id: str


_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="


class BinaryContent(ResourceContent):
    """The content of a binary resource; `text` holds it as base64."""

    def to_protocol(self, uri: str) -> t.TextResourceContents | t.BlobResourceContents:
        """Return the content in the protocol's form."""
        return t.BlobResourceContents(uri=uri, mime_type=self.mime_type, blob=self.text)


def _fixed(uri: str, mime_type: str, content: ResourceContent) -> ResourceType[Any]:
    async def read(runner: Runner, args: NoArguments) -> ResourceContent:
        return content

    return ResourceType(
        template=uri, fixed=uri, name=uri.rpartition("/")[2], title=uri, description="A fixture.",
        mime_type=mime_type, variables=NoArguments, tools=[], read=read,
    )  # fmt: skip


async def _read_template(runner: Runner, args: TemplateVariables) -> ResourceContent:
    return ResourceContent(
        json.dumps({"id": args.id, "templateTest": True, "data": f"Data for ID: {args.id}"}), "application/json"
    )


TEXT = ResourceContent("This is the content of the static text resource.", "text/plain")

RESOURCE_TYPES: tuple[ResourceType[Any], ...] = (
    _fixed("test://static-text", "text/plain", TEXT),
    _fixed("test://static-binary", "image/png", BinaryContent(_PIXEL, "image/png")),
    _fixed("test://watched-resource", "text/plain", ResourceContent("Watched.", "text/plain")),
    ResourceType(
        template="test://template/{id}/data", name="template", title="Template", description="A fixture.",
        mime_type="application/json", variables=TemplateVariables, tools=[], read=_read_template,
    ),
)  # fmt: skip


# ---- prompts


def _user_message(text: str) -> list[t.PromptMessage]:
    return [t.PromptMessage(role="user", content=t.TextContent(text=text))]


def _prompt(name: str, write: Callable[[Mapping[str, str]], list[t.PromptMessage]], *arguments: str) -> Prompt:
    return Prompt(
        name=name, title=name, description="A fixture.", tools=[], write=write,
        arguments=[Argument(name=argument, description=argument) for argument in arguments],
    )  # fmt: skip


def _embedded_resource(values: Mapping[str, str]) -> list[t.PromptMessage]:
    content = t.TextResourceContents(
        uri=values["resourceUri"], mime_type="text/plain", text="Embedded resource content."
    )
    return [t.PromptMessage(role="user", content=t.EmbeddedResource(resource=content)), *_user_message("Process it.")]


def _image(values: Mapping[str, str]) -> list[t.PromptMessage]:
    image = t.ImageContent(data=_PIXEL, mime_type="image/png")
    return [t.PromptMessage(role="user", content=image), *_user_message("Analyze it.")]


PROMPTS = (
    _prompt("test_simple_prompt", lambda values: _user_message("This is a simple prompt for testing.")),
    _prompt(
        "test_prompt_with_arguments",
        lambda values: _user_message(f"Prompt with arguments: arg1='{values['arg1']}', arg2='{values['arg2']}'"),
        "arg1", "arg2",
    ),
    _prompt("test_prompt_with_embedded_resource", _embedded_resource, "resourceUri"),
    _prompt("test_prompt_with_image", _image),
    _prompt("test_input_required_result_prompt", lambda values: _user_message("Answered by a handler of `install`.")),
)  # fmt: skip


def install(server: Server[Any]) -> None:
    """Wrap the server's handlers with those of the tools and the prompt that show forms."""
    original_call_tool, original_get_prompt = _handler(server, "tools/call"), _handler(server, "prompts/get")

    async def call_tool(ctx: ServerRequestContext[Tenants], params: t.CallToolRequestParams) -> Any:
        try:
            if params.name in FORMS:
                return await _show_forms(ctx, params, FORMS[params.name])
            if params.name == "test_missing_capability":
                return await _needs_sampling(ctx)
        except InputRequired as required:
            return required.result
        return await original_call_tool(ctx, params)

    async def get_prompt(ctx: ServerRequestContext[Tenants], params: t.GetPromptRequestParams) -> Any:
        if params.name != "test_input_required_result_prompt":
            return await original_get_prompt(ctx, params)
        try:
            context = _object(context={"type": "string"})
            answer = await Elicitation(ctx, params).form("user_context", "What context should the prompt use?", context)
        except InputRequired as required:
            return required.result
        return t.GetPromptResult(messages=_user_message(f"Context: {answer.content if answer else None}"))

    server.add_request_handler("tools/call", t.CallToolRequestParams, call_tool)
    server.add_request_handler("prompts/get", t.GetPromptRequestParams, get_prompt)


def _handler(server: Server[Any], method: str) -> Callable[..., Awaitable[Any]]:
    entry = server.get_request_handler(method)
    assert entry
    return entry.handler


EXTENSION = Extension(
    operations=[
        *fixtures.operations,
        *(_form_tool(name, Message if name == "test_elicitation" else NoArguments) for name in FORMS),
        _form_tool("test_missing_capability"),
    ],
    resource_types=RESOURCE_TYPES,
    prompts=PROMPTS,
    install=install,
)


async def main() -> None:
    """Print the base URL, and serve until stdin closes."""
    settings = Settings(sandbox=True)
    tenants = Tenants(settings, over_http=True, extension=EXTENSION)
    async with run_http_server(settings, port=int(sys.argv[1]), tenants=tenants) as url:
        print(url, flush=True)  # noqa: T201 -- `run.py` reads the URL from stdout
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
