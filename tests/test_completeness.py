"""Every endpoint of the API is a tool, and no tool calls anything else; what costs or changes is sent once."""

from __future__ import annotations

import json
import tempfile
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import FakeWire, calling, envelope
from made_videos import make_video

from memories_mcp.api.endpoints import STORED_FILE
from memories_mcp.context import Progress
from memories_mcp.errors import MemoriesError
from memories_mcp.operation import Operation
from memories_mcp.operations import OPERATIONS

pytestmark = pytest.mark.anyio

INVENTORY = tomllib.loads((Path(__file__).parent / "endpoints.toml").read_text(encoding="utf-8"))["endpoint"]
PREFIXES = {"v1": "/serve/api/v1/", "v2": "/serve/api/v2/", "caption": "/v1/understand/"}
HOSTS = {"api": "api.example", "caption": "caption.example"}

Hit = tuple[str, str, str, str]
"""Method, host, path, and how the parameters were sent."""


def sent(request: httpx2.Request) -> Hit:
    kind = request.headers.get("content-type", "").partition(";")[0]
    bodies = {"application/x-www-form-urlencoded": "form", "multipart/form-data": "multipart"}
    if kind == "application/json":
        how = "array" if isinstance(json.loads(request.content), list) else "json"
    else:
        how = bodies.get(kind, "query")
    return request.method, str(request.url.host), request.url.path, how


# What each endpoint answers so that a tool goes on to its end; anything else gets an empty object.
ANSWERS: dict[str, Any] = {
    "list_videos": {"videos": [{"video_no": "VI611702946038315594", "status": "PARSE"},
                               {"video_no": "VI612515093881740229", "status": "PARSE"}]},
    "get_private_video_details": {"video_no": "VI1", "status": "PARSE"},
    "get_public_video_detail": {"video_no": "PI-1", "status": "PARSE"},
    "upload": {"videoNo": "VI1", "task_id": "1"}, "upload_url": {"videoNo": "VI1"}, "upload_img": [{"id": "1"}],
    "uploadFile": {"task_id": "1"}, "uploadImg": {"text": "t"},
    "uploadSync": {"text": "t"}, "uploadFileSync": {"text": "t"},
    "get_metadata": {"video_no": "VI1", "status": "PARSE"},
    "folders": {"folders": [{"folder_id": 671631448308117504, "folder_name": "Archive"}]},
    **{path: {"content": "c", "session_id": "1"} for path in ("chat", "marketer_chat", "chat_personal")},
}  # fmt: skip


@cache
def video() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return make_video(Path(folder) / "a.mp4", sound=False).read_bytes()


KEY_FRAME = {"videoNo": "VI612515093881740229", "startTime": 3, "keyframe_bucket": "frames", "keyframe_blob": "3.jpg"}


def answer(request: httpx2.Request) -> httpx2.Response:
    path = request.url.path.rsplit("/", 1)[1]
    if path == "download":
        content = b"\x89PNG\r\n\x1a\n" if request.method == "GET" else video()
        return httpx2.Response(200, content=content, headers={"content-type": "application/octet-stream"})
    if path.endswith("_stream"):
        return httpx2.Response(200, content=b'data:{"content":"c"}\n\ndata:[DONE]\n\n')
    if request.url.host == HOSTS["caption"]:
        return httpx2.Response(200, json={"code": 0, "msg": "success", "data": ANSWERS[path]})
    return envelope(ANSWERS.get(path, {}))


REPLACED = {"get_private_video_details", "get_video_transcription"}
"""What newer accounts lack."""


def answer_with_key_frame(request: httpx2.Request) -> httpx2.Response:
    return envelope([KEY_FRAME]) if request.url.path.endswith("/search") else answer(request)


def answer_newer_account(request: httpx2.Request) -> httpx2.Response:
    if request.url.path.rsplit("/", 1)[1] in REPLACED:
        return httpx2.Response(404, json={"status": 404, "error": "Not Found"})
    return answer(request)


async def hits(operation: Operation[Any, Any], files_root: Path) -> set[Hit]:
    """Return what a tool's example call sends: with a progress handler and a callback or without, to both accounts."""

    async def follow(progress: Progress) -> None: ...

    requests: list[httpx2.Request] = []
    if STORED_FILE in operation.endpoints:  # only what a search has named is requested
        wire = FakeWire(answer_with_key_frame)
        async with calling(wire, files_root=files_root) as runner:
            await runner.run(runner.operations["search_videos"], {"query": "budget"})
            wire.requests.clear()
            await runner.run(operation, operation.example)
        requests += wire.requests
    for handler, follower, callback in ((answer, follow, "https://c.example"), (answer_newer_account, None, "")):
        wire = FakeWire(handler)
        async with calling(wire, files_root=files_root, confirm=False, callback_url=callback) as runner:
            for name in ("planning.mp4", "moment.mp4"):
                (files_root / name).unlink(missing_ok=True)
            await runner.run(operation, operation.example, on_progress=follower)
        requests += wire.requests
    return {sent(request) for request in requests}


def prefix_of(endpoint: dict[str, str]) -> str:
    return PREFIXES[endpoint.get("version", "v1") if endpoint["host"] == "api" else "caption"]


async def test_the_inventory_is_numbered_and_names_no_endpoint_twice() -> None:
    named = {(prefix_of(endpoint), endpoint["path"], endpoint["body"]) for endpoint in INVENTORY}

    assert [endpoint["n"] for endpoint in INVENTORY] == list(range(1, len(named) + 1))


async def test_every_endpoint_is_hit_by_some_tool_with_its_encoding_and_no_other_is(files_root: Path) -> None:
    listed = {
        (endpoint["method"], HOSTS[endpoint["host"]], prefix_of(endpoint) + endpoint["path"], endpoint["body"])
        for endpoint in INVENTORY
    }
    hit: set[Hit] = set()
    for operation in OPERATIONS:
        hit |= await hits(operation, files_root)
    # get_evidence reads public transcripts only for public refs; those endpoints have tools of their own.
    assert hit == listed


async def test_each_tool_declares_what_it_hits(files_root: Path) -> None:
    for operation in OPERATIONS:
        declared = {(endpoint.method, HOSTS[endpoint.host], endpoint.full_path) for endpoint in operation.endpoints}
        assert {hit[:3] for hit in await hits(operation, files_root)} <= declared, operation.name


TROUBLES = {
    "503": httpx2.Response(503, content=b"<html>"),
    "html": httpx2.Response(200, content=b"<html>", headers={"content-type": "text/html"}),
    "cut": httpx2.ReadError("cut"),
    "timeout": httpx2.ReadTimeout("slow"),
    "abnormal": envelope(None, "0001", "The network is abnormal, please try again later"),
    "null": httpx2.Response(200, content=b"null"),
    "truncated": httpx2.Response(200, content=b'{"code":"0000","da'),
}


@pytest.mark.parametrize(
    "operation",
    [operation for operation in OPERATIONS if not all(endpoint.repeatable for endpoint in operation.endpoints)],
    ids=lambda operation: operation.name,
)
async def test_what_costs_or_changes_something_is_never_sent_twice_after_it_left(
    operation: Operation[Any, Any], files_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.FIRST_BACKOFF", 0.0)
    once = {endpoint.full_path for endpoint in operation.endpoints if not endpoint.repeatable}

    async def follow(progress: Progress) -> None: ...

    for trouble, outcome in TROUBLES.items():

        def troubled(request: httpx2.Request, outcome: httpx2.Response | Exception = outcome) -> httpx2.Response:
            if request.url.path not in once:
                return answer(request)
            if isinstance(outcome, Exception):
                raise outcome
            return httpx2.Response(outcome.status_code, content=outcome.content, headers=outcome.headers)

        for follower in (follow, None):
            wire = FakeWire(troubled)
            async with calling(wire, files_root=files_root, confirm=False, callback_url="https://c.example") as runner:
                with pytest.raises(MemoriesError):
                    await runner.run(operation, operation.example, on_progress=follower)
            counts = Counter(request.url.path for request in wire.requests if request.url.path in once)

            assert set(counts.values()) == {1}, (trouble, counts)
        assert not any((files_root / name).exists() for name in ("planning.mp4", "moment.mp4"))
