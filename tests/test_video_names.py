"""Names in place of numbers: which video a name means, when it is refused, and what the look-up requests."""

from __future__ import annotations

from typing import Any

import httpx2
import mcp_types as t
import pytest
from conftest import MEETING, FakeWire, calling, envelope, run
from named_library import LARGE, TASK, Library, number_of, refusal
from reading import faked

from memories_mcp.errors import AmbiguousName, InvalidArguments, MemoriesError, NotFound, RateLimited

pytestmark = pytest.mark.anyio


# Which video a name means


@pytest.mark.parametrize(
    ("names", "name", "number"),
    [
        (["planning", "Planning", "planning 2"], "planning", "VI1"),
        (["Planning", "planning", "planning 2"], "planning", "VI2"),
        (["Planning day", "Retro"], "PLANNING DAY", "VI1"),
        (["Straße 7", "Retro"], "STRASSE 7", "VI1"),
        (["Cafe\u0301", "Retro"], "caf\u00e9", "VI1"),
        (["\ufb01nal cut", "Retro"], "Final cut", "VI1"),
        (["Anna\u2019s \u201ctalk\u201d \u2013 part\u00a01", "Retro"], 'Anna\'s "talk" - part 1', "VI1"),
        (["Anna's talk", "Retro"], "\u201cAnna\u2019s talk\u201d", "VI1"),
        (["talk.mp4", "Retro"], "Talk", "VI1"),
        (["talk", "Retro"], "talk.MOV", "VI1"),
        (["Quarterly planning", "Retro"], "planning", "VI1"),
        (["Quarterly planning", "Planning"], "planning", "VI2"),
        (["会議の記録", "Retro"], "会議", "VI1"),
        (["Q&A #3: A/B, part 2", "Retro"], "Q&A #3: A/B, part 2", "VI1"),
        (["2024", "Retro"], "2024", "VI1"),
        (["1", "Talk 1"], "1", "VI1"),
        (["v2", "Talk v2"], "v2", "VI1"),
        (["PI-day talk: circles", "Retro"], "PI-day talk: circles", "VI1"),
        (["VI2", "Retro"], "VI2", "VI2"),
        (["Planning\u200b day", "Retro"], "Planning day", "VI1"),
    ],
)
async def test_a_name_means_the_video_that_has_it(names: list[str], name: str, number: str) -> None:
    assert await number_of(Library(*names), name) == number


@pytest.mark.parametrize(
    ("names", "name", "count"),
    [
        (["planning", "planning", "Planning"], "planning", 2),
        (["Planning", "PLANNING", "planning day"], "planning", 2),
        (["talk.mp4", "Talk"], "TALK", 2),
        ([f"planning {number}" for number in range(9)], "planning", 9),
    ],
)
async def test_a_name_of_several_videos_is_refused_with_five_of_them(names: list[str], name: str, count: int) -> None:
    error = await refusal(Library(*names), name)
    rows = error.words.split("\n")

    assert isinstance(error, AmbiguousName)
    assert f"video_no: {count} videos match '{name}'." in error.summary
    assert rows[0] == f"VI1, {names[0]}, added 2025-08-15"
    assert len(rows) == min(count, 6)
    assert count <= 5 or rows[-1] == f"and {count - 5} more"
    assert "number" in error.next_step


async def test_an_unknown_name_is_refused_with_similar_ones() -> None:
    names = ["Quarterly planning", "Quarterly planing", "Retro", "Bread", *(f"Quarterly plan {n}" for n in range(9))]
    error = await refusal(Library(*names), "Quartely plannings")

    assert isinstance(error, NotFound)
    assert "no video's name is or contains 'Quartely plannings'" in error.summary
    assert "list_videos" in error.next_step
    assert 1 <= len(error.words.split("\n")) <= 3
    assert "VI1, Quarterly planning, added" in error.words
    assert (await refusal(Library("Bread"), "xyzzy")).words == ""


@pytest.mark.parametrize("name", ["1", "12", "v2", "V12", "ab"])
async def test_the_short_name_of_a_listing_is_no_part_of_a_name(name: str) -> None:
    error = await refusal(Library("Talk 1 of 12, ab, v2, v12"), name)

    assert isinstance(error, NotFound)
    assert "too short" in error.summary


async def test_all_names_without_a_video_are_reported_at_once() -> None:
    library = Library("planning a", "planning b", "Retro")
    async with calling(library.wire) as runner:
        with pytest.raises(AmbiguousName) as caught:
            await run(runner, "search_videos", query="x", video_nos=["planning", "Retro", "nowhere"])

    assert "2 videos match 'planning'" in str(caught.value)
    assert "contains 'nowhere'" in str(caught.value)
    assert "'planning':\nVI1, planning a" in caught.value.words


@pytest.mark.parametrize(
    "name",
    [TASK, "612515093881740229", "PI-603068775285264430", "https://youtu.be/abc", f"{MEETING}#t=1,2", "memories://x"],
)
async def test_an_identifier_of_another_kind_is_no_name(name: str) -> None:
    library = Library(name)
    async with calling(library.wire) as runner:
        with pytest.raises(InvalidArguments):
            await run(runner, "get_audio_transcription", video_no=name)

    assert library.sent == []


# Lists


@pytest.mark.parametrize(
    ("given", "numbers"),
    [
        (["Planning", "VI3", "retro"], ["VI1", "VI3", "VI2"]),
        (["planning", "VI1", "PLANNING", "Retro"], ["VI1", "VI2"]),
        ("Planning, Retro", ["VI1", "VI2"]),
        ("Planning\nRetro", ["VI1", "VI2"]),
        ("Planning; VI3", ["VI1", "VI3"]),
        ("VI3, VI1", ["VI3", "VI1"]),
        ("Budget, part 2", ["VI4"]),
        (["Budget, part 2", "Planning"], ["VI4", "VI1"]),
        ("Interview with VI people", ["VI5"]),
        ('["Planning", "Budget, part 2"]', ["VI1", "VI4"]),
        ("Planning", ["VI1"]),
    ],
)  # fmt: skip
async def test_a_list_may_hold_names_numbers_and_both(given: Any, numbers: list[str]) -> None:
    library = Library("Planning", "Retro", "Bread", "Budget, part 2", "Interview with VI people")
    async with calling(library.wire) as runner:
        await run(runner, "search_videos", query="x", video_nos=given)

    assert library.bodies("/search") == [
        {"search_param": "x", "search_type": "BY_CLIP", "top_k": 10, "video_nos": numbers}
    ]


async def test_names_in_one_text_count_towards_the_limit_of_the_list() -> None:
    library = Library(*(f"Talk {number}" for number in range(1000, 1021)))
    names = [f"Talk {number}" for number in range(1000, 1019)]
    async with calling(library.wire) as runner:
        with pytest.raises(InvalidArguments, match="at most 20"):
            await run(runner, "wait_until_ready", video_nos=[", ".join(names), "VI901", "VI902"], max_seconds=0)


# What the look-up requests


async def test_names_of_one_call_cost_one_request_and_those_of_the_next_minute_none() -> None:
    library = Library("Planning", "Retro day")
    async with calling(library.wire) as runner:
        await run(runner, "search_videos", query="x", video_nos=["Planning", "retro"])
        assert library.sent == ["list_videos", "search"]
        await run(runner, "generate_summary", video_no="Planning")

    assert library.sent == ["list_videos", "search", "generate_summary"]


async def test_numbers_cost_no_look_up() -> None:
    library = Library("Planning")
    async with calling(library.wire) as runner:
        await run(runner, "search_videos", query="x", video_nos=["VI1", "mavi_video_2", "VEI3"])

    assert library.sent == ["search"]


async def test_the_newest_videos_are_requested_again_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library("Planning")
    async with calling(library.wire) as runner:
        monkeypatch.setattr("memories_mcp.operations.common.newest.CACHE_SECONDS", 0)
        for _ in range(2):
            await run(runner, "generate_summary", video_no="Planning")

    assert library.sent == ["list_videos", "generate_summary"] * 2


@pytest.mark.parametrize("change", ["upload_video_url", "delete_videos"])
async def test_a_change_of_the_library_ends_the_minute(change: str) -> None:
    library = Library("Planning", "Retro")
    arguments = {"url": "https://x.example/a.mp4"} if change == "upload_video_url" else {"video_nos": ["VI2"]}
    async with calling(library.wire, confirm=False) as runner:
        await run(runner, "generate_summary", video_no="Planning")
        await run(runner, change, **arguments)
        before = len(library.sent)
        await run(runner, "generate_summary", video_no="Planning")

    assert library.sent[before:] == ["list_videos", "generate_summary"]


async def test_a_video_that_another_program_added_is_found_by_a_search() -> None:
    library = Library("Planning")
    async with calling(library.wire) as runner:
        await run(runner, "generate_summary", video_no="Planning")
        library.namespaces[""]["VI2"] = "Retro"
        await run(runner, "generate_summary", video_no="Retro")

    assert library.sent == ["list_videos", "generate_summary", "list_videos?", "generate_summary"]
    assert library.wire.requests[-1].url.params["video_no"] == "VI2"


@pytest.mark.parametrize(
    ("name", "by", "sent"),
    [
        ("Clip 1005", "part", ["list_videos"]),
        ("Clip 1005", "nothing", ["list_videos"]),
        ("Clip 1299", "part", ["list_videos", "list_videos?"]),
        ("Clip 1299", "exact", ["list_videos", "list_videos?"]),
        ("1299", "part", ["list_videos", "list_videos?"]),
        ("clip 1005", "nothing", ["list_videos", "list_videos?"]),
    ],
)
async def test_in_a_large_library_one_more_request_searches_by_name(name: str, by: Any, sent: list[str]) -> None:
    library = Library(*LARGE, by=by)

    assert await number_of(library, name) == f"VI{LARGE.index('Clip ' + name[-4:]) + 1}"
    assert library.sent == [*sent, "generate_summary"]


async def test_the_search_of_a_service_without_the_filter_is_not_trusted() -> None:
    error = await refusal(Library(*LARGE, by="nothing"), "Clip 1299")

    assert isinstance(error, NotFound)
    assert isinstance(await refusal(Library(*LARGE), "Clip 12"), AmbiguousName)


async def test_a_video_beyond_the_newest_makes_a_part_ambiguous() -> None:
    error = await refusal(Library("Planning A", *LARGE, "Planning B"), "Planning")

    assert isinstance(error, AmbiguousName)
    assert "Planning B" in error.words


async def test_a_name_is_looked_up_in_the_namespace_of_the_call() -> None:
    library = Library("Planning", team={"VI7": "planning"})

    assert await number_of(library, "planning", unique_id="team") == "VI7"
    assert await number_of(library, "planning") == "VI1"
    assert [body.get("unique_id") for body in library.bodies("list_videos")] == ["team", None]
    async with calling(library.wire, unique_id="team") as runner:
        await run(runner, "generate_summary", video_no="PLANNING")
    assert library.wire.requests[-1].url.params["video_no"] == "VI7"


@pytest.mark.parametrize(
    ("trouble", "kind", "words"),
    [
        (envelope(None, "0429", "Request has exceeded the limit."), RateLimited, "limit"),
        (envelope(None, "0401", "The authorization is invalid"), MemoriesError, "0401"),
        (httpx2.Response(404, content=b"x"), MemoriesError, "list_videos"),
    ],
)
async def test_an_error_of_the_look_up_comes_through_as_itself(
    trouble: httpx2.Response, kind: type[MemoriesError], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.FIRST_BACKOFF", 0.0)
    monkeypatch.setattr("memories_mcp.api.retry.DEADLINE", 0.1)
    async with calling(FakeWire(trouble)) as runner:
        with pytest.raises(kind):
            await run(runner, "generate_summary", video_no="Planning")


async def test_the_server_shares_the_list_with_its_resources_and_completions() -> None:
    library = Library("Planning", "Retro")
    wire, client = faked(library)
    async with client:
        await client.list_resources()
        await client.call_tool("get_audio_transcription", {"video_no": "retro"})
        completed = await client.complete(
            t.ResourceTemplateReference(uri="memories://videos/{video_no}"), {"name": "video_no", "value": "plan"}
        )

    paths = [request.url.path.rsplit("/", 1)[1] for request in wire.requests]
    assert completed.completion.values == ["VI1"]
    assert sorted(paths) == ["get_audio_transcription", "list_sessions", "list_videos"]
