"""The `public` routes: search, chat, details and transcripts of public videos."""

from __future__ import annotations

import json
from typing import Any

from memories_mcp.sandbox.routes.chat import message_of, records_of, reply_to, stream_of
from memories_mcp.sandbox.routes.common import find_video, listed_video
from memories_mcp.sandbox.routes.search import clip, search_frames, search_literally, search_segments
from memories_mcp.sandbox.routes.transcripts import transcription_of
from memories_mcp.sandbox.routing import Call, Refusal, route

_DETAIL_FIELDS = (
    "like_count", "share_count", "comment_count", "view_count", "collect_count", "blogger_id", "text_language",
    "music_name", "hash_tag",
)  # fmt: skip


def _platform(call: Call) -> str:
    """Return the platform of a request; an empty `type` means TIKTOK."""
    return call.text("type") or "TIKTOK"


@route("POST", "search_public")
async def search_public(call: Call) -> Any:
    """Search the public videos of one platform; BY_CLIP is refused (API 3.2, 11)."""
    words, search_type = call.required("search_param"), call.text("search_type", "BY_CLIP")
    if search_type not in {"BY_VIDEO", "BY_AUDIO"}:
        raise Refusal("0001", f"search_type {search_type} is not supported")
    segments = search_segments(call, words, search_type, namespace=None, limit=1000)
    matches = [row for row in segments if json.loads(row["detail"]).get("platform") == _platform(call)]
    return [clip(segment, search_type) for segment in matches[: call.number("top_k", 100)]]


@route("GET", "search_public_audio_transcripts")
async def search_public_audio_transcripts(call: Call) -> Any:
    """Search the audio transcripts of public videos for a literal text."""
    return search_literally(call, "v.public = ?", "1")


@route("POST", "search_public_similar_images")
async def search_public_similar_images(call: Call) -> Any:
    """Return frames of public videos whose description matches the file's name."""
    return search_frames(call, namespace=None, platform=_platform(call))


@route("POST", "marketer_chat")
async def marketer_chat(call: Call) -> Any:
    """Answer a question about the public videos of a platform."""
    return message_of(call, reply_to(call, platform=_platform(call)))


@route("POST", "marketer_chat_stream")
async def marketer_chat_stream(call: Call) -> Any:
    """Stream an answer about the public videos of a platform."""
    return stream_of(records_of(call, reply_to(call, platform=_platform(call))))


@route("GET", "get_public_video_detail")
async def get_public_video_detail(call: Call) -> Any:
    """Return the details of a public video; every value is a string (API 3.5, 33)."""
    video = call.account.poll(find_video(call, None))
    listed = listed_video(video)
    result = {name: listed[name] for name in ("duration", "status", "video_no", "video_name", "create_time")}
    result["video_url"] = video["url"]
    detail: dict[str, Any] = json.loads(video["detail"])
    result |= {name: str(detail[name]) for name in _DETAIL_FIELDS if name in detail}
    if "publish_time" in detail:
        result["publish_time"] = str(detail["publish_time"] // 1000)
    return result


@route("GET", "get_public_video_transcription")
async def get_public_video_transcription(call: Call) -> Any:
    """Return the scene descriptions of a public video."""
    return transcription_of(call, "visual", None)


@route("GET", "get_public_audio_transcription")
async def get_public_audio_transcription(call: Call) -> Any:
    """Return the speech of a public video."""
    return transcription_of(call, "audio", None)
