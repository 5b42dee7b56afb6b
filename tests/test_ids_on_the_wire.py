"""The namespace of a call: every request about the own library carries it, on whichever path the call takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs

import httpx2
import pytest
from conftest import BREAD, FILM, MEETING, FakeWire, calling, envelope, remove_written
from mcp import Client
from reading import read

from memories_mcp.context import Progress
from memories_mcp.operation import Operation
from memories_mcp.operations import OPERATIONS
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

NAMESPACE = "my-team"
NAMESPACED = [operation for operation in OPERATIONS if "unique_id" in operation.input.model_fields]


def namespace_of(request: httpx2.Request) -> str | None:
    """The `unique_id` of a request, from its query or from a body of any encoding."""
    if "unique_id" in request.url.params:
        return request.url.params["unique_id"]
    kind = request.headers.get("content-type", "")
    if kind == "application/json":
        body = json.loads(request.content)
        return cast(dict[str, Any], body).get("unique_id") if isinstance(body, dict) else None
    if kind == "application/x-www-form-urlencoded":
        return parse_qs(request.content.decode()).get("unique_id", [None])[0]
    field = re.search(rb'name="unique_id"\r\n\r\n(.*?)\r\n', request.content)
    return field[1].decode() if field else None


def about_public_videos(request: httpx2.Request) -> bool:
    return "public" in request.url.path


def older_service(request: httpx2.Request) -> httpx2.Response:
    """A service that ignores `video_nos`, streams without a session, and names a task's videos by number alone."""
    name = request.url.path.rsplit("/", 1)[1]
    if name == "download":
        return httpx2.Response(200, content=FILM, headers={"content-type": "application/octet-stream"})
    if name.endswith("_stream"):
        return httpx2.Response(200, content=b'data: {"token":"yes"}\n\ndata: [DONE]\n\n')
    if name == "list_videos":
        wanted = json.loads(request.content).get("video_no")
        return envelope({"videos": [{"video_no": wanted, "status": "PARSE"}] if wanted else []})
    moment = {"videoNo": MEETING, "startTime": 1, "endTime": 2, "type": "audio_ts", "text": "t"}
    message = {"role": "user", "content": "x", "refs": [{"refItems": [moment]}]}
    row = {
        "video_no": MEETING, "videoNo": MEETING, "status": "PARSE", "task_id": "1", "session_id": "1", "id": "1",
        "content": "c", "sessions": [{"sessionId": "1"}], "messages": [message], "video_ids": ["VI1", "VI2"],
    }  # fmt: skip
    return envelope(
        [row] if name in {"search", "search_similar_images", "search_clips_by_image", "upload_img"} else row
    )


async def requests_of(
    operation: Operation[Any, Any], arguments: dict[str, Any], files_root: Path, **settings: Any
) -> list[httpx2.Request]:
    """The requests of a call, made once with progress and once without."""

    async def follow(progress: Progress) -> None: ...

    wire = FakeWire(older_service)
    settings |= {"files_root": files_root, "confirm": False, "callback_url": "https://c.example"}
    async with calling(wire, **settings) as runner:
        for follower in (follow, None):
            remove_written(files_root)
            await runner.run(operation, arguments, on_progress=follower)
    return wire.requests


@pytest.mark.parametrize("operation", NAMESPACED, ids=lambda operation: operation.name)
async def test_each_request_of_a_call_carries_its_namespace(operation: Operation[Any, Any], files_root: Path) -> None:
    as_argument = await requests_of(operation, {**operation.example, "unique_id": NAMESPACE}, files_root)
    as_setting = await requests_of(operation, operation.example, files_root, unique_id=NAMESPACE)

    for request in (*as_argument, *as_setting):
        expected = None if about_public_videos(request) else NAMESPACE
        assert namespace_of(request) == expected, request.url


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("wait_until_ready", {"video_nos": ["VI1", "VI2"], "max_seconds": 0}),
        ("wait_until_ready", {"task_id": "1", "max_seconds": 0}),
        ("get_task_status", {"task_id": "1"}),
        ("delete_videos", {"video_nos": ["VI1", "VI2"]}),
        ("get_evidence", {"refs": [f"{MEETING}#t=1,2&kind=audio", f"{BREAD}#t=1,2&kind=audio"]}),
        ("get_evidence", {"session_id": "1"}),
        ("chat_with_library", {"prompt": "x"}),
        ("chat_with_library", {"prompt": "x", "session_id": "1"}),
    ],
)
async def test_so_does_each_request_of_the_longer_paths(name: str, arguments: dict[str, Any], files_root: Path) -> None:
    operation = next(operation for operation in OPERATIONS if operation.name == name)
    requests = await requests_of(operation, {**arguments, "unique_id": NAMESPACE}, files_root)

    assert requests
    for request in requests:
        expected = None if about_public_videos(request) else NAMESPACE
        assert namespace_of(request) == expected, request.url


async def test_the_conversations_of_a_namespace_are_a_resource_of_its_own(live: Settings) -> None:
    async with Client(make_server(live)) as client:
        chat = await client.call_tool("chat_with_library", {"prompt": "the holiday", "unique_id": NAMESPACE})
        assert chat.structured_content
        own = json.loads((await read(client, f"memories://sessions?unique_id={NAMESPACE}")).text)
        default = json.loads((await read(client, "memories://sessions")).text)

    session_id = chat.structured_content["session_id"]
    assert [session["session_id"] for session in own["sessions"]] == [session_id]
    assert session_id not in {session["session_id"] for session in default["sessions"]}
