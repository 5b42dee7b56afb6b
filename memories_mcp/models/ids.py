"""Types of identifiers, which refuse an identifier of the wrong kind before a request is sent (API 2.6)."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from memories_mcp.models.spellings import TASKS, VIDEO_NUMBERS

_ID = re.compile(r"[A-Za-z0-9_-]+")
_TASK = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(_[0-9a-f]{32})?", re.IGNORECASE)


def _check_id(value: str, kind: str) -> str:
    value = value.strip()
    if "://" in value:
        raise ValueError(f"this is a URL, not a {kind}; a video behind a URL is added with upload_video_url")
    if not _ID.fullmatch(value):
        raise ValueError(f"not a {kind}: only letters, digits, - and _ occur in one")
    return value


def _check_video(value: str) -> str:
    value = _check_id(value, "video_no")
    if _TASK.fullmatch(value):
        raise ValueError("this is a task id, not a video_no; wait_until_ready takes it and names the videos")
    return value


def private_only(public_tool: str) -> AfterValidator:
    """Return a validator that refuses the number of a public video and names the tool that takes it."""

    def check(value: str) -> str:
        value = _check_video(value)
        if value.upper().startswith("PI-"):
            raise ValueError(f"PI- numbers are public videos; {public_tool} takes them")
        return value

    return AfterValidator(check)


def public_only(private_tool: str) -> AfterValidator:
    """Return a validator that refuses the number of a private video and names the tool that takes it."""

    def check(value: str) -> str:
        value = _check_video(value)
        if not value.upper().startswith("PI-"):
            raise ValueError(f"public videos have PI- numbers; {private_tool} takes videos of your own library")
        return value

    return AfterValidator(check)


def _check_task(value: str) -> str:
    value = _check_id(value, "task id")
    if re.match(r"VE?I\d|PI-", value):
        raise ValueError("this is a video_no, not a task id; pass it as video_nos")
    return value


def _check_session(value: str) -> str:
    value = value.strip()
    if not value.isdigit():
        raise ValueError("a session_id is a string of digits, as list_sessions returns it")
    return value


def _check_namespace(value: str) -> str:
    if not value.isprintable():
        raise ValueError("a unique_id has no control characters")
    return value


Namespace = Annotated[str, Field(max_length=200), AfterValidator(_check_namespace)]
"""A `unique_id`."""

_VIDEO_NO_LENGTH = Field(min_length=1, max_length=64)

VideoNo = Annotated[str, _VIDEO_NO_LENGTH, AfterValidator(_check_video), VIDEO_NUMBERS]
"""A video's number, private or public."""
TaskId = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_check_task), TASKS]
SessionId = Annotated[str, Field(min_length=1, max_length=32), AfterValidator(_check_session)]


def is_public(video_no: str) -> bool:
    """Return whether a video number belongs to the public library."""
    return video_no.upper().startswith("PI-")


PrivateVideoNo = Annotated[VideoNo, private_only("get_public_video_detail")]
"""A video's number in the caller's own library."""
PublicVideoNo = Annotated[VideoNo, public_only("get_private_video_details")]
"""A video's number in the public library."""
PrivateTranscriptVideoNo = Annotated[
    VideoNo, private_only("get_public_video_transcription or get_public_audio_transcription")
]
"""A `PrivateVideoNo` for transcripts: the refusal names the tools that read public transcripts."""
PublicTranscriptVideoNo = Annotated[VideoNo, public_only("get_video_transcription or get_audio_transcription")]
"""A `PublicVideoNo` for transcripts: the refusal names the tools that read private transcripts."""
