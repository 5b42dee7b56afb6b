"""The retriever: moments of videos as documents."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import pytest
from agents import check_document
from conftest import BIKE, BREAD, MEETING, order
from langchain_core.documents import Document
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from pydantic import SecretStr, ValidationError

from langchain_tools import MemoriesRetriever, MemoriesToolkit, MemoriesTranscriptLoader
from memories_mcp.errors import ConfigurationError, InvalidArguments, RateLimited, Unauthorized
from memories_mcp.settings import Settings

pytestmark = pytest.mark.usefixtures("no_limits")

PRICE = "price of the Team plan"


def test_each_document_is_a_moment_with_what_is_seen_and_said_there(account: dict[str, Any]) -> None:
    documents = MemoriesRetriever(**account).invoke(PRICE)

    assert len(documents) == 4
    for document in documents:
        check_document(document)
    first = documents[0]
    assert first.metadata == {
        "source": f"memories://videos/{MEETING}",
        "ref": f"{MEETING}#t=208,262&kind=clip",
        "video_no": MEETING,
        "video_name": "Quarterly planning meeting",
        "kind": "clip",
        "start_seconds": 208,
        "end_seconds": 262,
        "score": first.metadata["score"],
        "uri": f"memories://videos/{MEETING}/transcripts/visual?start=208&end=262",
    }
    assert "Said: Then I suggest we lower the price of the Team plan" in first.page_content
    assert "Seen: " in first.page_content
    assert [document.metadata["score"] for document in documents] == sorted(
        (document.metadata["score"] for document in documents), reverse=True
    )


def test_a_documents_id_reads_the_evidence_again(account: dict[str, Any]) -> None:
    [document] = MemoriesRetriever(**account, k=1).invoke(PRICE)
    tools = {tool.name: tool for tool in MemoriesToolkit(**account).get_tools()}

    assert "lower the price of the Team plan" in tools["get_evidence"].invoke({"refs": [document.id]})


def test_a_search_by_speech_needs_no_transcript(account: dict[str, Any], live: Settings) -> None:
    retriever = MemoriesRetriever(**account, search_type="BY_AUDIO", k=2)
    asyncio.run(order(live, "html", path="get_audio_transcription", times=20))
    documents = retriever.invoke(PRICE)

    assert [document.metadata["kind"] for document in documents] == ["audio", "audio"]
    assert documents[0].page_content.startswith("Then I suggest we lower the price")


@pytest.mark.parametrize("search", [{"search_type": "BY_VIDEO"}, {"platform": "TIKTOK"}, {"platform": "YOUTUBE"}])
@pytest.mark.parametrize("context_seconds", [0, 30])
def test_a_whole_video_brings_the_first_words_of_its_transcripts(
    account: dict[str, Any], search: dict[str, Any], context_seconds: float
) -> None:
    retriever = MemoriesRetriever(**account, **search, context_seconds=context_seconds)
    documents = [document for query in ("bread", "bike", "camera", PRICE) for document in retriever.invoke(query)]

    assert documents
    for document in documents:
        check_document(document)
        assert "start_seconds" not in document.metadata
        assert document.page_content != document.metadata["video_name"]
        assert "Seen: " in document.page_content
        assert len(document.page_content) <= 4000


def test_a_long_transcript_of_a_whole_video_ends_with_a_whole_line(
    account: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    retriever = MemoriesRetriever(**account, search_type="BY_VIDEO", k=1)
    [whole] = retriever.invoke(PRICE)
    monkeypatch.setattr("langchain_tools.retriever._MAX_VIDEO_CHARACTERS", 300)
    [short] = retriever.invoke(PRICE)
    monkeypatch.setattr("langchain_tools.retriever._MAX_VIDEO_CHARACTERS", 10)
    [cut] = retriever.invoke(PRICE)

    assert len(short.page_content) <= 300
    assert whole.page_content.startswith(f"{short.page_content}\n")
    assert cut.page_content == whole.page_content[:10]
    assert whole.id == short.id == cut.id


def test_a_whole_video_without_transcripts_brings_its_name(account: dict[str, Any], live: Settings) -> None:
    for track in ("video", "audio"):
        asyncio.run(order(live, "null_body", path=f"get_{track}_transcription", times=20))
    [document] = MemoriesRetriever(**account, search_type="BY_VIDEO", k=1).invoke(PRICE)

    assert document.page_content == document.metadata["video_name"]


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
        (document.metadata["video_no"], document.metadata["start_seconds"], document.metadata["end_seconds"])
        for document in apart
    ]

    assert len(apart) == len(merged) == 5
    assert (MEETING, 60, 98) in spans
    assert (MEETING, 58, 104) in spans
    assert f"{MEETING}#t=58,104&kind=clip" in {document.id for document in merged}
    assert not {(60, 98)} & {
        (document.metadata["start_seconds"], document.metadata["end_seconds"]) for document in merged
    }
    score = next(document.metadata["score"] for document in merged if document.metadata["start_seconds"] == 58)
    assert score == max(
        document.metadata["score"] for document in apart if document.metadata["start_seconds"] in {58, 60}
    )
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
        assert {document.metadata["video_no"] for document in only} == {BIKE}
        assert retriever.k == 2


@pytest.mark.parametrize("wrong", [{"k": 0}, {"k": "many"}, {"search_type": "BY_MAGIC"}, {"top": 3}])
def test_a_wrong_argument_is_named_in_constructor_and_call(account: dict[str, Any], wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        MemoriesRetriever(**account, **wrong)
    with pytest.raises(InvalidArguments, match=next(iter(wrong))):
        MemoriesRetriever(**account).invoke(PRICE, **wrong)


def test_a_refused_query_is_an_error_with_the_reason(account: dict[str, Any]) -> None:
    with pytest.raises(InvalidArguments, match="query"):
        MemoriesRetriever(**account).invoke("")
    with pytest.raises(InvalidArguments, match="public library"):
        MemoriesRetriever(**account, platform="TIKTOK", tag="x").invoke(PRICE)


def test_the_public_library_and_whole_videos_are_searched_too(account: dict[str, Any]) -> None:
    public = MemoriesRetriever(**account, platform="TIKTOK", k=1).invoke("bread with a crackly crust")
    videos = MemoriesRetriever(**account, search_type="BY_VIDEO", k=2).invoke(PRICE)

    assert public[0].metadata["video_no"] == BREAD
    assert "start_seconds" not in videos[0].metadata
    assert videos[0].metadata["video_name"] == "Quarterly planning meeting"
    assert "welcome to the quarterly planning meeting" in videos[0].page_content
    for document in (*public, *videos):
        check_document(document)


def test_a_namespace_that_does_not_exist_has_nothing(account: dict[str, Any]) -> None:
    assert MemoriesRetriever(**account, unique_id="no-such-namespace").invoke(PRICE) == []
    assert MemoriesTranscriptLoader(**account, unique_id="no-such-namespace").load() == []


def test_a_transcript_that_cannot_be_read_leaves_the_moment_its_name(account: dict[str, Any], live: Settings) -> None:
    asyncio.run(order(live, "null_body", path="get_video_transcription", times=20))
    asyncio.run(order(live, "null_body", path="get_audio_transcription", times=20))
    [document] = MemoriesRetriever(**account, k=1).invoke(PRICE)

    assert document.page_content == "Quarterly planning meeting"


def test_a_missing_or_refused_key_is_raised(live: Settings) -> None:
    with pytest.raises(ConfigurationError, match="MEMORIES_API_KEY"):
        MemoriesRetriever(base_url=live.base_url).invoke(PRICE)
    with pytest.raises(Unauthorized):
        MemoriesRetriever(api_key=SecretStr("sk-refused"), base_url=live.base_url).invoke(PRICE)
    with pytest.raises(Unauthorized):
        MemoriesTranscriptLoader(api_key=SecretStr("sk-refused"), base_url=live.base_url).load()


def user(unique_id: str) -> RunnableConfig:
    key = SecretStr(f"sk-user-{uuid.uuid4().hex}")
    return {"configurable": {"memories_api_key": key, "memories_unique_id": unique_id}}


@pytest.mark.anyio
async def test_two_tenants_who_call_one_retriever_directly_see_only_their_own(live: Settings) -> None:
    retriever = MemoriesRetriever(base_url=live.base_url, per_run=True, search_type="BY_VIDEO")
    [upload] = MemoriesToolkit(
        base_url=live.base_url, per_run=True, toolsets=(), tools=["upload_video_url"]
    ).get_tools()
    ann, bob = user("ann"), user("bob")
    for name, config in (("zebra-of-ann", ann), ("zebra-of-bob", bob)):
        await upload.ainvoke({"url": f"https://media.example/{name}.mp4", "wait_seconds": 10}, config)

    def names(documents: list[Document]) -> set[str]:
        return {document.metadata["video_name"] for document in documents}

    for _ in range(3):
        both = await asyncio.gather(retriever.ainvoke("zebra", ann), retriever.ainvoke("zebra", bob))
        assert [names(documents) for documents in both] == [{"zebra-of-ann"}, {"zebra-of-bob"}]
    assert names(retriever.invoke("zebra", ann)) == {"zebra-of-ann"}
    assert [names(documents) for documents in retriever.batch(["zebra"] * 2, [ann, bob])] == [
        {"zebra-of-ann"},
        {"zebra-of-bob"},
    ]
    chain: Runnable[str, list[Document]] = RunnableLambda(str) | retriever
    assert names(await chain.ainvoke("zebra", bob)) == {"zebra-of-bob"}
    with pytest.raises(ConfigurationError, match="has no API key"):
        retriever.invoke("zebra")


def test_a_busy_service_raises_an_error_instead_of_returning_less_text(
    account: dict[str, Any], live: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)
    asyncio.run(order(live, "http_429", path="get_audio_transcription", times=40))
    with pytest.raises(RateLimited):
        MemoriesRetriever(**account, k=2).invoke(PRICE)


def test_a_batch_waits_for_its_transcripts_however_tight_the_limit(
    account: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memories_mcp.api.rate_limits.LONGEST_WAIT", 0.2)
    monkeypatch.setenv("MEMORIES_RATE_LIMITS", "read=40/1,search=1000/1")
    with MemoriesRetriever(**account, k=2) as retriever:
        results = retriever.batch([PRICE] * 20)

    assert len({json.dumps([document.page_content for document in documents]) for documents in results}) == 1
    assert "Said: " in results[0][0].page_content
    assert "Seen: " in results[0][0].page_content
