"""Links from results to resources: in addition to what a result says, never the only way on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import mcp_types as t
from mcp import MCPError

from memories_mcp.models.base import Output, Row, parts
from memories_mcp.models.evidence import Evidence
from memories_mcp.models.sessions import SessionPage
from memories_mcp.models.transcripts import Transcript
from memories_mcp.models.uris import SESSIONS, VIDEOS, session_uri, transcript_uri, video_uri
from memories_mcp.operations.library import VideoPage
from memories_mcp.rendering.text import span
from memories_mcp.server.resource_types import TRACK_TITLES
from memories_mcp.server.resources import Resources
from memories_mcp.server.tenants import RequestScope

MOST = 5
_NAME_CHARACTERS = 80


def links(output: Output, scope: RequestScope, resources: Resources, unique_id: str, room: int) -> list[t.ResourceLink]:
    """At most five: the list or the conversation, then the moments or videos that a result names, one a video.

    Args:
        output: The result.
        visit: For whom; what they may not read is not linked.
        resources: What there is to link to.
        unique_id: The namespace that the call named; empty for the caller's own.
        room: The characters that the result's text left of its budget.
    """
    found: dict[str, t.ResourceLink] = {}

    def here(uri: str, video_no: str) -> str:
        return scope.runner.located(uri, unique_id, video_no)

    for uri, name in _named(output, here):
        if len(found) == MOST:
            break
        try:
            kind, _ = resources.kind_of(scope.runner, uri)
        except MCPError:  # not for this caller
            continue
        size = scope.tenant.recent.size(uri)
        link = t.ResourceLink(uri=uri, name=name[:_NAME_CHARACTERS], mime_type=kind.mime_type, size=size)
        room -= len(link.model_dump_json(by_alias=True, exclude_none=True))
        if room < 0:
            break
        found[uri] = link
    return list(found.values())


def _named(output: Output, here: Callable[[str, str], str]) -> Iterator[tuple[str, str]]:
    match output:
        case VideoPage():
            yield here(VIDEOS, ""), "The list of videos"
        case SessionPage():
            yield here(SESSIONS, ""), "The list of conversations"
        case Transcript(video_no=video_no, track=track):
            yield here(transcript_uri(video_no, track), video_no), f"{video_no}: {TRACK_TITLES[track]}"
        case _:
            if session_id := getattr(output, "session_id", None):
                yield here(session_uri(session_id), ""), "The conversation"
            yield from _moments_and_videos(output, here)


def _moments_and_videos(output: Output, here: Callable[[str, str], str]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for row in parts(output, Row):
        video_no: str = getattr(row, "video_no", None) or ""
        if not video_no or video_no in seen:
            continue
        name = getattr(row, "video_name", None) or video_no
        if not isinstance(row, Evidence):
            yield here(video_uri(video_no), video_no), name
        elif row.uri:  # it says its namespace already
            yield row.uri, f"{name} {span(row.start_seconds, row.end_seconds)}".strip()
        seen.add(video_no)
