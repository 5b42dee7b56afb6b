"""The caller's own library: its videos and conversations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from memories_mcp.api.endpoint import read, write
from memories_mcp.errors import ApiError, MemoriesError
from memories_mcp.ids import SessionId, private_only
from memories_mcp.models import Evidence, Page, Thinking, Video, WireMessage
from memories_mcp.operation import (
    Confirmable,
    Context,
    Effect,
    Output,
    Pending,
    Preview,
    Private,
    Row,
    Toolset,
)
from memories_mcp.operations.shared import (
    LIST_VIDEOS,
    PRIVATE_DETAILS,
    SESSION_DETAIL,
    WireSession,
    find_videos,
    why_empty,
    within,
)
from memories_mcp.render import BUDGET, clock, fitting, line
from memories_mcp.wire import Count, Id, Line, Number, Text, names, rows

library = Toolset("library", "List, look up, download and delete your own videos, and read past conversations.")

LIST_SESSIONS = read("list_sessions", "list")
DOWNLOAD = write("download", "download", pace="transfer")
DELETE_VIDEOS = write("delete_videos", "delete")

OwnVideoNo = Annotated[str, Field(min_length=1, max_length=64), private_only("get_public_video_detail")]


class ListVideos(Private):
    """Arguments of `list_videos`."""

    page: int = Field(default=1, ge=1)
    """Which page."""
    size: int = Field(default=20, ge=1, le=200)
    """Videos a page."""
    video_name: str | None = Field(default=None, max_length=300)
    """Only videos whose name contains this."""
    video_no: OwnVideoNo | None = None
    """Only this video."""
    status: Literal["ready", "processing", "failed"] | None = None
    """Only videos in this state."""


class VideoPage(Page):
    """A page of videos."""

    videos: Annotated[list[Video], rows()] = []
    """Newest first."""


# Documents say FAILED, the wire has FAIL (API 9, 5); the second word is tried where the first finds nothing.
_STATUS_WORDS = {"ready": ["PARSE"], "processing": ["UNPARSE"], "failed": ["FAIL", "FAILED"], None: [None]}


@library.operation(title="List videos", effect=Effect.READ, endpoints=[LIST_VIDEOS])
async def list_videos(context: Context, args: ListVideos) -> VideoPage:
    """List the videos of your own library with their state, length and date.

    Use it to find a video_no by name and to see what is still being processed.
    """
    found = VideoPage()
    for word in _STATUS_WORDS[args.status]:
        found = await context.api.call(LIST_VIDEOS, json=args.wire() | {"status": word}, into=VideoPage)
        if found.videos:
            break
    shown, note = within(found.videos, args.size, args.page, BUDGET)
    if not found.videos:
        note = why_empty(args.unique_id) if args.page == 1 else f"Page {args.page} is past the end."
    elif note is None and found.total is not None and args.page * args.size < found.total:
        note = f"There are {found.total} in all; go on with page={args.page + 1}."
    return VideoPage(videos=found.videos[:shown], page=args.page, total=found.total, note=note)


class GetPrivateVideoDetails(Private):
    """Arguments of `get_private_video_details`."""

    video_no: OwnVideoNo = Field(examples=["VI612515093881740229"])
    """A video of your library."""


class PrivateVideo(Output, Video):
    """A video of the own library in full."""

    fps: Number | None = None
    width: Count = None
    height: Count = None
    resolution: Line = Field(default="", validation_alias=names("resolution_label"))


@library.operation(title="Look up a video", effect=Effect.READ, endpoints=[PRIVATE_DETAILS])
async def get_private_video_details(context: Context, args: GetPrivateVideoDetails) -> PrivateVideo:
    """Look up one video of your own library: state, length, size, resolution, source link."""
    return await context.api.call(PRIVATE_DETAILS, query=args.wire(), into=PrivateVideo)


class ListSessions(Private):
    """Arguments of `list_sessions`."""

    page: int = Field(default=1, ge=1)
    """Which page; there are 20 sessions on one."""


class SessionRow(Row):
    """A conversation."""

    session_id: Id
    title: Line = ""


@line.register
def _(row: SessionRow) -> str:
    return f"{row.session_id} {row.title}"


class SessionPage(Page):
    """A page of conversations."""

    sessions: Annotated[list[SessionRow], rows()] = []
    """Newest first."""


@library.operation(title="List conversations", effect=Effect.READ, endpoints=[LIST_SESSIONS])
async def list_sessions(context: Context, args: ListSessions) -> SessionPage:
    """List past conversations and summaries, with the session_id that get_session_detail takes."""
    found = await context.api.call(LIST_SESSIONS, query=args.wire(), into=SessionPage)
    if not found.sessions:
        found.note = "No conversations in this namespace." if args.page == 1 else f"Page {args.page} is past the end."
    elif found.total is not None and args.page * 20 < found.total:
        found.note = f"There are {found.total} in all; go on with page={args.page + 1}."
    found.page = args.page
    return found


class GetSessionDetail(Private):
    """Arguments of `get_session_detail`."""

    # The wire wants camelCase here, against the page's prose (API 9, 9).
    session_id: SessionId = Field(serialization_alias="sessionId", examples=["612990037562867712"])
    """The conversation, as list_sessions or a chat gave it."""
    from_message: int = Field(default=1, ge=1, exclude=True)
    """Begin with this message, where an earlier call left some out."""
    from_character: int = Field(default=0, ge=0, exclude=True)
    """Begin inside that message."""
    include_thinkings: bool = Field(default=False, exclude=True)
    """Return the reasoning steps too."""


class Message(Row):
    """One turn of a conversation."""

    role: str
    content: Text
    evidence: list[Evidence] = []
    """The moments it refers to."""
    thinkings: list[Thinking] = []


@line.register
def _(message: Message) -> str:
    return f"{message.role}: {message.content}"


class Session(Output):
    """A conversation."""

    session_id: str
    title: Line = ""
    messages: list[Message]
    """In order."""
    message_count: int
    """How many messages the conversation has in all."""


@library.operation(title="Read a conversation", effect=Effect.READ, endpoints=[SESSION_DETAIL])
async def get_session_detail(context: Context, args: GetSessionDetail) -> Session:
    """Read a past conversation: its messages and the moments the answers rest on."""
    found = await context.api.call(SESSION_DETAIL, query=args.wire(), into=WireSession)
    session = Session(session_id=args.session_id, title=found.title, messages=[], message_count=len(found.messages))
    left = BUDGET - 1500
    for number, message in enumerate(found.messages[args.from_message - 1 :], args.from_message):
        skipped = args.from_character if number == args.from_message else 0
        whole = _message(message, args.include_thinkings, skipped)
        size = _size(whole)
        if size <= left:
            session.messages.append(whole)
            left -= size
            continue
        if not session.messages:
            cut, onward = _cut(whole, left)
            session.messages.append(cut)
            session.note = f"go on with from_message={number} and from_character={skipped + onward}."
        else:
            session.note = f"go on with from_message={number}."
        session.note = f"{len(found.messages)} messages in all; {session.note}"
        break
    if not found.messages:
        session.note = "The conversation is empty, or belongs to another unique_id."
    return session


def _message(message: WireMessage, include_thinkings: bool, skipped: int) -> Message:
    return Message(
        role=message.role.lower(),
        content=message.content[skipped:],
        evidence=message.evidence(),
        thinkings=message.steps() if include_thinkings else [],
    )


def _size(row: BaseModel) -> int:
    return len(row.model_dump_json(exclude_defaults=True))


def _cut(message: Message, budget: int) -> tuple[Message, int]:
    """As much of a message as fits, and how much of its content that is."""
    kept = message.content[: budget // 2]
    evidence = message.evidence[: fitting(message.evidence, budget // 2)] if message.evidence else []
    return Message(role=message.role, content=kept, evidence=evidence), len(kept)


class DownloadVideo(Private):
    """Arguments of `download_video`."""

    video_no: OwnVideoNo = Field(examples=["VI612515093881740229"])
    """A video of your library."""
    path: str = Field(min_length=1, max_length=500, exclude=True, examples=["talk.mp4"])
    """Where to put it, below the files root."""
    overwrite: bool = Field(default=False, exclude=True)
    """Replace a file that is there already."""


class Downloaded(Output):
    """A file that was written."""

    video_no: str
    path: str
    """Below the files root."""
    size_bytes: int


@library.operation(title="Download a video", effect=Effect.WRITE, endpoints=[DOWNLOAD])
async def download_video(context: Context, args: DownloadVideo) -> Downloaded:
    """Download the original file of a video of your own library into the files root.

    Costs by the gigabyte. A failure leaves no file behind.
    """
    target = context.files.writable(args.path, overwrite=args.overwrite)

    async def told(done: int, total: int | None) -> None:
        await context.progress(done, total, f"{done / 1e6:.1f} MB")

    size = await context.api.download(
        DOWNLOAD, json=args.wire(), target=target, overwrite=args.overwrite, on_bytes=told
    )
    return Downloaded(video_no=args.video_no, path=context.files.shown(target), size_bytes=size)


class DeleteVideos(Private, Confirmable):
    """Arguments of `delete_videos`."""

    video_nos: list[OwnVideoNo] = Field(min_length=1, max_length=100, examples=[["VI611702946038315594"]])
    """The videos to delete, at most 100."""


class Deleted(Output):
    """What became of each video, checked by listing afterwards."""

    deleted: list[str] = []
    """Gone for good."""
    not_found: list[str] = []
    """Never were in this namespace, so nothing was done."""
    still_there: list[str] = []
    """Listed even after the request."""
    confirmation: Pending | None = None
    """Present when nothing was done yet and the user must agree first."""


@library.operation(title="Delete videos", effect=Effect.DESTRUCTIVE, endpoints=[DELETE_VIDEOS, LIST_VIDEOS])
async def delete_videos(context: Context, args: DeleteVideos) -> Deleted:
    """Delete videos of your own library for good, with all that was made from them. There is no undo.

    The first call shows what would be lost and returns a confirmation_token unless the user was asked directly.
    """
    asked = list(dict.fromkeys(args.video_nos))
    before = await find_videos(context, asked, args.unique_id)
    there = [each.video_no for each in before]
    missing = [each for each in asked if each not in there]
    if not there:
        return Deleted(not_found=missing, note=why_empty(args.unique_id))
    preview = Preview(
        action=f"Delete {len(there)} video{'s' * (len(there) != 1)} for good.", items=[_shown(each) for each in before]
    )
    if pending := await context.confirm(preview):
        return Deleted(
            not_found=missing,
            confirmation=pending,
            note="Nothing was deleted yet. Show the user this list; if they agree, call again with the same "
            "arguments and confirmation_token.",
        )
    await _delete(context, there, args.unique_id)
    try:
        left = {each.video_no for each in await find_videos(context, there, args.unique_id)}
    except MemoriesError as error:
        note = f"The API accepted the request, but listing afterwards failed: {error.summary}"
        return Deleted(deleted=there, not_found=missing, note=note)
    return Deleted(
        deleted=[each for each in there if each not in left],
        not_found=missing,
        still_there=[each for each in there if each in left],
        note="Some are still listed; look again in a minute." if left else None,
    )


async def _delete(context: Context, video_nos: list[str], unique_id: str | None) -> None:
    try:
        await context.api.call(DELETE_VIDEOS, json=video_nos, query={"unique_id": unique_id}, into=object)
    except ApiError as error:
        if error.code != "0409":  # "already deleted" is what was wanted
            raise


def _shown(video: Video) -> str:
    length = "" if video.duration_seconds is None else clock(video.duration_seconds)
    date = "" if video.created_at is None else f"added {video.created_at:%Y-%m-%d}"
    return ", ".join(part for part in (video.video_no, video.video_name, length, date) if part)
