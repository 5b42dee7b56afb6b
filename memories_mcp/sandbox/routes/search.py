"""The `search` routes: search in private videos and images by text and by image."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from memories_mcp.sandbox.routes.common import (
    RECORDING_FIELDS,
    find_video,
    folder_of,
    listed_image,
    page_of,
    place_of,
    stored_files,
    taken_at,
    was_recorded,
)
from memories_mcp.sandbox.routing import Call, Refusal, route

_MIN_SCORES = {"low": 0.15, "medium": 0.225, "high": 0.4}
"""The lowest score that each `filtering_level` lets through."""
_TRACKS = {"BY_AUDIO": ("audio",), "BY_CAPTION": ("visual",)}
"""The tracks that a `search_type` searches, where it does not search both."""
_MAX_FRAMES = 20


@route("POST", "search")
async def search(call: Call) -> Any:
    """Search by text: clips as a list, images as an object, captions in a third shape (API 3.2, 10)."""
    words, search_type = call.required("search_param"), call.text("search_type", "BY_CLIP")
    limit = call.number("top_k", 100)
    if search_type == "BY_IMAGE":
        passes = _recording_filter(call)
        images = [
            image for image in call.account.search_images(words, call.namespace) if passes(_recording_of_image(image))
        ][:limit]
        items = [listed_image(call, image) | {"score": image["score"]} for image in images]
        return {"item": items, "current_page": 0, "page_size": 20, "total_count": str(len(items))}
    segments = search_segments(call, words, search_type, namespace=call.namespace, limit=limit)
    if search_type == "BY_CAPTION":
        return [
            {
                "video_no": segment["video_no"],
                "text": segment["text"],
                "vector": [0.1, 0.2, 0.3],
                "user_id": "u-1",
                "start_time": segment["start"],
                "end_time": segment["end"],
                "score": segment["score"],
            }
            for segment in segments
        ]
    return [clip(segment, search_type) for segment in segments]


@route("GET", "search_audio_transcripts")
async def search_audio_transcripts(call: Call) -> Any:
    """Search the audio transcripts of the namespace for a literal text (API 3.2, 12)."""
    return search_literally(call, "v.public = 0 and v.namespace = ?", call.namespace)


@route("POST", "search_similar_images")
async def search_similar_images(call: Call) -> Any:
    """Return frames of the namespace whose description matches the file's name."""
    return search_frames(call, namespace=call.namespace)


@route("POST", "search_clips_by_image")
async def search_clips_by_image(call: Call) -> Any:
    """Search one video by image; the answer has snake_case names and JSON numbers (API 3.2, 16)."""
    video_no = find_video(call, call.namespace)["video_no"]
    words = f"{_words_of_image(call)} {call.required('prompt')}"
    clips = call.account.search(words, namespace=call.namespace, tracks=("visual",), video_nos=[video_no], limit=10)
    return [
        {"start_time": float(row["start"]), "end_time": float(row["end"]), "score": row["score"], **stored_files(row)}
        for row in clips
    ]


def search_segments(
    call: Call, words: str, search_type: str, *, namespace: str | None, limit: int
) -> list[dict[str, Any]]:
    """Return the segments that match words and the request's filters, best first and without repetitions.

    Args:
        call: The request, with `filtering_level`, `tag`, `video_nos`, `folder_id` and the details of the recording.
        words: Free text.
        search_type: `BY_VIDEO` returns one segment per video.
        namespace: The namespace of private videos; `None` for public videos.
        limit: The maximum number of segments.
    """
    min_score, tag = _MIN_SCORES.get(call.text("filtering_level"), 0), call.text("tag")
    folder, passes = folder_of(call), _recording_filter(call)
    matches = call.account.search(
        words,
        namespace=namespace,
        tracks=_TRACKS.get(search_type, ("visual", "audio")),
        video_nos=call.strings("video_nos"),
        limit=max(limit * 4, 200),
    )
    segments: dict[Any, dict[str, Any]] = {}
    for row in matches:
        key = row["video_no"] if search_type == "BY_VIDEO" else (row["video_no"], row["start"])
        if row["score"] < min_score or (tag and tag not in json.loads(row["tags"])):
            continue
        if (folder is None or row["folder"] == folder) and passes(json.loads(row["detail"])):
            segments.setdefault(key, row)
    return list(segments.values())[:limit]


def _recording_filter(call: Call) -> Callable[[dict[str, Any]], bool]:
    return partial(was_recorded, camera=call.text("camera_tag"), taken=taken_at(call), place=place_of(call))


def _recording_of_image(image: dict[str, Any]) -> dict[str, Any]:
    values = (image["taken"], image["camera"], image["latitude"], image["longitude"])
    return dict(zip(RECORDING_FIELDS, values, strict=True))


def clip(segment: dict[str, Any], search_type: str) -> dict[str, Any]:
    """Return a segment in the shape of search results."""
    names = {"videoNo": segment["video_no"], "videoName": segment["name"]}
    if search_type == "BY_VIDEO":  # videos have the string "null" for times and no score
        return names | {"startTime": "null", "endTime": "null", **stored_files(segment)}
    result = names | {
        "startTime": str(segment["start"]),
        "endTime": str(segment["end"]),
        "score": segment["score"],
        **stored_files(segment),
    }
    if search_type == "BY_AUDIO":
        result["audio_ts"] = f" {segment['text']}"
    return result


def search_literally(call: Call, condition: str, value: str) -> dict[str, Any]:
    """Return a page of the audio segments that contain the query.

    Args:
        call: The request, with `query`, `page` and `page_size`.
        condition: An SQL condition on the video `v`, with one placeholder.
        value: The value of the placeholder.
    """
    query, page, size = call.required("query"), call.number("page", 1), call.number("page_size", 100)
    escaped = query.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    segments = call.account.rows(
        "select s.*, v.name from segments s join videos v on v.video_no = s.video_no "
        f"where s.track = 'audio' and s.text like ? escape '\\' and v.status = 'PARSE' and {condition} "
        "order by s.video_no, s.start",
        f"%{escaped}%",
        value,
    )
    videos = [
        {
            "videoNo": segment["video_no"],
            "videoName": segment["name"],
            "startTime": str(segment["start"]),
            "audio_ts": f" {segment['text']}",
        }
        for segment in segments
    ]
    return page_of(videos, "videos", number=page, size=size)


def search_frames(call: Call, *, namespace: str | None, platform: str = "") -> list[dict[str, Any]]:
    """Return the frames that match the image file of a request, best first.

    Args:
        call: The request, with `file` and `similarity`.
        namespace: The namespace of private videos; `None` for public videos.
        platform: The only platform to search; every one if empty.
    """
    min_score = float(call.text("similarity") or 0)
    matches = call.account.search(_words_of_image(call), namespace=namespace, tracks=("visual",), limit=200)
    if platform:
        matches = [row for row in matches if json.loads(row["detail"]).get("platform") == platform]
    return [
        {
            "videoNo": row["video_no"],
            "videoName": row["name"],
            "startTime": str(row["start"]),
            "score": row["score"],
            **stored_files(row),
        }
        for row in matches[:_MAX_FRAMES]
        if row["score"] >= min_score
    ]


def _words_of_image(call: Call) -> str:
    """Return the words of the image file's name, which stand for the image's content."""
    file = next((part for part in call.files("file") if part.filename), None)
    if file is None or not (file.content_type or "").startswith("image/"):
        raise Refusal("0001", "The file parameter must be an image")
    return re.sub(r"[-_.\d]+", " ", PurePosixPath(file.filename or "").stem)
