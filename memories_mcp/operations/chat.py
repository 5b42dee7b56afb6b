"""Asking about the caller's own videos."""

from __future__ import annotations

from pydantic import Field

from memories_mcp.api.endpoint import write
from memories_mcp.ids import SessionId, VideoNo
from memories_mcp.models import ChatAnswer
from memories_mcp.operation import Context, Effect, Private, Toolset
from memories_mcp.operations.shared import ask

chat = Toolset("chat", "Ask questions about your own videos and get answers with the moments they rest on.")

CHAT = write("chat", "chat", pace="slow")
CHAT_STREAM = write("chat_stream", "chat", pace="slow")


class Question(Private):
    """What every chat takes."""

    prompt: str = Field(min_length=1, max_length=8000, examples=["What was decided about the launch date?"])
    """The question, in English."""
    session_id: SessionId | None = None
    """Go on with an earlier conversation."""
    include_thinkings: bool = Field(default=False, exclude=True)
    """Return the reasoning steps too."""


class ChatWithVideos(Question):
    """Arguments of `chat_with_videos`."""

    video_nos: list[VideoNo] = Field(min_length=1, max_length=100, examples=[["VI612515093881740229"]])
    """The videos to ask about."""


@chat.operation(title="Chat with videos", effect=Effect.READ, endpoints=[CHAT, CHAT_STREAM])
async def chat_with_videos(context: Context, args: ChatWithVideos) -> ChatAnswer:
    """Ask a question about chosen videos.

    Returns the answer, the moments it rests on and a session_id for follow-up questions. Takes up to two minutes
    and costs tokens. The videos must be ready.
    """
    return await ask(context, CHAT, CHAT_STREAM, args.wire(), include_thinkings=args.include_thinkings)
