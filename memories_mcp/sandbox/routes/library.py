"""The `library` routes: lists, details, import tasks, download and deletion of private videos and images."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from starlette.responses import FileResponse, Response, StreamingResponse

from memories_mcp.sandbox import demo_data
from memories_mcp.sandbox.routes.common import (
    KEYFRAME_BUCKET,
    VIDEO_BUCKET,
    detailed_video,
    find_video,
    folder_of,
    listed_image,
    listed_video,
    page_of,
    place_of,
    recording_details,
    was_recorded,
)
from memories_mcp.sandbox.routing import Call, Refusal, route

_MAX_DELETIONS = 100
_BINARY = "application/octet-stream"


@route("POST", "list_videos")
async def list_videos(call: Call) -> Any:
    """Return a page of the namespace's videos, newest first; listing a video counts as a poll of it."""
    number, size = call.number("page", 1), call.number("size", 200)
    videos = call.account.rows(
        "select * from videos where public = 0 and namespace = ? order by created desc, video_no desc", call.namespace
    )
    taken, place, folder = call.values.get("datetime_taken"), place_of(call), folder_of(call)
    if taken is not None and not isinstance(taken, int):  # milliseconds here, and a text in searches
        raise Refusal("0001", "The datetime_taken parameter is incorrect")
    filters: dict[str, Callable[[dict[str, Any]], bool]] = {
        "video_no": lambda video: video["video_no"] == call.text("video_no"),
        "video_nos": lambda video: video["video_no"] in call.strings("video_nos"),
        "video_name": lambda video: call.text("video_name").lower() in video["name"].lower(),
        "status": lambda video: video["status"] == call.text("status"),
        "tag": lambda video: call.text("tag") in json.loads(video["tags"]),
        "camera_model": lambda video: was_recorded(recording_details(video), camera=call.text("camera_model")),
        "datetime_taken": lambda video: was_recorded(recording_details(video), taken=taken),
        "latitude": lambda video: was_recorded(recording_details(video), place=place),
        "folder_id": lambda video: video["folder"] == folder,
    }
    for name, matches in filters.items():
        if call.values.get(name) not in (None, "", []):
            videos = [video for video in videos if matches(video)]
    page = page_of(videos, "videos", number=number, size=size)
    return page | {"videos": [listed_video(call.account.poll(video)) for video in page["videos"]]}


@route("GET", "get_private_video_details")
async def get_private_video_details(call: Call) -> Any:
    """Return the details of a video and count a poll of it."""
    video = call.account.poll(find_video(call, call.namespace))
    url = video["url"]
    if not url and video["media"]:
        url = f"{call.request.base_url}media/{video['media']}"
    return detailed_video(video | {"url": url or None})


@route("GET", "get_metadata")
async def get_metadata(call: Call) -> Any:
    """Return the details of a video as newer accounts get them: numbers, and nothing for an unknown video (API 6)."""
    video = call.account.video(call.required("video_no"), call.namespace)
    if video is None:
        return None
    video = call.account.poll(video)
    failed, ready = video["status"] == "FAIL", video["status"] == "PARSE"
    known = {
        "duration": video["duration"] if ready else 0,
        "size": video["size"],
        "create_time": video["created"],
        "status": "FAILED" if failed else video["status"],
        "cause": video["cause"] if failed else None,
        "resolution_label": video["resolution"],
        "fps": video["fps"],
        "width": video["width"],
        "height": video["height"],
        "tags": json.loads(video["tags"]) or None,
        "bucket": VIDEO_BUCKET if video["media"] else None,
        "blob": video["media"],
        **recording_details(video),
    }
    names = {"video_no": video["video_no"], "video_name": video["name"]}
    return names | {name: value for name, value in known.items() if value is not None}


@route("POST", "img_list_page")
async def img_list_page(call: Call) -> Any:
    """Return a page of the namespace's images."""
    number, size = call.number("page", 1), call.number("page_size", 20)
    rows = call.account.rows("select * from images where namespace = ? order by id desc", call.namespace)
    return page_of([listed_image(call, image) for image in rows], "item", number=number, size=size)


@route("GET", "get_video_ids_by_task_id")
async def get_video_ids_by_task_id(call: Call) -> Any:
    """Return the videos of an import task: none at the first poll, videos in processing from the second on."""
    tasks = call.account.rows("select * from tasks where task_id = ?", call.required("task_id"))
    if not tasks or tasks[0]["namespace"] not in {"", call.namespace}:
        return {"videos": []}
    task = tasks[0]
    call.account.db.execute("update tasks set polls = polls + 1 where task_id = ?", (task["task_id"],))
    if task["polls"] == 0:
        return {"videos": []}
    imports: list[dict[str, Any]] = json.loads(task["videos"])
    if task["polls"] == 1:
        for item in imports:
            _add_imported_video(call, item)
    videos: list[dict[str, Any]] = []
    for item in imports:
        namespace = None if item["video_no"].startswith("PI-") else call.namespace
        if video := call.account.video(item["video_no"], namespace):
            videos.append(detailed_video(call.account.poll(video)))
    return {"videos": videos}


def _add_imported_video(call: Call, item: dict[str, Any]) -> None:
    video_no, name = item["video_no"], item["name"]
    if call.account.rows("select 1 from videos where video_no = ?", video_no):
        return
    is_public = video_no.startswith("PI-")
    segments = demo_data.placeholder_segments(name, [], "")
    call.account.add_video(
        video_no=video_no,
        namespace=call.namespace,
        public=int(is_public),
        name=name,
        status="UNPARSE",
        duration=max(segment.end for segment in segments),
        detail=json.dumps({"platform": "TIKTOK"} if is_public else {}),
        folder=item["folder"],
    )
    call.account.add_segments(video_no, segments)


@route("POST", "download")
async def download(call: Call) -> Response:
    """Return the raw file; a refusal is JSON, also with HTTP 200 (API 3.5, 37)."""
    return _file(call, find_video(call, call.namespace)["media"])


@route("GET", "/serve/api/v2/download")
async def download_by_bucket_blob(call: Call) -> Response:
    """Return a stored file of the account: a video or a key frame, as the hits of searches name them (API 6)."""
    bucket, blob = call.required("bucket"), call.required("blob")
    if bucket == VIDEO_BUCKET and call.account.has_media(blob):
        return _file(call, blob)
    film = PurePosixPath(blob).parent
    is_keyframe = re.fullmatch(r"[\w-]+/\d{6}\.jpg", blob) and (demo_data.KEYFRAMES / blob).is_file()
    if bucket == KEYFRAME_BUCKET and is_keyframe and call.account.has_media(f"{film}.mp4"):
        return FileResponse(demo_data.KEYFRAMES / blob, media_type=_BINARY)
    raise Refusal("0001", "file not found")


def _file(call: Call, media: str | None) -> Response:
    """Return a video's file, of the demo library or an upload; refuse without one."""
    if media and (demo_data.MEDIA / media).is_file():
        return FileResponse(demo_data.MEDIA / media, media_type=_BINARY)
    size = call.uploads.size(media) if media else None
    if not media or size is None:
        raise Refusal("0001", "video not found")
    return StreamingResponse(call.uploads.read(media), media_type=_BINARY, headers={"content-length": str(size)})


@route("POST", "delete_videos")
async def delete_videos(call: Call) -> Any:
    """Delete the videos of a JSON array; `unique_id` counts only in the query, and unknown ids are no error."""
    video_nos = call.strings("")
    if not video_nos:
        raise Refusal("0001", "One or more parameters are incorrect")
    if len(video_nos) > _MAX_DELETIONS:
        raise Refusal("0001", "At most 100 videos can be deleted at once")
    call.account.delete(video_nos, call.namespace)
