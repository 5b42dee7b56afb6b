"""The loader: transcripts as documents, split by time."""

from __future__ import annotations

import json
import threading
import tracemalloc
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from agents import check_document
from conftest import BREAD, MEETING
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore
from pydantic import SecretStr, ValidationError

from langchain_tools import MemoriesRetriever, MemoriesToolkit, MemoriesTranscriptLoader
from langchain_tools.bridge import bridge
from memories_mcp.errors import NotFound, NotReady
from memories_mcp.settings import Settings

pytestmark = pytest.mark.usefixtures("no_limits")


def test_the_key_is_in_no_representation(account: dict[str, Any], live: Settings) -> None:
    for component in (MemoriesRetriever(**account), MemoriesTranscriptLoader(**account)):
        assert live.api_key not in f"{component!r} {component} {component.model_dump()} {component.model_dump_json()}"


def test_one_document_a_window_of_time(account: dict[str, Any]) -> None:
    documents = MemoriesTranscriptLoader(**account, video_nos=[MEETING]).load()

    for document in documents:
        check_document(document)
        assert document.metadata["end_seconds"] - document.metadata["start_seconds"] == 60
        assert document.metadata["start_seconds"] % 60 == 0
    assert [document.metadata["start_seconds"] for document in documents] == sorted(
        {document.metadata["start_seconds"] for document in documents}
    )
    fourth = next(document for document in documents if document.metadata["start_seconds"] == 180)
    assert fourth.id == f"{MEETING}#t=180,240&kind=clip"
    assert "Said: Then I suggest we lower the price of the Team plan" in fourth.page_content
    assert fourth.metadata["video_name"] == "Quarterly planning meeting"


def test_one_track_is_text_without_labels(account: dict[str, Any]) -> None:
    documents = MemoriesTranscriptLoader(**account, video_nos=[MEETING], tracks=["audio"], chunk_seconds=300).load()

    assert {document.metadata["kind"] for document in documents} == {"audio"}
    assert not any("Said:" in document.page_content for document in documents)
    assert len(documents) <= 5


def test_every_line_of_a_transcript_is_in_exactly_one_document(account: dict[str, Any]) -> None:
    fine = MemoriesTranscriptLoader(**account, video_nos=[MEETING], tracks=["audio"], chunk_seconds=7.5).load()
    whole = MemoriesTranscriptLoader(**account, video_nos=[MEETING], tracks=["audio"], chunk_seconds=86_400).load()

    assert len(whole) == 1
    assert "\n".join(document.page_content for document in fine) == whole[0].page_content


@pytest.mark.anyio
async def test_none_loads_the_whole_library_lazily_in_async_code_too(account: dict[str, Any]) -> None:
    loader = MemoriesTranscriptLoader(**account)
    list_videos = {tool.name: tool for tool in MemoriesToolkit(**account).get_tools()}["list_videos"]
    videos = await list_videos.ainvoke({"type": "tool_call", "id": "1", "name": "list_videos", "args": {"size": 200}})
    video_nos = {video["video_no"] for video in videos.artifact["structured_content"]["videos"]}
    documents = [document async for document in loader.alazy_load()]

    assert {document.metadata["video_no"] for document in documents} == video_nos
    assert [document.id for document in documents] == [document.id for document in loader.lazy_load()]
    assert len({document.id for document in documents}) == len(documents)


def test_indexing_twice_does_not_duplicate(account: dict[str, Any]) -> None:
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
    loader = MemoriesTranscriptLoader(**account, chunk_seconds=300)
    first = store.add_documents(loader.load())

    assert store.add_documents(loader.load()) == first
    assert len(store.store) == len(first) == len(set(first))


def test_public_and_unknown_videos(account: dict[str, Any]) -> None:
    mixed = MemoriesTranscriptLoader(**account, video_nos=[BREAD, MEETING, BREAD]).load()

    assert list(dict.fromkeys(document.metadata["video_no"] for document in mixed)) == [BREAD, MEETING]
    with pytest.raises(NotFound, match="VI404"):
        MemoriesTranscriptLoader(**account, video_nos=[MEETING, "VI404"]).load()
    assert MemoriesTranscriptLoader(**account, video_nos=[]).load() == []
    with pytest.raises(ValidationError, match="chunk_seconds"):
        MemoriesTranscriptLoader(**account, chunk_seconds=0)
    with pytest.raises(ValidationError, match="tracks"):
        MemoriesTranscriptLoader(**account, tracks=["smell"])  # pyright: ignore[reportArgumentType] -- that is the test


class Library(BaseHTTPRequestHandler):
    """An API of videos with transcripts of 50 kB; counts the requests for each path."""

    videos = 160
    protocol_version = "HTTP/1.1"
    requests: dict[str, int]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        number = parse_qs(url.query)["video_no"][0]
        self.count(url.path)
        words = [
            {"index": n, "startTime": n * 30, "endTime": n * 30 + 30, "text": f"{number} {n} " * 100} for n in range(20)
        ]
        self.answer({"videoNo": number, "transcriptions": words})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.count(urlsplit(self.path).path)
        first = (body["page"] - 1) * body["size"]
        numbers = range(first, min(first + body["size"], self.videos))
        self.answer(
            {"videos": [{"video_no": f"VI{n}", "video_name": f"n{n}", "status": self.state(n)} for n in numbers]}
        )

    def state(self, number: int) -> str:
        return "PARSE"

    def count(self, path: str) -> None:
        name = path.rsplit("/", 1)[-1]
        self.requests[name] = self.requests.get(name, 0) + 1

    def answer(self, data: Any) -> None:
        body = json.dumps({"code": "0000", "msg": "success", "data": data}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


class Unfiltered(Library):
    """A library that lists what is not processed too, whatever state is asked for."""

    videos = 30

    def state(self, number: int) -> str:
        return ("PARSE", "UNPARSE", "FAIL")[number % 3]


@contextmanager
def serve(library: type[Library]) -> Generator[tuple[str, dict[str, int]], None, None]:
    requests = dict[str, int]()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Counted", (library,), {"requests": requests}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_videos_that_are_not_processed_are_left_out_though_the_service_lists_them() -> None:
    with serve(Unfiltered) as (url, requests):
        loader = MemoriesTranscriptLoader(api_key=SecretStr("sk-1"), base_url=url, tracks=["audio"])
        loaded = {document.metadata["video_no"] for document in loader.load()}

    assert loaded == {f"VI{number}" for number in range(0, 30, 3)}
    assert requests["get_audio_transcription"] == len(loaded)


@pytest.mark.parametrize("number", [1, 2], ids=["processing", "failed"])
def test_a_named_video_that_is_not_processed_is_an_error_that_names_it(number: int) -> None:
    with serve(Unfiltered) as (url, requests):
        loader = MemoriesTranscriptLoader(api_key=SecretStr("sk-1"), base_url=url, video_nos=["VI0", f"VI{number}"])
        with pytest.raises(NotReady, match=f"VI{number}"):
            loader.load()

    assert "get_audio_transcription" not in requests


def test_memory_stays_flat_over_many_videos_at_one_bridge_call_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    crossings = list[int]()
    run = bridge.run

    def count_and_run(work: Any) -> Any:
        crossings.append(1)
        return run(work)

    monkeypatch.setattr(bridge, "run", count_and_run)
    documents, early, late = 0, 0, 0
    with serve(Library) as (url, requests):
        loader = MemoriesTranscriptLoader(api_key=SecretStr("sk-1"), base_url=url, tracks=["audio"])
        tracemalloc.start()
        try:
            for _ in loader.lazy_load():
                documents += 1
                if documents == 400:
                    early = tracemalloc.get_traced_memory()[1]
                    tracemalloc.reset_peak()
            late = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    pages = Library.videos // 20
    assert documents == Library.videos * 10
    assert len(crossings) == pages + 1  # the last call returns an empty page
    assert requests == {"list_videos": pages + 1, "get_audio_transcription": Library.videos}
    # A page's peak varies by a quarter with the order of its requests; all documents would take several times more.
    assert late < early * 1.5
