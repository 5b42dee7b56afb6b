"""The date of a recording is read as people and models write it, and sent as each endpoint wants it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from conftest import FakeWire, calling, envelope, run

from memories_mcp.errors import InvalidArguments

pytestmark = pytest.mark.anyio

AFTERNOON = "2025-10-03 14:30:00"
DAY = "2025-10-03 00:00:00"

WRITTEN: list[tuple[Any, str]] = [
    ("2025-10-03", DAY), ("2025/10/03", DAY), ("20251003", DAY), (20251003, DAY), ("2025-W40-5", DAY),
    ("3 Oct 2025", DAY), ("3. October 2025", DAY), ("Oct 3, 2025", DAY), ("3-Oct-2025", DAY), ("2025 Oct 3", DAY),
    ("Friday, 3rd of October 2025", DAY), ("25/12/2025", "2025-12-25 00:00:00"), ("12.25.2025", "2025-12-25 00:00:00"),
    ("03/03/2025", "2025-03-03 00:00:00"), ("Sept. 5, 2025", "2025-09-05 00:00:00"), (date(2025, 10, 3), DAY),
    ("２０２５-１０-０３", DAY),
    ("2025-10-03T14:30Z", AFTERNOON), ("2025-10-03T14:30", AFTERNOON), ("2025-10-03 14:30:00", AFTERNOON),
    ("2025-10-03T16:30+02:00", AFTERNOON), ("2025-10-03 16:30 +0200", AFTERNOON), ("2025-10-03t14:30:00z", AFTERNOON),
    ("2025-10-03T14:30:00.123456789Z", AFTERNOON), ("20251003T143000Z", AFTERNOON), ("2025:10:03 14:30:00", AFTERNOON),
    ("October 3rd, 2025 at 2:30 PM", AFTERNOON), ("10/13/2025 2:30 pm", "2025-10-13 14:30:00"),
    ("10/13/2025, 2:30:00\u202fPM", "2025-10-13 14:30:00"), ("3 Oct 2025 12:15 am", "2025-10-03 00:15:00"),
    ("Fri, 03 Oct 2025 14:30:00 GMT", AFTERNOON), ("Fri Oct  3 14:30:00 UTC 2025", AFTERNOON),
    ("Fri Oct 03 2025 16:30:00 GMT+0200 (Central European Summer Time)", AFTERNOON),
    (1759501800, AFTERNOON), ("1759501800", AFTERNOON), (1759501800.5, AFTERNOON), (1759501800000, AFTERNOON),
    ("1759501800000", AFTERNOON), (datetime(2025, 10, 3, 14, 30, tzinfo=UTC), AFTERNOON),
    (datetime(2025, 10, 3, 16, 30, tzinfo=timezone(timedelta(hours=2))), AFTERNOON),
    # Thirteen digits that ISO 8601 could read as a date and a time.
    ("1700010112345", "2023-11-15 01:01:52"),
]  # fmt: skip


async def requested(name: str, **arguments: Any) -> dict[str, Any]:
    wire = FakeWire(envelope({"videos": [], "videoNo": "VI1"}))
    async with calling(wire) as runner:
        await run(runner, name, **arguments)
    content = wire.requests[0].content.decode()
    if content.startswith("{"):
        return json.loads(content)
    return dict(field.split("=") for field in content.split("&"))


@pytest.mark.parametrize(("written", "sent"), WRITTEN, ids=lambda value: str(value)[:30])
async def test_a_date_is_sent_as_text_to_searches_and_as_milliseconds_to_lists(written: Any, sent: str) -> None:
    searched = await requested("search_videos", query="x", datetime_taken=written)
    listed = await requested("list_videos", datetime_taken=written)

    assert searched["datetime_taken"] == sent
    assert listed["datetime_taken"] == datetime.fromisoformat(f"{sent}Z").timestamp() * 1000
    assert isinstance(listed["datetime_taken"], int)


@pytest.mark.parametrize(
    ("written", "sent"),
    [("2025-10", "2025-10-01 00:00:00"), ("10/2025", "2025-10-01 00:00:00"), ("Oct 2025", "2025-10-01 00:00:00"),
     ("2025 October", "2025-10-01 00:00:00"), ("2025", "2025-01-01 00:00:00"), (2025, "2025-01-01 00:00:00")],
)  # fmt: skip
async def test_a_year_or_a_month_means_its_beginning_in_a_filter_and_is_no_date_of_a_recording(
    written: Any, sent: str
) -> None:
    searched = await requested("search_videos", query="x", datetime_taken=written)

    assert searched["datetime_taken"] == sent
    with pytest.raises(InvalidArguments, match="datetime_taken: the day is missing; write it as 2025-10-03"):
        await requested("upload_video_url", url="https://x.example/a.mp4", datetime_taken=written)


async def test_an_upload_sends_the_same_text() -> None:
    sent = await requested("upload_video_url", url="https://x.example/a.mp4", datetime_taken="3 Oct 2025 16:30 +02:00")

    assert sent["datetime_taken"] == "2025-10-03+14%3A30%3A00"


@pytest.mark.parametrize(
    ("written", "first", "second"),
    [("03/04/2025", "2025-04-03", "2025-03-04"), ("3.4.2025 14:30", "2025-04-03", "2025-03-04"),
     ("12-11-2025", "2025-11-12", "2025-12-11")],
)  # fmt: skip
async def test_day_and_month_that_cannot_be_told_apart_are_refused_with_both_readings(
    written: str, first: str, second: str
) -> None:
    with pytest.raises(InvalidArguments, match=f"datetime_taken: .*write {first} or {second}"):
        await requested("list_videos", datetime_taken=written)


@pytest.mark.parametrize(
    "written",
    ["yesterday", "03/10/25", "2025-02-30", "32 Oct 2025", "2025-10-03 25:00", "2025-10-03 14:30 CET", "13:00", 5, -1,
     True, 1e300, float("nan"), float("inf"), 10**400, "9" * 20, "x" * 1000, [2025], {"year": 2025}, "1066-10-14",
     "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "13pm 3 Oct 2025", "Oct 2025 2:30 PM", "-2025-10-03"],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
async def test_anything_else_is_refused_with_the_form_to_use(written: Any) -> None:
    with pytest.raises(InvalidArguments, match=r"datetime_taken: .*write it as 2025-10-03 or 2025-10-03T14:30Z"):
        await requested("list_videos", datetime_taken=written)


@pytest.mark.parametrize("name", ["list_videos", "search_videos", "upload_video_url", "upload_images"])
async def test_the_argument_names_its_time_zone_and_is_a_text(name: str) -> None:
    async with calling(FakeWire(envelope({}))) as runner:
        argument = runner.operations[name].input_schema["properties"]["datetime_taken"]

    assert argument["type"] == "string"
    assert "UTC" in argument["description"]
