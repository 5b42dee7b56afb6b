"""Links that open a video at the moment, where the video's site documents how."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import MEETING, FakeWire, answered, calling, envelope, run
from langchain_core.documents import Document

from langchain_tools import MemoriesRetriever
from memories_mcp.models.evidence import Evidence
from memories_mcp.models.platforms import timed_link
from memories_mcp.runner import Runner

pytestmark = pytest.mark.anyio

YOUTUBE = "https://www.youtube.com"


@pytest.mark.parametrize(
    ("url", "timed"),
    [
        (f"{YOUTUBE}/watch?v=abc", f"{YOUTUBE}/watch?v=abc&t=266s"),
        (f"{YOUTUBE}/watch?list=PL1&t=5&v=a%2Fb&index=2#t=9", f"{YOUTUBE}/watch?list=PL1&v=a%2Fb&index=2&t=266s"),
        ("https://m.youtube.com/watch?v=abc", "https://m.youtube.com/watch?v=abc&t=266s"),
        ("https://youtu.be/a-b_c", "https://youtu.be/a-b_c?t=266s"),
        ("https://youtu.be/abc?si=x&t=1m5s", "https://youtu.be/abc?si=x&t=266s"),
        (f"{YOUTUBE}/shorts/abc", f"{YOUTUBE}/shorts/abc?t=266s"),
        (f"{YOUTUBE}/live/abc?feature=share", f"{YOUTUBE}/live/abc?feature=share&t=266s"),
        # The embedded player documents `start`, a number of seconds.
        (f"{YOUTUBE}/embed/abc?start=3&rel=0", f"{YOUTUBE}/embed/abc?rel=0&start=266"),
        ("https://www.youtube-nocookie.com/embed/abc", "https://www.youtube-nocookie.com/embed/abc?start=266"),
        ("http://127.0.0.1:8080/media/a.mp4", "http://127.0.0.1:8080/media/a.mp4#t=266"),
        ("https://cdn.example/a.WEBM?t=signature&x=%2B", "https://cdn.example/a.WEBM?t=signature&x=%2B#t=266"),
        ("https://cdn.example/a.mp4#track=2&t=4,5", "https://cdn.example/a.mp4#track=2&t=266"),
    ],
)
def test_a_link_of_a_known_form_opens_at_the_time(url: str, timed: str) -> None:
    assert timed_link(url, 266.9) == timed
    assert timed_link(timed, 266.9) == timed


@pytest.mark.parametrize(
    "url",
    [
        "https://www.tiktok.com/@crumbandcroft/video/7548120936617203841",
        "https://www.tiktok.com/player/v1/7434361641896103211",
        "https://www.instagram.com/reel/DLb2tWnHq9s/",
        "https://vimeo.com/76979871",
        "https://cdn.example/a.m3u8",
        f"{YOUTUBE}/@sixstringsunday",
        f"{YOUTUBE}/playlist?list=PL1",
        "https://notyoutube.com/watch?v=abc",
        "https://youtu.be.example/abc",
        "https://www.youtube.com.example/watch?v=abc",
        "javascript:alert(1)//a.mp4",
        "ftp://cdn.example/a.mp4",
        "https://[broken/a.mp4",
        "quarterly-planning.mp4",
        "",
    ],
)
def test_every_other_link_stays_as_it_is(url: str) -> None:
    assert timed_link(url, 266) == url


@pytest.mark.parametrize("seconds", [0, 0.4])
def test_a_moment_at_the_start_needs_no_time(seconds: float) -> None:
    assert timed_link(f"{YOUTUBE}/watch?v=abc&t=9", seconds) == f"{YOUTUBE}/watch?v=abc"
    assert timed_link("https://cdn.example/a.mp4", seconds) == "https://cdn.example/a.mp4"


def test_without_a_time_the_link_stays_as_it_is() -> None:
    assert timed_link(f"{YOUTUBE}/watch?v=abc&t=9", None) == f"{YOUTUBE}/watch?v=abc&t=9"


async def test_each_moment_of_the_evidence_has_a_link_of_its_own(runner: Runner) -> None:
    guitar, bread = "PI-605017448302956721", "PI-604418309112233984"
    refs = [
        f"{guitar}#t=60,92",
        f"{guitar}#t=210,248",
        f"{MEETING}#t=266.5,275",
        f"{bread}#t=66,75",
        f"{guitar}#kind=clip",
    ]
    report = await run(runner, "get_evidence", refs=refs, context_seconds=2)
    links = [moment.video_url for moment in report.moments]

    assert links[:3] == [f"{YOUTUBE}/watch?v=Xw3bRn9LdPc{time}" for time in ("", "&t=60s", "&t=210s")]
    assert links[3].endswith("/media/quarterly-planning.mp4#t=266")
    assert links[4].startswith("https://www.tiktok.com/@")
    assert "t=" not in links[4]


ROW: dict[str, Any] = {"videoNo": "PI-1", "startTime": "66", "endTime": "75", "video_url": "https://youtu.be/abc"}


@pytest.mark.parametrize("name", ["search_public_videos", "search_videos"])
async def test_a_hit_with_a_link_opens_at_its_moment(name: str) -> None:
    [moment] = (await answered([ROW], name, query="x")).moments

    assert moment.video_url == "https://youtu.be/abc?t=66s"


async def test_a_citation_of_a_chat_opens_at_its_moment() -> None:
    refs = [{"video": {"video_no": "PI-1", "video_name": "n", "video_url": "https://youtu.be/abc"}, "refItems": [
        {"startTime": 30, "endTime": 36, "type": "visual_ts", "text": "a"}, {"type": "video_meta"}]}]  # fmt: skip
    async with calling(FakeWire(envelope({"content": "c", "session_id": "1", "refs": refs}))) as runner:
        answer = await runner.run(runner.operations["chat_with_public_videos"], {"prompt": "x"})

    assert [moment.video_url for moment in answer.output.evidence] == [
        "https://youtu.be/abc?t=30s",
        "https://youtu.be/abc",
    ]
    assert "PI-1#t=0:30,0:36&kind=visual https://youtu.be/abc?t=30s: a" in answer.text


async def test_a_document_of_langchain_has_the_link_of_its_moment(
    account: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hits(*_: Any) -> list[Evidence]:
        times = [(70, 80), (66, 75)]  # overlapping, so that they become one document
        return [Evidence.at("PI-1", "audio", *time, text="a", video_url="https://youtu.be/abc") for time in times]

    monkeypatch.setattr("langchain_tools.retriever.public_hits", hits)
    documents: list[Document] = await MemoriesRetriever(**account, platform="YOUTUBE").ainvoke("x")

    assert [document.metadata["video_url"] for document in documents] == ["https://youtu.be/abc?t=66s"]
    assert documents[0].metadata["source"] == "memories://videos/PI-1"
