"""Links from results to resources, if the operator wants them; a result is complete without them.

Off by default: LangChain's adapters turn a link into a file, which most model packages refuse, and other frameworks mix
the link into the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import mcp_types as t
from mcp import MCPError

from memories_mcp.models.base import Output, Row, iter_parts
from memories_mcp.models.evidence import Evidence
from memories_mcp.models.ids import has_id_form
from memories_mcp.models.sessions import SessionPage
from memories_mcp.models.transcripts import Transcript
from memories_mcp.models.uris import SESSIONS, VIDEOS, session_uri, transcript_uri, video_uri
from memories_mcp.operations.library import VideoPage
from memories_mcp.rendering.text import format_span
from memories_mcp.server.resource_types import TRACK_TITLES
from memories_mcp.server.resources import Resources
from memories_mcp.server.tenant import RequestScope

MAX_LINKS = 5
_MAX_NAME_CHARACTERS = 80

LocateUri = Callable[[str, str], str]
"""Adds the call's namespace to the URI of a video (its number, or empty for other resources)."""


def make_links(
    output: Output, scope: RequestScope, resources: Resources, unique_id: str | None, max_characters: int
) -> list[t.ResourceLink]:
    """Return at most five links: the list or conversation, then one per video or moment of the result.

    Args:
        output: The result.
        scope: The request; resources that its caller may not read are not linked.
        resources: The resources to link to.
        unique_id: The namespace of the call; `None` for the default one.
        max_characters: The most characters of JSON that the links may take.
    """
    links: dict[str, t.ResourceLink] = {}

    def locate(uri: str, video_no: str) -> str:
        return scope.runner.add_namespace(uri, unique_id, video_no)

    for uri, name in _targets(output, locate):
        if len(links) == MAX_LINKS:
            break
        try:
            resource_type, _ = resources.resolve(scope.runner, uri)
        except MCPError:  # this caller may not read it
            continue
        link = t.ResourceLink(
            uri=uri,
            name=name[:_MAX_NAME_CHARACTERS],
            mime_type=resource_type.mime_type,
            size=scope.tenant.recent.size(uri),
        )
        max_characters -= len(link.model_dump_json(by_alias=True, exclude_none=True))
        if max_characters < 0:
            break
        links[uri] = link
    return list(links.values())


def _targets(output: Output, locate: LocateUri) -> Iterator[tuple[str, str]]:
    """Yield the URI and the name of each resource that a result mentions."""
    match output:
        case VideoPage():
            yield locate(VIDEOS, ""), "The list of videos"
        case SessionPage():
            yield locate(SESSIONS, ""), "The list of conversations"
        case Transcript(video_no=video_no, track=track):
            yield locate(transcript_uri(video_no, track), video_no), f"{video_no}: {TRACK_TITLES[track]}"
        case _:
            session_id: str | None = getattr(output, "session_id", None)
            if session_id and has_id_form(session_id):
                yield locate(session_uri(session_id), ""), "The conversation"
            yield from _video_targets(output, locate)


def _video_targets(output: Output, locate: LocateUri) -> Iterator[tuple[str, str]]:
    """Yield the first moment, or else the details, of each video in a result; names stand in the fenced text only."""
    seen: set[str] = set()
    for row in iter_parts(output, Row):
        video_no: str = getattr(row, "video_no", None) or ""
        if video_no in seen or not has_id_form(video_no):
            continue
        if not isinstance(row, Evidence):
            yield locate(video_uri(video_no), video_no), video_no
        elif row.uri:  # the runner has added the namespace already
            yield row.uri, f"{video_no} {format_span(row.start_seconds, row.end_seconds)}".strip()
        seen.add(video_no)
