"""Results and errors as compact text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import singledispatch
from typing import Any, cast

from pydantic import BaseModel

from memories_mcp.context import Pending
from memories_mcp.errors import MemoriesError
from memories_mcp.models.base import Output
from memories_mcp.models.evidence import Evidence
from memories_mcp.models.media import Video
from memories_mcp.models.transcripts import Transcript
from memories_mcp.rendering.fence import fence

_SECONDS_SUFFIX = "_seconds"


def render(output: Output, nonce: str) -> str:
    """The result as text, fenced; `note` stands after the fence."""
    body = "\n".join(_body(output))
    return "\n".join(part for part in (fence(body, nonce) if body else "", output.note or "") if part)


def render_error(name: str, error: MemoriesError, nonce: str) -> str:
    """An error as text: what failed, the API's own words in a fence, the next step."""
    words = fence(error.words, nonce) if error.words else ""
    return "\n".join(part for part in (f"{name} failed. {error.summary}", words, error.next_step) if part)


def clock(seconds: float) -> str:
    """65.5 as 1:05.5, 3725 as 1:02:05."""
    if seconds == int(seconds) and seconds < 3600:
        return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
    whole, rest = divmod(round(seconds, 3), 1)
    minutes, second = divmod(int(whole), 60)
    hours, minute = divmod(minutes, 60)
    fraction = f"{rest:.3f}"[1:].rstrip("0").rstrip(".")
    return (f"{hours}:{minute:02}" if hours else f"{minute}") + f":{second:02}{fraction}"


def span(start: float | None, end: float | None) -> str:
    """A moment as 0:30-0:36; without an end 0:30; without times nothing."""
    if start is None:
        return ""
    return clock(start) if end is None else f"{clock(start)}-{clock(end)}"


@singledispatch
def line(row: BaseModel) -> str:
    """One row of a list on one line; shapes that several results share have a form of their own."""
    return ", ".join(f"{label} {value}" for label, value in _facts(row))


@line.register
def _(moment: Evidence) -> str:
    return _moment(moment, moment.video_no or "", moment.kind)


@line.register
def _(video: Video) -> str:
    state = "" if video.status == "ready" else video.status
    if video.raw_status not in _USUAL_WORDS:
        state = f"{video.status} ({video.raw_status})"
    length = "" if video.duration_seconds is None else clock(video.duration_seconds)
    size = "" if video.size_bytes is None else megabytes(video.size_bytes)
    added = "" if video.created_at is None else f"{video.created_at:%Y-%m-%d %H:%M}"
    cause = f"({video.cause})" if video.cause else ""
    parts = (video.video_no, state, length, size, added, video.video_name, cause, video.video_url)
    return " ".join(part for part in parts if part)


@line.register
def _(pending: Pending) -> str:
    valid = f"{pending.confirmation_token} (valid for {clock(pending.expires_in_seconds)})"
    return "\n".join([pending.action, *(f"- {each}" for each in pending.items), f"confirmation_token: {valid}"])


def _body(output: Output) -> list[str]:
    if isinstance(output, Transcript):
        return _transcript(output)
    lines: list[str] = []
    for name, value in _given(output):
        if name == "note":
            continue
        if isinstance(value, list):
            lines += _listing(name, cast(list[Any], value))
        elif isinstance(value, BaseModel):
            lines.append(f"{_label(name)}: {line(value)}")
        else:
            text = _plain(name, value)
            lines.append(f"{_label(name)}:\n{text}" if "\n" in text else f"{_label(name)}: {text}")
    return lines


def _transcript(transcript: Transcript) -> list[str]:
    """One line a segment: its ref follows from the head and its times."""
    head = f"{transcript.video_no} {transcript.track}; ref = {_REF_RULE.format(transcript.video_no, transcript.track)}"
    return [head, *(_moment(each, "", transcript.track) for each in transcript.segments)]


def _listing(name: str, rows: Sequence[Any]) -> list[str]:
    if not rows:
        return [f"{_label(name)}: none"]
    if not isinstance(rows[0], BaseModel):
        return [f"{_label(name)}: {', '.join(_flat(str(row)) for row in rows)}"]
    if isinstance(rows[0], Evidence):
        return _moments(name, cast(Sequence[Evidence], rows))
    if isinstance(rows[0], Video):
        return [f"{_label(name)} ({len(rows)}), {_VIDEO_HEAD}:", *(line(row) for row in rows)]
    lines = [f"{_label(name)} ({len(rows)}):"]
    for number, row in enumerate(rows, 1):
        lines.append(f"[{number}] {line(row)}")
        for inner_name, value in _given(row):
            if isinstance(value, list) and value and isinstance(value[0], BaseModel):
                inner = cast(list[BaseModel], value)
                if isinstance(inner[0], Evidence):
                    lines += [f"  {each}" for each in _moments(inner_name, cast(list[Evidence], inner))]
                else:
                    lines += [f"  - {line(each)}" for each in inner]
    return lines


_REF_RULE = "{}#t=START,END&kind={}"


_VIDEO_HEAD = "ready unless said (ready is PARSE, processing UNPARSE, failed FAIL); number, length, size, UTC, name"


_USUAL_WORDS = {"PARSE", "UNPARSE", "FAIL"}


def _moments(name: str, rows: Sequence[Evidence]) -> list[str]:
    """Moments under a head that says how their refs are made; a video that comes up often gets a short name."""
    kinds = {each.kind for each in rows}
    videos = {each.video_no: each.video_name for each in rows if each.video_no}
    kind = rows[0].kind if len(kinds) == 1 else ""
    rule = _REF_RULE.format("VIDEO", kind or "KIND")
    timed = any(each.start_seconds is not None for each in rows)
    head = f"{_label(name)} ({len(rows)})" + (f"; ref = {rule}" if timed and videos else "") + ":"
    if len(videos) > len(rows) / 2:
        return [head, *(_moment(each, f"{each.video_no or ''} {each.video_name or ''}", kind) for each in rows)]
    short = {video_no: f"v{number}" for number, video_no in enumerate(videos, 1)}
    legend = [f"{short[video_no]} = {video_no} {video_name or ''}".strip() for video_no, video_name in videos.items()]
    return [head, *legend, *(_moment(each, short.get(each.video_no or "", ""), kind) for each in rows)]


def _moment(moment: Evidence, video: str, known_kind: str) -> str:
    """One moment on one line; one that has no times shows its ref."""
    kind = "" if known_kind or moment.start_seconds is None else moment.kind
    score = "" if moment.score is None else f"{moment.score:.2f}"
    ref = moment.ref if moment.start_seconds is None and (moment.video_no or moment.kind == "image") else ""
    name = video.strip() if moment.start_seconds is not None or not ref else moment.video_name or ""
    head = " ".join(part for part in (span(moment.start_seconds, moment.end_seconds), kind, score, ref, name) if part)
    text = _flat(moment.text or "")
    return f"{head}: {text}" if head and text else head or text


def megabytes(size: int) -> str:
    """A file's size for people: 698 MB."""
    return f"{size / 1e6:.0f} MB" if size >= 10_000_000 else f"{size / 1e6:.3g} MB"


def _facts(row: BaseModel) -> list[tuple[str, str]]:
    return [
        (_label(name), _flat(_plain(name, value)))
        for name, value in _given(row)
        if not isinstance(value, BaseModel | list) or (isinstance(value, list) and _flat_list(cast(list[Any], value)))
    ]


def _flat_list(values: list[Any]) -> bool:
    return bool(values) and not isinstance(values[0], BaseModel)


def _given(row: BaseModel) -> list[tuple[str, Any]]:
    """The fields that the structured content shows too."""
    fields = type(row).model_fields
    return [
        (name, value)
        for name, value in ((name, getattr(row, name)) for name in fields)
        if fields[name].is_required() or value != fields[name].get_default(call_default_factory=True)
    ]


def _label(name: str) -> str:
    return name.removesuffix(_SECONDS_SUFFIX).replace("_", " ") if name.endswith(_SECONDS_SUFFIX) else name


_PLAIN: dict[type, Callable[[Any], str]] = {
    bool: lambda value: "yes" if value else "no",
    float: lambda value: f"{value:.10g}",
    datetime: lambda value: value.isoformat().replace("+00:00", "Z"),
}


def _plain(name: str, value: Any) -> str:
    if name.endswith(_SECONDS_SUFFIX) and isinstance(value, int | float):
        return clock(value)
    if isinstance(value, list):
        return ", ".join(str(each) for each in cast(list[Any], value))
    kind = cast(type[object], type(value))
    return _PLAIN.get(kind, str)(value)


def _flat(text: str) -> str:
    return " ".join(text.split())
