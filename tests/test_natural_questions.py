"""The sandbox finds in the demo library what a person would expect, and reports when nothing fits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import BIKE, MEETING, run

from memories_mcp.runner import Runner

pytestmark = pytest.mark.anyio

CUP, SOUP, TIDES = "VI613157720946180311", "VI611940385527714042", "VI612804417209368576"
INTERVIEW, WALK = "VI612697731450822918", "VI613420058117932760"

EXPECTED: dict[str, tuple[str, int, int]] = {
    "what was decided about the launch date?": (MEETING, 530, 636),
    "how much does the Team plan cost?": (MEETING, 208, 314),
    "why does the launch move?": (MEETING, 420, 578),
    "who is hired?": (MEETING, 902, 956),
    "what is the biggest risk?": (MEETING, 956, 1010),
    "who got injured in the match?": (CUP, 780, 1020),
    "what was the final score?": (CUP, 3030, 3120),
    "penalty saved by the goalkeeper": (CUP, 2440, 2560),
    "how long does the soup simmer?": (SOUP, 286, 310),
    "Can I make the soup vegan?": (SOUP, 472, 494),
    "why are there two high tides a day?": (TIDES, 290, 500),
    "how do I know if my chain is worn?": (BIKE, 16, 39),
    "when does the last bus leave?": (WALK, 1386, 1420),
    "where can I see seals?": (WALK, 628, 686),
    "what happened with the walnut cake?": (INTERVIEW, 186, 226),
}
"""For each question the video and the window of time that a viewer would point at."""


@pytest.mark.parametrize("question", EXPECTED)
async def test_a_question_leads_to_the_moment_that_answers_it(runner: Runner, question: str) -> None:
    result = await run(runner, "search_videos", query=question)
    video_no, start, end = EXPECTED[question]

    assert any(
        moment.video_no == video_no and moment.start_seconds < end and moment.end_seconds > start
        for moment in result.moments[:3]
    )


async def test_the_question_of_the_readme_leads_to_the_decision_first(runner: Runner) -> None:
    first = (await run(runner, "search_videos", query="where is pricing decided?")).moments[0]

    assert (first.video_no, 250 < first.start_seconds < 300) == (MEETING, True)


@pytest.mark.parametrize("words", ["quantum chromodynamics lattice", "zzz nothing", "best recipe for chocolate mousse"])
async def test_a_search_for_what_no_video_has_finds_nothing(runner: Runner, words: str) -> None:
    assert (await run(runner, "search_videos", query=words)).moments == []


@pytest.mark.parametrize(
    ("tool", "more"),
    [
        ("chat_with_library", {}),
        ("chat_with_videos", {"video_nos": [MEETING]}),
        ("chat_with_public_videos", {"platform": "YOUTUBE"}),
    ],
)
@pytest.mark.parametrize("prompt", ["zzz nothing", "What is the capital of Mongolia?", "When was Napoleon born?"])
async def test_a_chat_about_what_no_video_has_quotes_nothing(
    runner: Runner, tool: str, more: dict[str, Any], prompt: str
) -> None:
    answer = await run(runner, tool, prompt=prompt, **more)

    assert "Nothing in the videos fits the question." in answer.answer
    assert answer.evidence == []


async def test_a_question_about_a_whole_video_quotes_its_opening(runner: Runner) -> None:
    answer = await run(runner, "chat_with_videos", prompt="What is this video about?", video_nos=[MEETING])

    assert "welcome to the quarterly planning meeting" in answer.answer
    assert {moment.start_seconds for moment in answer.evidence} <= {0, 2}


async def test_a_frequent_word_in_a_long_question_does_not_hide_the_rare_ones(runner: Runner) -> None:
    prompt = "Please give me a detailed overview of the code freeze, with timestamps and quotes"
    answer = await run(runner, "chat_with_videos", prompt=prompt, video_nos=[MEETING])

    assert "code freeze is on Friday the twenty-third" in answer.answer, json.dumps(answer.structured())
