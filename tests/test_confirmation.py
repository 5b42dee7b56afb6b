"""Asking before what cannot be undone: by a form where the client can show one, by preview and token elsewhere."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

import mcp_types as t
import pytest
from command_line import run_cli
from conftest import BIKE, MEETING
from mcp import Client, MCPError
from mcp.client.session import ElicitationFnT
from processes import run_process

from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

Era = Literal["2026-07-28", "legacy"]
SECRET = "0123456789abcdef0123456789abcdef"
DELETE = {"video_nos": [MEETING, BIKE]}


@pytest.fixture(params=["2026-07-28", "legacy"])
def era(request: pytest.FixtureRequest) -> Era:
    return request.param


class Person:
    """Answers forms and remembers what was shown."""

    def __init__(self, action: Literal["accept", "decline", "cancel"], content: dict[str, Any] | None = None) -> None:
        self.answer = t.ElicitResult(action=action, content=content)
        self.shown: list[t.ElicitRequestFormParams] = []

    async def __call__(self, context: Any, params: Any) -> t.ElicitResult:
        assert isinstance(params, t.ElicitRequestFormParams)
        self.shown.append(params)
        return self.answer


def connected(settings: Settings, era: Era, person: ElicitationFnT | None = None) -> Client:
    return Client(make_server(settings), mode=era, elicitation_callback=person)


async def numbers(client: Client) -> list[str]:
    listed = await client.call_tool("list_videos", {})
    assert listed.structured_content
    return [video["video_no"] for video in listed.structured_content["videos"]]


async def test_who_agrees_in_a_form_deletes_and_is_told_what_is_gone(live: Settings, era: Era) -> None:
    person = Person("accept", {"confirm": True})
    async with connected(live, era, person) as client:
        result = await client.call_tool("delete_videos", {**DELETE, "video_nos": [*DELETE["video_nos"], "VI404"]})
        left = await numbers(client)

    assert result.structured_content == {"deleted": DELETE["video_nos"], "not_found": ["VI404"]}
    assert not {MEETING, BIKE} & set(left)
    [form] = person.shown
    assert form.message.startswith("Delete 2 videos for good.\n- ")
    assert "Quarterly planning meeting, 21:00, added 2026-09-14" in form.message
    assert form.requested_schema["properties"]["confirm"]["type"] == "boolean"
    assert form.requested_schema["properties"]["confirm"]["default"] is False


@pytest.mark.parametrize(
    "person",
    [Person("decline"), Person("cancel"), Person("accept", {"confirm": False}), Person("accept", {}), Person("accept")],
    ids=["decline", "cancel", "unticked", "empty", "nothing"],
)
async def test_who_does_not_agree_deletes_nothing(live: Settings, era: Era, person: Person) -> None:
    async with connected(live, era, person) as client:
        result = await client.call_tool("delete_videos", DELETE)
        left = await numbers(client)

    assert result.is_error
    assert isinstance(result.content[0], t.TextContent)
    assert "declined; nothing was changed" in result.content[0].text
    assert {MEETING, BIKE} <= set(left)


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("update_video_transcription", {"video_no": MEETING, "prompt": "Name the people."}, "Quarterly planning"),
        ("upload_creator_public", {"profile_url": "https://www.tiktok.com/@nasa"}, "the latest 4 videos of"),
        ("upload_hashtag_public", {"hashtags": ["nba"]}, "2 videos of #nba"),
        ("upload_platform_urls_public", {"video_urls": ["https://youtu.be/abc"]}, "https://youtu.be/abc"),
    ],
)
async def test_everything_that_cannot_be_undone_asks(
    live: Settings, era: Era, tool: str, arguments: dict[str, Any], words: str
) -> None:
    person = Person("decline")
    async with connected(live, era, person) as client:
        result = await client.call_tool(tool, arguments)

    assert result.is_error
    assert words in person.shown[0].message


async def test_a_hundred_videos_are_shown_in_a_form_that_a_person_can_read(live: Settings, era: Era) -> None:
    person = Person("decline")
    urls = [f"https://youtu.be/{number}" for number in range(50)]
    async with connected(live, era, person) as client:
        await client.call_tool("upload_platform_urls_public", {"video_urls": urls})

    assert len(person.shown[0].message.splitlines()) == 22
    assert person.shown[0].message.endswith("- and 30 more")


async def test_a_client_without_forms_gets_a_preview_and_a_token(live: Settings, era: Era) -> None:
    async with connected(live, era) as client:
        preview = await client.call_tool("delete_videos", DELETE)
        assert preview.structured_content
        token = preview.structured_content["confirmation"]["confirmation_token"]
        assert MEETING in await numbers(client)
        done = await client.call_tool("delete_videos", {**DELETE, "confirmation_token": token})

    assert done.structured_content == {"deleted": DELETE["video_nos"]}


async def test_the_operator_can_switch_asking_off(live: Settings, era: Era) -> None:
    person = Person("decline")
    async with connected(live.change(confirm=False), era, person) as client:
        result = await client.call_tool("delete_videos", DELETE)

    assert result.structured_content == {"deleted": DELETE["video_nos"]}
    assert person.shown == []


async def test_a_client_that_refuses_forms_after_all_gets_the_preview(live: Settings) -> None:
    async def refuse(context: Any, params: Any) -> t.ErrorData:
        return t.ErrorData(code=-32600, message="no forms here")

    async with connected(live, "legacy", refuse) as client:
        result = await client.call_tool("delete_videos", DELETE)

    assert result.structured_content
    assert result.structured_content["confirmation"]["confirmation_token"]


async def test_cancelling_while_a_person_thinks_sends_nothing(live: Settings) -> None:
    asked = asyncio.Event()

    async def think(context: Any, params: Any) -> t.ElicitResult:
        asked.set()
        await asyncio.Event().wait()
        return t.ElicitResult(action="accept", content={"confirm": True})

    async with connected(live, "legacy", think) as client:
        call = asyncio.create_task(client.call_tool("delete_videos", DELETE))
        await asyncio.wait_for(asked.wait(), 30)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert MEETING in await numbers(client)


# ---- the state that a client carries between two rounds


AGREED: dict[str, Any] = {"confirm": t.ElicitResult(action="accept", content={"confirm": True})}


async def first_round(client: Client, arguments: dict[str, Any]) -> t.InputRequiredResult:
    result = await client.session.call_tool("delete_videos", arguments, allow_input_required=True)
    assert isinstance(result, t.InputRequiredResult)
    return result


async def second_round(client: Client, arguments: dict[str, Any], state: str | None, responses: Any = AGREED) -> Any:
    return await client.session.call_tool(
        "delete_videos", arguments, input_responses=responses, request_state=state, allow_input_required=True
    )


async def test_the_state_is_opaque_and_says_nothing(live: Settings) -> None:
    async with connected(live, "2026-07-28", Person("accept")) as client:
        asked = await first_round(client, DELETE)

    assert asked.request_state
    assert live.api_key not in asked.request_state
    assert MEETING not in asked.request_state


@pytest.mark.parametrize(
    ("arguments", "kept", "added"),
    [({"video_nos": [MEETING]}, None, ""), (DELETE, -4, "AAAA"), (DELETE, 0, "v1.AAAA")],
    ids=["other arguments", "tampered", "made up"],
)
async def test_a_state_of_something_else_is_refused_and_nothing_is_deleted(
    live: Settings, arguments: dict[str, Any], kept: int | None, added: str
) -> None:
    async with connected(live, "2026-07-28", Person("accept")) as client:
        asked = await first_round(client, DELETE)
        with pytest.raises(MCPError) as caught:
            await second_round(client, arguments, (asked.request_state or "")[:kept] + added)
        left = await numbers(client)

    assert caught.value.error.code == -32602
    assert {MEETING, BIKE} <= set(left)


async def test_an_answer_without_the_state_is_asked_for_anew(live: Settings) -> None:
    async with connected(live, "2026-07-28", Person("accept")) as client:
        again = await second_round(client, DELETE, None)
        wrong = await second_round(client, DELETE, again.request_state, {"nonsense": AGREED["confirm"]})
        left = await numbers(client)

    assert isinstance(again, t.InputRequiredResult)
    assert isinstance(wrong, t.InputRequiredResult)
    assert {MEETING, BIKE} <= set(left)


async def test_what_changed_since_it_was_shown_is_shown_again(live: Settings) -> None:
    arguments = {"video_nos": [MEETING, BIKE]}
    async with connected(live, "2026-07-28", Person("accept", {"confirm": True})) as client:
        asked = await first_round(client, arguments)
        await client.call_tool("delete_videos", {"video_nos": [BIKE]})
        again = await second_round(client, arguments, asked.request_state)

        assert isinstance(again, t.InputRequiredResult)
        assert MEETING in await numbers(client)


async def test_a_state_survives_a_restart_with_a_secret_and_serves_several_replicas(live: Settings) -> None:
    sealed = live.change(secret=SECRET)
    async with connected(sealed, "2026-07-28", Person("accept")) as client:
        asked = await first_round(client, DELETE)
    async with connected(sealed, "2026-07-28", Person("accept")) as client:
        done = await second_round(client, DELETE, asked.request_state)

    assert done.structured_content == {"deleted": DELETE["video_nos"]}


@pytest.mark.parametrize("other", [{}, {"secret": SECRET[::-1]}, {"secret": SECRET, "api_key": "sk-test-other"}])
async def test_a_state_of_another_server_or_key_is_refused(live: Settings, other: dict[str, str]) -> None:
    async with connected(live.change(secret=SECRET), "2026-07-28", Person("accept")) as client:
        asked = await first_round(client, DELETE)
    async with connected(live.change(**other), "2026-07-28", Person("accept")) as client:
        with pytest.raises(MCPError):
            await second_round(client, DELETE, asked.request_state)


async def test_a_state_expires(live: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    async with connected(live, "2026-07-28", Person("accept")) as client:
        asked = await first_round(client, DELETE)
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 601)
        with pytest.raises(MCPError):
            await second_round(client, DELETE, asked.request_state)


# ---- tokens


async def token_of(settings: Settings, arguments: dict[str, Any]) -> str:
    async with connected(settings, "legacy") as client:
        preview = await client.call_tool("delete_videos", arguments)
    assert preview.structured_content
    return preview.structured_content["confirmation"]["confirmation_token"]


def test_a_token_survives_a_restart_with_a_secret() -> None:
    """It is redeemed in a process of its own, as a restarted server or a second replica is."""

    def call(**arguments: Any) -> tuple[str, ...]:
        return "--sandbox", "call", "--json", "delete_videos", json.dumps(DELETE | arguments)

    issued = run_cli(*call(), MEMORIES_SECRET=SECRET)
    redeem = call(confirmation_token=json.loads(issued.stdout)["confirmation"]["confirmation_token"])
    elsewhere = run_process(*redeem, env={"MEMORIES_SECRET": SECRET, "PATH": ""})

    assert json.loads(elsewhere.stdout) == {"deleted": DELETE["video_nos"]}
    other = run_cli(*redeem, MEMORIES_SECRET=SECRET[::-1])
    assert "expired, or belongs to other arguments" in other.stderr


async def test_a_token_of_another_key_is_refused(live: Settings) -> None:
    token = await token_of(live.change(secret=SECRET), DELETE)
    async with connected(live.change(secret=SECRET, api_key="sk-test-another"), "legacy") as client:
        result = await client.call_tool("delete_videos", {**DELETE, "confirmation_token": token})
        left = await numbers(client)

    assert result.is_error
    assert MEETING in left
