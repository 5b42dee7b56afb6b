"""Searches, lists and uploads by date, place, camera, tag and folder; filters that the service ignores are noticed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import BIKE, MEETING, FakeWire, answered, calling, envelope, run

from memories_mcp.errors import InvalidArguments, MemoriesError
from memories_mcp.runner import Runner

pytestmark = pytest.mark.anyio

FOLDER = "671631448308117504"
"""Beyond 2^53, where a double is another number."""
BERLIN = {"latitude": 52.52, "longitude": 13.405}


async def sent_by(name: str, **arguments: Any) -> str:
    wire = FakeWire(envelope({"videos": [], "videoNo": "VI1", "taskId": "t"}))
    async with calling(wire) as runner:
        await run(runner, name, **arguments)
    return wire.requests[0].content.decode()


async def test_a_search_sends_every_filter_in_its_form() -> None:
    body = await sent_by(
        "search_videos", query="x", tag="a", camera_tag="Canon", folder_id=FOLDER, datetime_taken="2025-10-03", **BERLIN
    )

    assert f'"folder_id":{FOLDER}' in body
    assert json.loads(body) == {
        "search_param": "x", "search_type": "BY_CLIP", "top_k": 10, "tag": "a", "camera_tag": "Canon",
        "folder_id": int(FOLDER), "datetime_taken": "2025-10-03 00:00:00", **BERLIN,
    }  # fmt: skip


async def test_a_list_sends_every_filter_in_its_form() -> None:
    body = await sent_by(
        "list_videos", tag="a", video_nos="VI1, VI2", camera_model="Canon", folder_id=-1, datetime_taken="2025-10-03",
        **BERLIN,
    )  # fmt: skip

    assert json.loads(body) == {
        "page": 1, "size": 20, "tag": "a", "video_nos": ["VI1", "VI2"], "camera_model": "Canon", "folder_id": -1,
        "datetime_taken": 1759449600000, **BERLIN,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["upload_video_url", "upload_platform_urls", "upload_creator", "upload_hashtag"])
async def test_new_videos_go_into_a_folder(name: str) -> None:
    async with calling(FakeWire(envelope({}))) as runner:
        example = runner.operations[name].example
    body = await sent_by(name, **example, folder_id=FOLDER)

    assert f'"folder_id":{FOLDER}' in body or f"folder_id={FOLDER}" in body


async def test_images_have_no_folder() -> None:
    with pytest.raises(InvalidArguments, match="folder_id: unknown argument"):
        await sent_by("upload_images", paths=["a.jpg"], folder_id=FOLDER)


@pytest.mark.parametrize("name", ["search_videos", "list_videos", "upload_video_url", "upload_images"])
@pytest.mark.parametrize(
    ("place", "problem"),
    [({"latitude": 1}, "latitude needs longitude"), ({"longitude": 1}, "longitude needs latitude"),
     ({"latitude": 0, "longitude": ""}, "latitude needs longitude"),
     ({"latitude": 91, "longitude": 0}, "latitude: must lie between -90 and 90"),
     ({"latitude": 0, "longitude": -181}, "longitude: must lie between -180 and 180"),
     ({"latitude": "NaN", "longitude": 0}, "latitude: "), ({"latitude": True, "longitude": 0}, "latitude: "),
     ({"latitude": "52.5, 13.4", "longitude": 0}, "latitude: ")],
)  # fmt: skip
async def test_half_a_place_and_an_impossible_one_are_refused(name: str, place: dict[str, Any], problem: str) -> None:
    example: dict[str, Any] = {
        "search_videos": {"query": "x"}, "list_videos": {}, "upload_images": {"paths": ["a.jpg"]},
        "upload_video_url": {"url": "https://x.example/a.mp4"},
    }[name]  # fmt: skip
    with pytest.raises(InvalidArguments, match=problem):
        await sent_by(name, **example, **place)


@pytest.mark.parametrize(
    ("latitude", "longitude", "place"),
    [("52.52° N", "13.405° E", (52.52, 13.405)), ("33.9 S", "W 70.6", (-33.9, -70.6)), (0, 0, (0, 0)),
     ("-33.9", "-70.6", (-33.9, -70.6)), ("33.9°S", "180", (-33.9, 180))],
)  # fmt: skip
async def test_degrees_are_read_with_their_direction(latitude: Any, longitude: Any, place: tuple[float, float]) -> None:
    body = json.loads(await sent_by("list_videos", latitude=latitude, longitude=longitude))

    assert (body["latitude"], body["longitude"]) == place


ROWS: list[dict[str, Any]] = [
    {"video_no": "VI1", "status": "PARSE", "datetime_taken": 1759502400000, "camera_model": "Canon EOS 5D",
     "latitude": 52.5, "longitude": 13.4, "tags": ["holiday", "api"]},
    {"video_no": "VI2", "status": "FAIL", "datetime_taken": "1729388400000", "camera_model": "iPhone 15",
     "latitude": "48.1", "longitude": "11.5", "tags": ["work", "api"]},
]  # fmt: skip


@pytest.mark.parametrize(
    "filters",
    [{"tag": "Holiday"}, {"camera_model": "canon eos 5d"}, {"datetime_taken": "2025-01"}, BERLIN,
     {"video_nos": ["VI1", "VI3"]}, {"video_no": "VI1"}, {"tag": "holiday", "datetime_taken": 2025}],
    ids=str,
)  # fmt: skip
async def test_a_list_that_ignores_a_filter_is_filtered_here_and_says_so(filters: dict[str, Any]) -> None:
    page = await answered({"videos": ROWS, "total_count": "9"}, "list_videos", **filters)

    assert [video.video_no for video in page.videos] == ["VI1"]
    assert page.total is None
    assert f"did not apply {next(iter(filters))}" in page.note
    assert "rows left out here: 1." in page.note


async def test_rows_that_pass_need_no_note() -> None:
    page = await answered({"videos": ROWS[:1]}, "list_videos", tag="holiday", datetime_taken="2025-10-03", **BERLIN)

    assert [video.video_no for video in page.videos] == ["VI1"]
    assert page.note is None


async def test_a_full_page_that_was_filtered_here_names_the_next_page() -> None:
    page = await answered({"videos": ROWS[1:]}, "list_videos", tag="holiday", size=1)

    assert page.videos == []
    assert "go on with page=2" in page.note


@pytest.mark.parametrize("filters", [{"tag": "x"}, {"folder_id": "-1"}, {"camera_model": "x"}, BERLIN], ids=str)
async def test_a_list_whose_rows_do_not_show_a_filter_says_that_it_may_be_ignored(filters: dict[str, Any]) -> None:
    page = await answered({"videos": [{"video_no": "VI1", "status": "PARSE"}]}, "list_videos", **filters)

    assert len(page.videos) == 1
    assert f"do not show {next(iter(filters))}" in page.note


async def test_an_empty_list_suggests_fewer_filters() -> None:
    page = await answered({"videos": []}, "list_videos", camera_model="x")

    assert "fewer filters" in page.note


async def test_a_search_drops_other_videos_and_names_the_filters_that_its_hits_do_not_show() -> None:
    hits = [{"videoNo": number, "startTime": "1", "endTime": "2", "score": 0.5} for number in ("VI1", "VI2")]
    found = await answered(hits, "search_videos", query="x", video_nos=["VI1"], camera_tag="Canon", folder_id=FOLDER)

    assert [moment.video_no for moment in found.moments] == ["VI1"]
    assert "did not apply video_nos" in found.note
    assert "do not show folder_id, camera_tag" in found.note


async def test_a_search_for_images_drops_those_of_another_place_and_time() -> None:
    images = [
        {"id": 619915496901337100, "datetime_taken": 1757285520000, "camera_model": "Canon", **BERLIN},
        {"id": 2, "datetime_taken": "1157285520000", "camera_model": "Canon", "latitude": -33.9, "longitude": -70.6},
    ]
    found = await answered(
        {"item": images}, "search_videos", query="x", search_type="BY_IMAGE", datetime_taken="2020", **BERLIN
    )

    assert [moment.ref for moment in found.moments] == ["image:619915496901337100"]


async def test_the_place_of_a_frame_is_kept_for_programs_and_out_of_the_text() -> None:
    hit = {"videoNo": "VI1", "startTime": "1", "score": 0.5, "video_bucket": "mavi", "video_blob": "VI1.mp4",
           "keyframe_bucket": "frames-bucket", "keyframe_blob": "u/keyframe-000013.jpg"}  # fmt: skip
    async with calling(FakeWire(envelope([hit]))) as runner:
        result = await runner.run(runner.operations["search_videos"], {"query": "x"})

    [moment] = result.structured["moments"]
    assert (moment["bucket"], moment["blob"]) == ("frames-bucket", "u/keyframe-000013.jpg")
    assert "frames-bucket" not in result.text
    assert "keyframe-" not in result.text


# The status of failed videos has two spellings, and a service that does not know one of them may ignore the filter.


@pytest.mark.parametrize("known", ["FAIL", "FAILED"])
@pytest.mark.parametrize("ignores_unknown", [True, False])
async def test_failed_videos_are_found_under_either_word(known: str, ignores_unknown: bool) -> None:
    rows = [{"video_no": "VI1", "status": "PARSE"}, {"video_no": "VI2", "status": known, "cause": "Indexing failed. "}]

    def answer(request: Any) -> Any:
        word = json.loads(request.content)["status"]
        matching = [row for row in rows if row["status"] == word]
        return envelope({"videos": rows if word != known and ignores_unknown else matching})

    async with calling(FakeWire(answer)) as runner:
        page = await run(runner, "list_videos", status="failed")

    assert [(video.video_no, video.status) for video in page.videos] == [("VI2", "failed")]


UPLOADS: dict[str, dict[str, Any]] = {
    "talk": {"datetime_taken": "2025-10-03 14:30", "camera_model": "Canon EOS 5D", "folder_id": FOLDER,
             "tags": ["holiday"], **BERLIN},
    "other": {"datetime_taken": "2019-05-01", "camera_model": "iPhone 15", "latitude": 48.1, "longitude": 11.5},
}  # fmt: skip


@pytest.fixture
async def filed(runner: Runner) -> Runner:
    """The sandbox with two uploads whose recordings differ."""
    for name, details in UPLOADS.items():
        uploaded = await run(runner, "upload_video_url", url=f"https://x.example/{name}.mp4", **details)
        for _ in range(2):  # the second poll reports the video as ready
            await run(runner, "get_private_video_details", video_no=uploaded.video_no)
    return runner


@pytest.mark.parametrize(
    ("listing", "search"),
    [({"camera_model": "Canon EOS 5D"}, {"camera_tag": "Canon EOS 5D"}),
     ({"datetime_taken": "2025-10-03"}, {"datetime_taken": "2025-10-03"}),
     ({"latitude": 52.6, "longitude": 13.3}, {"latitude": 52.6, "longitude": 13.3}),
     ({"folder_id": FOLDER}, {"folder_id": FOLDER}), ({"tag": "holiday"}, {"tag": "holiday"})],
    ids=str,
)  # fmt: skip
async def test_the_sandbox_filters_lists_and_searches(
    filed: Runner, listing: dict[str, Any], search: dict[str, Any]
) -> None:
    page = await run(filed, "list_videos", **listing)
    found = await run(filed, "search_videos", query="simulated sandbox video", **search)

    assert [video.video_name for video in page.videos] == ["talk"]
    assert {moment.video_name for moment in found.moments} == {"talk"}


async def test_a_filtered_list_shows_the_recording_in_its_text(filed: Runner) -> None:
    result = await filed.run(filed.operations["list_videos"], {"camera_model": "Canon EOS 5D"})

    assert "[taken 2025-10-03 14:30; at 52.52, 13.405; Canon EOS 5D]" in result.text


async def test_failed_uploads_of_the_sandbox_are_listed(runner: Runner) -> None:
    uploaded = await run(runner, "upload_video_url", url="https://x.example/broken.mp4")
    for _ in range(2):  # the second one shows the end of the processing
        page = await run(runner, "list_videos", status="processing")
        assert [video.video_no for video in page.videos] == [uploaded.video_no]
        assert page.note is None
    failed = await run(runner, "list_videos", status="failed")
    ready = await run(runner, "list_videos", status="ready", size=100)

    assert [video.video_no for video in failed.videos] == [uploaded.video_no]
    assert {BIKE, MEETING} <= {video.video_no for video in ready.videos}
    assert uploaded.video_no not in {video.video_no for video in ready.videos}


async def test_the_sandbox_refuses_half_a_place_and_a_date_of_the_wrong_form(live: Any) -> None:
    from memories_mcp.api import Api
    from memories_mcp.api.endpoints import LIST_VIDEOS, SEARCH

    api = Api(live.api_key, live.base_url, rates={})
    try:
        for endpoint, body in (
            (LIST_VIDEOS, {"latitude": 1}), (LIST_VIDEOS, {"datetime_taken": "2025-10-03 00:00:00"}),
            (SEARCH, {"search_param": "x", "datetime_taken": "2025-10-03"}),
            (SEARCH, {"search_param": "x", "longitude": 1}),
        ):  # fmt: skip
            with pytest.raises(MemoriesError, match="0001"):
                await api.call(endpoint, json=body, into=object)
    finally:
        await api.aclose()


async def test_a_fixed_namespace_has_no_folders_because_they_hold_videos_of_any_namespace() -> None:
    wire = FakeWire(envelope({"videos": []}))
    async with calling(wire, unique_id="ws") as runner:
        for name in ("list_videos", "search_videos", "upload_video_url", "upload_hashtag"):
            operation = runner.operations[name]
            assert "folder_id" in operation.input_schema["properties"]
            assert "folder_id" not in operation.definition_without(runner.pinned)["inputSchema"]["properties"]
            with pytest.raises(InvalidArguments, match="folder_id: unknown argument"):
                await run(runner, name, **operation.example, folder_id=FOLDER)

    assert wire.requests == []
