"""Transcripts and summaries of the caller's own videos."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from memories_mcp.api.endpoints import LIST_VIDEOS, SUMMARY, TRANSCRIPTS, UPDATE_TRANSCRIPTION, VIDEO_CAPTION
from memories_mcp.context import CONFIRMATION_NEEDED, Context, Pending, Preview
from memories_mcp.models.base import ConfirmableInput, Output, PrivateInput, Row
from memories_mcp.models.coercions import Count, Id, Line, Seconds, Text, text_as, wire_list, wire_names
from memories_mcp.models.ids import PrivateVideoNo, VideoNo, private_only
from memories_mcp.models.transcripts import Transcript
from memories_mcp.models.uris import SESSIONS, video_uri
from memories_mcp.operation import Effect
from memories_mcp.operations.common.chat import heartbeat
from memories_mcp.operations.common.lookups import describe_video, find_videos, not_in_namespace
from memories_mcp.operations.common.transcripts import Window, read_transcript
from memories_mcp.operations.toolsets import transcripts
from memories_mcp.rendering.text import format_clock, render_row


class GetVideoTranscription(Window, PrivateInput):
    """Arguments of `get_video_transcription`."""

    video_no: Annotated[VideoNo, private_only("get_public_video_transcription")] = Field(
        examples=["VI612515093881740229"]
    )
    """Video number or name."""


@transcripts.operation(
    title="Read what is seen", effect=Effect.READ, endpoints=[TRANSCRIPTS["visual"], VIDEO_CAPTION, LIST_VIDEOS]
)
async def get_video_transcription(context: Context, args: GetVideoTranscription) -> Transcript:
    """Read the visual transcription of a video: descriptions of what is SEEN, with times.

    For spoken words, use get_audio_transcription. Long transcriptions are split into pages by time.
    """
    return await read_transcript(context, args.video_no, "visual", args, args.unique_id)


class GetAudioTranscription(Window, PrivateInput):
    """Arguments of `get_audio_transcription`."""

    video_no: Annotated[VideoNo, private_only("get_public_audio_transcription")] = Field(
        examples=["VI612515093881740229"]
    )
    """Video number or name."""


@transcripts.operation(title="Read what is said", effect=Effect.READ, endpoints=[TRANSCRIPTS["audio"]])
async def get_audio_transcription(context: Context, args: GetAudioTranscription) -> Transcript:
    """Read the audio transcription of a video: the words that are SAID, with times.

    For what is seen, use get_video_transcription. Long transcriptions are split into pages by time.
    """
    return await read_transcript(context, args.video_no, "audio", args, args.unique_id)


class GenerateSummary(PrivateInput):
    """Arguments of `generate_summary`."""

    video_no: PrivateVideoNo = Field(examples=["VI612515093881740229"])
    """Video number or name."""
    summary_type: Literal["CHAPTER", "TOPIC"] = Field(default="CHAPTER", serialization_alias="type")
    """CHAPTER: parts in order of time; TOPIC: parts by subject, without times."""


class SummaryItem(Row):
    """A chapter or a topic."""

    title: Line = ""
    start_seconds: Seconds = Field(default=None, validation_alias=wire_names("start", "start_time"))
    """Start of the chapter; topics have none."""
    description: Text = ""


@render_row.register
def _(item: SummaryItem) -> str:
    start = "" if item.start_seconds is None else f"{format_clock(item.start_seconds)} "
    return f"{start}{item.title}\n{item.description}"


class Summary(Output):
    """The summary of a video."""

    summary: Text = ""
    items: Annotated[list[SummaryItem], wire_list()] = []
    """Chapters in order of time, or topics."""
    input_tokens: Count = Field(default=None, validation_alias=wire_names("total_input"))
    output_tokens: Count = Field(default=None, validation_alias=wire_names("total_output"))

    _accept_text = model_validator(mode="before")(text_as("summary"))


@transcripts.operation(title="Summarise a video", effect=Effect.READ, endpoints=[SUMMARY])
async def generate_summary(context: Context, args: GenerateSummary) -> Summary:
    """Summarise one video by chapters or by topics.

    Returns a short text and its parts. Runs a model on each call: slow; costs tokens.
    """
    async with heartbeat(context, "Summarising the video"):
        summary = await context.api.call(SUMMARY, query=args.wire(), into=Summary)
    # The service lists every summary as a session.
    context.changed(SESSIONS)
    return summary


class UpdateVideoTranscription(PrivateInput, ConfirmableInput):
    """Arguments of `update_video_transcription`."""

    video_no: PrivateVideoNo = Field(examples=["VI612515093881740229"])
    """Video number or name."""
    prompt: str = Field(min_length=1, max_length=2000, examples=["Name every object that is handled."])
    """What the new descriptions should focus on."""


class TranscriptionUpdate(Output):
    """A requested replacement of a visual transcription."""

    video_no: Id
    confirmation: Pending | None = None
    """Present when nothing was done yet and the user must agree first."""


@transcripts.operation(
    title="Replace scene descriptions", effect=Effect.DESTRUCTIVE, endpoints=[UPDATE_TRANSCRIPTION, LIST_VIDEOS]
)
async def update_video_transcription(context: Context, args: UpdateVideoTranscription) -> TranscriptionUpdate:
    """Replace the visual transcription of a video permanently with a new one made from your prompt. There is no undo.

    Unless the user is asked directly, the first call only returns a preview and a confirmation_token. Processing takes
    minutes; read get_video_transcription afterwards.
    """
    videos = await find_videos(context, [args.video_no], args.unique_id)
    if not videos:
        raise not_in_namespace([args.video_no])
    preview = Preview(
        action="Replace the scene descriptions of this video. The old ones are lost.", items=[describe_video(videos[0])]
    )
    if pending := await context.confirm(preview):
        return TranscriptionUpdate(video_no=args.video_no, confirmation=pending, note=CONFIRMATION_NEEDED)
    body = args.wire() | {"callback": context.callback_url}
    await context.api.call(UPDATE_TRANSCRIPTION, json=body, into=object)
    context.changed(video_uri(args.video_no))
    return TranscriptionUpdate(
        video_no=args.video_no,
        note="The new descriptions are being made. Read get_video_transcription in a few minutes.",
    )
