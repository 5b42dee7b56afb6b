"""The retriever and the loader: moments of videos as documents."""

from __future__ import annotations

import asyncio
import json
import threading
import tracemalloc
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import BIKE, BREAD, MEETING, order
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore
from pydantic import SecretStr, ValidationError

from langchain_tools import MemoriesRetriever, MemoriesToolkit, MemoriesTranscriptLoader
from langchain_tools.bridge import bridge
from memories_mcp.errors import ConfigurationError, InvalidArguments, NotFound, Unauthorized
from memories_mcp.models import parse_ref
from memories_mcp.settings import Settings

PRICE = "price of the Team plan"


@pytest.fixture(autouse=True)
def _no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORIES_RATE_LIMITS", "off")


@pytest.fixture
def account(live: Settings) -> dict[str, Any]:
    return {"api_key": SecretStr(live.api_key), "base_url": live.base_url}


def check(document: Document) -> None:
    """A moment: its id is a ref that can be passed back, its metadata are flat scalars, its text is clean."""
    assert document.id is not None
    assert str(parse_ref(document.id)) == document.id == document.metadata["ref"]
    assert all(isinstance(each, str | int | float) for each in document.metadata.values())
    assert "untrusted" not in document.page_content
    assert document.page_content.strip()


# ---- retriever


def test_each_document_is_a_moment_with_what_is_seen_and_said_there(account: dict[str, Any]) -> None:
    found = MemoriesRetriever(**account).invoke(PRICE)

    assert len(found) == 4
    for each in found:
        check(each)
    first = found[0]
    assert first.metadata == {
        "source": f"memories://videos/{MEETING}",
        "ref": f"{MEETING}#t=212,256&kind=clip",
        "video_no": MEETING,
        "video_name": "Quarterly planning meeting",
        "kind": "clip",
        "start_seconds": 212,
        "end_seconds": 256,
        "score": first.metadata["score"],
        "uri": f"memories://videos/{MEETING}/transcripts/visual?start=212&end=256",
    }
    assert "Said: Then I suggest we lower the price of the Team plan" in first.page_content
    assert "Seen: " in first.page_content
    assert [each.metadata["score"] for each in found] == sorted(
        (each.metadata["score"] for each in found), reverse=True
    )


def test_a_documents_id_reads_the_evidence_again(account: dict[str, Any]) -> None:
    [found] = MemoriesRetriever(**account, k=1).invoke(PRICE)
    tools = {each.name: each for each in MemoriesToolkit(**account).get_tools()}

    assert "lower the price of the Team plan" in tools["get_evidence"].invoke({"refs": [found.id]})


def test_what_is_said_needs_no_transcript(account: dict[str, Any], live: Settings) -> None:
    retriever = MemoriesRetriever(**account, search_type="BY_AUDIO", k=2)
    asyncio.run(order(live, "html", path="get_audio_transcription", times=20))
    found = retriever.invoke(PRICE)

    assert [each.metadata["kind"] for each in found] == ["audio", "audio"]
    assert found[0].page_content.startswith("Then I suggest we lower the price")


def test_context_is_added_to_the_text_and_not_to_the_times(account: dict[str, Any]) -> None:
    narrow = MemoriesRetriever(**account, search_type="BY_AUDIO", k=1).invoke(PRICE)[0]
    wide = MemoriesRetriever(**account, search_type="BY_AUDIO", k=1, context_seconds=30).invoke(PRICE)[0]

    assert narrow.id == f"{MEETING}#t=212,256&kind=audio"
    assert narrow.page_content in wide.page_content.replace("\n", " ") or narrow.page_content in wide.page_content
    assert len(wide.page_content) > len(narrow.page_content)
    assert wide.id == narrow.id


def test_overlapping_moments_become_one_and_k_counts_afterwards(account: dict[str, Any]) -> None:
    apart = MemoriesRetriever(**account, k=5, merge_overlaps=False).invoke(PRICE)
    merged = MemoriesRetriever(**account, k=5).invoke(PRICE)
    spans = [
        (each.metadata["video_no"], each.metadata["start_seconds"], each.metadata["end_seconds"]) for each in apart
    ]

    assert len(apart) == len(merged) == 5
    assert (MEETING, 60, 98) in spans
    assert (MEETING, 58, 104) in spans
    assert f"{MEETING}#t=58,104&kind=clip" in {each.id for each in merged}
    assert not {(60, 98)} & {(each.metadata["start_seconds"], each.metadata["end_seconds"]) for each in merged}
    score = next(each.metadata["score"] for each in merged if each.metadata["start_seconds"] == 58)
    assert score == max(each.metadata["score"] for each in apart if each.metadata["start_seconds"] in {58, 60})
    for one, other in ((a, b) for a in merged for b in merged if a is not b):
        same = one.metadata["video_no"] == other.metadata["video_no"]
        assert not same or not (
            one.metadata["start_seconds"] < other.metadata["end_seconds"]
            and other.metadata["start_seconds"] < one.metadata["end_seconds"]
        )


@pytest.mark.anyio
async def test_k_and_filters_may_be_given_to_a_call(account: dict[str, Any]) -> None:
    async with MemoriesRetriever(**account, k=2) as retriever:
        assert len(await retriever.ainvoke(PRICE)) == 2
        assert len(await retriever.ainvoke(PRICE, k=3)) == 3
        only = await retriever.ainvoke("chain", k=3, video_nos=[BIKE])
        assert {each.metadata["video_no"] for each in only} == {BIKE}
        assert retriever.k == 2


@pytest.mark.parametrize("wrong", [{"k": 0}, {"k": "many"}, {"search_type": "BY_MAGIC"}, {"top": 3}])
def test_a_wrong_argument_is_named_in_constructor_and_call(account: dict[str, Any], wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        MemoriesRetriever(**account, **wrong)
    with pytest.raises(InvalidArguments, match=next(iter(wrong))):
        MemoriesRetriever(**account).invoke(PRICE, **wrong)


def test_a_question_that_the_service_refuses_says_why(account: dict[str, Any]) -> None:
    with pytest.raises(InvalidArguments, match="query"):
        MemoriesRetriever(**account).invoke("")
    with pytest.raises(InvalidArguments, match="public library"):
        MemoriesRetriever(**account, platform="TIKTOK", tag="x").invoke(PRICE)


def test_the_public_library_and_whole_videos_are_searched_too(account: dict[str, Any]) -> None:
    public = MemoriesRetriever(**account, platform="TIKTOK", k=1).invoke("bread with a crackly crust")
    videos = MemoriesRetriever(**account, search_type="BY_VIDEO", k=2).invoke(PRICE)

    assert public[0].metadata["video_no"] == BREAD
    assert "start_seconds" not in videos[0].metadata
    assert videos[0].page_content == "Quarterly planning meeting"
    for each in (*public, *videos):
        check(each)


def test_a_namespace_that_does_not_exist_has_nothing(account: dict[str, Any]) -> None:
    assert MemoriesRetriever(**account, unique_id="nobody").invoke(PRICE) == []
    assert MemoriesTranscriptLoader(**account, unique_id="nobody").load() == []


def test_a_transcript_that_cannot_be_read_leaves_the_moment_its_name(account: dict[str, Any], live: Settings) -> None:
    asyncio.run(order(live, "null_body", path="get_video_transcription", times=20))
    asyncio.run(order(live, "null_body", path="get_audio_transcription", times=20))
    [found] = MemoriesRetriever(**account, k=1).invoke(PRICE)

    assert found.page_content == "Quarterly planning meeting"


def test_a_missing_or_refused_key_is_raised(live: Settings) -> None:
    with pytest.raises(ConfigurationError, match="MEMORIES_API_KEY"):
        MemoriesRetriever(base_url=live.base_url).invoke(PRICE)
    with pytest.raises(Unauthorized):
        MemoriesRetriever(api_key=SecretStr("sk-refused"), base_url=live.base_url).invoke(PRICE)
    with pytest.raises(Unauthorized):
        MemoriesTranscriptLoader(api_key=SecretStr("sk-refused"), base_url=live.base_url).load()


def of(unique: str) -> RunnableConfig:
    key = SecretStr(f"sk-user-{uuid.uuid4().hex}")
    return {"configurable": {"memories_api_key": key, "memories_unique_id": unique}}


@pytest.mark.anyio
async def test_two_tenants_who_call_one_retriever_directly_see_only_their_own(live: Settings) -> None:
    retriever = MemoriesRetriever(base_url=live.base_url, per_run=True, search_type="BY_VIDEO")
    [upload] = MemoriesToolkit(
        base_url=live.base_url, per_run=True, toolsets=(), tools=["upload_video_url"]
    ).get_tools()
    ann, bob = of("ann"), of("bob")
    for name, config in (("zebra-of-ann", ann), ("zebra-of-bob", bob)):
        await upload.ainvoke({"url": f"https://media.example/{name}.mp4", "wait_seconds": 10}, config)

    def names(found: list[Document]) -> set[str]:
        return {each.metadata["video_name"] for each in found}

    for _ in range(3):
        both = await asyncio.gather(retriever.ainvoke("zebra", ann), retriever.ainvoke("zebra", bob))
        assert [names(each) for each in both] == [{"zebra-of-ann"}, {"zebra-of-bob"}]
    assert names(retriever.invoke("zebra", ann)) == {"zebra-of-ann"}
    assert [names(each) for each in retriever.batch(["zebra"] * 2, [ann, bob])] == [{"zebra-of-ann"}, {"zebra-of-bob"}]
    chain: Runnable[str, list[Document]] = RunnableLambda(str) | retriever
    assert names(await chain.ainvoke("zebra", bob)) == {"zebra-of-bob"}
    with pytest.raises(ConfigurationError, match="brings no key"):
        retriever.invoke("zebra")


def test_the_key_never_shows(account: dict[str, Any], live: Settings) -> None:
    for each in (MemoriesRetriever(**account), MemoriesTranscriptLoader(**account)):
        assert live.api_key not in f"{each!r} {each} {each.model_dump()} {each.model_dump_json()}"


# ---- loader


def test_one_document_a_window_of_time(account: dict[str, Any]) -> None:
    found = MemoriesTranscriptLoader(**account, video_nos=[MEETING]).load()

    for each in found:
        check(each)
        assert each.metadata["end_seconds"] - each.metadata["start_seconds"] == 60
        assert each.metadata["start_seconds"] % 60 == 0
    assert [each.metadata["start_seconds"] for each in found] == sorted(
        {each.metadata["start_seconds"] for each in found}
    )
    fourth = next(each for each in found if each.metadata["start_seconds"] == 180)
    assert fourth.id == f"{MEETING}#t=180,240&kind=clip"
    assert "Said: Then I suggest we lower the price of the Team plan" in fourth.page_content
    assert fourth.metadata["video_name"] == "Quarterly planning meeting"


def test_one_track_is_text_without_labels(account: dict[str, Any]) -> None:
    found = MemoriesTranscriptLoader(**account, video_nos=[MEETING], tracks=["audio"], chunk_seconds=300).load()

    assert {each.metadata["kind"] for each in found} == {"audio"}
    assert not any("Said:" in each.page_content for each in found)
    assert len(found) <= 5


def test_every_line_of_a_transcript_is_in_exactly_one_document(account: dict[str, Any]) -> None:
    fine = MemoriesTranscriptLoader(**account, video_nos=[MEETING], tracks=["audio"], chunk_seconds=7.5).load()
    whole = MemoriesTranscriptLoader(**account, video_nos=[MEETING], tracks=["audio"], chunk_seconds=86_400).load()

    assert len(whole) == 1
    assert "\n".join(each.page_content for each in fine) == whole[0].page_content


@pytest.mark.anyio
async def test_none_loads_the_whole_library_lazily_in_async_code_too(account: dict[str, Any]) -> None:
    loader = MemoriesTranscriptLoader(**account)
    listed = {each.name: each for each in MemoriesToolkit(**account).get_tools()}["list_videos"]
    videos = await listed.ainvoke({"type": "tool_call", "id": "1", "name": "list_videos", "args": {"size": 200}})
    wanted = {each["video_no"] for each in videos.artifact["structured_content"]["videos"]}
    found = [each async for each in loader.alazy_load()]

    assert {each.metadata["video_no"] for each in found} == wanted
    assert [each.id for each in found] == [each.id for each in loader.lazy_load()]
    assert len({each.id for each in found}) == len(found)


def test_indexing_twice_does_not_duplicate(account: dict[str, Any]) -> None:
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
    loader = MemoriesTranscriptLoader(**account, chunk_seconds=300)
    first = store.add_documents(loader.load())

    assert store.add_documents(loader.load()) == first
    assert len(store.store) == len(first) == len(set(first))


def test_public_and_unknown_videos(account: dict[str, Any]) -> None:
    mixed = MemoriesTranscriptLoader(**account, video_nos=[BREAD, MEETING, BREAD]).load()

    assert list(dict.fromkeys(each.metadata["video_no"] for each in mixed)) == [BREAD, MEETING]
    with pytest.raises(NotFound, match="VI404"):
        MemoriesTranscriptLoader(**account, video_nos=[MEETING, "VI404"]).load()
    assert MemoriesTranscriptLoader(**account, video_nos=[]).load() == []
    with pytest.raises(ValidationError, match="chunk_seconds"):
        MemoriesTranscriptLoader(**account, chunk_seconds=0)
    with pytest.raises(ValidationError, match="tracks"):
        MemoriesTranscriptLoader(**account, tracks=["smell"])  # pyright: ignore[reportArgumentType] -- that is the test


class Library(BaseHTTPRequestHandler):
    """A thousand videos whose transcripts weigh 50 kB each; it counts what is asked for."""

    videos = 1000
    protocol_version = "HTTP/1.1"
    seen: dict[str, int]

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
        self.answer({"videos": [{"video_no": f"VI{n}", "video_name": f"n{n}", "status": "PARSE"} for n in numbers]})

    def count(self, path: str) -> None:
        name = path.rsplit("/", 1)[-1]
        self.seen[name] = self.seen.get(name, 0) + 1

    def answer(self, data: Any) -> None:
        body = json.dumps({"code": "0000", "msg": "success", "data": data}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def thousand() -> Iterator[tuple[str, dict[str, int]]]:
    seen = dict[str, int]()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Counted", (Library,), {"seen": seen}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()
    thread.join()


def test_memory_stays_flat_over_a_thousand_videos_at_one_bridge_call_a_page(
    thousand: tuple[str, dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, seen = thousand
    crossings = list[int]()
    wait = bridge.wait

    def counted(work: Any) -> Any:
        crossings.append(1)
        return wait(work)

    monkeypatch.setattr(bridge, "wait", counted)
    loader = MemoriesTranscriptLoader(api_key=SecretStr("sk-1"), base_url=url, tracks=["audio"])
    documents, early, late = 0, 0, 0
    tracemalloc.start()
    try:
        for number, _ in enumerate(loader.lazy_load()):
            documents = number + 1
            if documents == 1000:
                early = tracemalloc.get_traced_memory()[1]
                tracemalloc.reset_peak()
        late = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert documents == 10_000
    assert len(crossings) == 51  # the last one finds the end
    assert seen == {"list_videos": 51, "get_audio_transcription": 1000}
    assert late < early * 1.25
