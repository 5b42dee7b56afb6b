"""The `transcripts` routes: transcripts and summaries of private videos."""

from __future__ import annotations

from typing import Any

from memories_mcp.sandbox import replies
from memories_mcp.sandbox.routes.common import find_video
from memories_mcp.sandbox.routing import Call, Refusal, route


@route("GET", "get_video_transcription")
async def get_video_transcription(call: Call) -> Any:
    """Return the scene descriptions of a video."""
    return transcription_of(call, "visual", call.namespace)


@route("GET", "get_video_caption")
async def get_video_caption(call: Call) -> Any:
    """Return the scene descriptions of a video, under the name that newer accounts have (API 6)."""
    return transcription_of(call, "visual", call.namespace)


@route("GET", "get_audio_transcription")
async def get_audio_transcription(call: Call) -> Any:
    """Return the speech of a video."""
    return transcription_of(call, "audio", call.namespace)


@route("GET", "generate_summary")
async def generate_summary(call: Call) -> Any:
    """Summarise a video as chapters with times, or as topics without (API 3.4, 27)."""
    kind = call.required("type")
    if kind not in {"CHAPTER", "TOPIC"}:
        raise Refusal("0001", "One or more parameters are incorrect")
    video = find_video(call, call.namespace)
    if video["status"] != "PARSE":
        raise Refusal("0001", f"Video is not parsed: {video['video_no']}")
    return replies.summary(call.account, video, kind)


@route("POST", "update_video_transcription")
async def update_video_transcription(call: Call) -> Any:
    """Replace the scene descriptions of a video by new ones for a prompt."""
    prompt = call.required("prompt")
    video = find_video(call, call.namespace)
    call.account.replace_visual_track(video["video_no"], prompt)
    return {"video_no": video["video_no"]}


def transcription_of(call: Call, track: str, namespace: str | None) -> dict[str, Any] | None:
    """Return a track of a video; `None` if the track is empty or the video is not ready.

    Args:
        call: The request, with `video_no`.
        track: `visual` or `audio`.
        namespace: The namespace of a private video; `None` for a public video.
    """
    video = find_video(call, namespace)
    segments = call.account.transcript(video["video_no"], track) if video["status"] == "PARSE" else []
    if not segments:
        return None
    transcriptions = [
        {
            "index": segment["idx"],
            "content": segment["text"] if track == "visual" else f" {segment['text']}",
            "startTime": str(segment["start"]),
            "endTime": str(segment["end"]),
        }
        for segment in segments
    ]
    return {"videoNo": video["video_no"], "transcriptions": transcriptions}
