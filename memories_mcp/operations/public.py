"""The public library: videos of social platforms that anybody can ask about."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from memories_mcp.api.endpoint import write
from memories_mcp.ids import SessionId, public_only
from memories_mcp.models import ChatAnswer, Video
from memories_mcp.operation import Context, Effect, Input, Output, Private, Toolset
from memories_mcp.operations.shared import PUBLIC_DETAIL, ask
from memories_mcp.wire import Count, FromSeconds, OptionalLine, names

public = Toolset("public", "Search, ask about and read public videos of TikTok, YouTube and Instagram.")

MARKETER_CHAT = write("marketer_chat", "chat", pace="slow")
MARKETER_CHAT_STREAM = write("marketer_chat_stream", "chat", pace="slow")

Platform = Literal["TIKTOK", "YOUTUBE", "INSTAGRAM"]
PublicVideoNo = Annotated[str, Field(min_length=1, max_length=64), public_only("get_private_video_details")]


class ChatWithPublicVideos(Private):
    """Arguments of `chat_with_public_videos`."""

    prompt: str = Field(min_length=1, max_length=8000, examples=["How do creators explain saving money?"])
    """The question, in English; @creator and #hashtag narrow it."""
    platform: Platform = Field(default="TIKTOK", serialization_alias="type")
    """Which platform's videos to ask."""
    session_id: SessionId | None = None
    """Go on with an earlier conversation."""
    include_thinkings: bool = Field(default=False, exclude=True)
    """Return the reasoning steps too."""


@public.operation(title="Chat with public videos", effect=Effect.READ, endpoints=[MARKETER_CHAT, MARKETER_CHAT_STREAM])
async def chat_with_public_videos(context: Context, args: ChatWithPublicVideos) -> ChatAnswer:
    """Ask a question over about a million public videos of one platform ("marketer chat").

    Returns the answer, the videos it rests on and a session_id for follow-up questions. Slow, and the dearest call.
    """
    return await ask(
        context, MARKETER_CHAT, MARKETER_CHAT_STREAM, args.wire(), include_thinkings=args.include_thinkings
    )


class GetPublicVideoDetail(Input):
    """Arguments of `get_public_video_detail`."""

    video_no: PublicVideoNo = Field(examples=["PI-604418309112233984"])
    """A public video's number, PI-…"""


class PublicVideo(Output, Video):
    """A public video, its creator and its reach."""

    creator: OptionalLine = Field(default=None, validation_alias=names("blogger_id"))
    published_at: FromSeconds = Field(default=None, validation_alias=names("publish_time"))
    language: OptionalLine = Field(default=None, validation_alias=names("text_language"))
    music: OptionalLine = Field(default=None, validation_alias=names("music_name"))
    hashtags: OptionalLine = Field(default=None, validation_alias=names("hash_tag"))
    view_count: Count = None
    like_count: Count = None
    share_count: Count = None
    comment_count: Count = None
    collect_count: Count = None


@public.operation(title="Look up a public video", effect=Effect.READ, endpoints=[PUBLIC_DETAIL])
async def get_public_video_detail(context: Context, args: GetPublicVideoDetail) -> PublicVideo:
    """Look up a public video: link, creator, dates, counts.

    Its rate limit is tight: ask for the few videos that matter, not for every hit.
    """
    return await context.api.call(PUBLIC_DETAIL, query=args.wire(), into=PublicVideo)
