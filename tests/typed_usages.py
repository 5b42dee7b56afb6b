"""Uses of the public LangChain API, for the type checker alone: this module is never run."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, BaseToolkit, ToolException
from pydantic import SecretStr

from langchain_tools import MemoriesRetriever, MemoriesToolkit, MemoriesTranscriptLoader


def format_error(error: ToolException) -> str:
    return str(error)


toolkit = MemoriesToolkit(
    api_key=SecretStr("sk"),
    base_url="https://api.example",
    unique_id="team",
    toolsets=["search", "chat"],
    tools=("get_evidence",),
    exclude_tools=["delete_videos"],
    read_only=True,
    files_root=Path("videos"),
    sandbox=False,
    confirm="interrupt",
    handle_tool_error=format_error,
    per_run=False,
)
assert_type(toolkit.get_tools(), list[BaseTool])
as_toolkit: BaseToolkit = toolkit
MemoriesToolkit(confirm="yes")  # pyright: ignore[reportArgumentType] -- not a valid value
MemoriesToolkit(api_key="sk")
MemoriesToolkit(api_key=None)
MemoriesToolkit(api_key=b"sk")  # pyright: ignore[reportArgumentType] -- a key is text
MemoriesToolkit(credentials=lambda runtime: SecretStr(runtime.context.key))
MemoriesToolkit(toolset=["search"])  # pyright: ignore[reportCallIssue] -- no such argument

with MemoriesToolkit() as kit:
    assert_type(kit, MemoriesToolkit)

retriever = MemoriesRetriever(
    search_type="BY_CLIP",
    k=3,
    video_nos=["VI1"],
    tag="meeting",
    filtering_level="high",
    context_seconds=10,
    merge_overlaps=False,
    per_run=True,
)
as_retriever: BaseRetriever = retriever
config: RunnableConfig = {"configurable": {"memories_api_key": SecretStr("sk")}}
assert_type(retriever.invoke("pricing", config, k=5), list[Document])
MemoriesRetriever(search_type="BY_MAGIC")  # pyright: ignore[reportArgumentType] -- not a valid value

loader = MemoriesTranscriptLoader(video_nos=["VI1"], tracks=["audio"], chunk_seconds=30)
assert_type(loader.load(), list[Document])
for document in loader.lazy_load():
    assert_type(document, Document)


async def asynchronous() -> None:
    async with MemoriesToolkit(sandbox=True) as kit, MemoriesRetriever() as retriever:
        assert_type(kit, MemoriesToolkit)
        assert_type(await retriever.ainvoke("pricing"), list[Document])
    async for document in loader.alazy_load():
        assert_type(document, Document)
