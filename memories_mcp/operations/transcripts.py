"""Reading what is seen and said in the caller's own videos."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from memories_mcp.api.endpoint import Endpoint
from memories_mcp.ids import private_only
from memories_mcp.models import Track, Transcript
from memories_mcp.operation import Context, Effect, Input, Output, Private, Row, Toolset
from memories_mcp.operations.shared import TRANSCRIPTS, fetch_transcript, heartbeat
from memories_mcp.render import clock, fitting, line
from memories_mcp.wire import Count, Line, Seconds, Text, names, rows

transcripts = Toolset("transcripts", "Read what is seen and what is said in your own videos, and summaries of them.")

# A GET, but it runs a model on each call: slow and billed (API 3.4, 27).
SUMMARY = Endpoint(method="GET", path="generate_summary", rate="read", repeatable=False, pace="slow")

TranscribedVideoNo = Annotated[str, Field(min_length=1, max_length=64), private_only("get_public_video_detail")]


class Window(Input):
    """A window of time."""

    start_seconds: float = Field(default=0, ge=0)
    """From here on."""
    end_seconds: float | None = Field(default=None, ge=0)
    """Up to here; leave out for the end."""

    @model_validator(mode="after")
    def _in_order(self) -> Window:
        if self.end_seconds is not None and self.end_seconds < self.start_seconds:
            raise ValueError("end_seconds lies before start_seconds")
        return self


class GetTranscription(Window, Private):
    """Arguments of the transcription operations."""

    video_no: TranscribedVideoNo = Field(examples=["VI612515093881740229"])
    """The video, such as VI611471886560694272."""


async def transcript(
    context: Context, video_no: str, track: Track, window: Window, unique_id: str | None
) -> Transcript:
    """A page of one track; its note says where to go on, or why nothing came."""
    found = await fetch_transcript(context, video_no, track, unique_id)
    page = [each.of_known_video() for each in found.between(window.start_seconds, window.end_seconds)]
    count = fitting(page)
    note, following = None, None
    if count < len(page):
        following = page[count].start_seconds
        until = clock(following or 0)
        note = f"{len(page) - count} later segments were left out; read on from {until} with start_seconds={following}."
    elif not page and len(found):
        note = f"Nothing in this window; the video has {len(found)} segments in all."
    elif not page:
        what = "Nothing is said in it" if track == "audio" else "There is no scene description of it"
        note = f"{what}, or it is not ready yet: wait_until_ready tells which."
    return Transcript(video_no=video_no, track=track, segments=page[:count], next_start_seconds=following, note=note)


@transcripts.operation(title="Read what is seen", effect=Effect.READ, endpoints=[TRANSCRIPTS["visual"]])
async def get_video_transcription(context: Context, args: GetTranscription) -> Transcript:
    """Read the visual transcription of a video: descriptions of what is SEEN, with times.

    For spoken words use get_audio_transcription. Long videos come in pages of time.
    """
    return await transcript(context, args.video_no, "visual", args, args.unique_id)


@transcripts.operation(title="Read what is said", effect=Effect.READ, endpoints=[TRANSCRIPTS["audio"]])
async def get_audio_transcription(context: Context, args: GetTranscription) -> Transcript:
    """Read the audio transcription of a video: the words that are SAID, with times.

    For what is seen use get_video_transcription. Long videos come in pages of time.
    """
    return await transcript(context, args.video_no, "audio", args, args.unique_id)


class GenerateSummary(Private):
    """Arguments of `generate_summary`."""

    video_no: TranscribedVideoNo = Field(examples=["VI612515093881740229"])
    """The video, such as VI611471886560694272."""
    summary_type: Literal["CHAPTER", "TOPIC"] = Field(default="CHAPTER", serialization_alias="type")
    """CHAPTER follows the video in time, TOPIC groups by subject and has no times."""


class SummaryItem(Row):
    """A chapter or a topic."""

    title: Line = ""
    start_seconds: Seconds = Field(default=None, validation_alias=names("start", "start_time"))
    """Where the chapter begins; topics have none."""
    description: Text = ""


@line.register
def _(item: SummaryItem) -> str:
    start = "" if item.start_seconds is None else f"{clock(item.start_seconds)} "
    return f"{start}{item.title}\n{item.description}"


class Summary(Output):
    """A video in short."""

    summary: Text = ""
    items: Annotated[list[SummaryItem], rows()] = []
    """Chapters in order of time, or topics."""
    input_tokens: Count = Field(default=None, validation_alias=names("total_input"))
    output_tokens: Count = Field(default=None, validation_alias=names("total_output"))


@transcripts.operation(title="Summarise a video", effect=Effect.READ, endpoints=[SUMMARY])
async def generate_summary(context: Context, args: GenerateSummary) -> Summary:
    """Summarise one video by chapters or by topics.

    Returns a short text and its parts. Runs a model on each call: slow, and it costs tokens.
    """
    async with heartbeat(context, "Summarising the video"):
        return await context.api.call(SUMMARY, query=args.wire(), into=Summary)
