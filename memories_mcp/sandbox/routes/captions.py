"""The `captions` routes, an API of its own: other paths, integer codes, no envelope flags (API 3.6)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, cast
from urllib.parse import urlsplit

from starlette.responses import JSONResponse

from memories_mcp.sandbox.routing import CAPTION_PREFIX, Call, route


@route("POST", f"{CAPTION_PREFIX}upload")
async def upload(call: Call) -> JSONResponse:
    """Accept a caption job for a video link; the sandbox never sends the result to the callback."""
    return _accept_job(call, call.values, call.text("video_url"))


@route("POST", f"{CAPTION_PREFIX}uploadFile")
async def upload_file(call: Call) -> JSONResponse:
    """Accept a caption job for a video file."""
    return _accept_job(call, _arguments(call), call.files("files"))


@route("POST", f"{CAPTION_PREFIX}uploadSync")
async def upload_sync(call: Call) -> JSONResponse:
    """Describe the video behind a link by its name, in the answer itself."""
    return _describe_video(call.values, PurePosixPath(urlsplit(call.text("video_url")).path).name)


@route("POST", f"{CAPTION_PREFIX}uploadFileSync")
async def upload_file_sync(call: Call) -> JSONResponse:
    """Describe a video file by its name, in the answer itself."""
    return _describe_video(_arguments(call), next((file.filename or "" for file in call.files("files")), ""))


@route("POST", f"{CAPTION_PREFIX}uploadImg")
async def upload_img(call: Call) -> JSONResponse:
    """Describe an image by its file name, in the answer itself."""
    arguments = _arguments(call)
    files = call.files("file")
    name = files[0].filename if files else PurePosixPath(urlsplit(str(arguments.get("url") or "")).path).name
    if not name or not arguments.get("user_prompt"):
        return _error("parameters are incorrect")
    return _description("an image", name)


def _describe_video(arguments: Mapping[str, Any], name: str) -> JSONResponse:
    if not name or not arguments.get("user_prompt") or not arguments.get("system_prompt"):
        return _error("parameters are incorrect")
    return _description("a video", name)


def _description(kind: str, name: str) -> JSONResponse:
    words = re.sub(r"[-_]+", " ", PurePosixPath(name).stem)
    text = f"Simulated by the sandbox: {kind} named {words}."
    input_tokens, output_tokens = 100, len(text) // 4
    token = {"input": input_tokens, "output": output_tokens, "total": input_tokens + output_tokens}
    return _success({"text": text, "token": token})


def _accept_job(call: Call, arguments: Mapping[str, Any], source: object) -> JSONResponse:
    if not source or not arguments.get("user_prompt") or not arguments.get("system_prompt"):
        return _error("parameters are incorrect")
    if not arguments.get("callback"):
        return _error("callback is required")
    return _success({"task_id": call.account.new_number()})


def _arguments(call: Call) -> dict[str, Any]:
    """Return the arguments, sent as the JSON body or as the JSON part `req`."""
    for part in call.files("req"):
        return cast(dict[str, Any], json.loads(part.file.read()))
    return call.values


def _success(data: Mapping[str, Any]) -> JSONResponse:
    return JSONResponse({"code": 0, "msg": "success", "data": dict(data)})


def _error(message: str) -> JSONResponse:
    return JSONResponse({"code": -1, "msg": message, "data": None})
