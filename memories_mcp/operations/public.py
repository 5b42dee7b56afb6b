"""The public library: videos of social platforms that anybody can ask about."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from memories_mcp.api.endpoints import (
    MARKETER_CHAT,
    MARKETER_CHAT_STREAM,
    PUBLIC_DETAIL,
    PUBLIC_TRANSCRIPTS,
    SEARCH_PUBLIC,
    SEARCH_PUBLIC_IMAGES,
    SEARCH_PUBLIC_TRANSCRIPTS,
)
from memories_mcp.context import Context
from memories_mcp.models.base import Input, Output
from memories_mcp.models.chat import ChatAnswer
from memories_mcp.models.coercions import Count, FromSeconds, OptionalLine, names
from memories_mcp.models.evidence import Evidence
from memories_mcp.models.ids import public_only
from memories_mcp.models.media import Video
from memories_mcp.models.transcripts import Transcript
from memories_mcp.operation import Effect
from memories_mcp.operations.common.chat import REMEMBERED, Question, ask
from memories_mcp.operations.common.search import (
    Hits,
    ImageQuery,
    MomentPage,
    Moments,
    WordQuery,
    moments,
    search_by_image,
    search_words,
)
from memories_mcp.operations.common.transcripts import Window, read_transcript
from memories_mcp.operations.toolsets import public

Platform = Literal["TIKTOK", "YOUTUBE", "INSTAGRAM"]


PublicVideoNo = Annotated[str, Field(min_length=1, max_length=64), public_only("get_private_video_details")]


PublicTranscribedNo = Annotated[str, Field(min_length=1, max_length=64), public_only("get_video_transcription")]


_UNLIKELY = "Nothing in the public library matches; try other or fewer words, or another platform."


class SearchPublicVideos(Input):
    """Arguments of `search_public_videos`."""

    query: str = Field(
        min_length=1, max_length=2000, serialization_alias="search_param", examples=["bread with a crackly crust"]
    )
    """What to look for, in plain English."""
    # BY_CLIP and BY_IMAGE are refused here (API 3.2, 11).
    search_type: Literal["BY_VIDEO", "BY_AUDIO"] = "BY_VIDEO"
    """BY_VIDEO: by what is seen; BY_AUDIO: by speech."""
    platform: Platform = Field(default="TIKTOK", serialization_alias="type")
    """Which platform's videos to search."""
    top_k: int = Field(default=10, ge=1, le=1000)
    """The most hits to return."""
    filtering_level: Literal["low", "medium", "high"] | None = None
    """How good a hit must be: low keeps nearly all."""
    offset: int = Field(default=0, ge=0, exclude=True)
    """Skip this many hits, where an earlier call left some out."""


@public.operation(title="Search public videos", effect=Effect.READ, endpoints=[SEARCH_PUBLIC])
async def search_public_videos(context: Context, args: SearchPublicVideos) -> Moments:
    """Find public videos of one platform that match a description.

    Weak for creators' names: ask chat_with_public_videos with @name for those. Links come from
    get_public_video_detail.
    """
    return moments(await public_hits(context, args), args.offset, _UNLIKELY)


async def public_hits(context: Context, args: SearchPublicVideos) -> list[Evidence]:
    """All hits of a search, best first, however many."""
    found = await context.api.call(SEARCH_PUBLIC, json=args.wire(), into=Hits)
    return found.evidence("audio" if args.search_type == "BY_AUDIO" else "clip")


class SearchPublicAudioTranscripts(WordQuery):
    """Arguments of `search_public_audio_transcripts`."""


@public.operation(title="Search words said in public", effect=Effect.READ, endpoints=[SEARCH_PUBLIC_TRANSCRIPTS])
async def search_public_audio_transcripts(context: Context, args: SearchPublicAudioTranscripts) -> MomentPage:
    """Find where exact words are said in public videos.

    Use search_public_videos to search by meaning. Returns moments with the words around them.
    """
    return await search_words(context, SEARCH_PUBLIC_TRANSCRIPTS, args, _UNLIKELY)


class SearchPublicSimilarImages(ImageQuery):
    """Arguments of `search_public_similar_images`."""

    platform: Platform = Field(default="TIKTOK", serialization_alias="type")
    """Which platform's videos to search."""
    similarity: float | None = Field(default=None, ge=0, le=1)
    """How alike a frame must be, from 0 to 1."""


@public.operation(title="Search public videos by image", effect=Effect.READ, endpoints=[SEARCH_PUBLIC_IMAGES])
async def search_public_similar_images(context: Context, args: SearchPublicSimilarImages) -> Moments:
    """Find frames of public videos that look like an image file."""
    return await search_by_image(context, SEARCH_PUBLIC_IMAGES, args.wire(), args, _UNLIKELY)


class ChatWithPublicVideos(Question):
    """Arguments of `chat_with_public_videos`; @creator and #hashtag in the prompt narrow it."""

    platform: Platform = Field(default="TIKTOK", serialization_alias="type")
    """Which platform's videos to ask."""


@public.operation(
    title="Chat with public videos", effect=Effect.READ, endpoints=[MARKETER_CHAT, MARKETER_CHAT_STREAM, *REMEMBERED]
)
async def chat_with_public_videos(context: Context, args: ChatWithPublicVideos) -> ChatAnswer:
    """Ask a question over about a million public videos of one platform ("marketer chat").

    @creator and #hashtag in the prompt narrow it. Returns the answer, the videos it rests on and a session_id for
    follow-up questions. Slow, and the dearest call.
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


class GetPublicTranscription(Window):
    """Arguments of the transcription operations of public videos."""

    video_no: PublicTranscribedNo = Field(examples=["PI-604418309112233984"])
    """A public video's number, PI-…"""


@public.operation(title="Read what is seen in public", effect=Effect.READ, endpoints=[PUBLIC_TRANSCRIPTS["visual"]])
async def get_public_video_transcription(context: Context, args: GetPublicTranscription) -> Transcript:
    """Read the visual transcription of a public video: descriptions of what is SEEN, with times."""
    return await read_transcript(context, args.video_no, "visual", args, None)


@public.operation(title="Read what is said in public", effect=Effect.READ, endpoints=[PUBLIC_TRANSCRIPTS["audio"]])
async def get_public_audio_transcription(context: Context, args: GetPublicTranscription) -> Transcript:
    """Read the audio transcription of a public video: the words that are SAID, with times."""
    return await read_transcript(context, args.video_no, "audio", args, None)
