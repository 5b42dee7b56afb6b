"""Chats about the caller's own videos."""

from __future__ import annotations

from pydantic import Field

from memories_mcp.api.endpoints import CHAT, CHAT_STREAM, LIBRARY_CHAT, LIBRARY_CHAT_STREAM, LIST_VIDEOS
from memories_mcp.context import Context
from memories_mcp.models.chat import ChatAnswer
from memories_mcp.models.ids import VideoNo
from memories_mcp.operation import Effect
from memories_mcp.operations.common.chat import SESSION_ENDPOINTS, Question, ask_chat
from memories_mcp.operations.toolsets import chat


class ChatWithVideos(Question):
    """Arguments of `chat_with_videos`."""

    video_nos: list[VideoNo] = Field(min_length=1, max_length=100, examples=[["VI612515093881740229"]])
    """Video numbers or names."""


@chat.operation(
    title="Chat with videos",
    effect=Effect.READ,
    endpoints=[CHAT, CHAT_STREAM, LIST_VIDEOS, *SESSION_ENDPOINTS],
)
async def chat_with_videos(context: Context, args: ChatWithVideos) -> ChatAnswer:
    """Ask a question about specific videos.

    Returns the answer, the moments that support it and a session_id for follow-up questions. Takes up to two minutes
    and costs tokens. The videos must be ready.
    """
    return await ask_chat(context, CHAT, CHAT_STREAM, args.wire(), include_thinkings=args.include_thinkings)


class ChatWithLibrary(Question):
    """Arguments of `chat_with_library`."""


@chat.operation(
    title="Chat with the library",
    effect=Effect.READ,
    endpoints=[LIBRARY_CHAT, LIBRARY_CHAT_STREAM, *SESSION_ENDPOINTS],
)
async def chat_with_library(context: Context, args: ChatWithLibrary) -> ChatAnswer:
    """Ask a question about all videos and images of your own library ("personal chat").

    Use it when you do not know which videos hold the answer. Returns the answer, the moments that support it and a
    session_id for follow-up questions. Slow; costs tokens.
    """
    return await ask_chat(
        context, LIBRARY_CHAT, LIBRARY_CHAT_STREAM, args.wire(), include_thinkings=args.include_thinkings
    )
