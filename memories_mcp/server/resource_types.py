"""What kinds of resources there are, and how each is read."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, get_args

import mcp_types as t
from mcp import UriTemplate
from pydantic import Field, FiniteFloat, model_validator

from memories_mcp.api.endpoints import LIST_SESSIONS, LIST_VIDEOS
from memories_mcp.models.base import Input
from memories_mcp.models.evidence import Track
from memories_mcp.models.ids import Namespace, SessionId, VideoNo, is_public
from memories_mcp.models.sessions import SessionPage
from memories_mcp.models.uris import SESSIONS, VIDEOS, transcript_uri
from memories_mcp.operations.common.transcripts import fetch_transcript
from memories_mcp.operations.library import VideoPage
from memories_mcp.operations.sessions import whole_session
from memories_mcp.rendering.fence import make_nonce
from memories_mcp.rendering.markdown import session_markdown
from memories_mcp.rendering.subtitles import webvtt
from memories_mcp.runner import Runner

_INDEX_PAGE = 200

TRACK_TITLES: dict[Track, str] = {"audio": "what is said", "visual": "what is seen"}


class Located(Input):
    """What every URI may say."""

    unique_id: Namespace | None = None
    """The namespace, where it is not the server's own."""


class ListUri(Located):
    """Variables of a list."""

    page: int = Field(default=1, ge=1)


class VideoUri(Located):
    """Variables of a video."""

    video_no: VideoNo


class TranscriptUri(VideoUri):
    """Variables of a transcript; times in seconds."""

    track: Track
    start: FiniteFloat = Field(default=0, ge=0)
    end: FiniteFloat | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> TranscriptUri:
        if self.end is not None and self.end < self.start:
            raise ValueError("end lies before start")
        return self


class SessionUri(Located):
    """Variables of a conversation."""

    session_id: SessionId
    format: Literal["markdown", "json"] = "markdown"


V = TypeVar("V", bound=Input)


@dataclass(frozen=True)
class Document:
    """What a resource holds."""

    text: str
    mime_type: str

    def contents(self, uri: str) -> t.TextResourceContents | t.BlobResourceContents:
        """As the protocol carries it."""
        return t.TextResourceContents(uri=uri, mime_type=self.mime_type, text=self.text)


@dataclass(frozen=True, kw_only=True)
class ResourceKind(Generic[V]):
    """One shape of URI and how to read it.

    Attributes:
        template: As clients see it; every other field of `variables` may stand in the query too.
        name: For programs.
        title: For people.
        description: What it holds.
        mime_type: Of what it holds.
        variables: Checks what the URI says, after decoding.
        tools: The tools that give the same for these variables; where they are not offered, neither is the resource.
        read: Reads it for a caller.
        fixed: Its URI without variables, where that is a resource too.
    """

    template: str
    name: str
    title: str
    description: str
    mime_type: str
    variables: type[V]
    tools: Sequence[str]
    read: Callable[[Runner, V], Awaitable[Document]]
    tool_of: Callable[[V], str] | None = None
    fixed: str = ""

    @property
    def path(self) -> str:
        """The template without its query."""
        return self.template.partition("{?")[0]

    def parsed(self) -> UriTemplate:
        """What its URIs are matched with."""
        names = UriTemplate.parse(self.path).variable_names
        query = ",".join(name for name in self.variables.model_fields if name not in names)
        return UriTemplate.parse(self.path + (f"{{?{query}}}" if query else ""))

    def offered(self, runner: Runner) -> bool:
        """Whether this caller may read some of them."""
        return not self.tools or any(tool in runner.operations for tool in self.tools)

    def allows(self, runner: Runner, variables: V) -> bool:
        """Whether this caller may read this one."""
        tool = self.tool_of(variables) if self.tool_of else next(iter(self.tools), "")
        return not tool or tool in runner.operations


async def _videos(runner: Runner, args: ListUri) -> Document:
    body = {"page": args.page, "size": _INDEX_PAGE, "unique_id": args.unique_id}
    page = await runner.api.call(LIST_VIDEOS, json=body, into=VideoPage)
    rows = [each.model_dump(mode="json", exclude_defaults=True) for each in page.videos]
    more = (page.total or 0) > args.page * _INDEX_PAGE
    return _json({"videos": rows, "page": args.page, "total": page.total, "next": _next(runner, VIDEOS, args, more)})


async def _video(runner: Runner, args: VideoUri) -> Document:
    public = is_public(args.video_no)
    raw: dict[str, Any] = {"video_no": args.video_no}
    if not public and args.unique_id and not runner.pinned:
        raw["unique_id"] = args.unique_id
    answer = await runner.run(runner.operations[_video_tool(args)], raw)
    tracks = {
        track: runner.located(transcript_uri(args.video_no, track), args.unique_id, args.video_no)
        for track in get_args(Track)
    }
    return _json({**answer.structured, "transcripts": tracks})


async def _transcript(runner: Runner, args: TranscriptUri) -> Document:
    found = await fetch_transcript(runner.context(), args.video_no, args.track, args.unique_id)
    segments = [each for _, each in found.told(found.between(args.start, args.end))]
    return Document(webvtt(args.video_no, args.track, segments), "text/vtt")


async def _sessions(runner: Runner, args: ListUri) -> Document:
    query = {"page": args.page, "unique_id": args.unique_id}
    page = await runner.api.call(LIST_SESSIONS, query=query, into=SessionPage)
    rows = [each.model_dump(mode="json") for each in page.sessions]
    more = bool(rows) and (page.total or 0) > args.page * 20
    return _json(
        {"sessions": rows, "page": args.page, "total": page.total, "next": _next(runner, SESSIONS, args, more)}
    )


async def _session(runner: Runner, args: SessionUri) -> Document:
    session = await whole_session(runner.context(), args.session_id, args.unique_id)
    runner.locate(session, args.unique_id)
    if args.format == "json":
        return _json(session.structured())
    return Document(session_markdown(session, make_nonce()), "text/markdown")


def _next(runner: Runner, base: str, args: ListUri, more: bool) -> str | None:
    return runner.located(f"{base}?page={args.page + 1}", args.unique_id) if more else None


def _json(value: dict[str, Any]) -> Document:
    kept = {name: each for name, each in value.items() if each is not None}
    return Document(json.dumps(kept, ensure_ascii=False, indent=1), "application/json")


def _video_tool(args: VideoUri) -> str:
    return "get_public_video_detail" if is_public(args.video_no) else "get_private_video_details"


def transcript_tool(video_no: str, track: Track) -> str:
    """The tool that reads this track of this video."""
    word = {"audio": "audio", "visual": "video"}[track]
    return f"get_{'public_' if is_public(video_no) else ''}{word}_transcription"


KINDS: tuple[ResourceKind[Any], ...] = (
    ResourceKind(
        template=f"{SESSIONS}{{?page}}",
        name="sessions",
        title="Conversations",
        description="Past conversations with videos, newest first, 20 a page, with their session_id.",
        mime_type="application/json",
        variables=ListUri,
        tools=["list_sessions"],
        read=_sessions,
        fixed=SESSIONS,
    ),
    ResourceKind(
        template=f"{VIDEOS}{{?page}}",
        name="videos",
        title="Videos",
        description="The videos of your own library, newest first, 200 a page: number, name, state, length, date.",
        mime_type="application/json",
        variables=ListUri,
        tools=["list_videos"],
        read=_videos,
        fixed=VIDEOS,
    ),
    ResourceKind(
        template=f"{SESSIONS}/{{session_id}}",
        name="session",
        title="Conversation",
        description="A conversation as Markdown, with numbered citations of the moments it rests on.",
        mime_type="text/markdown",
        variables=SessionUri,
        tools=["get_session_detail"],
        read=_session,
    ),
    ResourceKind(
        template=f"{SESSIONS}/{{session_id}}{{?format}}",
        name="session_data",
        title="Conversation as data",
        description="The same as JSON with format=json: messages, each with its evidence.",
        mime_type="application/json",
        variables=SessionUri,
        tools=["get_session_detail"],
        read=_session,
    ),
    ResourceKind(
        template=f"{VIDEOS}/{{video_no}}",
        name="video",
        title="Video",
        description="What is known of one video: name, state, length, date, link, and where its transcripts are.",
        mime_type="application/json",
        variables=VideoUri,
        tools=["get_private_video_details", "get_public_video_detail"],
        tool_of=_video_tool,
        read=_video,
    ),
    ResourceKind(
        template=f"{VIDEOS}/{{video_no}}/transcripts/{{track}}{{?start,end}}",
        name="transcript",
        title="Transcript",
        description=(
            "A transcript as WebVTT: track audio is what is said, visual what is seen; start and end, in seconds, "
            "choose a window."
        ),
        mime_type="text/vtt",
        variables=TranscriptUri,
        tools=[
            "get_audio_transcription", "get_video_transcription",
            "get_public_audio_transcription", "get_public_video_transcription",
        ],
        tool_of=lambda args: transcript_tool(args.video_no, args.track),
        read=_transcript,
    ),
)  # fmt: skip
