"""Ingestion: videos go into the library once, and documents into the store once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_tools import MemoriesToolkit, MemoriesTranscriptLoader, aingest, ingest
from memories_mcp.errors import Unauthorized
from memories_mcp.sandbox import demo_data

pytestmark = pytest.mark.usefixtures("no_limits")


@pytest.fixture
def loader(account: dict[str, Any]) -> Iterator[MemoriesTranscriptLoader]:
    with MemoriesTranscriptLoader(**account) as loader:
        yield loader


@pytest.fixture
def store() -> InMemoryVectorStore:
    return InMemoryVectorStore(DeterministicFakeEmbedding(size=8))


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "a new talk.mp4"
    shutil.copy(demo_data.MEDIA / "quarterly-planning.mp4", path)
    return path


def names(account: dict[str, Any]) -> list[str]:
    with MemoriesToolkit(**account) as toolkit:
        listing = toolkit.get_tool("list_videos")
        call: dict[str, Any] = {"name": listing.name, "args": {}, "id": "1", "type": "tool_call"}
        return [video["video_name"] for video in listing.invoke(call).artifact["structured_content"]["videos"]]


def test_the_second_time_nothing_is_uploaded_or_indexed_again(
    account: dict[str, Any], loader: MemoriesTranscriptLoader, store: InMemoryVectorStore, talk: Path
) -> None:
    url = "https://m.example/espresso%20tasting.mp4"
    first = ingest([talk, url], store, loader=loader)
    second = ingest([talk, url], store, loader=loader)

    assert list(first.uploaded) == [str(talk), url]
    assert (first.already_there, first.failed, first.unfinished) == ({}, {}, {})
    assert first.added == len(store.store) > 0
    assert second.uploaded == {}
    assert second.already_there == first.uploaded
    assert (second.added, second.replaced, second.unchanged) == (0, 0, first.added)
    assert names(account).count("a new talk") == 1
    assert {document["metadata"]["video_no"] for document in store.store.values()} == set(first.video_nos)


def test_a_document_whose_text_changed_is_replaced(
    loader: MemoriesTranscriptLoader, store: InMemoryVectorStore, talk: Path
) -> None:
    first = ingest([talk], store, loader=loader)
    some_id = next(iter(store.store))
    store.store[some_id]["text"] = "an older description"
    second = ingest([talk], store, loader=loader)

    assert (second.added, second.replaced) == (0, 1)
    assert second.unchanged == first.added - 1
    assert store.store[some_id]["text"] != "an older description"


def test_a_file_of_the_same_name_with_another_size_is_another_video(
    loader: MemoriesTranscriptLoader, store: InMemoryVectorStore, talk: Path
) -> None:
    first = ingest([talk], store, loader=loader)
    talk.write_bytes(talk.read_bytes() + bytes(1000))
    second = ingest([talk], store, loader=loader)

    assert set(second.uploaded) == {str(talk)}
    assert second.uploaded != first.uploaded


def test_a_source_that_fails_does_not_stop_the_others(
    loader: MemoriesTranscriptLoader, store: InMemoryVectorStore, talk: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.mp4").write_text("no video")
    broken = "https://m.example/broken.mp4"
    report = ingest([tmp_path / "notes.mp4", tmp_path / "gone.mp4", broken, talk], store, loader=loader)

    assert set(report.failed) == {str(tmp_path / "notes.mp4"), str(tmp_path / "gone.mp4"), broken}
    assert "Indexing failed" in report.failed[broken]
    assert report.video_nos == [report.uploaded[str(talk)]]
    assert report.added > 0


def test_what_is_not_processed_in_time_is_reported_and_picked_up_the_next_time(
    account: dict[str, Any], store: InMemoryVectorStore, talk: Path
) -> None:
    with MemoriesTranscriptLoader(**account) as loader:
        first = ingest([talk], store, loader=loader, wait_seconds=0)
        second = ingest([talk], store, loader=loader)

    assert first.unfinished == first.uploaded
    assert first.video_nos == []
    assert second.already_there == first.uploaded
    assert second.added > 0


def test_a_store_that_cannot_find_documents_by_id_gets_all_of_them(
    loader: MemoriesTranscriptLoader, store: InMemoryVectorStore, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise NotImplementedError

    first = ingest([talk], store, loader=loader)
    monkeypatch.setattr(InMemoryVectorStore, "get_by_ids", refuse)
    second = ingest([talk], store, loader=loader)

    assert second.added == first.added == len(store.store)


def test_a_refused_key_is_raised_instead_of_reported_for_each_source(
    store: InMemoryVectorStore, account: dict[str, Any]
) -> None:
    with (
        MemoriesTranscriptLoader(base_url=account["base_url"], api_key="sk-refused-1") as loader,
        pytest.raises(Unauthorized),
    ):
        ingest(["https://m.example/a.mp4", "https://m.example/b.mp4"], store, loader=loader)


@pytest.mark.anyio
async def test_async_code_ingests_too(loader: MemoriesTranscriptLoader, store: InMemoryVectorStore, talk: Path) -> None:
    first = await aingest([talk, talk], store, loader=loader)
    second = await aingest([talk], store, loader=loader)

    assert first.added == len(store.store) > 0
    assert second.unchanged == first.added
