"""Resources: videos, their transcripts and conversations; a tool gives the content of each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn
from urllib.parse import parse_qs, urlsplit

import mcp_types as t
from mcp import MCPError

from memories_mcp.errors import InvalidArguments, MemoriesError, NotFound
from memories_mcp.models.coercions import shorten
from memories_mcp.models.media import Video
from memories_mcp.models.sessions import SessionRow
from memories_mcp.models.uris import session_uri, transcript_uri, video_uri
from memories_mcp.operations.common.transcripts import transcript_tool
from memories_mcp.runner import Runner
from memories_mcp.server.recent import RecentItems
from memories_mcp.server.resource_types import RESOURCE_TYPES, TRACK_TITLES, ResourceType
from memories_mcp.server.tenant import RequestScope
from memories_mcp.validation import validate

PAGE_SIZE = 50
_MAX_RESOLVED_URIS = 2000
_MAX_LISTED_VIDEOS = 50
"""The newest videos are listed with their transcripts; the templates reach all videos."""
_MAX_CURSOR_DIGITS = 9
_MAX_URI_CHARACTERS = 2000


class Resources:
    """Lists and reads resources, for one request scope at a time.

    Args:
        resource_types: In the order they are listed and matched.
    """

    def __init__(self, resource_types: Sequence[ResourceType[Any]] = RESOURCE_TYPES) -> None:
        self.types = [(resource_type.uri_template(), resource_type) for resource_type in resource_types]
        # Parsing only: what the caller may read is checked in every request.
        self._resolved: OrderedDict[tuple[str, str | None], tuple[ResourceType[Any], Any]] = OrderedDict()

    def list_templates(self, runner: Runner) -> list[t.ResourceTemplate]:
        """Return the templates that this caller may use."""
        return [
            t.ResourceTemplate(
                uri_template=resource_type.template,
                name=resource_type.name,
                title=resource_type.title,
                description=resource_type.description,
                mime_type=resource_type.mime_type,
            )
            for _, resource_type in self.types
            if resource_type.is_offered(runner) and resource_type.template != resource_type.fixed
        ]

    async def list_page(self, scope: RequestScope, cursor: str | None) -> t.ListResourcesResult:
        """Return a page of the list: the fixed resources, then the newest conversations and videos.

        Raises:
            MCPError: The cursor is not one of this server.
        """
        start = 0
        if cursor is not None:
            if not cursor.isdecimal() or len(cursor) > _MAX_CURSOR_DIGITS:
                raise MCPError(code=t.INVALID_PARAMS, message="Unknown cursor. List again without a cursor.")
            start = int(cursor)
        newest = await scope.tenant.recent.newest()
        entries = [
            *self._fixed_entries(scope),
            *_session_entries(newest.sessions, scope.runner, scope.tenant.recent),
            *_video_entries(newest.videos[:_MAX_LISTED_VIDEOS], scope.runner, scope.tenant.recent),
        ]
        end = start + PAGE_SIZE
        return t.ListResourcesResult(resources=entries[start:end], next_cursor=str(end) if end < len(entries) else None)

    def resolve(self, runner: Runner, uri: str) -> tuple[ResourceType[Any], Any]:
        """Return the type of a URI and its checked variables.

        Raises:
            MCPError: There is no such resource for this caller.
        """
        pinned = runner.pinned.get("unique_id")
        resolved = self._resolved.get((uri, pinned))
        if resolved is None:
            resolved = self._parse(uri, pinned)
            self._resolved[uri, pinned] = resolved
            while len(self._resolved) > _MAX_RESOLVED_URIS:
                self._resolved.popitem(last=False)
        resource_type, variables = resolved
        if not resource_type.is_readable(runner, variables):
            _raise_not_found(uri)
        return resource_type, variables

    def _parse(self, uri: str, pinned: str | None) -> tuple[ResourceType[Any], Any]:
        for template, resource_type in self.types:
            values = template.match(uri)
            if values is None:
                continue
            if pinned and values.setdefault("unique_id", pinned) != pinned:
                _raise_not_found(uri)
            names = resource_type.variables.model_fields
            unknown = parse_qs(urlsplit(uri).query, keep_blank_values=True).keys() - names.keys()
            if unknown:
                _raise_not_found(uri, f"unknown parameter {min(unknown)[:40]}. Parameters: {', '.join(names)}.")
            try:
                # The template decodes `%2F` and matches `..`, so its values are checked like a tool's arguments.
                variables = validate(resource_type.variables, values)
            except InvalidArguments as error:
                _raise_not_found(uri, " ".join(error.problems))
            return resource_type, variables
        return _raise_not_found(uri)

    async def read(self, scope: RequestScope, uri: str) -> t.ReadResourceResult:
        """Read a resource.

        Raises:
            MCPError: There is no such resource, or the request to the service failed.
        """
        resource_type, variables = self.resolve(scope.runner, uri)
        try:
            content = await resource_type.read(scope.runner, variables)
        except NotFound:
            _raise_not_found(uri)
        except MemoriesError as error:
            message = " ".join(part for part in (error.summary, error.next_step) if part)
            raise MCPError(code=t.INTERNAL_ERROR, message=message, data={"uri": uri}) from None
        scope.tenant.recent.record_size(uri, len(content.text.encode()))
        return t.ReadResourceResult(contents=[content.to_protocol(uri)])

    def _fixed_entries(self, scope: RequestScope) -> Iterator[t.Resource]:
        for _, resource_type in self.types:
            if resource_type.fixed and resource_type.is_offered(scope.runner):
                yield t.Resource(
                    uri=resource_type.fixed,
                    name=resource_type.name,
                    title=resource_type.title,
                    description=resource_type.description,
                    mime_type=resource_type.mime_type,
                    size=scope.tenant.recent.size(resource_type.fixed),
                )


def _session_entries(sessions: Sequence[SessionRow], runner: Runner, recent: RecentItems) -> Iterator[t.Resource]:
    if "get_session_detail" not in runner.operations:
        return
    for session in sessions:
        uri = session_uri(session.session_id)
        yield t.Resource(
            uri=uri,
            name=shorten(session.title) or f"Conversation {session.session_id}",
            description=f"Conversation {session.session_id}, with numbered citations.",
            mime_type="text/markdown",
            size=recent.size(uri),
        )


def _video_entries(videos: Sequence[Video], runner: Runner, recent: RecentItems) -> Iterator[t.Resource]:
    """Yield each video and, once it is ready, its transcripts."""
    for video in videos:
        name = shorten(video.video_name or video.video_no)
        if "get_private_video_details" in runner.operations:
            yield _video_entry(video, video_uri(video.video_no), name, video.status, "application/json", recent)
        if video.status != "ready":
            continue
        for track, title in TRACK_TITLES.items():
            if transcript_tool(video.video_no, track) in runner.operations:
                uri = transcript_uri(video.video_no, track)
                yield _video_entry(video, uri, f"{name}: {title}", title, "text/vtt", recent)


def _video_entry(video: Video, uri: str, name: str, about: str, mime_type: str, recent: RecentItems) -> t.Resource:
    return t.Resource(
        uri=uri,
        name=name,
        description=f"{video.video_no}, {about}",
        mime_type=mime_type,
        annotations=t.Annotations(last_modified=video.created_at.isoformat()) if video.created_at else None,
        size=recent.size(uri),
    )


def _raise_not_found(uri: str, reason: str = "") -> NoReturn:
    message = f"Resource not found: {reason}" if reason else "Resource not found"
    raise MCPError(code=t.INVALID_PARAMS, message=message, data={"uri": uri[:_MAX_URI_CHARACTERS]})
