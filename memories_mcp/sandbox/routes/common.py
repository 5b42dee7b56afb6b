"""Parts that several route modules share: pages, look-ups, the shapes of videos and images."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

from memories_mcp.sandbox import demo_data
from memories_mcp.sandbox.routing import Call, Refusal

_KM_PER_DEGREE = 111.2
_RADIUS_KM = 20


def page_of(rows: list[Any], name: str, *, number: int, size: int) -> dict[str, Any]:
    """Return one page of a list in the API's shape.

    Args:
        rows: The whole list.
        name: The key of the page's rows.
        number: The page, from 1.
        size: Rows per page.
    """
    return {
        name: rows[(number - 1) * size : number * size],
        "current_page": number,
        "page_size": size,
        "total_count": str(len(rows)),
    }


def find_video(call: Call, namespace: str | None) -> dict[str, Any]:
    """Return the video of the `video_no` parameter, private in the namespace or public if that is `None`."""
    video = call.account.video(call.required("video_no"), namespace)
    if video is None:
        raise Refusal("0001", "video not found")
    return video


VIDEO_BUCKET, KEYFRAME_BUCKET = "sandbox", "sandbox-keyframes"


def stored_files(row: dict[str, Any]) -> dict[str, Any]:
    """Return where the service keeps the video and the key frame of a hit, for `/serve/api/v2/download` (API 6).

    Args:
        row: A segment with the `media` of its video.
    """
    keyframe = demo_data.keyframe(row["media"], row["start"])
    video = {"video_bucket": VIDEO_BUCKET, "video_blob": row["media"]} if row["media"] else {}
    return video | ({"keyframe_bucket": KEYFRAME_BUCKET, "keyframe_blob": keyframe} if keyframe else {})


def listed_video(video: dict[str, Any]) -> dict[str, Any]:
    """Return a video in the shape of `list_videos`: strings throughout, `"null"` for an unknown cause."""
    return {
        "duration": str(video["duration"]) if video["status"] == "PARSE" else "0",
        "size": str(video["size"]),
        "status": video["status"],
        "cause": video["cause"] if video["status"] == "FAIL" else "null",
        "video_no": video["video_no"],
        "video_name": video["name"],
        "create_time": str(video["created"]),
        **recording_details(video),
    }


def recording_details(video: dict[str, Any]) -> dict[str, Any]:
    """Return date, camera and place of a private video, which only uploads with such details have (API 3.5, 29)."""
    detail: dict[str, Any] = json.loads(video["detail"])
    return {name: detail[name] for name in RECORDING_FIELDS if name in detail}


def detailed_video(video: dict[str, Any]) -> dict[str, Any]:
    """Return a video in the shape of task status and private details: JSON null for unknown values."""
    return {
        "duration": str(video["duration"]) if video["status"] == "PARSE" else None,
        "size": str(video["size"]) if video["size"] else None,
        "status": video["status"],
        "fps": video["fps"],
        "width": video["width"],
        "height": video["height"],
        "video_no": video["video_no"],
        "video_name": video["name"],
        "create_time": str(video["created"]),
        "video_url": video["url"],
        "resolution_label": video["resolution"],
    }


RECORDING_FIELDS = ("datetime_taken", "camera_model", "latitude", "longitude")


def recording_of(call: Call) -> dict[str, Any]:
    """Return what an upload says of the recording: milliseconds, camera and place, without what is not known."""
    latitude, longitude = place_of(call) or (None, None)
    values = (taken_at(call), call.text("camera_model") or None, latitude, longitude)
    return {name: value for name, value in zip(RECORDING_FIELDS, values, strict=True) if value is not None}


def taken_at(call: Call) -> int | None:
    """Return `datetime_taken`, sent as `yyyy-MM-dd HH:mm:ss`, in milliseconds since the epoch."""
    text = call.text("datetime_taken")
    if not text:
        return None
    try:
        moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise Refusal("0001", "The datetime_taken parameter is incorrect") from None
    return int(moment.timestamp() * 1000)


def place_of(call: Call) -> tuple[float, float] | None:
    """Return `latitude` and `longitude`, of which neither may be alone."""
    latitude, longitude = call.text("latitude"), call.text("longitude")
    if not latitude and not longitude:
        return None
    try:
        return float(latitude), float(longitude)
    except ValueError:
        raise Refusal("0001", "latitude and longitude must be supplied together") from None


def folder_of(call: Call) -> int | None:
    """Return `folder_id`."""
    text = call.text("folder_id")
    if text and not text.lstrip("-").isdigit():
        raise Refusal("0001", "The folder_id parameter is incorrect")
    return int(text) if text else None


def was_recorded(
    item: dict[str, Any], *, camera: str = "", taken: int | None = None, place: tuple[float, float] | None = None
) -> bool:
    """Return whether a video or an image was recorded with a camera, not before a time, and within about 20 km.

    Args:
        item: The fields of `RECORDING_FIELDS`, as far as they are known.
        camera: The camera; any if empty.
        taken: The earliest time in milliseconds.
        place: Latitude and longitude.
    """
    if camera and item.get("camera_model") != camera:
        return False
    if taken is not None and (item.get("datetime_taken") or 0) < taken:
        return False
    if place is None:
        return True
    latitude, longitude = item.get("latitude"), item.get("longitude")
    if latitude is None or longitude is None:
        return False
    east = (longitude - place[1] + 180) % 360 - 180
    return math.hypot(latitude - place[0], east * math.cos(math.radians(place[0]))) * _KM_PER_DEGREE <= _RADIUS_KM


def listed_image(call: Call, image: dict[str, Any]) -> dict[str, Any]:
    """Return an image in the shape of image lists."""
    return {
        "id": image["id"],
        "name": image["name"],
        "img_url": f"{call.request.base_url}media/{image['media']}" if image["media"] else None,
        "latitude": image["latitude"],
        "longitude": image["longitude"],
        "datetime_taken": str(image["taken"]) if image["taken"] else "null",
        "camera_model": image["camera"],
    }
