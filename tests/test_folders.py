"""Folders: ids with every digit, names in their place, nothing lost by a deletion, no way around a namespace."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
from conftest import BIKE, MEETING, FakeWire, calling, envelope, run
from mcp import Client
from pydantic import SecretStr

from langchain_tools import MemoriesToolkit
from memories_mcp.errors import ApiError, InvalidArguments, MemoriesError, NotFound, UnexpectedResponse
from memories_mcp.operations import OPERATIONS
from memories_mcp.runner import Runner
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

ARCHIVE = "671631448308117504"
TOOLS = {operation.name for operation in OPERATIONS if operation.toolset == "folders"}


def service(answers: Mapping[str, Any]) -> FakeWire:
    """A service with one folder besides the fixed ones; a path of `answers` gets that answer."""
    rows = [(-1, "Default"), (-2, "API"), (int(ARCHIVE), "Archive"), (int(ARCHIVE) + 1, "2024"), (5, "Travel  2026")]

    def answer(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.partition("/v1/")[2]
        data = answers.get(path, {})
        if path == "folders":
            data = {"folders": [{"folder_id": number, "folder_name": name} for number, name in rows]}
        return data if isinstance(data, httpx2.Response) else envelope(data)

    return FakeWire(answer)


def paths(wire: FakeWire) -> list[str]:
    return [request.url.path.partition("/v1/")[2] for request in wire.requests]


async def call(wire: FakeWire, name: str, /, **arguments: Any) -> Any:
    async with calling(wire, confirm=False) as runner:
        return await run(runner, name, **arguments)


async def test_a_folder_is_made_filled_renamed_emptied_and_deleted(live: Settings) -> None:
    async with Client(make_server(live)) as client:

        async def text(name: str, **arguments: Any) -> str:
            result = await client.call_tool(name, arguments)
            return " ".join(getattr(block, "text", "") for block in result.content)

        created = (await client.call_tool("create_folder", {"name": " Travel "})).structured_content
        assert created
        assert created["folder_name"] == "Travel"
        assert int(created["folder_id"]) > 2**53
        number = created["folder_id"]

        moved = await client.call_tool("move_videos_to_folder", {"video_nos": [BIKE, MEETING], "folder_id": "Travel"})
        assert moved.structured_content == {"folder_id": number, "moved": [BIKE, MEETING]}
        assert BIKE in await text("list_folder_videos", folder_id=number)
        assert BIKE not in await text("list_folder_videos", folder_id="Default")
        renamed = await client.call_tool("rename_folder", {"folder_id": "Travel", "new_name": "Trips"})
        assert renamed.structured_content == {"folder_id": number, "folder_name": "Trips"}
        assert f"folder_id {number}, folder_name Trips" in await text("list_folders")

        refusal = await client.call_tool("delete_folder", {"folder_id": "Trips"})
        assert refusal.is_error
        reason = await text("delete_folder", folder_id=number)
        assert f"Folder {number} was not deleted: it holds 2 ready videos.\nMove them with move_videos_to_fol" in reason
        await client.call_tool("move_videos_to_folder", {"video_nos": [BIKE, MEETING], "folder_id": -1})
        preview = (await client.call_tool("delete_folder", {"folder_id": "Trips"})).structured_content
        assert preview
        assert preview["confirmation"]["items"] == [f"{number}, Trips"]
        assert "which is empty" in preview["confirmation"]["action"]
        assert number in await text("list_folders")
        token = preview["confirmation"]["confirmation_token"]
        wrong = await client.call_tool("delete_folder", {"folder_id": "Archive", "confirmation_token": token})
        assert wrong.is_error
        deleted = await client.call_tool("delete_folder", {"folder_id": "Trips", "confirmation_token": token})
        assert deleted.structured_content == {"folder_id": number, "folder_name": "Trips", "deleted": True}
        assert number not in await text("list_folders")


@pytest.mark.parametrize("folder", [ARCHIVE, int(ARCHIVE), "Archive"])
async def test_an_id_keeps_every_digit_on_the_wire_as_a_name_does(folder: Any) -> None:
    wire = service({"folders/videos": {"videos": [{"video_no": "VI1", "status": "PARSE"}], "total_count": 1}})
    moved = await call(wire, "move_videos_to_folder", folder_id=folder, video_nos="VI1, VI1")
    await call(wire, "rename_folder", folder_id=folder, new_name="x")
    bodies = {request.url.path.rsplit("/", 1)[1]: request.content for request in wire.requests}

    assert moved.folder_id == ARCHIVE
    assert json.loads(bodies["move"]) == {"folder_id": int(ARCHIVE), "video_nos": ["VI1"]}
    assert parse_qs(bodies["rename"].decode()) == {"folder_id": [ARCHIVE], "new_name": ["x"]}
    assert paths(wire).count("folders") == (2 if folder == "Archive" else 0)


@pytest.mark.parametrize(("folder", "sent"), [("2024", str(int(ARCHIVE) + 1)), ("Travel  2026", "5"), ("5", "5")])
async def test_a_name_may_be_digits_or_have_odd_blanks(folder: str, sent: str) -> None:
    wire = service({"folders/videos": {"videos": []}})
    page = await call(wire, "list_folder_videos", folder_id=folder)

    assert wire.requests[-1].url.params["folder_id"] == sent
    assert page.note == "This folder holds no videos. Move some there with move_videos_to_folder."


@pytest.mark.parametrize("name", ["rename_folder", "delete_folder", "move_videos_to_folder", "list_folder_videos"])
async def test_a_folder_that_does_not_exist_changes_nothing(name: str) -> None:
    wire = service({})
    example = next(operation.example for operation in OPERATIONS if operation.name == name)
    with pytest.raises(NotFound, match="has no folder this name") as caught:
        await call(wire, name, **{**example, "folder_id": "archive"})

    assert caught.value.next_step == "Copy its id or name from list_folders."
    assert paths(wire) == ["folders"]


@pytest.mark.parametrize("folder", [-1, "-2", "Default", "API"])
@pytest.mark.parametrize("name", ["rename_folder", "delete_folder"])
async def test_the_folders_of_every_account_are_never_changed(name: str, folder: Any) -> None:
    wire = service({})
    example = next(operation.example for operation in OPERATIONS if operation.name == name)
    with pytest.raises(InvalidArguments, match="belongs to every account and can be neither renamed nor deleted"):
        await call(wire, name, **{**example, "folder_id": folder})

    assert paths(wire) == (["folders"] if folder in ("Default", "API") else [])


@pytest.mark.parametrize("folder", [-2, "API"])
async def test_nothing_is_moved_to_the_legacy_folder(folder: Any) -> None:
    wire = service({})
    with pytest.raises(InvalidArguments, match="read-only"):
        await call(wire, "move_videos_to_folder", folder_id=folder, video_nos=["VI1"])

    assert "folders/move" not in paths(wire)


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("create_folder", {"name": "x" * 101}, "at most 100 characters"),
        ("create_folder", {"name": "  "}, "required"),
        ("create_folder", {"name": "a\nb"}, "no control characters"),
        ("rename_folder", {"folder_id": ARCHIVE, "new_name": "a\tb"}, "no control characters"),
        ("delete_folder", {"folder_id": 671631448308117500}, "quote it"),
        ("move_videos_to_folder", {"folder_id": "5", "video_nos": ["VI1"] * 501}, "at most 500 items"),
        ("move_videos_to_folder", {"folder_id": "5", "video_nos": []}, "at least 1 item"),
        ("move_videos_to_folder", {"folder_id": "5", "video_nos": ["PI-603068775285264430"]}, "public videos"),
    ],
)
async def test_a_bad_argument_is_refused_before_anything_is_sent(
    name: str, arguments: dict[str, Any], reason: str
) -> None:
    wire = service({})
    with pytest.raises(InvalidArguments, match=reason):
        await call(wire, name, **arguments)

    assert wire.requests == []


async def test_a_preview_names_what_is_in_the_folder_and_a_deletion_reports_the_videos_as_changed() -> None:
    changed = list[str]()
    rows = [{"video_no": "VI1", "video_name": "holiday", "status": "FAILED", "create_time": 1754037217992}]
    wire = service({"folders/videos": {"videos": rows, "total_count": 1}})
    async with calling(wire) as runner:
        runner.changed = changed.extend
        pending = (await run(runner, "delete_folder", folder_id="Archive")).confirmation
        assert "folders/delete" not in paths(wire)
        assert changed == []
        token = pending.confirmation_token
        assert (await run(runner, "delete_folder", folder_id="Archive", confirmation_token=token)).deleted

    assert pending.action == "Delete a folder for good, which holds 1 video that cannot be used yet."
    assert pending.items == [f"{ARCHIVE}, Archive", "VI1, holiday, added 2025-08-01"]
    assert parse_qs(wire.requests[-1].content.decode()) == {"folder_id": [ARCHIVE]}
    assert changed == ["memories://videos"]


async def test_a_long_preview_counts_on() -> None:
    rows = [{"video_no": f"VI{number}", "status": "UNPARSE"} for number in range(30)]
    async with calling(service({"folders/videos": {"videos": rows, "total_count": 30}})) as runner:
        pending = (await run(runner, "delete_folder", folder_id=ARCHIVE)).confirmation

    assert len(pending.items) == 22
    assert pending.items[-1] == "and more videos"


async def test_a_ready_video_on_a_later_page_saves_the_folder() -> None:
    pages = [[{"video_no": f"VI{n}", "status": "FAIL"} for n in range(100)], [{"video_no": "VI100", "status": "PARSE"}]]

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/folders"):
            return envelope({"folders": [{"folder_id": int(ARCHIVE), "folder_name": "Archive"}]})
        return envelope({"videos": pages[int(request.url.params["page"]) - 1], "total_count": 101, "page_size": 100})

    wire = FakeWire(answer)
    with pytest.raises(MemoriesError, match="it holds 1 ready video"):
        await call(wire, "delete_folder", folder_id=ARCHIVE)

    assert "folders/delete" not in paths(wire)


async def test_a_refusal_of_the_service_names_the_next_step() -> None:
    refusal = envelope(None, "0001", "One or more parameters are incorrect")
    wire = service({"folders/videos": {"videos": []}, "folders/delete": refusal, "folders/create": refusal})
    with pytest.raises(ApiError) as caught:
        await call(wire, "delete_folder", folder_id=ARCHIVE)
    gone = service({"folders/videos": envelope(None, "0001", "folder not found")})
    with pytest.raises(NotFound) as missing:
        await call(gone, "list_folder_videos", folder_id=ARCHIVE)
    with pytest.raises(UnexpectedResponse) as unclear:
        await call(service({"folders/create": httpx2.Response(200, content=b"<html>")}), "create_folder", name="x")

    assert "move them with move_videos_to_folder" in caught.value.next_step
    assert missing.value.next_step == "Check the folder with list_folders, and the videos with list_videos."
    assert "check list_folders before" in unclear.value.next_step


async def test_videos_that_a_move_did_not_reach_are_named(live: Settings) -> None:
    runner = Runner(live)
    try:
        moved = await run(runner, "move_videos_to_folder", folder_id=ARCHIVE, video_nos=[BIKE, "VI999"])
    finally:
        await runner.aclose()

    assert (moved.moved, moved.not_moved) == ([BIKE], ["VI999"])
    assert "list_videos" in moved.note


@pytest.mark.parametrize(
    "listing",
    [
        envelope(None, "0001", "The network is abnormal, please try again later"),
        # A folder of more videos than the check reads.
        {"videos": [{"video_no": f"VI{n}", "status": "PARSE"} for n in range(1000, 1200)], "total_count": 9000},
    ],
)
async def test_a_move_that_cannot_be_checked_is_not_called_a_failure(
    listing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.FIRST_BACKOFF", 0.0)
    moved = await call(
        service({"folders/videos": listing}), "move_videos_to_folder", folder_id=ARCHIVE, video_nos=["VI1"]
    )

    assert (moved.moved, moved.not_moved) == (["VI1"], [])


async def test_a_new_folder_without_an_id_in_the_answer_is_no_failure() -> None:
    folder = await call(service({"folders/create": None}), "create_folder", name="Travel")

    assert (folder.folder_id, folder.folder_name) == (None, "Travel")
    assert "list_folders shows its id" in folder.note


async def test_a_folder_of_thousands_of_videos_is_read_in_pages() -> None:
    rows = [{"video_no": f"VI{n}", "video_name": "n" * 300, "status": "PARSE"} for n in range(200)]
    page = await call(
        service({"folders/videos": {"videos": rows, "total_count": "5000"}}),
        "list_folder_videos",
        folder_id=-1,
        page_size=200,
    )

    assert "go on with page=2 and page_size=" in page.note
    assert len(page.model_dump_json(exclude_defaults=True)) < 24_000


async def test_in_a_fixed_namespace_no_tool_reaches_the_whole_account(live: Settings) -> None:
    fixed = live.change(unique_id="team")
    async with Client(make_server(fixed)) as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
    toolkits = [
        MemoriesToolkit(api_key=SecretStr("sk-x"), unique_id="team", toolsets=["all"]),
        MemoriesToolkit(per_run=True, toolsets=["all"]),
    ]

    assert listed & TOOLS == set()
    for toolkit in toolkits:
        assert {tool.name for tool in toolkit.get_tools()} & TOOLS == set()
    assert set(Runner(live).operations) >= TOOLS
    assert not set(Runner(live.change(toolsets=("default",))).operations) & TOOLS


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("create", {"name": "Archive"}), ("create", {"name": "Default"}), ("create", {"name": "x" * 101}),
        ("rename", {"folder_id": -1, "new_name": "x"}), ("rename", {"folder_id": 9, "new_name": "x"}),
        ("delete", {"folder_id": "-2"}), ("delete", {"folder_id": "x"}), ("delete", {}),
    ],
)  # fmt: skip
async def test_the_sandbox_refuses_what_the_documents_refuse(live: Settings, path: str, values: dict[str, Any]) -> None:
    async with httpx2.AsyncClient(base_url=live.base_url, trust_env=False, verify=False) as client:
        headers = {"authorization": live.api_key}
        form = await client.post(f"/serve/api/v1/folders/{path}", data=values, headers=headers)
        body = await client.post(f"/serve/api/v1/folders/{path}", json=values | {"name": "y"}, headers=headers)
        text = {"folder_id": ARCHIVE, "video_nos": [BIKE]}
        move = await client.post("/serve/api/v1/folders/move", json=text, headers=headers)

    assert form.json()["code"] == body.json()["code"] == move.json()["code"] == "0001"
