"""Endpoints that look things up: search, lists, details, transcripts, sessions, download; and delete."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.responses import FileResponse

from memories_mcp.sandbox import demo_data
from memories_mcp.sandbox.routing import Call, Refusal, route

_FLOORS = {"low": 0.15, "medium": 0.225, "high": 0.4}
_TRACKS = {"BY_AUDIO": ("audio",), "BY_CAPTION": ("visual",)}


@route("POST", "search")
async def search(call: Call) -> Any:
    """Clips as a list, images as an object, captions in a shape of their own (API 3.2, 10)."""
    words, kind = call.required("search_param"), call.text("search_type", "BY_CLIP")
    limit = call.number("top_k", 100)
    if kind == "BY_IMAGE":
        found = call.account.search_images(words, call.namespace, limit)
        items = [image_row(call, each) | {"score": each["score"]} for each in found]
        return {"item": items, "current_page": 0, "page_size": 20, "total_count": str(len(items))}
    rows = _hits(call, words, kind, call.namespace, limit)
    if kind == "BY_CAPTION":
        return [
            {
                "video_no": row["video_no"],
                "text": row["text"],
                "vector": [0.1, 0.2, 0.3],
                "user_id": "u-1",
                "start_time": row["start"],
                "end_time": row["end"],
                "score": row["score"],
            }
            for row in rows
        ]
    return [_clip(row, kind) for row in rows]


@route("POST", "search_public")
async def search_public(call: Call) -> Any:
    """Public videos of one platform; BY_CLIP is refused (API 3.2, 11)."""
    words, kind = call.required("search_param"), call.text("search_type", "BY_CLIP")
    if kind not in {"BY_VIDEO", "BY_AUDIO"}:
        raise Refusal("0001", f"search_type {kind} is not supported")
    platform = call.text("type") or "TIKTOK"
    rows = _hits(call, words, kind, None, 1000)
    of_platform = [row for row in rows if json.loads(row["detail"]).get("platform") == platform]
    return [_clip(row, kind) for row in of_platform[: call.number("top_k", 100)]]


def _hits(call: Call, words: str, kind: str, namespace: str | None, limit: int) -> list[dict[str, Any]]:
    floor = _FLOORS.get(call.text("filtering_level"), 0)
    found = call.account.search(
        words,
        namespace=namespace,
        tracks=_TRACKS.get(kind, ("visual", "audio")),
        video_nos=call.strings("video_nos"),
        limit=max(limit * 4, 200),
    )
    seen: set[Any] = set()
    rows: list[dict[str, Any]] = []
    for row in found:
        key = row["video_no"] if kind == "BY_VIDEO" else (row["video_no"], row["start"])
        tag = call.text("tag")
        if row["score"] >= floor and key not in seen and (not tag or tag in json.loads(row["tags"])):
            seen.add(key)
            rows.append(row)
    return rows[:limit]


def _clip(row: dict[str, Any], kind: str) -> dict[str, Any]:
    if kind == "BY_VIDEO":  # whole videos come with the string "null" for times and without a score
        return {"videoNo": row["video_no"], "videoName": row["name"], "startTime": "null", "endTime": "null"}
    clip = {
        "videoNo": row["video_no"],
        "videoName": row["name"],
        "startTime": str(row["start"]),
        "endTime": str(row["end"]),
        "score": row["score"],
    }
    return clip | ({"audio_ts": f" {row['text']}"} if kind == "BY_AUDIO" else {})


@route("GET", "search_audio_transcripts")
async def search_audio_transcripts(call: Call) -> Any:
    """Substring search over what is said in the namespace (API 3.2, 12)."""
    return _literal(call, "v.public = 0 and v.namespace = ?", call.namespace)


@route("GET", "search_public_audio_transcripts")
async def search_public_audio_transcripts(call: Call) -> Any:
    """The same over the public library."""
    return _literal(call, "v.public = 1 and ? = ''", "")


def _literal(call: Call, where: str, value: str) -> Any:
    words, page, size = call.required("query"), call.number("page", 1), call.number("page_size", 100)
    escaped = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    found = call.account.rows(
        "select s.*, v.name from segments s join videos v on v.video_no = s.video_no "
        f"where s.track = 'audio' and s.text like ? escape '\\' and v.status = 'PARSE' and {where} "
        "order by s.video_no, s.start",
        f"%{escaped}%",
        value,
    )
    videos = [
        {
            "videoNo": row["video_no"],
            "videoName": row["name"],
            "startTime": str(row["start"]),
            "audio_ts": f" {row['text']}",
        }
        for row in found[(page - 1) * size : page * size]
    ]
    return {"videos": videos, "current_page": page, "page_size": size, "total_count": str(len(found))}


@route("POST", "list_videos")
async def list_videos(call: Call) -> Any:
    """A page of the namespace, newest first; a look at a video that is processed brings it on."""
    page, size = call.number("page", 1), call.number("size", 200)
    found = call.account.rows(
        "select * from videos where public = 0 and namespace = ? order by created desc, video_no desc", call.namespace
    )
    wanted: dict[str, Callable[[dict[str, Any]], bool]] = {
        "video_no": lambda row: row["video_no"] == call.text("video_no"),
        "video_nos": lambda row: row["video_no"] in call.strings("video_nos"),
        "video_name": lambda row: call.text("video_name").lower() in row["name"].lower(),
        "status": lambda row: row["status"] == call.text("status"),
        "tag": lambda row: call.text("tag") in json.loads(row["tags"]),
    }
    for name, matches in wanted.items():
        if call.values.get(name):
            found = [row for row in found if matches(row)]
    shown = [_listed(call.account.polled(row)) for row in found[(page - 1) * size : page * size]]
    return {"videos": shown, "current_page": page, "page_size": size, "total_count": str(len(found))}


def _listed(row: dict[str, Any]) -> dict[str, Any]:
    ready = row["status"] == "PARSE"
    return {
        "duration": str(row["duration"]) if ready else "0",
        "size": str(row["size"]),
        "status": row["status"],
        "cause": row["cause"] if row["status"] == "FAIL" else "null",
        "video_no": row["video_no"],
        "video_name": row["name"],
        "create_time": str(row["created"]),
    }


def detailed(row: dict[str, Any]) -> dict[str, Any]:
    """A video as task status and private details show it: JSON nulls for what is unknown."""
    ready = row["status"] == "PARSE"
    return {
        "duration": str(row["duration"]) if ready else None,
        "size": str(row["size"]) if row["size"] else None,
        "status": row["status"],
        "fps": row["fps"],
        "width": row["width"],
        "height": row["height"],
        "video_no": row["video_no"],
        "video_name": row["name"],
        "create_time": str(row["created"]),
        "video_url": row["url"],
        "resolution_label": row["resolution"],
    }


@route("GET", "get_private_video_details")
async def get_private_video_details(call: Call) -> Any:
    """One video of the namespace."""
    row = call.account.video(call.required("video_no"), call.namespace)
    if row is None:
        raise Refusal("0001", "video not found")
    row = call.account.polled(row)
    url = row["url"] or f"{call.request.base_url}media/{row['media']}"
    return detailed(row | {"url": url if row["media"] or row["url"] else None})


@route("GET", "get_public_video_detail")
async def get_public_video_detail(call: Call) -> Any:
    """One public video; every value is a string (API 3.5, 33)."""
    row = call.account.video(call.required("video_no"), None)
    if row is None:
        raise Refusal("0001", "video not found")
    row = call.account.polled(row)
    shown = {name: _listed(row)[name] for name in ("duration", "status", "video_no", "video_name", "create_time")}
    detail: dict[str, Any] = json.loads(row["detail"])
    kept = (
        "like_count share_count comment_count view_count collect_count blogger_id text_language music_name hash_tag"
    ).split()
    extra = {name: str(detail[name]) for name in kept if name in detail}
    published = {"publish_time": str(detail["publish_time"] // 1000)} if "publish_time" in detail else {}
    return shown | {"video_url": row["url"]} | extra | published


def _transcription(call: Call, track: str, namespace: str | None) -> Any:
    video_no = call.required("video_no")
    row = call.account.video(video_no, namespace)
    if row is None:
        raise Refusal("0001", "video not found")
    found = call.account.transcript(video_no, track) if row["status"] == "PARSE" else []
    if not found:
        return None  # success with null: nothing is said, or it is not ready
    rows = [
        {
            "index": each["idx"],
            "content": each["text"] if track == "visual" else f" {each['text']}",
            "startTime": str(each["start"]),
            "endTime": str(each["end"]),
        }
        for each in found
    ]
    return {"videoNo": video_no, "transcriptions": rows}


@route("GET", "get_video_transcription")
async def get_video_transcription(call: Call) -> Any:
    """What is seen."""
    return _transcription(call, "visual", call.namespace)


@route("GET", "get_audio_transcription")
async def get_audio_transcription(call: Call) -> Any:
    """What is said."""
    return _transcription(call, "audio", call.namespace)


@route("GET", "get_public_video_transcription")
async def get_public_video_transcription(call: Call) -> Any:
    """What is seen in a public video."""
    return _transcription(call, "visual", None)


@route("GET", "get_public_audio_transcription")
async def get_public_audio_transcription(call: Call) -> Any:
    """What is said in a public video."""
    return _transcription(call, "audio", None)


@route("GET", "list_sessions")
async def list_sessions(call: Call) -> Any:
    """Conversations, newest first, 20 a page."""
    page = call.number("page", 1)
    found = call.account.rows(
        "select session_id as sessionId, title from sessions where namespace = ? order by number desc", call.namespace
    )
    shown = found[(page - 1) * 20 : page * 20]
    return {"sessions": shown, "current_page": page, "page_size": 20, "total_count": str(len(found))}


@route("GET", "get_session_detail")
async def get_session_detail(call: Call) -> Any:
    """One conversation; its references hang on the messages here."""
    session_id = call.required("sessionId")
    if not session_id.isdigit():
        raise Refusal("0001", f'For input string: "{session_id}"')
    found = call.account.rows(
        "select title from sessions where session_id = ? and namespace = ?", session_id, call.namespace
    )
    if not found:
        raise Refusal("0001", "session not found")
    messages: list[dict[str, Any]] = []
    for row in call.account.rows("select * from messages where session_id = ? order by rowid", session_id):
        message: dict[str, Any] = {"role": row["role"], "content": row["content"]}
        if thinkings := json.loads(row["thinkings"]):
            message["thinkings"] = thinkings
        if refs := call.account.refs(json.loads(row["refs"])):
            message["refs"] = refs
        messages.append(message)
    return {"title": found[0]["title"], "messages": messages, "session_id": session_id}


def image_row(call: Call, row: dict[str, Any]) -> dict[str, Any]:
    """An image as image search shows it."""
    return {
        "id": row["id"],
        "name": row["name"],
        "img_url": f"{call.request.base_url}media/{row['media']}" if row["media"] else None,
        "latitude": row["latitude"],
        "longitude": row["longitude"],
        "datetime_taken": str(row["taken"]) if row["taken"] else "null",
        "camera_model": row["camera"],
    }


@route("POST", "download")
async def download(call: Call) -> Any:
    """The raw file, or a refusal in JSON under the same HTTP 200 (API 3.5, 37)."""
    row = call.account.video(call.required("video_no"), call.namespace)
    media = row["media"] if row else None
    found = [folder / media for folder in (demo_data.MEDIA, call.folder) if media and (folder / media).is_file()]
    if not found:
        raise Refusal("0001", "video not found")
    return FileResponse(found[0], media_type="application/octet-stream")


@route("POST", "delete_videos")
async def delete_videos(call: Call) -> Any:
    """Delete by a bare array; `unique_id` counts only in the query, and unknown ids are no error."""
    video_nos = call.strings("")
    if not video_nos:
        raise Refusal("0001", "One or more parameters are incorrect")
    if len(video_nos) > 100:
        raise Refusal("0001", "At most 100 videos can be deleted at once")
    call.account.delete(video_nos, call.namespace)
