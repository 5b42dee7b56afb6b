"""Evidence: the moments behind an answer, merged, with what is seen and said around them."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from conftest import BREAD, MEETING, MEETING_SESSION, FakeWire, calling, envelope, run

from memories_mcp.errors import OutOfCredits, Unauthorized
from memories_mcp.models.evidence import parse_ref
from memories_mcp.operations.common.moments import merge
from memories_mcp.runner import Runner

pytestmark = pytest.mark.anyio


async def test_refs_come_back_with_both_tracks_name_and_link(runner: Runner) -> None:
    report = await run(runner, "get_evidence", refs=[f"{MEETING}#t=266,275&kind=audio"], context_seconds=5)
    (moment,) = report.moments

    assert moment.video_name == "Quarterly planning meeting"
    assert moment.video_url.endswith("/media/quarterly-planning.mp4#t=266")
    assert (moment.start_seconds, moment.end_seconds) == (261, 280)
    assert {each.kind for each in moment.segments} == {"audio", "visual"}
    assert all(parse_ref(each.ref).video_no == MEETING for each in moment.segments)


async def test_the_moments_of_a_conversation_are_found_by_its_session(runner: Runner) -> None:
    report = await run(runner, "get_evidence", session_id=MEETING_SESSION)

    assert report.moments
    assert sum(len(each.refs) for each in report.moments) == 8


async def test_every_search_and_chat_ref_can_be_passed_back(runner: Runner) -> None:
    found = await run(runner, "search_videos", query="launch date")
    answer = await run(runner, "chat_with_videos", prompt="launch date", video_nos=[MEETING])
    refs = [each.ref for each in (*found.moments, *answer.evidence)]
    report = await run(runner, "get_evidence", refs=refs, context_seconds=0)

    assert {ref for moment in report.moments for ref in moment.refs} == set(refs)
    assert report.unread == []


async def test_public_and_private_videos_go_together(runner: Runner) -> None:
    refs = [f"{MEETING}#t=60,98&kind=audio", f"{BREAD}#t=66,75&kind=visual"]
    report = await run(runner, "get_evidence", refs=refs)

    assert [each.video_no for each in report.moments] == [MEETING, BREAD]
    assert all(each.segments for each in report.moments)


async def test_what_cannot_be_read_is_named_and_the_rest_is_given(runner: Runner) -> None:
    refs = [f"{MEETING}#t=60,98&kind=audio", "VI999#t=1,2&kind=clip", "image:568102998803353601"]
    report = await run(runner, "get_evidence", refs=refs)

    assert [each.video_no for each in report.moments] == [MEETING]
    assert len(report.unread) == 2


async def test_a_moment_without_times_names_the_video(runner: Runner) -> None:
    report = await run(runner, "get_evidence", refs=[f"{BREAD}#kind=metadata"])
    (moment,) = report.moments

    assert "sourdough" in moment.video_name
    assert moment.segments == []


async def test_each_transcript_is_fetched_once_however_many_refs_point_into_it() -> None:
    def answer(request: Any) -> Any:
        return envelope({"video_name": "n", "transcriptions": [{"content": "c", "startTime": "0", "endTime": "999"}]})

    wire = FakeWire(answer)
    async with calling(wire) as runner:
        await run(runner, "get_evidence", refs=[f"VI1#t={start},{start + 1}&kind=clip" for start in range(0, 500, 10)])

    assert sorted(request.url.path.rsplit("/", 1)[1] for request in wire.requests) == [
        "get_audio_transcription",
        "get_private_video_details",
        "get_video_transcription",
    ]


def test_overlapping_windows_become_one() -> None:
    refs = [parse_ref(f"VI1#t={start},{start + 5}&kind=clip") for start in (10, 20, 100)]

    assert merge(refs, 3) == [(7, 28, refs[:2]), (97, 108, refs[2:])]
    assert merge(refs[:1], 60) == [(0, 75, refs[:1])]


async def test_a_short_moment_inside_a_long_one_does_not_cut_what_is_said_after_it() -> None:
    segments = [{"content": f"c{n}", "startTime": str(n * 10), "endTime": str(n * 10 + 10)} for n in range(60)]
    refs = ["VI1#t=100,200&kind=clip", "VI1#t=110,115&kind=audio"]
    async with calling(FakeWire(envelope({"video_name": "n", "transcriptions": segments}))) as runner:
        report = await run(runner, "get_evidence", refs=refs, context_seconds=0)

    [moment] = report.moments
    assert (moment.start_seconds, moment.end_seconds, moment.refs) == (100, 200, refs)
    assert {segment.text for segment in moment.segments} >= {f"c{n}" for n in range(10, 20)}


async def test_a_report_that_does_not_fit_leaves_out_whole_moments_and_says_which() -> None:
    segments = [{"content": "word " * 40, "startTime": str(s), "endTime": str(s + 10)} for s in range(0, 9000, 10)]
    wire = FakeWire(lambda request: envelope({"video_name": "n", "transcriptions": segments}))
    refs = [f"VI1#t={start},{start + 1}&kind=clip" for start in range(0, 9000, 180)]
    async with calling(wire) as runner:
        answer = await runner.run(runner.operations["get_evidence"], {"refs": refs, "context_seconds": 20})

    shown = [ref for moment in answer.output.moments for ref in moment.refs]
    assert 0 < len(shown) < len(refs)
    assert {*shown, *answer.output.left_out} == {*refs}
    assert len(answer.text) <= 24_000


async def test_a_refused_key_is_raised_and_one_videos_trouble_leaves_the_others() -> None:
    def answer(request: Any) -> Any:
        if request.url.params["video_no"] == "VI2":
            return httpx2.Response(200, content=b"<html>")
        return envelope({"video_name": "n", "transcriptions": [{"content": "c", "startTime": "0", "endTime": "9"}]})

    refs = ["VI1#t=1&kind=audio", "VI2#t=1&kind=audio"]
    async with calling(FakeWire(answer)) as runner:
        report = await run(runner, "get_evidence", refs=refs)
    for code, kind in (("0401", Unauthorized), ("0402", OutOfCredits)):
        async with calling(FakeWire(envelope(None, code, "no"))) as runner:
            with pytest.raises(kind):
                await run(runner, "get_evidence", refs=refs)

    assert [each.video_no for each in report.moments] == ["VI1"]
    assert len(report.unread) == 1


async def test_a_segment_without_an_end_is_only_where_it_starts() -> None:
    segments = [{"content": f"c{n}", "startTime": str(n), "endTime": "null"} for n in range(500)]
    async with calling(FakeWire(envelope({"video_name": "n", "transcriptions": segments}))) as runner:
        report = await run(runner, "get_evidence", refs=["VI1#t=100,101&kind=audio"], context_seconds=0)

    assert {each.text for each in report.moments[0].segments} == {"c100", "c101"}
