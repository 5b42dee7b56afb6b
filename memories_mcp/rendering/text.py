"""Results and errors as compact text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from functools import singledispatch
from typing import Any, cast

from pydantic import BaseModel

from memories_mcp.context import Pending
from memories_mcp.errors import MemoriesError
from memories_mcp.models.base import JsonOutput, NotInText, Output
from memories_mcp.models.evidence import Evidence, Reference
from memories_mcp.models.media import Video
from memories_mcp.models.transcripts import Transcript
from memories_mcp.rendering.fence import fence

_SECONDS_SUFFIX = "_seconds"

_REF_RULE = "{}#t=START,END&kind={}"
"""How a reader makes the ref of a transcript's line, which does not repeat the video's number."""

_LONGEST_CLOCK = 9999 * 3600
"""Seconds; refs are read with hours of at most four digits."""

_VIDEO_COLUMNS = "ready unless noted (ready is PARSE, processing UNPARSE, failed FAIL); number, length, size, UTC, name"

_KNOWN_STATUS_WORDS = {"PARSE", "UNPARSE", "FAIL"}
"""The API's words that `_VIDEO_COLUMNS` explains; any other is shown."""


def render(output: Output, nonce: str) -> str:
    """Return a result as fenced text, followed by its note; as JSON if its model requires that.

    Text of the service that belongs to the note stands in the fence.
    """
    if isinstance(output, JsonOutput):
        prose = getattr(output, output.prose, "")
        return json.dumps(output.structured_with(fence(prose, nonce) if prose else ""), ensure_ascii=False)
    body = "\n".join([*output.quotations, *_body(output)])
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


def format_ref(reference: Reference) -> str:
    """Return a ref as texts show it, with times as a player shows them; `parse_ref` reads it back.

    The ref stands for the video, the times and the kind of its row, so that the row need not repeat them.
    """
    start, end = reference.start, reference.end
    if start is None or max(start, end or 0) > _LONGEST_CLOCK:
        return str(reference)
    times = format_span(start, end).replace("-", ",")
    kind = "" if reference.kind == "clip" else f"&kind={reference.kind}"
    return f"{reference.video_no}#t={times}{kind}"


_BREAK = re.compile(r"[\s\u2e80-\U0003ffff]")
"""Where a text may be cut: at a blank, and anywhere in scripts that write none between words."""

_LONGEST_WORD = 120
"""Characters; no ref, time or name is longer."""

_LONGEST_LINK = 2000
"""Characters; no browser needs longer ones."""


def cut_text(text: str, limit: int) -> str:
    """Return the beginning of a text, of at most `limit` characters, that ends with a whole word, ref, time or link."""
    if len(text) <= limit:
        return text
    end = limit
    if not _BREAK.match(text[limit]):
        while end and not _BREAK.match(text[end - 1]):
            end -= 1
    word = text[end:limit]
    if len(word) > (_LONGEST_LINK if "://" in word else _LONGEST_WORD if end else 0):
        end = limit
    return text[:end].rstrip()


def format_video(name: str | None, creator: str | None, view_count: int | None) -> str:
    """Return what is known of a video's name, creator and views.

    Args:
        name: The name.
        creator: The creator of a public video.
        view_count: The views of a public video.
    """
    views = None if view_count is None else f"{view_count:,} views"
    return ", ".join(part for part in (name, creator and f"by {creator}", views) if part)


def format_size(size: int) -> str:
    """Return a size in bytes as megabytes, a small one as kilobytes: 698 MB, 28.5 kB."""
    unit, size_in_unit = ("MB", size / 1e6) if size >= 1_000_000 else ("kB", size / 1e3)
    return f"{size_in_unit:.0f} {unit}" if size_in_unit >= 10 else f"{size_in_unit:.3g} {unit}"


@singledispatch
def render_row(row: BaseModel) -> str:
    """Return one row of a list on one line; a model registers a form of its own here."""
    return ", ".join(f"{label} {value}" for label, value in _labelled_values(row))


@render_row.register
def _(moment: Evidence) -> str:
    return _moment(moment, with_name=False)


@render_row.register
def _(video: Video) -> str:
    state = "" if video.status == "ready" else video.status
    if video.raw_status not in _KNOWN_STATUS_WORDS:
        state = f"{video.status} ({video.raw_status})"
    length = "" if video.duration_seconds is None else format_clock(video.duration_seconds)
    size = "" if video.size_bytes is None else format_size(video.size_bytes)
    added = "" if video.created_at is None else f"{video.created_at:%Y-%m-%d %H:%M}"
    cause = f"({video.cause})" if video.cause else ""
    recording = f"[{text}]" if (text := _recording(video)) else ""
    parts = (video.video_no, state, length, size, added, video.video_name, cause, video.video_url, recording)
    return " ".join(part for part in parts if part)


def _recording(video: Video) -> str:
    """Return date, place, camera and tags of a video, as far as the service sends them."""
    date = f"taken {video.taken_at:%Y-%m-%d %H:%M}" if video.taken_at else ""
    place = "" if video.latitude is None else f"at {video.latitude:.10g}, {video.longitude or 0:.10g}"
    tags = f"tags {', '.join(video.tags)}" if video.tags else ""
    return "; ".join(part for part in (date, place, video.camera, tags) if part)


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
    return [head, *(_segment(segment, transcript.track) for segment in transcript.segments)]


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
    """Return moments under a head; the names of videos that occur often stand in a legend."""
    head = f"{_label(name)} ({len(moments)}):"
    videos: dict[str, str] = {}
    for moment in moments:
        if moment.video_no:
            videos.setdefault(moment.video_no, _format_video_of(moment))
    if len(videos) > len(moments) / 2:
        return [head, *(_moment(moment, with_name=True) for moment in moments)]
    legend = [f"{video_no} = {video}" for video_no, video in videos.items() if video]
    return [head, *legend, *(_moment(moment, with_name=False) for moment in moments)]


def _moment(moment: Evidence, *, with_name: bool) -> str:
    """Return one moment on one line, which begins with its ref unless a head names the video."""
    if not moment.video_no and moment.kind != "image":
        return _segment(moment, "")
    score = "" if moment.score is None else f"{moment.score:.2f}"
    # An image has a name of its own, which no legend shows.
    video = _format_video_of(moment) if with_name or not moment.video_no else ""
    parts = (format_ref(moment.reference), score, video, moment.video_url)
    return _line(" ".join(part for part in parts if part), moment)


def _format_video_of(moment: Evidence) -> str:
    return format_video(moment.video_name, moment.creator, moment.view_count)


def _segment(segment: Evidence, known_kind: str) -> str:
    """Return a moment of a video that a head names, on one line.

    Args:
        segment: The moment.
        known_kind: The kind, where a head names it; else empty.
    """
    times = format_span(segment.start_seconds, segment.end_seconds)
    return _line(" ".join(part for part in (times, times and not known_kind and segment.kind) if part), segment)


def _line(head: str, moment: Evidence) -> str:
    return ": ".join(part for part in (head, _one_line(moment.text or "")) if part)


def _labelled_values(row: BaseModel) -> list[tuple[str, str]]:
    """Return label and text of the fields of a row that hold no models."""
    values: list[tuple[str, str]] = []
    for name, value in _shown_fields(row):
        if isinstance(value, BaseModel) or (isinstance(value, list) and (not value or isinstance(value[0], BaseModel))):
            continue
        values.append((_label(name), _one_line(_format_value(name, value))))
    return values


def _shown_fields(row: BaseModel) -> list[tuple[str, Any]]:
    """Return name and value of the fields that the structured content shows too: the required and the non-default.

    Those that are not for readers are left out.
    """
    values = [(name, field, getattr(row, name)) for name, field in type(row).model_fields.items()]
    return [
        (name, value)
        for name, field, value in values
        if (field.is_required() or value != field.get_default(call_default_factory=True))
        and not any(isinstance(annotation, NotInText) for annotation in field.metadata)
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
