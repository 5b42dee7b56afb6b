"""An identifier of the wrong kind is refused with the name of a tool that accepts this very value."""

from __future__ import annotations

import re
from typing import Any

import pytest
from conftest import BREAD, MEETING, MEETING_SESSION, FakeWire, calling, envelope, run

from memories_mcp.errors import InvalidArguments
from memories_mcp.operations import OPERATIONS
from memories_mcp.validation import validate

pytestmark = pytest.mark.anyio

TASK = "31b0fccb-d6f9-4135-922d-1e8828499812_84f9d9b4b6e5940b67e67e2d17ef1f97"
VALUES = {
    "private": MEETING,
    "public": BREAD,
    "task": TASK,
    "session": MEETING_SESSION,
    "image": "568102998803353601",
    "link": "https://example.com/a/talk.mp4",
    "post": "https://www.tiktok.com/@crumbandcroft/video/7548120936617203841?is_from_webapp=1&sender_device=pc",
    "profile": "https://www.youtube.com/@crumbandcroft",
    "ref": f"{MEETING}#t=60,98&kind=clip",
    "video uri": f"memories://videos/{MEETING}",
    "window uri": f"memories://videos/{MEETING}/transcripts/visual?start=58&end=104",
}
NUMBERS = {"session", "image"}
TAKEN = {
    "video_no": {"private"},
    "video_nos": {"private"},
    "task_id": {"task"},
    "session_id": NUMBERS,
    "refs": {"ref", "video uri", "window uri"},
}
TAKES_PUBLIC = {"chat_with_videos", "wait_until_ready"}
BY_NAME = {operation.name: operation for operation in OPERATIONS}


def pairs() -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    for operation in OPERATIONS:
        for argument in operation.input.model_fields:
            taken = TAKEN.get(argument)
            if taken is None:
                continue
            if "_public_" in operation.name and argument == "video_no":
                taken = {"public"}
            if operation.name in TAKES_PUBLIC and argument == "video_nos":
                taken = {"private", "public"}
            rows += [(operation.name, argument, kind) for kind in VALUES if kind not in taken]
    return rows


def arguments(name: str, argument: str, value: str) -> dict[str, Any]:
    example = {key: given for key, given in BY_NAME[name].example.items() if key not in TAKEN}
    return example | {argument: [value] if argument in {"video_nos", "refs", "video_urls"} else value}


@pytest.mark.parametrize(("name", "argument"), dict.fromkeys((name, argument) for name, argument, _ in pairs()))
async def test_the_refusal_names_a_tool_that_takes_the_value(name: str, argument: str) -> None:
    wire = FakeWire(envelope(None))
    for kind in [kind for *own, kind in pairs() if own == [name, argument]]:
        async with calling(wire, confirm=False) as runner:
            with pytest.raises(InvalidArguments) as caught:
                await run(runner, name, **arguments(name, argument, VALUES[kind]))
        text = str(caught.value)
        named = re.search(r"(\w+) takes it as (\w+)", text) or re.search(r"pass it as (?P<b>\w+) to (?P<a>\w+)", text)

        assert wire.requests == []
        assert named, (kind, text)
        tool, taken_as = (named["a"], named["b"]) if "a" in named.groupdict() else named.groups()
        validate(BY_NAME[tool].input, arguments(tool, taken_as, VALUES[kind]))


@pytest.mark.parametrize("medium", ["audio", "video"])
async def test_a_transcript_tool_names_its_counterpart_for_the_same_track(medium: str) -> None:
    own, public = f"get_{medium}_transcription", f"get_public_{medium}_transcription"
    async with calling(FakeWire(envelope(None))) as runner:
        with pytest.raises(InvalidArguments, match=f"{public} takes it as video_no"):
            await run(runner, own, video_no=BREAD)
        with pytest.raises(InvalidArguments, match=f" {own} takes it as video_no"):
            await run(runner, public, video_no=MEETING)


async def test_the_uri_of_a_conversation_leads_to_its_number() -> None:
    async with calling(FakeWire(envelope(None))) as runner:
        with pytest.raises(InvalidArguments, match=f"get_session_detail .* session_id={MEETING_SESSION}"):
            await run(runner, "get_session_detail", session_id=f"memories://sessions/{MEETING_SESSION}")
