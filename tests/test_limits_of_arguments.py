"""The limits of every argument: the API's own, and ours where the API has none. A value at a limit passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from memories_mcp.errors import InvalidArguments
from memories_mcp.operations import OPERATIONS

BY_NAME = {operation.name: operation for operation in OPERATIONS}

NUMBERS: dict[str, tuple[float, float | None]] = {
    "context_seconds": (0, 300),
    "count": (1, 100),
    "end_seconds": (0, None),
    "from_character": (0, None),
    "from_message": (1, None),
    "latitude": (-90, 90),
    "list_folder_videos.page_size": (1, None),
    "longitude": (-180, 180),
    "offset": (0, None),
    "page": (1, None),
    "page_size": (1, 100),
    "similarity": (0, 1),
    "size": (1, 200),
    "skip": (0, None),
    "start_seconds": (0, None),
    "top_k": (1, 1000),
}
TEXTS: dict[str, int] = {
    "camera_model": 200,
    "camera_tag": 200,
    "chat_with_library.prompt": 8000,
    "chat_with_public_videos.prompt": 8000,
    "chat_with_videos.prompt": 8000,
    "path": 1000,
    "profile_url": 2000,
    "prompt": 2000,
    "query": 2000,
    "save_as": 1000,
    "search_audio_transcripts.query": 500,
    "search_public_audio_transcripts.query": 500,
    "system_prompt": 4000,
    "tag": 100,
    "task_id": 128,
    "url": 2000,
    "user_prompt": 4000,
    "video_name": 300,
    "video_transcription_prompt": 2000,
}
LISTS: dict[str, int] = {
    "hashtags": 20,
    "list_videos.video_nos": 200,
    "move_videos_to_folder.video_nos": 500,
    "paths": 50,
    "persons": 5,
    "refs": 50,
    "tags": 20,
    "video_nos": 100,
    "video_urls": 50,
    "wait_until_ready.video_nos": 20,
}
UNLIMITED_HERE = {
    "confirmation_token",
    "datetime_taken",
    "folder",
    "folder_id",
    "id",
    "name",
    "new_name",
    "ref",
    "max_seconds",
    "save_as",
    "session_id",
    "unique_id",
    "video_no",
    "wait_seconds",
}
"""Waits are cut instead of refused; the others have a form of their own. Each has its own tests."""

ITEMS: dict[str, Callable[[int], Any]] = {
    "hashtags": lambda number: f"tag{number}",
    "paths": lambda number: f"image{number}.jpg",
    "persons": lambda number: {"name": f"Person {number}", "url": "https://m.example/a.jpg", "path": "a.jpg"},
    "refs": lambda number: f"VI{number}#t=1,2&kind=clip",
    "tags": lambda number: f"tag {number}",
    "video_nos": lambda number: f"VI{number}",
    "video_urls": lambda number: f"https://www.youtube.com/watch?v={number}",
}
BEGINNINGS = {
    "path": "a/",
    "profile_url": "https://www.tiktok.com/@",
    "url": "https://m.example/",
}
"""How a text begins that has to have a form."""
PARTNERS = {"latitude": {"longitude": 0}, "longitude": {"latitude": 0}}


def limit_of(table: dict[str, Any], tool: str, argument: str) -> Any:
    return table.get(f"{tool}.{argument}", table.get(argument))


def cases(table: dict[str, Any]) -> list[Any]:
    return [
        pytest.param(operation.name, argument, id=f"{operation.name}-{argument}")
        for operation in OPERATIONS
        for argument in operation.input_schema["properties"]
        if limit_of(table, operation.name, argument) is not None
    ]


def problems(tool: str, argument: str, value: Any) -> list[str]:
    """What is wrong with one argument of an otherwise valid call."""
    operation = BY_NAME[tool]
    arguments = {**operation.example, **PARTNERS.get(argument, {}), argument: value}
    if argument == "persons":
        known = {"url", "path"} & set(operation.input_schema["properties"][argument]["items"]["properties"])
        arguments[argument] = [{name: person[name] for name in ("name", *known)} for person in value]
    try:
        operation.validate(arguments, {})
    except InvalidArguments as error:
        return [problem for problem in error.problems if problem.startswith(argument)]
    return []


@pytest.mark.parametrize(("tool", "argument"), cases(NUMBERS))
def test_a_number_at_its_limit_passes_and_the_next_does_not(tool: str, argument: str) -> None:
    low, high = limit_of(NUMBERS, tool, argument)
    step = 1 if BY_NAME[tool].input_schema["properties"][argument]["type"] == "integer" else 0.001

    assert problems(tool, argument, low) == []
    assert len(problems(tool, argument, low - step)) == 1
    if high is None:
        assert problems(tool, argument, 1_000_000) == []
    else:
        assert problems(tool, argument, high) == []
        assert len(problems(tool, argument, high + step)) == 1


@pytest.mark.parametrize(("tool", "argument"), cases(TEXTS))
def test_a_text_at_its_longest_passes_and_a_longer_one_does_not(tool: str, argument: str) -> None:
    longest = limit_of(TEXTS, tool, argument)
    beginning = BEGINNINGS.get(argument, "")
    text = beginning + "x" * (longest - len(beginning))

    assert problems(tool, argument, text) == []
    assert len(problems(tool, argument, f"{text}x")) == 1


@pytest.mark.parametrize(("tool", "argument"), cases(LISTS))
def test_a_list_at_its_longest_passes_and_a_longer_one_does_not(tool: str, argument: str) -> None:
    most = limit_of(LISTS, tool, argument)
    items = [ITEMS[argument](number) for number in range(1, most + 2)]

    assert problems(tool, argument, items[:most]) == []
    assert problems(tool, argument, items) != []


def test_every_argument_without_a_fixed_choice_has_its_limit_here() -> None:
    missing = [
        f"{operation.name}.{argument}"
        for operation in OPERATIONS
        for argument, schema in operation.input_schema["properties"].items()
        if "enum" not in schema and schema["type"] != "boolean" and argument not in UNLIMITED_HERE
        if not any(limit_of(table, operation.name, argument) for table in (NUMBERS, TEXTS, LISTS))
    ]

    assert missing == []
