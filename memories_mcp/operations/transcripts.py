"""Transcripts and summaries of the caller's own videos."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from pydantic import Field, model_validator

from memories_mcp.api.endpoints import LIST_VIDEOS, SUMMARY, TRANSCRIPTS, UPDATE_TRANSCRIPTION, VIDEO_CAPTION
from memories_mcp.context import CONFIRMATION_NEEDED, Context, Pending, Preview
from memories_mcp.errors import MemoriesError
from memories_mcp.models.base import ConfirmableInput, Output, PrivateInput, Row
from memories_mcp.models.coercions import (
    Count,
    Id,
    Line,
    OptionalLine,
    Seconds,
    Status,
    Text,
    shorten,
    text_as,
    wire_list,
    wire_names,
)
from memories_mcp.models.ids import PrivateVideoNo, VideoNo, private_only
from memories_mcp.models.transcripts import Segments, Transcript
from memories_mcp.models.uris import SESSIONS, video_uri
from memories_mcp.operation import Effect
from memories_mcp.operations.common.chat import heartbeat
from memories_mcp.operations.common.lookups import describe_video, find_videos, not_in_namespace
from memories_mcp.operations.common.polling import WaitArguments, WaitTarget, wait_until_processed
from memories_mcp.operations.common.transcripts import Window, fetch_transcript, read_transcript
from memories_mcp.operations.toolsets import transcripts
from memories_mcp.rendering.text import format_clock, format_span, render_row

_PREVIEW_LINES = 3
_PREVIEW_SECONDS = 5
"""How long a preview waits for the descriptions that will be lost."""


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

    For spoken words, use get_audio_transcription. Long ones come in pages, and whole as a WebVTT
    resource.
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

    For what is seen, use get_video_transcription. Long ones come in pages, and whole as a WebVTT
    resource.
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


class UpdateVideoTranscription(PrivateInput, ConfirmableInput, WaitArguments):
    """Arguments of `update_video_transcription`."""

    video_no: PrivateVideoNo = Field(examples=["VI612515093881740229"])
    """Video number or name."""
    prompt: str = Field(min_length=1, max_length=2000, examples=["Name every object that is handled."])
    """What the new descriptions should focus on."""


class TranscriptionUpdate(Output):
    """A requested replacement of a visual transcription."""

    video_no: Id
    status: Status | None = None
    """State of the video at the end of the wait; ready: the new descriptions are there."""
    cause: OptionalLine = None
    """Why it failed."""
    confirmation: Pending | None = None
    """Present when nothing was done yet and the user must agree first."""


@transcripts.operation(
    title="Replace scene descriptions",
    effect=Effect.DESTRUCTIVE,
    endpoints=[UPDATE_TRANSCRIPTION, LIST_VIDEOS, TRANSCRIPTS["visual"], VIDEO_CAPTION],
)
async def update_video_transcription(context: Context, args: UpdateVideoTranscription) -> TranscriptionUpdate:
    """Replace the visual transcription of a video permanently with a new one made from your prompt. There is no undo.

    Unless the user is asked directly, the first call only returns a preview and a token. Processing takes
    minutes; read get_video_transcription afterwards.
    """
    videos = await find_videos(context, [args.video_no], args.unique_id)
    if not videos:
        raise not_in_namespace([args.video_no])
    present = await _present_descriptions(context, args) if context.asks_confirmation or args.wait_seconds else None
    preview = Preview(
        action="Replace the scene descriptions of this video. The old ones are lost.",
        items=[describe_video(videos[0]), *_describe_loss(present)],
    )
    if pending := await context.confirm(preview):
        return TranscriptionUpdate(video_no=args.video_no, confirmation=pending, note=CONFIRMATION_NEEDED)
    body = args.wire() | {"callback": context.callback_url}
    await context.api.call(UPDATE_TRANSCRIPTION, json=body, into=object)
    context.changed(video_uri(args.video_no))
    update = TranscriptionUpdate(
        video_no=args.video_no,
        note="The new descriptions are being made. Read get_video_transcription in a few minutes.",
    )
    if args.wait_seconds:
        await _wait_for_descriptions(context, args, present, update)
    return update


async def _present_descriptions(context: Context, args: UpdateVideoTranscription) -> Segments | None:
    """Return the present descriptions, or `None` if they cannot be read: that is no reason to refuse the action."""
    try:
        async with asyncio.timeout(_PREVIEW_SECONDS):
            return await fetch_transcript(context, args.video_no, "visual", args.unique_id)
    except (MemoriesError, TimeoutError):
        return None


def _describe_loss(present: Segments | None) -> list[str]:
    """Return the lines of a preview on the descriptions that will be lost: how many there are, and the first ones."""
    if present is None:
        return ["The present descriptions could not be read."]
    if not len(present):
        return ["There are no descriptions at present, or they are not ready."]
    count = "1 description" if len(present) == 1 else f"{len(present)} descriptions"
    lines = [f"Lost: {count}, {format_span(0, present.end)}. They begin:"]
    for _, segment in present.evidence(range(min(len(present), _PREVIEW_LINES))):
        span = format_span(segment.start_seconds, segment.end_seconds)
        lines.append(f"{span} {shorten(' '.join((segment.text or '').split()))}".strip())
    return lines


async def _wait_for_descriptions(
    context: Context, args: UpdateVideoTranscription, present: Segments | None, update: TranscriptionUpdate
) -> None:
    """Wait until the descriptions are replaced, and describe the outcome in the result.

    Nothing documents whether the state of the video shows the work (API 3.4, 28): other descriptions than before count
    too.

    Args:
        context: The context of the operation.
        args: The arguments.
        present: The descriptions before the request; `None` if they are unknown.
        update: The result; its state and note are set.
    """

    old = present

    async def is_replaced() -> bool:
        nonlocal old
        segments = await fetch_transcript(context, args.video_no, "visual", args.unique_id)
        if old is None:
            old = segments
        return len(segments) > 0 and not segments.has_same_content(old)

    awaited = WaitTarget(
        [args.video_no],
        unique_id=args.unique_id,
        seconds=args.wait_seconds,
        is_reached=is_replaced,
    )
    try:
        waited = await wait_until_processed(context, awaited)
    except MemoriesError as error:  # the replacement was ordered nevertheless
        update.note = (
            f"The new descriptions are being made, but the state could not be read: {error.summary} "
            f"Then {awaited.next_call}."
        )
        return
    for video in waited.videos:
        update.status, update.cause = video.status, video.cause
    if waited.ready:
        context.transcripts.settle(args.video_no)
        update.note = "The new descriptions are there; get_video_transcription returns them."
    elif update.status == "ready":
        update.status = "processing"
        update.note = (
            "The service shows the video as ready, but its descriptions have not changed yet. Read "
            "get_video_transcription in a few minutes."
        )
    else:
        update.note = waited.note
