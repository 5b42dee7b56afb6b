"""Keys from the application: as text, or from its resolver in each run, for tools, retriever and loader."""

# Several of LangGraph's own signatures are only partly typed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import logging
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
from agents import State, thread
from conftest import BIKE, MEETING
from langchain_core.documents import Document
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_config
from langgraph.graph import START, StateGraph  # pyright: ignore[reportMissingTypeStubs] -- no stubs exist
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, interrupt
from pydantic import SecretStr, ValidationError
from scripted import calls

from langchain_tools import MemoriesRetriever, MemoriesToolkit, MemoriesTranscriptLoader
from memories_mcp.errors import ConfigurationError, Unauthorized
from memories_mcp.settings import Settings

pytestmark = pytest.mark.usefixtures("no_limits")


@dataclass
class User:
    """The context that an application gives to its graph: no key in it."""

    name: str


class Account(NamedTuple):
    api_key: SecretStr | str
    unique_id: str | None = None
    caption_api_key: SecretStr | None = None


class Vault:
    """The application's keys by user; each user has one video of its own name."""

    def __init__(self, base_url: str) -> None:
        self.keys = {name: SecretStr(f"sk-{name}-{uuid.uuid4().hex}") for name in ("ann", "bob")}
        for name, key in self.keys.items():
            with MemoriesToolkit(api_key=key, base_url=base_url) as kit:
                kit.get_tool("upload_video_url").invoke(
                    {"url": f"https://m.example/zebra-of-{name}.mp4", "wait_seconds": 10}
                )

    def by_configurable(self, runtime: Any) -> SecretStr:
        return self.keys[runtime["user"]]

    async def by_configurable_later(self, runtime: Any) -> SecretStr:
        await asyncio.sleep(0)
        return self.keys[runtime["user"]]

    def by_context(self, runtime: Any) -> SecretStr:
        return self.keys[runtime.context.name]


@pytest.fixture
def vault(live: Settings) -> Vault:
    return Vault(live.base_url)


def of(user: str) -> RunnableConfig:
    return {"configurable": {"user": user}}


def kit_of(live: Settings, credentials: Callable[[Any], object], **arguments: Any) -> MemoriesToolkit:
    return MemoriesToolkit(base_url=live.base_url, credentials=credentials, **arguments)


@pytest.mark.parametrize("name", ["by_configurable", "by_configurable_later"])
def test_a_resolver_gives_the_key_of_each_run(live: Settings, vault: Vault, name: str) -> None:
    with kit_of(live, getattr(vault, name)) as kit:
        listing = kit.get_tool("list_videos")
        texts = {user: listing.invoke({}, of(user)) for user in vault.keys}
        later = {user: asyncio.run(listing.ainvoke({}, of(user))) for user in vault.keys}

    for user, other in (("ann", "bob"), ("bob", "ann")):
        for listed in (texts[user], later[user]):
            assert f"zebra-of-{user}" in listed
            assert f"zebra-of-{other}" not in listed


@pytest.mark.parametrize("way", ["sync", "async"])
def test_in_a_graph_the_resolver_gets_langgraphs_runtime(live: Settings, vault: Vault, way: str) -> None:
    kit = kit_of(live, vault.by_context, per_run=True)
    builder = StateGraph(State, context_schema=User)
    compiled = builder.add_node("tools", ToolNode(kit.get_tools())).add_edge(START, "tools").compile()
    question = State(messages=[calls("list_videos", {})])
    if way == "sync":
        state = compiled.invoke(question, context=User("bob"))
    else:
        state = asyncio.run(compiled.ainvoke(question, context=User("bob")))

    assert "zebra-of-bob" in state["messages"][-1].content


def test_in_a_graph_without_context_the_resolver_may_read_the_configuration(live: Settings, vault: Vault) -> None:
    kit = kit_of(live, lambda _: vault.keys[get_config().get("configurable", {})["user"]])
    builder = StateGraph(State).add_node("tools", ToolNode(kit.get_tools())).add_edge(START, "tools")
    state = builder.compile().invoke(State(messages=[calls("list_videos", {})]), of("ann"))

    assert "zebra-of-ann" in state["messages"][-1].content


def test_a_resolver_may_interrupt_the_graph_to_ask_for_a_login(live: Settings, vault: Vault) -> None:
    kit = kit_of(live, lambda _: vault.keys[interrupt("Who are you?")])
    builder = StateGraph(State).add_node("tools", ToolNode(kit.get_tools())).add_edge(START, "tools")
    compiled, config = builder.compile(checkpointer=InMemorySaver()), thread()
    paused = compiled.invoke(State(messages=[calls("list_videos", {})]), config)
    state = compiled.invoke(Command(resume="ann"), config)

    assert paused["__interrupt__"][0].value == "Who are you?"
    assert "zebra-of-ann" in state["messages"][-1].content


@pytest.mark.parametrize("name", ["by_configurable", "by_configurable_later"])
def test_retriever_and_loader_take_a_resolver_too(live: Settings, vault: Vault, name: str) -> None:
    retriever = MemoriesRetriever(base_url=live.base_url, credentials=getattr(vault, name), search_type="BY_VIDEO")
    loader = MemoriesTranscriptLoader(base_url=live.base_url, credentials=getattr(vault, name), video_nos=[BIKE])

    def load(_: str) -> list[Document]:
        return loader.load()

    for user in vault.keys:
        for documents in (retriever.invoke("zebra", of(user)), asyncio.run(retriever.ainvoke("zebra", of(user)))):
            assert {document.metadata["video_name"] for document in documents} == {f"zebra-of-{user}"}
        assert RunnableLambda(load).invoke("", of(user))
    with pytest.raises(ConfigurationError, match="credentials= failed: it raised KeyError"):
        loader.load()


@pytest.mark.anyio
async def test_a_loader_loads_the_library_of_its_run(live: Settings, vault: Vault) -> None:
    loader = MemoriesTranscriptLoader(base_url=live.base_url, per_run=True, video_nos=[MEETING])
    config: RunnableConfig = {"configurable": {"memories_api_key": vault.keys["ann"]}}

    async def load(_: str) -> int:
        return len([document async for document in loader.alazy_load()])

    assert await RunnableLambda(load).ainvoke("", config) > 5
    with pytest.raises(ConfigurationError, match="This run has no API key"):
        loader.load()


RESULTS: dict[str, Callable[[SecretStr], object]] = {
    "secret": lambda key: key,
    "text": lambda key: key.get_secret_value(),
    "bearer": lambda key: f"Bearer {key.get_secret_value()}\n",
    "mapping": lambda key: {"api_key": key},
    "nulls": lambda key: {"api_key": key, "unique_id": None, "caption_api_key": None},
    "object": Account,
    "blank": lambda key: Account(key.get_secret_value(), unique_id=""),
}


@pytest.mark.parametrize("result", RESULTS)
def test_a_resolver_may_return_a_key_a_mapping_or_an_object(live: Settings, vault: Vault, result: str) -> None:
    with kit_of(live, lambda runtime: RESULTS[result](vault.by_configurable(runtime))) as kit:
        assert "zebra-of-ann" in kit.get_tool("list_videos").invoke({}, of("ann"))


def test_the_namespace_and_the_caption_key_come_from_the_resolver_too(
    live: Settings, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORIES_CAPTION_BASE_URL", live.base_url)
    monkeypatch.setenv("MEMORIES_CAPTION_API_KEY", "sk-of-the-operator")
    key = vault.keys["ann"]
    image = {"url": "https://a.example/b.jpg", "user_prompt": "What is it?"}
    with kit_of(live, lambda _: Account(key, "team-1", key), toolsets=["all"]) as kit:
        assert "namespace 'team-1'" in kit.get_tool("list_videos").invoke({})
        assert kit.get_tool("caption_image_url").invoke(image)
    with (
        kit_of(live, lambda _: key, toolsets=["all"]) as kit,
        pytest.raises(ConfigurationError, match="return caption_api_key from credentials="),
    ):
        kit.get_tool("caption_image_url").invoke(image)
    with (
        kit_of(live, lambda _: Account(key, "team-1"), unique_id="team-2") as kit,
        pytest.raises(ConfigurationError, match="unique_id from credentials= refused"),
    ):
        kit.get_tool("list_videos").invoke({})


def fail(_: Any) -> SecretStr:
    raise LookupError("no row for sk-secret-of-ann")


async def fail_later(_: Any) -> SecretStr:
    raise LookupError("no row for sk-secret-of-ann")


FAILURES: list[tuple[Callable[[Any], object], str]] = [
    (fail, "credentials= failed: it raised LookupError"),
    (fail_later, "credentials= failed: it raised LookupError"),
    (cast(Any, lambda: "sk-secret-1"), "credentials= failed: it raised TypeError"),
    (lambda runtime: runtime.context.key, "credentials= failed: it raised AttributeError"),
    (lambda _: None, "credentials= returned no API key"),
    (lambda _: "", "credentials= returned no API key"),
    (lambda _: SecretStr(" "), "credentials= returned no API key"),
    (lambda _: {}, "credentials= returned no API key"),
    (lambda _: {"unique_id": "team"}, "credentials= returned no API key"),
    (lambda _: object(), "credentials= returned no API key"),
    (lambda _: {"apikey": "sk-secret-1"}, "credentials= returned unknown names: apikey"),
    (lambda _: {"api_key": "sk-secret-1", "uniqueid": "t"}, "credentials= returned unknown names: uniqueid"),
    (lambda _: {"api_key": b"sk-secret-1"}, "api_key from credentials= refused"),
    (lambda _: "sk-secret 1", "api_key from credentials=: use printable ASCII"),
    (lambda _: {"api_key": "sk-secret-1", "caption_api_key": 7}, "caption_api_key from credentials= refused"),
]


@pytest.mark.parametrize(("resolver", "words"), FAILURES)
@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_resolver_without_a_valid_key_is_an_error_that_names_it_and_shows_no_key(
    live: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    resolver: Any,
    words: str,
    way: str,
) -> None:
    monkeypatch.setenv("MEMORIES_API_KEY", live.api_key)  # of the operator: no run may use it
    caplog.set_level(logging.DEBUG)
    listing = kit_of(live, resolver).get_tool("list_videos")

    def call() -> object:
        return listing.invoke({}) if way == "sync" else asyncio.run(listing.ainvoke({}))

    with pytest.raises(ConfigurationError, match=words) as caught:
        call()

    lines = [line for line in traceback.format_exception(caught.value) if not line.startswith("  File")]
    assert "sk-secret" not in "".join(lines)
    assert "sk-secret" not in caplog.text


def test_a_resolver_takes_the_place_of_the_key(live: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORIES_FILES_ROOT", str(tmp_path))
    kit = kit_of(live, lambda _: SecretStr("sk-1"))

    assert "download_video" not in {tool.name for tool in kit.get_tools()}
    assert "unique_id" not in kit.get_tool("list_videos").args
    for key in ("sk-2", ""):
        with pytest.raises(ConfigurationError, match="Leave api_key out"):
            kit_of(live, lambda _: SecretStr("sk-1"), api_key=key)


def test_a_resolver_is_in_no_representation_and_survives_copies(live: Settings, vault: Vault) -> None:
    kit = kit_of(live, vault.by_configurable)
    retriever = MemoriesRetriever(base_url=live.base_url, credentials=vault.by_configurable)
    changed = kit.model_copy(update={"toolsets": ["library"]})

    for component in (kit, retriever):
        assert "Vault" not in f"{component!r} {component.model_dump()} {component.model_dump_json()}"
    assert "zebra-of-ann" in changed.get_tool("list_videos").invoke({}, of("ann"))


def test_a_key_may_be_plain_text(live: Settings) -> None:
    for component in (
        MemoriesToolkit(api_key=live.api_key, base_url=live.base_url),
        MemoriesRetriever(api_key=live.api_key, base_url=live.base_url),
        MemoriesTranscriptLoader(api_key=live.api_key, base_url=live.base_url),
    ):
        assert isinstance(component.api_key, SecretStr)
        assert live.api_key not in f"{component!r} {component} {component.model_dump()} {component.model_dump_json()}"
    with MemoriesToolkit(api_key=live.api_key, base_url=live.base_url) as kit:
        assert MEETING in kit.get_tool("list_videos").invoke({})


@pytest.mark.parametrize(
    "arguments", [{"apikey": "sk-secret"}, {"api_key": ["sk-secret"]}, {"api_key": {"key": "sk-secret"}}]
)
@pytest.mark.parametrize("component", [MemoriesToolkit, MemoriesRetriever, MemoriesTranscriptLoader])
def test_an_invalid_argument_is_refused_without_its_value(component: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        component(**arguments)

    assert next(iter(arguments)) in str(caught.value)
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize("key", [None, "", " "])
@pytest.mark.parametrize("component", ["toolkit", "retriever", "loader"])
def test_a_missing_key_is_an_error_that_names_what_an_application_can_pass(
    live: Settings, monkeypatch: pytest.MonkeyPatch, component: str, key: str | None
) -> None:
    if key is not None:
        monkeypatch.setenv("MEMORIES_API_KEY", live.api_key)  # a blank argument does not fall back to it
    arguments: dict[str, Any] = {"api_key": key, "base_url": live.base_url}
    run: dict[str, Callable[[], object]] = {
        "toolkit": lambda: MemoriesToolkit(**arguments).get_tool("list_videos").invoke({}),
        "retriever": lambda: MemoriesRetriever(**arguments).invoke("pricing"),
        "loader": lambda: MemoriesTranscriptLoader(**arguments).load(),
    }
    with pytest.raises(ConfigurationError) as caught:
        run[component]()

    for words in ("There is no API key", "api_key=", "MEMORIES_API_KEY", "sandbox=True"):
        assert words in str(caught.value)
    for words in ("--sandbox", "HTTP", "X-Memories", "Bearer"):
        assert words not in str(caught.value)


def test_a_missing_key_for_captions_names_its_variable(live: Settings) -> None:
    captions = MemoriesToolkit(api_key=live.api_key, base_url=live.base_url, toolsets=["captions"])
    with pytest.raises(ConfigurationError, match=r"MEMORIES_CAPTION_API_KEY.*sandbox=True") as caught:
        captions.get_tool("caption_image_url").invoke({"url": "https://a.example/b.jpg", "user_prompt": "?"})

    assert "X-Memories" not in str(caught.value)


def test_a_refused_key_is_still_that_error(live: Settings) -> None:
    with pytest.raises(Unauthorized):
        MemoriesToolkit(api_key="sk-refused", base_url=live.base_url).get_tool("list_videos").invoke({})


def test_a_tool_is_had_by_its_name(live: Settings) -> None:
    kit = MemoriesToolkit(api_key=live.api_key, base_url=live.base_url, toolsets=["search", "library"], read_only=True)

    assert kit.get_tool("search_videos") is kit.get_tools()[0]
    with pytest.raises(ConfigurationError, match=r"Unknown tool: serch_videos\. .*search_videos"):
        kit.get_tool("serch_videos")
    with pytest.raises(ConfigurationError, match="list_videos"):
        kit.get_tool("zzz")
    for name in ("delete_videos", "chat_with_videos"):
        with pytest.raises(ConfigurationError, match=f"Tool not offered: .*{name}.*toolsets"):
            kit.get_tool(name)
    with pytest.raises(ConfigurationError, match="The toolkit offers: none"):
        MemoriesToolkit(toolsets=[]).get_tool("zzz")
