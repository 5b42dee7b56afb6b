"""Refs as a model copies them out of a text, and refs that name no video or no time."""

from __future__ import annotations

import pytest
from conftest import BREAD, MEETING, FakeWire, calling, envelope, run

from memories_mcp.errors import InvalidArguments
from memories_mcp.runner import Runner

pytestmark = pytest.mark.anyio

REF = f"{MEETING}#t=60,98&kind=clip"


@pytest.mark.parametrize(
    "copied",
    [
        f"`{REF}`", f"[{REF}]", f"[{REF}].", f'"{REF}",', f"({REF})", f"<{REF}>;", f"**{REF}**", f"“{REF}”", f"{REF}. ",
        f"{MEETING}#t=60,98", f"{MEETING}#t=1:00,1:38&kind=clip",
    ],
)  # fmt: skip
async def test_a_ref_is_read_as_it_is_copied_out_of_a_text(runner: Runner, copied: str) -> None:
    report = await run(runner, "get_evidence", refs=[copied])

    assert [moment.refs for moment in report.moments] == [[REF]]


@pytest.mark.parametrize(
    "ref", ["v1#t=60,98", "v12#t=60,98&kind=clip", "v999#kind=clip", "[v3]", "v1", "`v2 1:00-1:38`"]
)
async def test_a_short_name_in_place_of_a_number_is_refused_with_the_reason(ref: str) -> None:
    async with calling(FakeWire(envelope(None))) as runner:
        with pytest.raises(
            InvalidArguments, match=r"v\d+ is not a video's number; copy the ref as the result shows it"
        ):
            await run(runner, "get_evidence", refs=[ref])


@pytest.mark.parametrize("ref", [f"{MEETING}#", f"{MEETING}#kind=smell", f"{MEETING}#t=60,98kind=clip", "", "[]"])
async def test_a_text_that_is_no_ref_is_refused(ref: str) -> None:
    async with calling(FakeWire(envelope(None))) as runner:
        with pytest.raises(InvalidArguments):
            await run(runner, "get_evidence", refs=[ref])


@pytest.mark.parametrize("video_no", [BREAD, MEETING])
@pytest.mark.parametrize("kind", ["clip", "visual", "audio", "keyframe"])
async def test_a_ref_without_times_gives_the_start_of_the_video(runner: Runner, video_no: str, kind: str) -> None:
    report = await run(runner, "get_evidence", refs=[f"{video_no}#kind={kind}"])
    (moment,) = report.moments

    assert {segment.kind for segment in moment.segments} == {"audio", "visual"}
    assert moment.start_seconds == 0
    assert len(moment.segments) <= 24
    assert f"video_no={video_no}" in report.note


async def test_the_refs_of_a_search_for_whole_videos_can_be_read(runner: Runner) -> None:
    result = await run(runner, "search_public_videos", query="bread", platform="TIKTOK", search_type="BY_VIDEO")
    report = await run(runner, "get_evidence", refs=[moment.ref for moment in result.moments])

    assert all(moment.segments for moment in report.moments)


async def test_a_video_without_a_transcript_is_reported_with_the_next_step() -> None:
    async with calling(FakeWire(envelope(None))) as runner:
        report = await run(runner, "get_evidence", refs=["VI1234#kind=clip"])

    assert report.note == (
        "VI1234 has no transcript, or it is not ready yet: wait_until_ready with video_nos=VI1234 shows its state."
    )
