"""The types of resources: their URI templates, their variables, and the functions that read them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, get_args

import mcp_types as t
from mcp import UriTemplate
from pydantic import Field, model_validator

from memories_mcp.api.endpoints import LIST_SESSIONS, LIST_VIDEOS
from memories_mcp.models.base import Input
from memories_mcp.models.evidence import Track
from memories_mcp.models.ids import Namespace, SessionId, VideoNumber, is_public
from memories_mcp.models.sessions import SessionPage
from memories_mcp.models.spellings import TimeInSeconds
from memories_mcp.models.uris import SESSIONS, VIDEOS, transcript_uri
from memories_mcp.operations.common.transcripts import fetch_transcript, transcript_tool
from memories_mcp.operations.library import VideoPage
from memories_mcp.operations.sessions import read_whole_session
from memories_mcp.rendering.fence import make_nonce
from memories_mcp.rendering.markdown import session_markdown
from memories_mcp.rendering.subtitles import webvtt
from memories_mcp.runner import Runner

_VIDEOS_PER_PAGE = 200
_SESSIONS_PER_PAGE = 20
"""Fixed by the service."""

TRACK_TITLES: dict[Track, str] = {"audio": "what is said", "visual": "what is seen"}


class UriVariables(Input):
    """The variables that every URI takes."""

    unique_id: Namespace | None = None
    """The namespace, if it is not the server's own."""


class ListVariables(UriVariables):
    """The variables of a list."""

    page: int = Field(default=1, ge=1)


class VideoVariables(UriVariables):
    """The variables of a video."""

    video_no: VideoNumber


class TranscriptVariables(VideoVariables):
    """The variables of a transcript; times in seconds."""

    track: Track
    start: TimeInSeconds = Field(default=0, ge=0)
    end: TimeInSeconds | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _check_order(self) -> TranscriptVariables:
        if self.end is not None and self.end < self.start:
            raise ValueError("end lies before start")
        return self


class SessionVariables(UriVariables):
    """The variables of a session."""

    session_id: SessionId
    format: Literal["markdown", "json"] = "markdown"


VariablesT = TypeVar("VariablesT", bound=Input)


@dataclass(frozen=True)
class ResourceContent:
    """The content of a resource."""

    text: str
    mime_type: str

    def to_protocol(self, uri: str) -> t.TextResourceContents | t.BlobResourceContents:
        """Return the content in the protocol's form."""
        return t.TextResourceContents(uri=uri, mime_type=self.mime_type, text=self.text)


@dataclass(frozen=True, kw_only=True)
class ResourceType(Generic[VariablesT]):
    """A URI template with the function that reads its resources.

    Attributes:
        template: The template that clients see; the other fields of `variables` may stand in a URI's query too.
        name: The name for programs.
        title: The name for people.
        description: What the resource holds.
        mime_type: The type of the content.
        variables: The model that checks the decoded variables of a URI.
        tools: Tools with the same content; the type is offered with any of them, or without condition if empty.
        read: Reads a resource for a runner.
        select_tool: Returns the tool with the same content as one resource; by default the first of `tools`.
        fixed: The URI without variables, if it is a resource too.
    """

    template: str
    name: str
    title: str
    description: str
    mime_type: str
    variables: type[VariablesT]
    tools: Sequence[str]
    read: Callable[[Runner, VariablesT], Awaitable[ResourceContent]]
    select_tool: Callable[[VariablesT], str] | None = None
    fixed: str = ""

    @property
    def path(self) -> str:
        """The template without its query."""
        return self.template.partition("{?")[0]

    def uri_template(self) -> UriTemplate:
        """Return the template that matches URIs, with every variable."""
        names = UriTemplate.parse(self.path).variable_names
        query = ",".join(name for name in self.variables.model_fields if name not in names)
        return UriTemplate.parse(f"{self.path}{{?{query}}}" if query else self.path)

    def is_offered(self, runner: Runner) -> bool:
        """Return whether the runner may read some resources of this type."""
        return not self.tools or any(tool in runner.operations for tool in self.tools)

    def is_readable(self, runner: Runner, variables: VariablesT) -> bool:
        """Return whether the runner may read the resource with these variables."""
        tool = self.select_tool(variables) if self.select_tool else next(iter(self.tools), "")
        return not tool or tool in runner.operations


async def _read_videos(runner: Runner, args: ListVariables) -> ResourceContent:
    body = {"page": args.page, "size": _VIDEOS_PER_PAGE, "unique_id": args.unique_id}
    page = await runner.api.call(LIST_VIDEOS, json=body, into=VideoPage)
    rows = [video.model_dump(mode="json", exclude_defaults=True) for video in page.videos]
    more = (page.total or 0) > args.page * _VIDEOS_PER_PAGE
    following = _next_page(runner, VIDEOS, args) if more else None
    return _json({"videos": rows, "page": args.page, "total": page.total, "next": following})


async def _read_video(runner: Runner, args: VideoVariables) -> ResourceContent:
    arguments: dict[str, Any] = {"video_no": args.video_no}
    if not is_public(args.video_no) and args.unique_id and not runner.pinned:
        arguments["unique_id"] = args.unique_id
    answer = await runner.run(runner.operations[_video_tool(args)], arguments)
    tracks = {
        track: runner.add_namespace(transcript_uri(args.video_no, track), args.unique_id, args.video_no)
        for track in get_args(Track)
    }
    return _json({**answer.structured, "transcripts": tracks})


async def _read_transcript(runner: Runner, args: TranscriptVariables) -> ResourceContent:
    transcript = await fetch_transcript(runner.context(), args.video_no, args.track, args.unique_id)

    def write() -> ResourceContent:
        segments = [segment for _, segment in transcript.evidence(transcript.between(args.start, args.end))]
        return ResourceContent(webvtt(args.video_no, args.track, segments), "text/vtt")

    return await asyncio.to_thread(write)  # it has no size limit


async def _read_sessions(runner: Runner, args: ListVariables) -> ResourceContent:
    query = {"page": args.page, "unique_id": args.unique_id}
    page = await runner.api.call(LIST_SESSIONS, query=query, into=SessionPage)
    rows = [session.model_dump(mode="json") for session in page.sessions]
    more = bool(rows) and (page.total or 0) > args.page * _SESSIONS_PER_PAGE
    following = _next_page(runner, SESSIONS, args) if more else None
    return _json({"sessions": rows, "page": args.page, "total": page.total, "next": following})


async def _read_session(runner: Runner, args: SessionVariables) -> ResourceContent:
    session = await read_whole_session(runner.context(), args.session_id, args.unique_id)

    def write() -> ResourceContent:
        runner.add_namespaces(session, args.unique_id)
        if args.format == "json":
            return _json(session.structured())
        return ResourceContent(session_markdown(session, make_nonce()), "text/markdown")

    return await asyncio.to_thread(write)  # it has no size limit


def _next_page(runner: Runner, base: str, args: ListVariables) -> str:
    return runner.add_namespace(f"{base}?page={args.page + 1}", args.unique_id)


def _json(data: dict[str, Any]) -> ResourceContent:
    """Return data as a JSON document, without the keys that have no value."""
    document = {name: value for name, value in data.items() if value is not None}
    return ResourceContent(json.dumps(document, ensure_ascii=False, indent=1), "application/json")


def _video_tool(args: VideoVariables) -> str:
    return "get_public_video_detail" if is_public(args.video_no) else "get_private_video_details"


RESOURCE_TYPES: tuple[ResourceType[Any], ...] = (
    ResourceType(
        template=f"{SESSIONS}{{?page}}",
        name="sessions",
        title="Conversations",
        description="Past conversations with videos, each with its session_id; newest first, 20 per page.",
        mime_type="application/json",
        variables=ListVariables,
        tools=["list_sessions"],
        read=_read_sessions,
        fixed=SESSIONS,
    ),
    ResourceType(
        template=f"{VIDEOS}{{?page}}",
        name="videos",
        title="Videos",
        description="The videos of your own library: number, name, status, length, date; newest first, 200 per page.",
        mime_type="application/json",
        variables=ListVariables,
        tools=["list_videos"],
        read=_read_videos,
        fixed=VIDEOS,
    ),
    ResourceType(
        template=f"{SESSIONS}/{{session_id}}",
        name="session",
        title="Conversation",
        description="A conversation as Markdown, with numbered citations of the moments behind the answers.",
        mime_type="text/markdown",
        variables=SessionVariables,
        tools=["get_session_detail"],
        read=_read_session,
    ),
    ResourceType(
        template=f"{SESSIONS}/{{session_id}}{{?format}}",
        name="session_data",
        title="Conversation as data",
        description="A conversation as JSON, with format=json: messages, each with its evidence.",
        mime_type="application/json",
        variables=SessionVariables,
        tools=["get_session_detail"],
        read=_read_session,
    ),
    ResourceType(
        template=f"{VIDEOS}/{{video_no}}",
        name="video",
        title="Video",
        description="The details of one video: name, status, length, date, link, and the URIs of its transcripts.",
        mime_type="application/json",
        variables=VideoVariables,
        tools=["get_private_video_details", "get_public_video_detail"],
        select_tool=_video_tool,
        read=_read_video,
    ),
    ResourceType(
        template=f"{VIDEOS}/{{video_no}}/transcripts/{{track}}{{?start,end}}",
        name="transcript",
        title="Transcript",
        description=(
            "A transcript as WebVTT. The track audio is what is said, the track visual what is seen; start and end, in "
            "seconds, select a window."
        ),
        mime_type="text/vtt",
        variables=TranscriptVariables,
        tools=[
            "get_audio_transcription", "get_video_transcription",
            "get_public_audio_transcription", "get_public_video_transcription",
        ],
        select_tool=lambda args: transcript_tool(args.video_no, args.track),
        read=_read_transcript,
    ),
)  # fmt: skip
