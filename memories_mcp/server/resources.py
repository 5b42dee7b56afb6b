"""Resources: videos, their transcripts and conversations, each also reachable through a tool."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn
from urllib.parse import parse_qs, urlsplit

import mcp_types as t
from mcp import MCPError

from memories_mcp.errors import InvalidArguments, MemoriesError, NotFound
from memories_mcp.models.media import Video
from memories_mcp.models.uris import session_uri, transcript_uri, video_uri
from memories_mcp.runner import Runner
from memories_mcp.server.recent import Newest, RecentItems
from memories_mcp.server.resource_types import KINDS, TRACK_TITLES, ResourceKind, transcript_tool
from memories_mcp.server.tenants import RequestScope
from memories_mcp.validation import validate

LIST_PAGE = 50
_URIS_KEPT = 2000
_LISTED_VIDEOS = 50
"""The newest ones are listed with their transcripts; the templates reach all."""


class Resources:
    """Lists and reads resources for one visit at a time.

    Args:
        kinds: In the order they are listed.
    """

    def __init__(self, kinds: Sequence[ResourceKind[Any]] = KINDS) -> None:
        self.kinds = [(kind.parsed(), kind) for kind in kinds]
        # What was read of a URI; who may see it is asked each time.
        self._known: OrderedDict[tuple[str, str | None], tuple[ResourceKind[Any], Any]] = OrderedDict()

    def templates(self, runner: Runner) -> list[t.ResourceTemplate]:
        """The templates that this caller may fill in."""
        return [
            t.ResourceTemplate(
                uri_template=kind.template,
                name=kind.name,
                title=kind.title,
                description=kind.description,
                mime_type=kind.mime_type,
            )
            for _, kind in self.kinds
            if kind.offered(runner) and kind.template != kind.fixed
        ]

    async def page(self, scope: RequestScope, cursor: str | None) -> t.ListResourcesResult:
        """A page of the list: the fixed entries, then the newest conversations and videos.

        Raises:
            MCPError: The cursor is none of ours.
        """
        start = 0
        if cursor is not None:
            if not cursor.isdecimal() or len(cursor) > 9:
                raise MCPError(code=t.INVALID_PARAMS, message="Unknown cursor; list again from the start.")
            start = int(cursor)
        entries = [
            *self._fixed(scope),
            *_newest(await scope.tenant.recent.newest(), scope.runner, scope.tenant.recent),
        ]
        following = start + LIST_PAGE
        return t.ListResourcesResult(
            resources=entries[start:following], next_cursor=str(following) if following < len(entries) else None
        )

    def kind_of(self, runner: Runner, uri: str) -> tuple[ResourceKind[Any], Any]:
        """The kind that a URI belongs to, and its checked variables.

        Raises:
            MCPError: There is no such resource for this caller.
        """
        pinned = runner.pinned.get("unique_id")
        known = self._known.get((uri, pinned))
        if known is None:
            known = self._read(uri, pinned)
            self._known[uri, pinned] = known
            while len(self._known) > _URIS_KEPT:
                self._known.popitem(last=False)
        kind, variables = known
        if not kind.allows(runner, variables):
            _missing(uri)
        return kind, variables

    def _read(self, uri: str, pinned: str | None) -> tuple[ResourceKind[Any], Any]:
        for template, kind in self.kinds:
            found = template.match(uri)
            if found is None:
                continue
            if pinned and found.setdefault("unique_id", pinned) != pinned:
                _missing(uri)
            known, sent = kind.variables.model_fields, parse_qs(urlsplit(uri).query, keep_blank_values=True)
            if strange := sent.keys() - known.keys():
                _missing(uri, f"it has no {min(strange)[:40]}; there are: {', '.join(known)}")
            try:
                # The template decodes `%2F` and matches `..`: what it found is checked like a tool's argument.
                variables = validate(kind.variables, found)
            except InvalidArguments as error:
                _missing(uri, " ".join(error.problems))
            return kind, variables
        return _missing(uri)

    async def read(self, scope: RequestScope, uri: str) -> t.ReadResourceResult:
        """What a resource holds.

        Raises:
            MCPError: There is no such resource, or the service did not give it.
        """
        kind, variables = self.kind_of(scope.runner, uri)
        try:
            document = await kind.read(scope.runner, variables)
        except NotFound:
            _missing(uri)
        except MemoriesError as error:
            told = " ".join(part for part in (error.summary, error.next_step) if part)
            raise MCPError(code=t.INTERNAL_ERROR, message=told, data={"uri": uri}) from None
        scope.tenant.recent.note_size(uri, len(document.text.encode()))
        return t.ReadResourceResult(contents=[document.contents(uri)])

    def _fixed(self, scope: RequestScope) -> Iterator[t.Resource]:
        for _, kind in self.kinds:
            if kind.fixed and kind.offered(scope.runner):
                yield t.Resource(
                    uri=kind.fixed,
                    name=kind.name,
                    title=kind.title,
                    description=kind.description,
                    mime_type=kind.mime_type,
                    size=scope.tenant.recent.size(kind.fixed),
                )


def _newest(newest: Newest, runner: Runner, recent: RecentItems) -> Iterator[t.Resource]:
    if "get_session_detail" in runner.operations:
        for session in newest.sessions:
            uri = session_uri(session.session_id)
            yield t.Resource(
                uri=uri,
                name=session.title or f"Conversation {session.session_id}",
                description=f"Conversation {session.session_id}, with numbered citations.",
                mime_type="text/markdown",
                size=recent.size(uri),
            )
    for video in newest.videos[:_LISTED_VIDEOS]:
        yield from _of_video(video, runner, recent)


def _of_video(video: Video, runner: Runner, recent: RecentItems) -> Iterator[t.Resource]:
    name = video.video_name or video.video_no
    annotations = t.Annotations(last_modified=video.created_at.isoformat()) if video.created_at else None
    uris = [(video_uri(video.video_no), "get_private_video_details", name, video.status, "application/json")]
    if video.status == "ready":
        for track, title in TRACK_TITLES.items():
            tool = transcript_tool(video.video_no, track)
            uris.append((transcript_uri(video.video_no, track), tool, f"{name}: {title}", title, "text/vtt"))
    for uri, tool, shown, about, mime_type in uris:
        if tool in runner.operations:
            yield t.Resource(
                uri=uri,
                name=shown,
                description=f"{video.video_no}, {about}",
                mime_type=mime_type,
                annotations=annotations,
                size=recent.size(uri),
            )


def _missing(uri: str, reason: str = "") -> NoReturn:
    message = f"Resource not found: {reason}" if reason else "Resource not found"
    raise MCPError(code=t.INVALID_PARAMS, message=message, data={"uri": uri[:2000]})
