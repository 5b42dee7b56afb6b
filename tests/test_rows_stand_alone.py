"""A row of a result, copied out of its text, says by itself which moment it is, of which video, and how to read it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from conftest import BIKE, MEETING, FakeWire, answered, calling, envelope
from mcp import Client
from mcp_types import TextContent

from memories_mcp.models.evidence import Evidence, parse_ref
from memories_mcp.rendering.text import cut_text, format_ref
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

REF = re.compile(r"(?:VI|PI-)\d+#\S+|image:\w+")

SEARCHES: list[tuple[str, dict[str, Any]]] = [
    *(("search_videos", {"query": "price", "search_type": kind}) for kind in ("BY_CLIP", "BY_VIDEO", "BY_AUDIO")),
    ("search_videos", {"query": "price", "search_type": "BY_CAPTION"}),
    ("search_videos", {"query": "red door", "search_type": "BY_IMAGE"}),
    ("search_audio_transcripts", {"query": "price", "page_size": 8}),
    ("search_similar_images", {"path": "bicycle.jpg"}),
    ("search_clips_by_image", {"path": "bicycle.jpg", "video_no": BIKE}),
    ("search_public_videos", {"query": "bread"}),
    ("search_public_videos", {"query": "guitar chord", "search_type": "BY_AUDIO", "platform": "YOUTUBE"}),
    ("search_public_audio_transcripts", {"query": "the", "page_size": 8}),
    ("search_public_similar_images", {"path": "ball.jpg"}),
    ("chat_with_videos", {"prompt": "which price was decided?", "video_nos": [MEETING]}),
]


@pytest.fixture
async def client(live: Settings, files_root: Path) -> AsyncIterator[Client]:
    (files_root / "ball.jpg").write_bytes((files_root / "bicycle.jpg").read_bytes())
    async with Client(make_server(live.change(files_root=files_root))) as client:
        yield client


async def call(client: Client, name: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    result = await client.call_tool(name, arguments)
    [content] = result.content
    assert isinstance(content, TextContent)
    assert not result.is_error, content.text
    return content.text, result.structured_content or {}


@pytest.mark.parametrize(("name", "arguments"), SEARCHES)
async def test_every_ref_in_a_text_can_be_passed_to_get_evidence(
    client: Client, name: str, arguments: dict[str, Any]
) -> None:
    text, result = await call(client, name, arguments)
    moments: list[dict[str, Any]] = result.get("moments") or result["evidence"]
    refs = REF.findall(text)

    assert [str(parse_ref(ref)) for ref in refs] == [moment["ref"] for moment in moments]
    report = (await call(client, "get_evidence", {"refs": refs}))[1]
    unread = [line for line in report.get("unread", []) if "an image has no transcript" not in line]
    assert moments
    assert unread == []


@pytest.mark.parametrize(
    ("start", "end"), [(0, None), (30, 36), (1.5, 2.25), (3725.123, 3726), (35_999_999, 36_000_000), (1e12, 2e12)]
)
@pytest.mark.parametrize("kind", ["clip", "visual", "audio", "keyframe"])
def test_a_ref_with_the_times_of_a_player_is_the_same_ref(kind: Any, start: float, end: float | None) -> None:
    moment = Evidence.at("VI1", kind, start, end)

    assert str(parse_ref(format_ref(moment.reference))) == moment.ref


PUBLIC_ROW = {
    "videoNo": "PI-1",
    "videoName": "Bread",
    "startTime": "66",
    "endTime": "75",
    "score": 0.5,
    "blogger_id": "crumb",
    "view_count": "2480911",
    "video_url": "https://www.youtube.com/watch?v=abc",
}


async def test_a_public_hit_shows_creator_views_and_link_where_the_service_sends_them() -> None:
    rows = [PUBLIC_ROW, {"videoNo": "PI-2", "videoName": "Cake", "startTime": "null", "score": "null"}]
    async with calling(FakeWire(envelope(rows))) as runner:
        answer = await runner.run(runner.operations["search_public_videos"], {"query": "x"})

    assert answer.text.splitlines()[1:4] == [
        "moments (2):",
        "PI-1#t=1:06,1:15 0.50 Bread, by crumb, 2,480,911 views https://www.youtube.com/watch?v=abc&t=66s",
        "PI-2#kind=clip Cake",
    ]
    first, second = answer.output.structured()["moments"]
    assert (first["creator"], first["view_count"]) == ("crumb", 2480911)
    assert {"creator", "view_count", "video_url"}.isdisjoint(second)


async def test_the_evidence_of_a_public_video_names_its_creator_and_views(client: Client) -> None:
    text, _ = await call(client, "get_evidence", {"refs": ["PI-605017448302956721#t=60,92&kind=audio"]})

    assert "by sixstringsunday, 402,377 views https://www.youtube.com/watch?v=Xw3bRn9LdPc&t=60s;" in text


async def test_videos_that_occur_often_are_named_once_in_the_order_of_the_hits() -> None:
    rows = [
        {"videoNo": f"VI{n}", "videoName": f"name {n}", "startTime": i, "endTime": i + 5} for i, n in enumerate("2112")
    ]
    async with calling(FakeWire(envelope(rows))) as runner:
        text = (await runner.run(runner.operations["search_videos"], {"query": "x"})).text

    assert text.splitlines()[1:5] == ["moments (4):", "VI2 = name 2", "VI1 = name 1", "VI2#t=0:00,0:05"]


SAID = "Good morning. Dr. Hale has the floor. We agreed on the minutes! Who writes them? I do."


@pytest.mark.parametrize(
    ("query", "text", "shown"),
    [
        ("minutes", SAID, "… We agreed on the minutes! Who writes them? I do."),
        ("GOOD MORNING", SAID, SAID),
        ("hale", SAID, "… Dr. Hale has the floor. We agreed on the minutes! Who writes them? I do."),
        ("the floor. we", SAID, "… Dr. Hale has the floor. We agreed on the minutes! Who writes them? I do."),
        ("art", "We start. Art is long.", "… Art is long."),
        ("tar", "We start. Art is long.", "We start. Art is long."),
        ("b", "版本 a。第二 b。", "… 第二 b。"),
        ("other", SAID, SAID),
    ],
)
@pytest.mark.parametrize("name", ["search_audio_transcripts", "search_public_audio_transcripts"])
async def test_a_hit_of_words_begins_with_the_sentence_that_has_them(
    name: str, query: str, text: str, shown: str
) -> None:
    row = {"videoNo": "VI1", "startTime": "34", "endTime": "41", "audio_ts": f" {text}"}
    result = await answered({"videos": [row]}, name, query=query)

    [moment] = result.moments
    assert moment.text == shown
    assert (moment.start_seconds, moment.end_seconds) == (34, 41)


async def test_hits_that_are_left_out_are_counted() -> None:
    twice = {"videoNo": "VI1", "startTime": "1", "endTime": "2", "score": 0.5}
    rows = [twice, {"videoName": "no number"}, twice | {"score": 0.4}, twice | {"startTime": "0"}, twice]
    result = await answered(rows, "search_videos", query="x")

    assert [(moment.start_seconds, moment.score) for moment in result.moments] == [(1, 0.5), (0, 0.5)]
    assert result.note == "2 repeated hits were left out. 1 row without an id was skipped."


async def test_segments_of_one_second_with_different_words_are_no_repetition() -> None:
    rows = [{"videoNo": "VI1", "startTime": "1", "audio_ts": text} for text in ("Yes.", "Yes we do.", "Yes.")]
    result = await answered({"videos": rows}, "search_audio_transcripts", query="yes")

    assert [moment.text for moment in result.moments] == ["Yes.", "Yes we do."]
    assert result.note == "1 repeated hit was left out."


@pytest.mark.parametrize("name", ["search_videos", "search_public_videos"])
async def test_a_filter_that_leaves_few_hits_is_named_since_the_service_counts_nothing(name: str) -> None:
    rows = [{"videoNo": "VI1", "startTime": n, "endTime": n + 1} for n in range(3)]
    few = await answered(rows, name, query="x", filtering_level="high")
    none = await answered([], name, query="x", filtering_level="low")
    enough = await answered(rows, name, query="x", filtering_level="high", top_k=3)
    unfiltered = await answered(rows, name, query="x")

    assert few.note == (
        "filtering_level=high leaves out weaker hits, which the service does not count; "
        "leave the argument out for all or try a lower one."
    )
    assert none.note.endswith("which the service does not count; leave the argument out for all.")
    assert (enough.note, unfiltered.note) == (None, None)


async def test_an_image_search_without_a_hit_names_the_similarity(client: Client) -> None:
    text, _ = await call(client, "search_similar_images", {"path": "bicycle.jpg", "similarity": 1})

    assert "a lower similarity" in text


LINK = "https://media.example/a.mp4?signature=" + "s" * 300


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("see VI612515#t=266,275&kind=audio there", 20, "see"),
        ("from 0:30-0:36 on", 9, "from"),
        ("at https://a.example/b?c=1 here", 15, "at"),
        ("all of it", 100, "all of it"),
        ("ends here exactly", 9, "ends here"),
        ("x" * 50, 20, "x" * 20),
        ("blob " + "x" * 500, 400, "blob " + "x" * 395),
        (LINK, 200, ""),
        ("看看 https://a.example/b 这里", 12, "看看"),
        ("没有空格的文字", 4, "没有空格"),
    ],
)
def test_a_text_is_cut_between_words_so_that_no_link_ref_or_time_is_broken(text: str, limit: int, cut: str) -> None:
    assert cut_text(text, limit) == cut


async def test_a_result_that_is_cut_as_a_last_resort_breaks_no_link() -> None:
    detail = {"video_no": "VI1", "video_name": "n " * 20_000, "video_url": LINK, "status": "PARSE"}
    result = await answered(detail, "get_private_video_details", video_no="VI1")

    assert result.video_url in {LINK, "…"}
    assert result.video_name.endswith("n…")


async def test_a_long_answer_ends_with_a_whole_ref() -> None:
    content = "VI612515093881740229#t=266,275&kind=audio " * 400
    result = await answered({"content": content, "session_id": "1"}, "chat_with_library", prompt="x")

    assert result.answer.endswith("kind=audio")
    assert f"{len(content.strip()) - len(result.answer)} characters of the answer were left out" in result.note
