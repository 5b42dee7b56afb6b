"""Captions of single videos and images: a separate service with its own host and key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import Field, model_validator

from memories_mcp.api import Part
from memories_mcp.api.endpoints import CAPTION_IMAGE, CAPTION_VIDEO_FILE, CAPTION_VIDEO_URL
from memories_mcp.context import Context
from memories_mcp.errors import ConfigurationError
from memories_mcp.file_access import LocalPath
from memories_mcp.models.base import Input, Output, Wire
from memories_mcp.models.coercions import Count, Id, Text, text_as, wire_names
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
    system_prompt: str = Field(
        default="You describe what is seen, precisely and briefly.", min_length=1, max_length=4000
    )
    """How to describe it."""
    thinking: bool = False
    """Let the model reason first: better, but slower."""


class Person(Input):
    """A person to recognise, with a link to a picture."""

    name: str = Field(min_length=1, max_length=100)
    """The name to use."""
    url: str = Field(min_length=1, max_length=2000)
    """Link to a picture of them."""


class PersonFile(Input):
    """A person to recognise, with a picture file."""

    name: str = Field(min_length=1, max_length=100)
    """The name to use."""
    path: LocalPath = Field(exclude=True)
    """A picture of them, below the files root."""


class CaptionVideoUrl(Instruction):
    """Arguments of `caption_video_url`."""

    url: DirectLink = Field(serialization_alias="video_url", examples=["https://example.com/clip.mp4"])
    """Direct link to a video of 20 to 300 seconds, at most 20 MB."""
    persons: list[Person] | None = Field(default=None, max_length=5)
    """People to recognise, at most 5."""


class CaptionJob(Output):
    """A requested caption; the text goes to the operator's callback."""

    task_id: Id


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
    """The image, below the files root; at most 20 MB."""


class Caption(Output):
    """The text of a caption."""

    text: Text
    input_tokens: Count = None
    output_tokens: Count = None


class _Tokens(Wire):
    input: Count = None
    output: Count = None


class _WireCaption(Wire):
    text: Text = Field(validation_alias=wire_names("text", "caption"))
    token: _Tokens = _Tokens()

    _accept_text = model_validator(mode="before")(text_as("text"))


def _callback(context: Context) -> str:
    """Return the operator's callback URL.

    Raises:
        ConfigurationError: No callback is set.
    """
    if not context.callback_url:
        raise ConfigurationError(
            "Video captions are delivered by callback only, and no callback is set.",
            next_step="Set MEMORIES_CALLBACK_URL to an address that the service can reach.",
        )
    return context.callback_url


_DELIVERED = "The service sends the caption to the operator's callback address; no tool can read the text."


@captions.operation(title="Caption a video by URL", effect=Effect.WRITE, endpoints=[CAPTION_VIDEO_URL])
async def caption_video_url(context: Context, args: CaptionVideoUrl) -> CaptionJob:
    """Request a description of a short video behind a link, without adding it to a library.

    The text goes only to the operator's callback address; the result is a task_id.
    """
    body = args.wire() | {"callback": _callback(context)}
    job = await context.api.call(CAPTION_VIDEO_URL, json=body, into=CaptionJob)
    job.note = _DELIVERED
    return job


@captions.operation(title="Caption a video file", effect=Effect.WRITE, endpoints=[CAPTION_VIDEO_FILE])
async def caption_video_file(context: Context, args: CaptionVideoFile) -> CaptionJob:
    """Request a description of a short video file from the files root, without adding it to a library.

    The text goes only to the operator's callback address; the result is a task_id.
    """
    request = args.wire() | {"callback": _callback(context)}
    path, media_type = context.files.media(args.path, "video", largest=MAX_CAPTION_VIDEO_BYTES)
    pictures = [context.files.media(person.path, "image", largest=MAX_IMAGE_BYTES) for person in args.persons or []]
    parts = [_request_part(request), Part("files", path.name, media_type, path)]
    parts += [Part("file", picture.name, picture_type, picture) for picture, picture_type in pictures]
    job = await context.api.call(CAPTION_VIDEO_FILE, files=parts, into=CaptionJob)
    job.note = _DELIVERED
    return job


@captions.operation(title="Caption an image by URL", effect=Effect.READ, endpoints=[CAPTION_IMAGE])
async def caption_image_url(context: Context, args: CaptionImageUrl) -> Caption:
    """Describe an image behind a link. Returns the text immediately; runs a model and is billed."""
    return await _caption_image(context, json=args.wire())


@captions.operation(title="Caption an image file", effect=Effect.READ, endpoints=[CAPTION_IMAGE])
async def caption_image_file(context: Context, args: CaptionImageFile) -> Caption:
    """Describe an image file from the files root. Returns the text immediately; runs a model and is billed."""
    path, media_type = context.files.media(args.path, "image", largest=MAX_IMAGE_BYTES)
    return await _caption_image(context, files=[_request_part(args.wire()), Part("file", path.name, media_type, path)])


def _request_part(body: dict[str, Any]) -> Part:
    """Return the arguments as the JSON part that the file endpoints require (API 3.6, 39)."""
    return Part("req", "req.json", "application/json", json.dumps(body).encode())


async def _caption_image(context: Context, *, json: Any = None, files: Sequence[Part] = ()) -> Caption:
    async with heartbeat(context, "Describing the image"):
        caption = await context.api.call(CAPTION_IMAGE, json=json, files=files, into=_WireCaption)
    return Caption(text=caption.text, input_tokens=caption.token.input, output_tokens=caption.token.output)
