"""Captions of single videos and images: a separate service with its own host and key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import Field, model_validator

from memories_mcp.api import Endpoint, Part
from memories_mcp.api.endpoints import (
    CAPTION_IMAGE,
    CAPTION_VIDEO_FILE,
    CAPTION_VIDEO_FILE_SYNC,
    CAPTION_VIDEO_URL,
    CAPTION_VIDEO_URL_SYNC,
)
from memories_mcp.api.responses import next_step_if_unclear
from memories_mcp.context import Context
from memories_mcp.errors import UnexpectedResponse
from memories_mcp.file_access import LocalPath
from memories_mcp.models.base import Input, Output, Wire
from memories_mcp.models.coercions import Count, OptionalId, OptionalText, Text, text_as, wire_names
from memories_mcp.operation import Effect
from memories_mcp.operations.common.chat import heartbeat
from memories_mcp.operations.common.imports import DirectLink
from memories_mcp.operations.common.search import MAX_IMAGE_BYTES
from memories_mcp.operations.toolsets import captions

MAX_CAPTION_VIDEO_BYTES = 20 * 1024**2
"""The largest video that the caption service accepts (API 2.11)."""


class Instruction(Input):
    """Prompts of a caption."""

    user_prompt: str = Field(min_length=1, max_length=4000, examples=["Describe what happens."])
    """What to describe."""
    # A factory keeps the default out of the schema, where four tools would repeat it.
    system_prompt: str = Field(
        default_factory=lambda: "You describe what is seen, precisely and briefly.", min_length=1, max_length=4000
    )
    """How to describe it."""
    thinking: bool = False
    """Better, but slower."""


class Person(Input):
    """A person to recognise, with a link to a picture."""

    name: str = Field(min_length=1, max_length=100)
    url: str = Field(min_length=1, max_length=2000)
    """Link to their picture."""


class PersonFile(Input):
    """A person to recognise, with a picture file."""

    name: str = Field(min_length=1, max_length=100)
    path: LocalPath = Field(exclude=True)
    """Their picture, below the files root."""


class CaptionVideoUrl(Instruction):
    """Arguments of `caption_video_url`."""

    url: DirectLink = Field(serialization_alias="video_url", examples=["https://example.com/clip.mp4"])
    """Direct link to a video of 20 to 300 seconds, at most 20 MB."""
    persons: list[Person] | None = Field(default=None, max_length=5)
    """People to recognise, at most 5."""


class CaptionVideoFile(Instruction):
    """Arguments of `caption_video_file`."""

    path: LocalPath = Field(exclude=True, examples=["talk.mp4"])
    """A video of 20 to 300 seconds below the files root, at most 20 MB."""
    persons: list[PersonFile] | None = Field(default=None, max_length=5)
    """People to recognise, at most 5."""


class CaptionImageUrl(Instruction):
    """Arguments of `caption_image_url`."""

    url: DirectLink = Field(examples=["https://example.com/photo.jpg"])
    """Direct link to an image."""


class CaptionImageFile(Instruction):
    """Arguments of `caption_image_file`."""

    path: LocalPath = Field(exclude=True, examples=["bicycle.jpg"])
    """Below the files root; at most 20 MB."""


class Caption(Output):
    """The text of a caption."""

    text: Text
    input_tokens: Count = None
    output_tokens: Count = None


class VideoCaption(Output):
    """The caption of a video, or the task whose text goes to the operator's callback."""

    text: OptionalText = None
    input_tokens: Count = None
    output_tokens: Count = None
    task_id: OptionalId = None
    """Present where the text goes to a callback; no tool takes it."""


class _Tokens(Wire):
    input: Count = None
    output: Count = None


class _WireCaption(Wire):
    text: Text = Field(validation_alias=wire_names("text", "caption"))
    token: _Tokens = _Tokens()

    _accept_text = model_validator(mode="before")(text_as("text"))


class _WireVideoCaption(Wire):
    text: OptionalText = Field(default=None, validation_alias=wire_names("text", "caption"))
    token: _Tokens = _Tokens()
    task_id: OptionalId = None

    _accept_text = model_validator(mode="before")(text_as("text"))


_DELIVERED = "The service sends the caption to the operator's callback address; no tool can read the text."
_LOST = "The service started a task in place of an answer, and without a callback address its text goes nowhere."


@captions.operation(
    title="Caption a video by URL", effect=Effect.WRITE, endpoints=[CAPTION_VIDEO_URL, CAPTION_VIDEO_URL_SYNC]
)
async def caption_video_url(context: Context, args: CaptionVideoUrl) -> VideoCaption:
    """Describe a short video behind a link, without adding it to a library. Runs a model and is billed.

    Returns the text, or a task_id if captions go to the operator's callback.
    """
    endpoint = CAPTION_VIDEO_URL if context.callback_url else CAPTION_VIDEO_URL_SYNC
    return await _caption_video(context, endpoint, json=_video_request(context, args))


@captions.operation(
    title="Caption a video file", effect=Effect.WRITE, endpoints=[CAPTION_VIDEO_FILE, CAPTION_VIDEO_FILE_SYNC]
)
async def caption_video_file(context: Context, args: CaptionVideoFile) -> VideoCaption:
    """Describe a short video file without adding it to a library. Runs a model and is billed.

    Returns the text, or a task_id if captions go to the operator's callback.
    """
    endpoint = CAPTION_VIDEO_FILE if context.callback_url else CAPTION_VIDEO_FILE_SYNC
    persons = [person.path for person in args.persons or []]
    with (
        context.files.open_media("video", [args.path], largest=MAX_CAPTION_VIDEO_BYTES) as [video],
        context.files.open_media("image", persons, largest=MAX_IMAGE_BYTES) as pictures,
    ):
        request = _request_part(_video_request(context, args))
        parts = [request, video.part("files"), *(picture.part("file") for picture in pictures)]
        return await _caption_video(context, endpoint, files=parts)


@captions.operation(title="Caption an image by URL", effect=Effect.READ, endpoints=[CAPTION_IMAGE])
async def caption_image_url(context: Context, args: CaptionImageUrl) -> Caption:
    """Describe an image behind a link. Runs a model and is billed."""
    return await _caption_image(context, json=args.wire())


@captions.operation(title="Caption an image file", effect=Effect.READ, endpoints=[CAPTION_IMAGE])
async def caption_image_file(context: Context, args: CaptionImageFile) -> Caption:
    """Describe an image file. Runs a model and is billed."""
    with context.files.open_media("image", [args.path], largest=MAX_IMAGE_BYTES) as [image]:
        return await _caption_image(context, files=[_request_part(args.wire()), image.part("file")])


def _request_part(body: dict[str, Any]) -> Part:
    """Return the arguments as the JSON part that the file endpoints require (API 3.6, 39)."""
    return Part("req", "req.json", "application/json", json.dumps(body).encode())


def _video_request(context: Context, args: CaptionVideoUrl | CaptionVideoFile) -> dict[str, Any]:
    """Return the arguments, with the operator's callback where there is one."""
    return args.wire() | ({"callback": context.callback_url} if context.callback_url else {})


async def _caption_video(
    context: Context, endpoint: Endpoint, *, json: Any = None, files: Sequence[Part] = ()
) -> VideoCaption:
    async with heartbeat(context, "Describing the video"):
        answer = await context.api.call(endpoint, json=json, files=files, into=_WireVideoCaption)
    if not answer.text and not answer.task_id:
        raise UnexpectedResponse(
            f"The API's answer to {endpoint.path} has neither a text nor a task_id.",
            next_step=next_step_if_unclear(endpoint),
        )
    caption = VideoCaption(
        text=answer.text, input_tokens=answer.token.input, output_tokens=answer.token.output, task_id=answer.task_id
    )
    if not caption.text:
        caption.note = _DELIVERED if context.callback_url else _LOST
    return caption


async def _caption_image(context: Context, *, json: Any = None, files: Sequence[Part] = ()) -> Caption:
    async with heartbeat(context, "Describing the image"):
        caption = await context.api.call(CAPTION_IMAGE, json=json, files=files, into=_WireCaption)
    return Caption(text=caption.text, input_tokens=caption.token.input, output_tokens=caption.token.output)
