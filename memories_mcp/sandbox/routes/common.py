"""Parts that several route modules share: pages, look-ups, the shapes of videos and images."""

from __future__ import annotations

from typing import Any

from memories_mcp.sandbox.routing import Call, Refusal


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
    }


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
