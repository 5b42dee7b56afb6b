"""Results and errors as compact text."""

from __future__ import annotations

from collections.abc import Sequence
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

_REF_RULE = "{}#t=START,END&kind={}"
"""How a reader makes a moment's ref from its line, so that the line need not repeat the ref."""

_VIDEO_COLUMNS = "ready unless noted (ready is PARSE, processing UNPARSE, failed FAIL); number, length, size, UTC, name"

_KNOWN_STATUS_WORDS = {"PARSE", "UNPARSE", "FAIL"}
"""The API's words that `_VIDEO_COLUMNS` explains; any other is shown."""


def render(output: Output, nonce: str) -> str:
    """Return a result as fenced text, followed by its note."""
    body = "\n".join(_body(output))
    parts = (fence(body, nonce) if body else "", output.note)
    return "\n".join(part for part in parts if part)


def render_error(name: str, error: MemoriesError, nonce: str) -> str:
    """Return a tool's error as text: what failed, the API's own words in a fence, the next step.

    Args:
        name: The tool.
        error: The error.
        nonce: The name of the fence.
    """
    words = fence(error.words, nonce) if error.words else ""
    return "\n".join(part for part in (f"{name} failed. {error.summary}", words, error.next_step) if part)


def format_clock(seconds: float) -> str:
    """Return seconds as a player shows them: 65.5 as 1:05.5, 3725 as 1:02:05."""
    if seconds == int(seconds) and seconds < 3600:
        return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
    whole, rest = divmod(round(seconds, 3), 1)
    minutes, second = divmod(int(whole), 60)
    hours, minute = divmod(minutes, 60)
    fraction = f"{rest:.3f}"[1:].rstrip("0").rstrip(".")
    if hours:
        return f"{hours}:{minute:02}:{second:02}{fraction}"
    return f"{minute}:{second:02}{fraction}"


def format_span(start: float | None, end: float | None) -> str:
    """Return a range of seconds as 0:30-0:36, without an end as 0:30, without times as an empty text."""
    if start is None:
        return ""
    return format_clock(start) if end is None else f"{format_clock(start)}-{format_clock(end)}"


def format_megabytes(size: int) -> str:
    """Return a size in bytes as megabytes: 698 MB."""
    return f"{size / 1e6:.0f} MB" if size >= 10_000_000 else f"{size / 1e6:.3g} MB"


@singledispatch
def render_row(row: BaseModel) -> str:
    """Return one row of a list on one line; a model registers a form of its own here."""
    return ", ".join(f"{label} {value}" for label, value in _labelled_values(row))


@render_row.register
def _(moment: Evidence) -> str:
    return _moment(moment, moment.video_no or "", moment.kind)


@render_row.register
def _(video: Video) -> str:
    state = "" if video.status == "ready" else video.status
    if video.raw_status not in _KNOWN_STATUS_WORDS:
        state = f"{video.status} ({video.raw_status})"
    length = "" if video.duration_seconds is None else format_clock(video.duration_seconds)
    size = "" if video.size_bytes is None else format_megabytes(video.size_bytes)
    added = "" if video.created_at is None else f"{video.created_at:%Y-%m-%d %H:%M}"
    cause = f"({video.cause})" if video.cause else ""
    parts = (video.video_no, state, length, size, added, video.video_name, cause, video.video_url)
    return " ".join(part for part in parts if part)


@render_row.register
def _(pending: Pending) -> str:
    token = f"{pending.confirmation_token} (valid for {format_clock(pending.expires_in_seconds)})"
    return "\n".join([pending.action, *(f"- {item}" for item in pending.items), f"confirmation_token: {token}"])


def _body(output: Output) -> list[str]:
    if isinstance(output, Transcript):
        return _transcript(output)
    lines: list[str] = []
    for name, value in _shown_fields(output):
        label = _label(name)
        if name == "note":
            continue
        if isinstance(value, list):
            lines += _list(name, cast(list[Any], value))
        elif isinstance(value, BaseModel):
            lines.append(f"{label}: {render_row(value)}")
        else:
            text = _format_value(name, value)
            lines.append(f"{label}:\n{text}" if "\n" in text else f"{label}: {text}")
    return lines


def _transcript(transcript: Transcript) -> list[str]:
    """Return a head with the rule for refs, and one line per segment."""
    rule = _REF_RULE.format(transcript.video_no, transcript.track)
    head = f"{transcript.video_no} {transcript.track}; ref = {rule}"
    if transcript.saved:
        head = f"saved: {render_row(transcript.saved)}\n{head}"
    return [head, *(_moment(segment, "", transcript.track) for segment in transcript.segments)]


def _list(name: str, rows: Sequence[Any]) -> list[str]:
    if not rows:
        return [f"{_label(name)}: none"]
    if not isinstance(rows[0], BaseModel):
        return [f"{_label(name)}: {', '.join(_one_line(str(row)) for row in rows)}"]
    if isinstance(rows[0], Evidence):
        return _moments(name, cast(Sequence[Evidence], rows))
    if isinstance(rows[0], Video):
        return [f"{_label(name)} ({len(rows)}), {_VIDEO_COLUMNS}:", *(render_row(row) for row in rows)]
    lines = [f"{_label(name)} ({len(rows)}):"]
    for number, row in enumerate(rows, 1):
        lines.append(f"[{number}] {render_row(row)}")
        lines += _inner_lists(row)
    return lines


def _inner_lists(row: BaseModel) -> list[str]:
    """Return the lists of models inside a row, indented; `line` leaves them out."""
    lines: list[str] = []
    for name, value in _shown_fields(row):
        if not isinstance(value, list) or not value or not isinstance(value[0], BaseModel):
            continue
        items = cast(list[BaseModel], value)
        if isinstance(items[0], Evidence):
            lines += [f"  {moment}" for moment in _moments(name, cast(list[Evidence], items))]
        else:
            lines += [f"  - {render_row(item)}" for item in items]
    return lines


def _moments(name: str, moments: Sequence[Evidence]) -> list[str]:
    """Return moments under a head with the rule for refs; videos that occur often get a short name in a legend."""
    kinds = {moment.kind for moment in moments}
    videos = {moment.video_no: moment.video_name for moment in moments if moment.video_no}
    kind = moments[0].kind if len(kinds) == 1 else ""
    head = f"{_label(name)} ({len(moments)})"
    has_times = any(moment.start_seconds is not None for moment in moments)
    if len(videos) > len(moments) / 2:
        rule = f"; ref = {_REF_RULE.format('VIDEO', kind or 'KIND')}" if videos and has_times else ""
        return [
            f"{head}{rule}:",
            *(_moment(moment, f"{moment.video_no or ''} {moment.video_name or ''}", kind) for moment in moments),
        ]
    short = {video_no: f"v{number}" for number, video_no in enumerate(videos, 1)}
    legend = [f"{short[video_no]} = {video_no} {video_name or ''}".strip() for video_no, video_name in videos.items()]
    # With a number in place of VIDEO: a short name is none, and no tool takes it.
    rule = f"; ref of v1 = {_REF_RULE.format(next(iter(videos)), kind or 'KIND')}" if videos and has_times else ""
    return [
        f"{head}{rule}:",
        *legend,
        *(_moment(moment, short.get(moment.video_no or "", ""), kind) for moment in moments),
    ]


def _moment(moment: Evidence, video: str, known_kind: str) -> str:
    """Return one moment on one line; a moment without times shows its ref, which no rule can make.

    Args:
        moment: The moment.
        video: The video's number, name or short name; empty where a head names the video.
        known_kind: The kind, where a head names it; else empty.
    """
    parts = [format_span(moment.start_seconds, moment.end_seconds)]
    if moment.start_seconds is not None and not known_kind:
        parts.append(moment.kind)
    if moment.score is not None:
        parts.append(f"{moment.score:.2f}")
    if moment.start_seconds is None and (moment.video_no or moment.kind == "image"):
        parts += [moment.ref, moment.video_name or ""]  # the ref holds the video's number
    else:
        parts.append(video.strip())
    head = " ".join(part for part in parts if part)
    text = _one_line(moment.text or "")
    return ": ".join(part for part in (head, text) if part)


def _labelled_values(row: BaseModel) -> list[tuple[str, str]]:
    """Return label and text of the fields of a row that hold no models."""
    values: list[tuple[str, str]] = []
    for name, value in _shown_fields(row):
        if isinstance(value, BaseModel) or (isinstance(value, list) and (not value or isinstance(value[0], BaseModel))):
            continue
        values.append((_label(name), _one_line(_format_value(name, value))))
    return values


def _shown_fields(row: BaseModel) -> list[tuple[str, Any]]:
    """Return name and value of the fields that the structured content shows too: the required and the non-default."""
    values = [(name, field, getattr(row, name)) for name, field in type(row).model_fields.items()]
    return [
        (name, value)
        for name, field, value in values
        if field.is_required() or value != field.get_default(call_default_factory=True)
    ]


def _label(name: str) -> str:
    """Return a field's label; a field of seconds loses its unit, as its value is shown as a clock."""
    if name.endswith(_SECONDS_SUFFIX):
        return name.removesuffix(_SECONDS_SUFFIX).replace("_", " ")
    return name


def _format_value(name: str, value: Any) -> str:
    if name.endswith(_SECONDS_SUFFIX) and isinstance(value, int | float):
        return format_clock(value)
    if isinstance(value, list):
        return ", ".join(str(item) for item in cast(list[Any], value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())
