"""Types of identifiers, which refuse an identifier of the wrong kind before a request is sent (API 2.6).

The name of a private video and the URL of a public post may stand in place of a number: types that take them carry a
`StandIn`, and the runner replaces the texts by numbers before an operation runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from memories_mcp.models.coercions import one_line
from memories_mcp.models.platforms import is_profile, platform_of, post_key
from memories_mcp.models.spellings import FOLDERS, TASKS, Spelling
from memories_mcp.models.uris import SESSIONS

_ID = re.compile(r"[A-Za-z0-9_-]+")
_TASK = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(_[0-9a-f]{32})?", re.IGNORECASE)


_SHOWN = re.compile(rf"((VE?I|PI-|mavi_video_)?[0-9]{{1,32}}|{_TASK.pattern})", re.ASCII | re.IGNORECASE)
"""The ids of videos, tasks, sessions and images (API 2.6): no words fit in."""


def has_id_form(value: str) -> bool:
    """Return whether a value of the API has the form of an id and may stand outside the fence."""
    return _SHOWN.fullmatch(value) is not None


def show_ids(ids: Iterable[str], otherwise: str) -> str:
    """Return ids for text outside the fence: those that have the form of a video's, task's, session's or image's id.

    Args:
        ids: The ids, which may come from the API.
        otherwise: The text to return if none of them has the form.
    """
    return ", ".join(value for value in ids if has_id_form(value)) or otherwise


_LONG_NUMBER = re.compile(r"\d{15,}")
"""The number of a conversation or an image; the numbers of videos have a prefix."""
_VIDEO_NUMBER = re.compile(r"(?:VE?I(?=\d)|PI-|mavi_)[A-Za-z0-9_-]+", re.IGNORECASE)
_REF_FORM = re.compile(rf"image:\S+|.*#(?:t|kind)=.*|{_VIDEO_NUMBER.pattern}#.*", re.IGNORECASE | re.DOTALL)


def is_video_number(value: str) -> bool:
    """Return whether a text has the form of a video's number; any other text may be a video's name."""
    return _VIDEO_NUMBER.fullmatch(value) is not None


def describe_kind(value: str) -> tuple[str, str] | None:
    """Return the kind of an identifier and the tool that takes it; `None` if the kind does not show."""
    if value.startswith(f"{SESSIONS}/"):
        number = value.removeprefix(f"{SESSIONS}/").partition("?")[0]
        return "the URI of a conversation", f"get_session_detail takes its number as session_id={number}"
    if value.startswith("memories://"):
        return "the URI of a video", "get_evidence takes it as refs"
    if "://" in value:
        kind = "the URL of a post" if post_key(value) else "a URL"
        return kind, f"{_tool_for_url(value)} and adds the video to the library"
    if _REF_FORM.fullmatch(value):
        return "an evidence ref", "get_evidence takes it as refs"
    if _TASK.fullmatch(value):
        return "a task id", "wait_until_ready takes it as task_id and names the videos"
    if _LONG_NUMBER.fullmatch(value):
        return "the number of a conversation or an image", "get_session_detail takes it as session_id"
    if not is_video_number(value):
        return None
    if is_public(value):
        return "a public video's video_no", "get_public_video_detail takes it as video_no"
    return "a video_no", "get_private_video_details takes it as video_no"


def _tool_for_url(url: str) -> str:
    try:
        if not platform_of(url):
            return "upload_video_url takes it as url"
    except ValueError:  # not a valid URL
        return "upload_video_url takes it as url"
    return (
        "upload_creator takes it as profile_url" if is_profile(url) else "upload_platform_urls takes it as video_urls"
    )


def _refuse_others(kind: str, own: re.Pattern[str]) -> BeforeValidator:
    """Return a validator that refuses the other kinds of identifiers, before their length is checked.

    Args:
        kind: The kind of the argument.
        own: Matches the beginning of the kinds that `describe_kind` returns and the argument takes.
    """

    def check(value: Any) -> Any:
        if isinstance(value, str) and (other := describe_kind(value.strip())) and not own.match(other[0]):
            raise ValueError(f"this is {other[0]}, not {kind}; {other[1]}")
        return value

    return BeforeValidator(check)


def _check_id(value: str, kind: str) -> str:
    value = value.strip()
    if not _ID.fullmatch(value):
        raise ValueError(f"not a {kind}: only letters, digits, - and _ occur in one")
    return value


def _check_number(value: str) -> str:
    value = _check_id(value, "video_no")
    if len(value) > _NUMBER_LENGTH:
        raise ValueError(f"a video_no has at most {_NUMBER_LENGTH} characters")
    return value


def _check_video(value: str) -> str:
    """Return a number, or another text as the line that a video's name is."""
    line = one_line(value)
    if is_video_number(line):
        return _check_number(line)
    if not any(character.isalnum() for character in line):
        raise ValueError("neither a video_no nor the name of a video")
    return line


def _check_public(value: str) -> str:
    return value.strip() if post_key(value) else _check_number(value)


def private_only(public_tool: str) -> AfterValidator:
    """Return a validator that refuses the number of a public video and names the tool that takes it."""

    def check(value: str) -> str:
        if is_public(value) and is_video_number(value):
            raise ValueError(f"PI- numbers are public videos; {public_tool} takes it as video_no")
        return value

    return AfterValidator(check)


def public_only(private_tool: str) -> AfterValidator:
    """Return a validator that refuses the number of a private video and names the tool that takes it."""

    def check(value: str) -> str:
        if not is_public(value) and not post_key(value):
            raise ValueError(f"public videos have PI- numbers; {private_tool} takes it as video_no")
        return value

    return AfterValidator(check)


def _check_task(value: str) -> str:
    value = _check_id(value, "task id")
    if re.match(r"VE?I\d|PI-|mavi_", value):
        raise ValueError("this is a video_no, not a task id; pass it as video_nos to wait_until_ready")
    return value


def _check_session(value: str) -> str:
    value = value.strip()
    if not re.fullmatch("[0-9]+", value):
        raise ValueError("a session_id is a string of digits, as list_sessions returns it")
    return value


def _check_folder(value: str) -> str:
    value = value.strip()
    if not re.fullmatch("[1-9][0-9]{0,18}|-[12]", value):
        raise ValueError(
            "a folder_id is a string of digits, as list_folders returns it, -1 (the Default folder) or -2 (the legacy "
            "API folder)"
        )
    return value


def _check_namespace(value: str) -> str:
    if not value.isprintable():
        raise ValueError("a unique_id has no control characters")
    return value


Namespace = Annotated[str, Field(max_length=200), AfterValidator(_check_namespace)]
"""A `unique_id`."""


@dataclass(frozen=True)
class StandIn:
    """A text that may stand in place of a video's number, as an annotation of an argument's type.

    Attributes:
        kind: The text: the name of a private video, or the URL of a public post.
        split: Splits a value into that text, empty if the value has a number, and the rest of the value.
    """

    kind: Literal["name", "url"]
    split: Callable[[str], tuple[str, str]]


def _split_number(value: str) -> tuple[str, str]:
    return ("", value) if is_video_number(value) else (value, "")


_NUMBER_LENGTH = 64
_NAME_LENGTH = 300
_URL_LENGTH = 2000
_VIDEO_NUMBERS = Spelling(
    re.compile(r"[,;]+|\s+(?=(?:VI|VE|PI-|mavi_)\w)", re.IGNORECASE),
    inside_items=True,
    digits=False,
    is_item=lambda part: is_video_number(part) or describe_kind(part) is not None,
)

_OTHER_THAN_VIDEO = _refuse_others("a video_no", re.compile("a video_no|a public"))
_OTHER_THAN_PUBLIC = _refuse_others("a video_no", re.compile("a video_no|a public|the URL of a post"))
VideoNumber = Annotated[str, Field(min_length=1), AfterValidator(_check_number), _OTHER_THAN_VIDEO, _VIDEO_NUMBERS]
"""A video's number, private or public."""
VideoNo = Annotated[
    str,
    Field(min_length=1, max_length=_NAME_LENGTH),
    AfterValidator(_check_video),
    _OTHER_THAN_VIDEO,
    _VIDEO_NUMBERS,
    StandIn("name", _split_number),
]
"""A video's number, private or public, or the name of a private video."""
PublicVideoId = Annotated[
    str,
    Field(min_length=1, max_length=_URL_LENGTH),
    AfterValidator(_check_public),
    _OTHER_THAN_PUBLIC,
    _VIDEO_NUMBERS,
    StandIn("url", _split_number),
]
"""A video's number or the URL of a public post."""
TaskId = Annotated[
    str,
    Field(min_length=1, max_length=128),
    AfterValidator(_check_task),
    _refuse_others("a task id", re.compile("a task|a video_no|a public")),
    TASKS,
]
SessionId = Annotated[
    str,
    Field(min_length=1, max_length=32),
    AfterValidator(_check_session),
    _refuse_others("a session_id, which is a string of digits", re.compile("the number")),
]

FolderId = Annotated[
    str,
    Field(min_length=1, max_length=20),
    AfterValidator(_check_folder),
    _refuse_others("a folder_id", re.compile("the number")),
    PlainSerializer(int, return_type=int, when_used="json"),
    FOLDERS,
]
"""A folder of the library: text in tools, because it may exceed 2^53, and a JSON integer on the wire (API 6)."""


def is_public(video_no: str) -> bool:
    """Return whether a video number belongs to the public library."""
    return video_no.upper().startswith("PI-")


PrivateVideoNo = Annotated[VideoNo, private_only("get_public_video_detail")]
"""The number or name of a video in the caller's own library."""
PublicVideoNo = Annotated[PublicVideoId, public_only("get_private_video_details")]
"""A video's number in the public library, or the URL of its post."""
