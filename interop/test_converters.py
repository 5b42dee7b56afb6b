"""LangChain's model packages take all tools and all results; a local stub receives their requests.

Run it in an environment with pytest, this package and langchain-openai, langchain-anthropic, langchain-google-genai,
langchain-mistralai, langchain-aws, langchain-groq and langchain-ollama, without the options of the suite:
`python -m pytest -c /dev/null interop/test_converters.py`.
"""

# The model packages are in an environment of their own, so that the type checker does not find them.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolCall, ToolMessage
from langchain_core.messages.content import create_text_block
from langchain_core.tools import BaseTool
from mcp import Client
from mcp.types import TextContent

from langchain_tools import MemoriesToolkit
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

QUESTION = "Where is the price of the Team plan decided?"
SEARCH = ToolCall(name="search_videos", args={"query": "price of the Team plan", "top_k": 2}, id="call_1")
INVALID = ToolCall(name="search_videos", args={"query": ""}, id="call_1")
FRAME = ToolCall(name="get_frame", args={"ref": "VI612515093881740229#t=3:32,4:16"}, id="call_1")
DELETE = ToolCall(name="delete_videos", args={"video_nos": ["VI611702946038315594"]}, id="call_1")


class Stub(ThreadingHTTPServer):
    """A provider that records the body of each request and refuses it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Refusal)
        self.bodies: list[Any] = []

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.server_port}"


class Refusal(BaseHTTPRequestHandler):
    """Answers each request with an error that no client repeats."""

    def do_POST(self) -> None:
        """Record the body."""
        assert isinstance(self.server, Stub)
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        body = b'{"error": {"message": "refused by the stub", "type": "invalid_request_error", "code": 400}}'
        self.send_response(400)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A running stub."""
    with Stub() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def toolkit() -> Iterator[MemoriesToolkit]:
    """All tools, over the sandbox."""
    with MemoriesToolkit(sandbox=True, toolsets=["all"]) as toolkit:
        yield toolkit


def openai(url: str) -> BaseChatModel:
    """Return a model of OpenAI's chat API."""
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model="gpt-5", base_url=url, api_key="stub", max_retries=0)


def openai_responses(url: str) -> BaseChatModel:
    """Return a model of OpenAI's responses API."""
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model="gpt-5", base_url=url, api_key="stub", max_retries=0, use_responses_api=True)


def anthropic(url: str) -> BaseChatModel:
    """Return a model of Anthropic."""
    from langchain_anthropic import ChatAnthropic

    return ChatAnthropic(model="claude-sonnet-4-5", base_url=url, api_key="stub", max_retries=0)


def google(url: str) -> BaseChatModel:
    """Return a model of Google."""
    from langchain_google_genai import ChatGoogleGenerativeAI

    return ChatGoogleGenerativeAI(model="gemini-2.5-pro", base_url=url, api_key="stub", max_retries=1)


def mistral(url: str) -> BaseChatModel:
    """Return a model of Mistral."""
    from langchain_mistralai import ChatMistralAI

    return ChatMistralAI(model="mistral-large", endpoint=url, api_key="stub", max_retries=1)


def aws(url: str) -> BaseChatModel:
    """Return a model of Amazon Bedrock."""
    from botocore.config import Config
    from langchain_aws import ChatBedrockConverse

    return ChatBedrockConverse(
        model="anthropic.claude-sonnet-4-5-v1:0",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="stub",
        aws_secret_access_key="stub",
        config=Config(retries={"total_max_attempts": 1}),
    )


def groq(url: str) -> BaseChatModel:
    """Return a model of Groq."""
    from langchain_groq import ChatGroq

    return ChatGroq(model="llama", base_url=url, api_key="stub", max_retries=0)


def ollama(url: str) -> BaseChatModel:
    """Return a model of Ollama."""
    from langchain_ollama import ChatOllama

    return ChatOllama(model="llama", base_url=url)


every_model = pytest.mark.parametrize(
    "make_model", [openai, openai_responses, anthropic, google, mistral, aws, groq, ollama]
)


def request_of(model: BaseChatModel, stub: Stub, tools: list[BaseTool], messages: list[BaseMessage]) -> set[str]:
    """Send messages with tools, and return every string in the request that arrived."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- each package has its own class for a refusal
        model.bind_tools(tools).invoke(messages)
    assert stub.bodies, f"nothing was sent: {caught.value!r}"
    return set(strings_in(stub.bodies[-1]))


def strings_in(value: object) -> Iterator[str]:
    """Yield every string of a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from strings_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings_in(item)


@every_model
@pytest.mark.parametrize("toolsets", [None, ["all"]], ids=["default", "all"])
def test_every_tool_arrives(make_model: Callable[[str], BaseChatModel], stub: Stub, toolsets: list[str] | None) -> None:
    """A schema that a package cannot convert would lose its tool, or the whole request."""
    tools = MemoriesToolkit(sandbox=True, toolsets=toolsets).get_tools()
    strings = request_of(make_model(stub.url), stub, tools, [HumanMessage(QUESTION)])

    assert len(tools) >= 30
    assert {tool.name for tool in tools} - strings == set()
    assert {tool.description for tool in tools} - strings == set()


def native_result(toolkit: MemoriesToolkit, call: ToolCall) -> ToolMessage:
    """Return the message of a LangChain tool of this package."""
    return toolkit.get_tool(call["name"]).invoke({**call, "type": "tool_call"})


def mcp_result(_: MemoriesToolkit, call: ToolCall) -> ToolMessage:
    """Return a result of the MCP server as a message, with the content blocks that LangChain's MCP adapters make."""

    async def run() -> ToolMessage:
        async with Client(make_server(Settings(sandbox=True))) as client:
            result = await client.call_tool(call["name"], call["args"])
        blocks: list[Any] = []
        for block in result.content:
            assert isinstance(block, TextContent)
            blocks.append(create_text_block(block.text))
        return ToolMessage(
            blocks,
            name=call["name"],
            tool_call_id=call["id"] or "",
            artifact={"structured_content": result.structured_content},
            status="error" if result.is_error else "success",
        )

    return asyncio.run(run())


@every_model
@pytest.mark.parametrize("result_of", [native_result, mcp_result], ids=["native", "mcp"])
@pytest.mark.parametrize("call", [SEARCH, INVALID, DELETE], ids=["result", "error", "preview"])
def test_a_result_arrives_as_text_alone(
    make_model: Callable[[str], BaseChatModel],
    stub: Stub,
    toolkit: MemoriesToolkit,
    result_of: Callable[[MemoriesToolkit, ToolCall], ToolMessage],
    call: ToolCall,
) -> None:
    """The model reads the whole text; the artifact stays with the application."""
    result = result_of(toolkit, call)
    messages = [HumanMessage(QUESTION), AIMessage("", tool_calls=[call]), result]
    strings = request_of(make_model(stub.url), stub, toolkit.get_tools(), messages)

    assert any(result.text in string for string in strings)
    assert not any("structured_content" in string or "memories://" in string for string in strings)


@every_model
def test_a_frame_arrives_as_text_and_picture(
    make_model: Callable[[str], BaseChatModel], stub: Stub, toolkit: MemoriesToolkit
) -> None:
    """The picture goes to the provider in its own form, with all of its bytes."""
    result = native_result(toolkit, FRAME)
    [picture] = [block.get("base64") for block in result.content_blocks if block["type"] == "image"]
    messages = [HumanMessage(QUESTION), AIMessage("", tool_calls=[FRAME]), result]
    strings = request_of(make_model(stub.url), stub, toolkit.get_tools(), messages)

    assert picture
    assert any(picture in string.replace("-", "+").replace("_", "/") for string in strings)  # two alphabets of base64
    assert any("VI612515093881740229" in string for string in strings)
