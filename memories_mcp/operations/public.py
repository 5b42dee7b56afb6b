"""The public library: videos of social platforms, shared by all customers of the service."""

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
from memories_mcp.models.coercions import Count, DateFromSeconds, OptionalLine, wire_names
from memories_mcp.models.evidence import Evidence
from memories_mcp.models.ids import PublicVideoId, PublicVideoNo, public_only
from memories_mcp.models.media import RequestedVideo, Video
from memories_mcp.models.spellings import OtherWords
from memories_mcp.models.transcripts import Transcript
from memories_mcp.operation import Effect
from memories_mcp.operations.common.chat import SESSION_ENDPOINTS, Question, ask_chat
from memories_mcp.operations.common.lookups import fetch_details
from memories_mcp.operations.common.search import (
    Hits,
    ImageQuery,
    MomentPage,
    Moments,
    WordQuery,
    filter_note,
    fit_moments,
    search_by_image,
    search_words,
)
from memories_mcp.operations.common.transcripts import Window, read_transcript
from memories_mcp.operations.toolsets import public

Platform = Annotated[
    Literal["TIKTOK", "YOUTUBE", "INSTAGRAM"], OtherWords({"yt": "YOUTUBE", "ig": "INSTAGRAM", "insta": "INSTAGRAM"})
]

_NO_MATCH = "Nothing in the public library matches. Try other or fewer words, or another platform."
_NO_FRAME = "Nothing in the public library matches. Try another image, a lower similarity, or another platform."


class SearchPublicVideos(Input):
    """Arguments of `search_public_videos`."""

    query: str = Field(
        min_length=1, max_length=2000, serialization_alias="search_param", examples=["bread with a crackly crust"]
    )
    """What to look for, in plain English."""
    # The endpoint refuses BY_CLIP and BY_IMAGE (API 3.2, 11).
    search_type: Annotated[Literal["BY_VIDEO", "BY_AUDIO"], OtherWords({"video": "BY_VIDEO", "audio": "BY_AUDIO"})] = (
        "BY_VIDEO"
    )
    """BY_VIDEO: by what is seen; BY_AUDIO: by speech."""
    platform: Platform = Field(default="TIKTOK", serialization_alias="type")
    """Its platform."""
    top_k: int = Field(default=10, ge=1, le=1000)
    """Maximum number of hits."""
    filtering_level: Literal["low", "medium", "high"] | None = None
    """Required quality of a hit; low keeps nearly all."""
    offset: int = Field(default=0, ge=0, exclude=True)
    """Hits to skip; the note of a shortened result gives the number."""


@public.operation(title="Search public videos", effect=Effect.READ, endpoints=[SEARCH_PUBLIC])
async def search_public_videos(context: Context, args: SearchPublicVideos) -> Moments:
    """Find public videos of one platform that match a description.

    Weak at creator names: for those, use chat_with_public_videos with @name. get_public_video_detail returns a
    video's link.
    """
    hits = await public_hits(context, args)
    filtered = filter_note(args.filtering_level, len(hits), args.top_k)
    return fit_moments(hits, args.offset, _NO_MATCH, filtered=filtered)


async def public_hits(context: Context, args: SearchPublicVideos) -> list[Evidence]:
    """Return all hits of a search, best first; `args.offset` is not applied."""
    hits = await context.api.call(SEARCH_PUBLIC, json=args.wire(), into=Hits)
    return hits.evidence("audio" if args.search_type == "BY_AUDIO" else "clip")


class SearchPublicAudioTranscripts(WordQuery):
    """Arguments of `search_public_audio_transcripts`."""


@public.operation(title="Search spoken words (public)", effect=Effect.READ, endpoints=[SEARCH_PUBLIC_TRANSCRIPTS])
async def search_public_audio_transcripts(context: Context, args: SearchPublicAudioTranscripts) -> MomentPage:
    """Find where exact words are said in public videos.

    Returns moments with the surrounding words. To search by meaning, use search_public_videos.
    """
    return await search_words(context, SEARCH_PUBLIC_TRANSCRIPTS, args, _NO_MATCH)


class SearchPublicSimilarImages(ImageQuery):
    """Arguments of `search_public_similar_images`."""

    platform: Platform = Field(default="TIKTOK", serialization_alias="type")
    """Its platform."""
    similarity: float | None = Field(default=None, ge=0, le=1)
    """Required likeness, 0 to 1."""


@public.operation(title="Search public videos by image", effect=Effect.READ, endpoints=[SEARCH_PUBLIC_IMAGES])
async def search_public_similar_images(context: Context, args: SearchPublicSimilarImages) -> Moments:
    """Find frames of public videos that look like an image file."""
    return await search_by_image(context, SEARCH_PUBLIC_IMAGES, args, _NO_FRAME)


class ChatWithPublicVideos(Question):
    """Arguments of `chat_with_public_videos`."""

    platform: Platform = Field(default="TIKTOK", serialization_alias="type")
    """Its platform."""


@public.operation(
    title="Chat with public videos",
    effect=Effect.READ,
    endpoints=[MARKETER_CHAT, MARKETER_CHAT_STREAM, *SESSION_ENDPOINTS],
)
async def chat_with_public_videos(context: Context, args: ChatWithPublicVideos) -> ChatAnswer:
    """Ask a question about roughly a million public videos of one platform ("marketer chat").

    @creator and #hashtag in the prompt narrow the search. Returns the answer, the videos that support it and a
    session_id for follow-up questions. Slow, and the most expensive call.
    """
    return await ask_chat(
        context, MARKETER_CHAT, MARKETER_CHAT_STREAM, args.wire(), include_thinkings=args.include_thinkings
    )


class GetPublicVideoDetail(Input):
    """Arguments of `get_public_video_detail`."""

    video_no: PublicVideoNo = Field(examples=["PI-604418309112233984"])
    """PI-… number, or the URL of a post that a result named."""


class PublicVideo(Output, Video):
    """A public video, its creator and its reach."""

    creator: OptionalLine = Field(default=None, validation_alias=wire_names("blogger_id"))
    published_at: DateFromSeconds = Field(default=None, validation_alias=wire_names("publish_time"))
    language: OptionalLine = Field(default=None, validation_alias=wire_names("text_language"))
    music: OptionalLine = Field(default=None, validation_alias=wire_names("music_name"))
    hashtags: OptionalLine = Field(default=None, validation_alias=wire_names("hash_tag"))
    view_count: Count = None
    like_count: Count = None
    share_count: Count = None
    comment_count: Count = None
    collect_count: Count = None


class _RequestedPublicVideo(RequestedVideo, PublicVideo):
    pass


@public.operation(title="Look up a public video", effect=Effect.READ, endpoints=[PUBLIC_DETAIL])
async def get_public_video_detail(context: Context, args: GetPublicVideoDetail) -> PublicVideo:
    """Look up a public video: link, creator, dates, counts.

    The rate limit is tight: call it only for the videos that matter, not for every hit.
    """
    return await fetch_details(context, PUBLIC_DETAIL, args.wire(), _RequestedPublicVideo)


class GetPublicVideoTranscription(Window):
    """Arguments of `get_public_video_transcription`."""

    video_no: Annotated[PublicVideoId, public_only("get_video_transcription")] = Field(
        examples=["PI-604418309112233984"]
    )
    """PI-… number, or the URL of a post that a result named."""


@public.operation(title="Read what is seen (public)", effect=Effect.READ, endpoints=[PUBLIC_TRANSCRIPTS["visual"]])
async def get_public_video_transcription(context: Context, args: GetPublicVideoTranscription) -> Transcript:
    """Read the visual transcription of a public video: descriptions of what is SEEN, with times.

    Whole as a WebVTT resource.
    """
    return await read_transcript(context, args.video_no, "visual", args, None)


class GetPublicAudioTranscription(Window):
    """Arguments of `get_public_audio_transcription`."""

    video_no: Annotated[PublicVideoId, public_only("get_audio_transcription")] = Field(
        examples=["PI-604418309112233984"]
    )
    """PI-… number, or the URL of a post that a result named."""


@public.operation(title="Read what is said (public)", effect=Effect.READ, endpoints=[PUBLIC_TRANSCRIPTS["audio"]])
async def get_public_audio_transcription(context: Context, args: GetPublicAudioTranscription) -> Transcript:
    """Read the audio transcription of a public video: the words that are SAID, with times.

    Whole as a WebVTT resource.
    """
    return await read_transcript(context, args.video_no, "audio", args, None)
