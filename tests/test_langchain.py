"""The LangChain tools, sync and async, over the same operations as MCP."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from typing import Any

import pytest
from agents import tool, toolkit
from conftest import MEETING
from langchain_core.messages import ToolMessage
from langchain_core.tools import ToolException
from pydantic import SecretStr, ValidationError

from langchain_tools import MemoriesToolkit
from memories_mcp.errors import ConfigurationError, InvalidArguments, MemoriesError, RateLimited, Unauthorized
from memories_mcp.operations import OPERATIONS
from memories_mcp.settings import Settings

pytestmark = pytest.mark.usefixtures("no_limits")

SEARCH: dict[str, Any] = {"query": "price of the Team plan", "top_k": 2}


def tool_call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "args": arguments, "id": "1", "type": "tool_call"}


def test_it_offers_the_same_tools_as_the_server(settings: Settings) -> None:
    assert [tool.name for tool in toolkit(settings).get_tools()] == [operation.name for operation in OPERATIONS]
    assert {tool.name for tool in MemoriesToolkit(toolsets=["chat"]).get_tools()} == {
        "chat_with_videos",
        "chat_with_library",
    }
    assert "delete_videos" not in {tool.name for tool in MemoriesToolkit(read_only=True).get_tools()}


def test_it_works_without_an_event_loop(settings: Settings) -> None:
    with toolkit(settings) as kit:
        message = tool(kit, "search_videos").invoke(tool_call("search_videos", SEARCH))

    assert isinstance(message, ToolMessage)
    assert "Quarterly planning meeting" in str(message.content)
    assert message.artifact["structured_content"]["moments"][0]["video_no"] == MEETING


def test_its_own_sandbox_needs_nothing() -> None:
    with MemoriesToolkit(sandbox=True) as kit:
        assert MEETING in tool(kit, "search_videos").invoke(SEARCH)


def test_an_error_that_a_model_can_act_on_is_raised_as_a_tool_exception_on_request(settings: Settings) -> None:
    with toolkit(settings, handle_tool_error=False) as kit, pytest.raises(ToolException, match="video not found"):
        tool(kit, "get_audio_transcription").invoke({"video_no": "VI1"})


def test_a_missing_or_refused_key_is_raised_so_that_no_agent_loops_on_it(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="MEMORIES_API_KEY"):
        tool(MemoriesToolkit(), "list_videos").invoke({})
    with (
        MemoriesToolkit(api_key=SecretStr("sk-refused"), base_url=settings.base_url) as kit,
        pytest.raises(Unauthorized),
    ):
        tool(kit, "list_videos").invoke({})


def test_arguments_are_read_like_the_variables_of_the_same_settings(settings: Settings) -> None:
    key = SecretStr(f"Bearer {settings.api_key}\n")
    with MemoriesToolkit(api_key=key, base_url=f"{settings.base_url}/") as kit:
        assert MEETING in tool(kit, "search_videos").invoke(SEARCH)
    with pytest.raises(ConfigurationError, match="base_url="):
        MemoriesToolkit(base_url="api.memories.ai")
    with pytest.raises(ConfigurationError, match="api_key=") as caught:
        MemoriesToolkit(api_key=SecretStr("sk-sécret"))
    assert "cret" not in str(caught.value)


def test_every_error_survives_a_pickle() -> None:
    def kinds(kind: type[MemoriesError]) -> list[type[MemoriesError]]:
        return [kind, *(subclass for child in kind.__subclasses__() for subclass in kinds(child))]

    assert len(kinds(MemoriesError)) > 10
    for kind in kinds(MemoriesError):
        problem: Any = ["a: b"] if kind is InvalidArguments else "what"
        attributes: dict[str, Any] = {"retry_after": 3.0} if issubclass(kind, RateLimited) else {}
        error = kind(problem, **attributes)
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is kind
        assert (str(again), vars(again)) == (str(error), vars(error))


def test_the_key_is_in_no_representation(settings: Settings) -> None:
    kit = toolkit(settings)
    texts = [repr(kit), str(kit), repr(kit.get_tools()), str(kit.model_dump())]

    assert not any(settings.api_key in text for text in texts)


def test_arguments_win_over_the_environment_but_can_only_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORIES_READ_ONLY", "true")
    monkeypatch.setenv("MEMORIES_EXCLUDE_TOOLS", "list_sessions")
    monkeypatch.setenv("MEMORIES_TOOLSETS", "search")
    names = {
        tool.name
        for tool in MemoriesToolkit(
            toolsets=["transcripts", "library"], exclude_tools=["list_images"], read_only=False
        ).get_tools()
    }

    assert "get_session_detail" in names
    assert not names & {"list_sessions", "list_images", "delete_videos", "search_videos"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "query: required"),
        ({"query": None}, "query: "),
        ({"query": "x", "colour": "red"}, "colour: unknown argument"),
        ({"query": "x", "config": {}, "self": 1, "run_manager": 2, "callbacks": 3}, "config: unknown argument"),
        ({"query": "x", "top_k": "many"}, "top_k: "),
    ],
)
@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_the_model_gets_the_text_of_wrong_arguments(
    settings: Settings, arguments: dict[str, Any], words: str, way: str
) -> None:
    search = tool(toolkit(settings), "search_videos")
    call = tool_call("search_videos", arguments)
    message = search.invoke(call) if way == "invoke" else asyncio.run(search.ainvoke(call))

    assert message.status == "error"
    assert words in message.content
    for name in arguments.keys() - {"query", "top_k"}:
        assert f"{name}: unknown argument" in message.content


def test_null_for_an_optional_argument_equals_leaving_the_argument_out(settings: Settings) -> None:
    arguments = {**SEARCH, "tag": None, "video_nos": None, "unique_id": "null"}

    assert MEETING in tool(toolkit(settings), "search_videos").invoke(arguments)


@pytest.mark.anyio
async def test_two_toolkits_with_different_keys_work_at_the_same_time(settings: Settings, key: str) -> None:
    first, second = toolkit(settings), toolkit(settings.change(api_key=f"{key}-other"))
    for number, kit in enumerate((first, second)):
        await tool(kit, "upload_video_url").ainvoke({"url": f"https://media.example/of-{number}.mp4"})

    lists = await asyncio.gather(*(tool(kit, "list_videos").ainvoke({}) for kit in (first, second) * 10))

    assert all("of-0" in text and "of-1" not in text for text in lists[::2])
    assert all("of-1" in text and "of-0" not in text for text in lists[1::2])


def test_a_namespace_that_does_not_exist_is_an_empty_library_with_a_hint(settings: Settings) -> None:
    fixed = toolkit(settings, unique_id="no-such-namespace")

    assert "Nothing came back from namespace 'no-such-namespace'" in tool(fixed, "search_videos").invoke(SEARCH)
    assert "unique_id" not in tool(fixed, "search_videos").args


def test_a_handler_may_replace_the_text_of_errors(settings: Settings) -> None:
    def sorry(error: ToolException) -> str:
        return f"sorry: {error}"

    kit = toolkit(settings, handle_tool_error=sorry)

    assert tool(kit, "search_videos").invoke({}).startswith("sorry: search_videos failed.")
    assert tool(toolkit(settings, handle_tool_error="no"), "search_videos").invoke({}) == "no"


def test_an_unknown_argument_of_the_toolkit_is_refused() -> None:
    with pytest.raises(ValidationError, match="toolset"):
        MemoriesToolkit(toolset=["search"])  # pyright: ignore[reportCallIssue] -- that is the test
    with pytest.raises(ConfigurationError, match="serch"):
        MemoriesToolkit(toolsets=["serch"])
    with pytest.raises(ConfigurationError, match="search_vdeos"):
        MemoriesToolkit(tools=["search_vdeos"])


def test_single_tools_are_offered_in_place_of_the_toolsets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORIES_TOOLSETS", "chat")

    assert [tool.name for tool in MemoriesToolkit(tools=["search_videos"]).get_tools()] == ["search_videos"]
    both = MemoriesToolkit(tools=["search_videos"], toolsets=["evidence"]).get_tools()
    assert {tool.name for tool in both} == {"search_videos", "get_evidence", "wait_until_ready"}


def test_without_langchain_the_import_names_the_command() -> None:
    code = "import sys; sys.modules['langchain_core'] = None; import langchain_tools"
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert 'pip install "memories-mcp[langchain]"' in completed.stderr
