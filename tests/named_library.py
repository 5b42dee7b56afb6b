"""A library whose videos have names, as one of the known versions of the service lists it."""

from __future__ import annotations

import json
from typing import Any, Literal

import httpx2
import pytest
from conftest import FakeWire, calling, envelope, run

from memories_mcp.errors import MemoriesError
from memories_mcp.models.ids import StandIn
from memories_mcp.models.spellings import find_annotation
from memories_mcp.operation import Operation
from memories_mcp.operations import OPERATIONS

PLANNING = "Quarterly planning meeting"
TASK = "31b0fccb-d6f9-4135-922d-1e8828499812"


class Library:
    """Lists videos by namespace as one of the known versions of the service does, and takes every other request."""

    def __init__(
        self, *names: str, by: Literal["part", "exact", "nothing"] = "part", **namespaces: dict[str, str]
    ) -> None:
        self.by = by
        self.namespaces: dict[str, dict[str, str]] = {
            "": {f"VI{number}": name for number, name in enumerate(names, 1)},
            **namespaces,
        }
        self.wire = FakeWire(self)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if not request.url.path.endswith("list_videos"):
            return envelope({"content": "c", "session_id": "1", "video_no": "VI1", "status": "PARSE"})
        body = json.loads(request.content)
        rows = list(self.namespaces[body.get("unique_id") or ""].items())
        numbers = body.get("video_nos") or [body["video_no"]] if {"video_nos", "video_no"} & body.keys() else None
        rows = [row for row in rows if numbers is None or row[0] in numbers]
        wanted = body.get("video_name")
        if wanted and self.by != "nothing":
            rows = [row for row in rows if wanted == row[1] or (self.by == "part" and wanted in row[1])]
        videos = [
            {"video_no": number, "video_name": name, "status": "PARSE", "create_time": "1755245460412"}
            for number, name in rows[: body["size"]]
        ]
        return envelope({"videos": videos, "total_count": str(len(rows))})

    @property
    def sent(self) -> list[str]:
        """The names of the endpoints that were called, a search by name with `?`."""
        return [
            request.url.path.rsplit("/", 1)[1] + ("?" if b"video_name" in request.content else "")
            for request in self.wire.requests
        ]

    def bodies(self, path: str) -> list[Any]:
        return [json.loads(request.content) for request in self.wire.requests if request.url.path.endswith(path)]


async def number_of(library: Library, name: str, **arguments: Any) -> str:
    """Return the number that the summary of a video named `name` is requested for."""
    async with calling(library.wire) as runner:
        await run(runner, "generate_summary", video_no=name, **arguments)
    return library.wire.requests[-1].url.params["video_no"]


async def refusal(library: Library, name: str, tool: str = "generate_summary", **settings: Any) -> MemoriesError:
    async with calling(library.wire, **settings) as runner:
        argument = "video_nos" if "video_nos" in runner.operations[tool].input.model_fields else "video_no"
        with pytest.raises(MemoriesError) as caught:
            await run(runner, tool, **{argument: name})
    assert set(library.sent) <= {"list_videos", "list_videos?"}
    return caught.value


LARGE = [f"Clip {number}" for number in range(1000, 1300)]
"""More names than a page of the service lists."""


def arguments_with(kind: str) -> list[tuple[Operation[Any, Any], str]]:
    """Return the operations and the arguments that take a name or a URL in place of a number."""
    stand_ins = (
        (operation, name, find_annotation(field, StandIn))
        for operation in OPERATIONS
        for name, field in operation.input.model_fields.items()
    )
    return [(operation, name) for operation, name, stand_in in stand_ins if stand_in and stand_in.kind == kind]
