"""Pages of lists: a note says how to go on where there is more, and nothing where there is not."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import answered

pytestmark = pytest.mark.anyio


def videos(count: int, total: int | str) -> dict[str, Any]:
    rows = [{"video_no": f"VI{number}", "status": "PARSE", "video_name": "n" * 200} for number in range(count)]
    return {"videos": rows, "total_count": total}


@pytest.mark.parametrize(
    ("arguments", "count", "total"),
    [({"size": 3}, 3, 3), ({"size": 3, "page": 2}, 3, "6"), ({"size": 3, "page": 2}, 1, 4), ({"size": 3}, 2, 2)],
)
async def test_the_last_page_names_no_next_one(arguments: dict[str, Any], count: int, total: int | str) -> None:
    page = await answered(videos(count, total), "list_videos", **arguments)

    assert len(page.videos) == count
    assert page.note is None


@pytest.mark.parametrize(
    ("arguments", "total", "following"),
    [({"size": 3}, 4, 2), ({"size": 3, "page": 2}, "7", 3)],
)
async def test_a_page_before_the_last_names_the_next_one(
    arguments: dict[str, Any], total: int | str, following: int
) -> None:
    page = await answered(videos(3, total), "list_videos", **arguments)

    assert page.note == f"There are {total} in all; go on with page={following}."


async def test_the_rows_of_a_cut_page_and_of_those_it_points_to_are_all_rows() -> None:
    everything = videos(200, 200)["videos"]
    arguments, numbers = {"size": 100, "page": 2}, [f"VI{number}" for number in range(100)]
    for _ in range(20):
        first = (arguments["page"] - 1) * arguments["size"]
        rows = everything[first : first + arguments["size"]]
        page = await answered({"videos": rows, "total_count": "200"}, "list_videos", **arguments)
        numbers += [video.video_no for video in page.videos]
        if page.note is None:
            break
        words = page.note.rstrip(".").split()
        arguments |= {name: int(value) for name, _, value in (word.partition("=") for word in words) if value}

    assert numbers == [f"VI{number}" for number in range(200)]
