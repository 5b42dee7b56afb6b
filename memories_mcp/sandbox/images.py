"""Endpoints about images: listing, searching by one, captions. Nobody looks at pixels: names and tags count."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, cast
from urllib.parse import urlsplit

from starlette.responses import JSONResponse

from memories_mcp.sandbox.reading import image_row
from memories_mcp.sandbox.routing import CAPTION_PREFIX, Call, Refusal, route


@route("POST", "img_list_page")
async def img_list_page(call: Call) -> Any:
    """A page of the namespace's images."""
    page, size = call.number("page", 1), call.number("page_size", 20)
    found = call.account.rows("select * from images where namespace = ? order by id desc", call.namespace)
    shown = [image_row(call, each) for each in found[(page - 1) * size : page * size]]
    return {"item": shown, "current_page": page, "page_size": size, "total_count": str(len(found))}


def _words(call: Call) -> str:
    """What an image is taken to show: the words of its file's name."""
    file = next((each for each in call.files("file") if each.filename), None)
    if file is None or not (file.content_type or "").startswith("image/"):
        raise Refusal("0001", "The file parameter must be an image")
    return re.sub(r"[-_.\d]+", " ", PurePosixPath(file.filename or "").stem)


def _frames(call: Call, namespace: str | None, platform: str = "") -> Any:
    similarity = float(call.text("similarity") or 0)
    found = call.account.search(_words(call), namespace=namespace, tracks=("visual",), limit=200)
    rows = [row for row in found if not platform or json.loads(row["detail"]).get("platform") == platform]
    return [
        {
            "videoNo": row["video_no"],
            "videoName": row["name"],
            "startTime": str(row["start"]),
            "score": row["score"],
        }
        for row in rows[:20]
        if row["score"] >= similarity
    ]


@route("POST", "search_similar_images")
async def search_similar_images(call: Call) -> Any:
    """Frames of the namespace whose description matches the file's name."""
    return _frames(call, call.namespace)


@route("POST", "search_public_similar_images")
async def search_public_similar_images(call: Call) -> Any:
    """Frames of public videos; an empty type means TIKTOK."""
    return _frames(call, None, call.text("type") or "TIKTOK")


@route("POST", "search_clips_by_image")
async def search_clips_by_image(call: Call) -> Any:
    """Clips of one video, in snake_case and with real numbers (API 3.2, 16)."""
    video_no = call.required("video_no")
    if call.account.video(video_no, call.namespace) is None:
        raise Refusal("0001", "video not found")
    words = f"{_words(call)} {call.required('prompt')}"
    found = call.account.search(words, namespace=call.namespace, tracks=("visual",), video_nos=[video_no], limit=10)
    return [{"start_time": float(row["start"]), "end_time": float(row["end"]), "score": row["score"]} for row in found]


# ---- captions: another surface, with integer codes (API 3.6)


def _answered(data: Mapping[str, Any]) -> JSONResponse:
    return JSONResponse({"code": 0, "msg": "success", "data": dict(data)})


def _refused(message: str) -> JSONResponse:
    return JSONResponse({"code": -1, "msg": message, "data": None})


def _request(call: Call) -> dict[str, Any]:
    """The arguments, as the JSON body or as the JSON part `req`."""
    for part in call.files("req"):
        return cast(dict[str, Any], json.loads(part.file.read()))
    return call.values


def _job(call: Call, request: Mapping[str, Any], source: object) -> JSONResponse:
    if not source or not request.get("user_prompt") or not request.get("system_prompt"):
        return _refused("parameters are incorrect")
    if not request.get("callback"):
        return _refused("callback is required")
    return _answered({"task_id": call.account.new_number()})


@route("POST", f"{CAPTION_PREFIX}upload")
async def caption_video_url(call: Call) -> Any:
    """Take an order whose result would go to the callback; here nothing is ever sent anywhere."""
    return _job(call, call.values, call.text("video_url"))


@route("POST", f"{CAPTION_PREFIX}uploadFile")
async def caption_video_file(call: Call) -> Any:
    """The same for a file."""
    return _job(call, _request(call), call.files("files"))


@route("POST", f"{CAPTION_PREFIX}uploadImg")
async def caption_image(call: Call) -> Any:
    """Describe an image by its name, at once."""
    request = _request(call)
    files = call.files("file")
    name = files[0].filename if files else PurePosixPath(urlsplit(str(request.get("url") or "")).path).name
    if not name or not request.get("user_prompt"):
        return _refused("parameters are incorrect")
    words = re.sub(r"[-_]+", " ", PurePosixPath(name).stem)
    text = f"Simulated by the sandbox: an image named {words}."
    return _answered({"text": text, "token": {"input": 100, "output": len(text) // 4, "total": 100 + len(text) // 4}})
