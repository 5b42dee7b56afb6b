"""The extension point: a program's own tools, resources, prompts and handlers in the package's server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mcp_types as t
import pytest
from mcp import Client
from mcp.server import Server

from memories_mcp.models.base import Input
from memories_mcp.operations import OPERATIONS
from memories_mcp.runner import Runner
from memories_mcp.server.app import make_server
from memories_mcp.server.extension import Extension
from memories_mcp.server.prompts import PROMPTS, Argument, Prompt
from memories_mcp.server.resource_types import ResourceContent, ResourceType
from memories_mcp.server.tenants import Tenants
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio


class GreetingVariables(Input):
    name: str


async def read_greeting(runner: Runner, args: GreetingVariables) -> ResourceContent:
    return ResourceContent(f"Hello, {args.name}.", "text/plain")


def write_greeting(arguments: Mapping[str, str]) -> list[t.PromptMessage]:
    return [t.PromptMessage(role="user", content=t.TextContent(text=f"Greet {arguments['name']}."))]


def install(server: Server[Any]) -> None:
    async def complete(ctx: Any, params: t.CompleteRequestParams) -> t.CompleteResult:
        return t.CompleteResult(completion=t.Completion(values=["Ada"]))

    server.add_request_handler("completion/complete", t.CompleteRequestParams, complete)


EXTENSION = Extension(
    operations=[operation for operation in OPERATIONS if operation.name == "caption_image_url"],
    resource_types=[
        ResourceType(
            template="greetings://{name}",
            name="greeting",
            title="Greeting",
            description="A greeting.",
            mime_type="text/plain",
            variables=GreetingVariables,
            tools=[],
            read=read_greeting,
        )
    ],
    prompts=[
        Prompt(
            name="greet",
            title="Greet",
            description="A greeting.",
            arguments=[Argument(name="name", description="The name")],
            tools=[],
            write=write_greeting,
        )
    ],
    install=install,
)


async def test_an_extension_adds_tools_resources_prompts_and_handlers() -> None:
    settings = Settings(toolsets=("search",))
    async with (
        Tenants(settings, extension=EXTENSION).open() as tenants,
        Client(make_server(settings, tenants=tenants)) as client,
    ):
        tools = [tool.name for tool in (await client.list_tools()).tools]
        templates = [row.uri_template for row in (await client.list_resource_templates()).resource_templates]
        greeting = (await client.read_resource("greetings://Ada")).contents[0]
        prompts = [prompt.name for prompt in (await client.list_prompts()).prompts]
        message = (await client.get_prompt("greet", {"name": "Ada"})).messages[0]
        completion = await client.complete(t.PromptReference(name="greet"), {"name": "name", "value": "A"})

    assert tools == [*(op.name for op in OPERATIONS if op.toolset == "search"), "caption_image_url"]
    assert templates == ["greetings://{name}"]
    assert isinstance(greeting, t.TextResourceContents)
    assert greeting.text == "Hello, Ada."
    assert prompts == ["greet"]
    assert isinstance(message.content, t.TextContent)
    assert message.content.text == "Greet Ada."
    assert completion.completion.values == ["Ada"]


async def test_the_packages_own_prompts_come_before_those_of_an_extension() -> None:
    async with (
        Tenants(Settings(), extension=EXTENSION).open() as tenants,
        Client(make_server(Settings(), tenants=tenants)) as client,
    ):
        prompts = [prompt.name for prompt in (await client.list_prompts()).prompts]

    assert prompts == [*(prompt.name for prompt in PROMPTS), "greet"]
