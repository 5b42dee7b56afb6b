"""The `folders` routes, after documents alone: no answer of the service was ever recorded (API 6)."""

from __future__ import annotations

from typing import Any

from memories_mcp.sandbox.routes.common import page_of
from memories_mcp.sandbox.routing import Call, Refusal, route

DEFAULT, LEGACY = -1, -2
"""The folders that every account has; the second one is read-only."""
_FIXED = {DEFAULT: "Default", LEGACY: "API"}
_MAX_NAME = 100
_MAX_MOVES = 500


@route("GET", "folders")
async def folders(call: Call) -> Any:
    """Return every folder, with its id as a JSON integer."""
    rows = call.account.rows("select folder_id, name from folders order by name")
    return {"folders": [*(_folder(*item) for item in _FIXED.items()), *(_folder(*row.values()) for row in rows)]}


@route("POST", "folders/create")
async def create(call: Call) -> Any:
    """Create a folder from a form."""
    name = _new_name(call, "name")
    folder_id = int(call.account.new_number())
    call.account.db.execute("insert into folders values (?, ?)", (folder_id, name))
    return _folder(folder_id, name)


@route("POST", "folders/rename")
async def rename(call: Call) -> Any:
    """Rename a folder from a form."""
    folder_id = _own_folder(call)
    name = _new_name(call, "new_name")
    call.account.db.execute("update folders set name = ? where folder_id = ?", (name, folder_id))
    return _folder(folder_id, name)


@route("POST", "folders/delete")
async def delete(call: Call) -> Any:
    """Delete a folder from a form, unless it holds parsed videos; others move to the Default folder."""
    folder_id = _own_folder(call)
    if call.account.rows("select 1 from videos where folder = ? and status = 'PARSE'", folder_id):
        raise Refusal("0001", "The folder contains parsed videos")
    call.account.db.execute("update videos set folder = ? where folder = ?", (DEFAULT, folder_id))
    call.account.db.execute("delete from folders where folder_id = ?", (folder_id,))


@route("GET", "folders/videos")
async def videos(call: Call) -> Any:
    """Return a page of a folder's videos, newest first, with JSON numbers; listing a video counts as a poll of it."""
    folder_id = _folder_id(call, lowest=LEGACY)
    number, size = call.number("page", 1), call.number("page_size", 20)
    rows = call.account.rows(
        "select * from videos where public = 0 and folder = ? order by created desc, video_no desc", folder_id
    )
    page = page_of(rows, "videos", number=number, size=size)
    listed = [_listed(call.account.poll(video)) for video in page["videos"]]
    return page | {"videos": listed, "total_count": len(rows)}


@route("POST", "folders/move")
async def move(call: Call) -> Any:
    """Move the videos of a JSON body; unknown numbers are no error."""
    if not isinstance(call.values.get("folder_id"), int):
        raise Refusal("0001", "The folder_id parameter is incorrect")
    folder_id = _folder_id(call, lowest=DEFAULT)
    video_nos = call.strings("video_nos")
    if not video_nos or len(video_nos) > _MAX_MOVES:
        raise Refusal("0001", "The video_nos parameter is incorrect")
    call.account.db.executemany(
        "update videos set folder = ? where public = 0 and video_no = ?", [(folder_id, number) for number in video_nos]
    )


def _folder(folder_id: int, name: str) -> dict[str, Any]:
    return {"folder_id": folder_id, "folder_name": name}


def _new_name(call: Call, parameter: str) -> str:
    """Return the name in a form that no other folder has; a JSON body has none, as the service reads only forms."""
    name = call.required(parameter) if call.form else ""
    taken = name in _FIXED.values() or call.account.rows("select 1 from folders where name = ?", name)
    if not name or len(name) > _MAX_NAME or taken:
        raise Refusal("0001", f"The {parameter} parameter is incorrect")
    return name


def _own_folder(call: Call) -> int:
    if not call.form:
        raise Refusal("0001", "The folder_id parameter cannot be empty!")
    return _folder_id(call, lowest=1)


def _folder_id(call: Call, *, lowest: int) -> int:
    """Return the id of an existing folder."""
    text = call.required("folder_id")
    if not text.lstrip("-").isdigit() or int(text) < lowest:
        raise Refusal("0001", "The folder_id parameter is incorrect")
    folder_id = int(text)
    if folder_id not in _FIXED and not call.account.rows("select 1 from folders where folder_id = ?", folder_id):
        raise Refusal("0001", "folder not found")
    return folder_id


def _listed(video: dict[str, Any]) -> dict[str, Any]:
    """Return a video as the documents of 2026 list it: integers, and a cause only for a failed video."""
    listed = {
        "video_no": video["video_no"],
        "video_name": video["name"],
        "duration": video["duration"],
        "size": video["size"],
        "create_time": video["created"],
        "status": "FAILED" if video["status"] == "FAIL" else video["status"],
    }
    return listed | ({"cause": video["cause"]} if video["status"] == "FAIL" else {})
