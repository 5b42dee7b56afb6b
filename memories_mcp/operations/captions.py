"""Describing single videos and images on request: a service of its own, on a host and with a key of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from memories_mcp.api import Part
from memories_mcp.api.endpoints import CAPTION_IMAGE, CAPTION_VIDEO_FILE, CAPTION_VIDEO_URL
from memories_mcp.context import Context
from memories_mcp.errors import ConfigurationError
from memories_mcp.file_access import LocalPath
from memories_mcp.models.base import Input, Output, Wire
from memories_mcp.models.coercions import Count, Id, Text, names
from memories_mcp.operation import Effect
from memories_mcp.operations.common.chat import heartbeat
from memories_mcp.operations.common.imports import DirectLink
from memories_mcp.operations.common.search import IMAGE_BYTES
from memories_mcp.operations.toolsets import captions

VIDEO_BYTES = 20 * 1024**2
"""The largest video the caption service takes (API 2.11)."""


class Instruction(Input):
    """What the caption should be about."""

    user_prompt: str = Field(min_length=1, max_length=4000, examples=["Describe what happens."])
    """What to describe."""
    system_prompt: str = Field(
        default="You describe what is seen, precisely and briefly.", min_length=1, max_length=4000
    )
    """How to describe it."""
    thinking: bool = False
    """Let the model reason first: better and slower."""


class Person(Input):
    """Somebody to recognise."""

    name: str = Field(min_length=1, max_length=100)
    """The name to use."""
    url: str = Field(min_length=1, max_length=2000)
    """Link to a picture of them."""


class PersonFile(Input):
    """Somebody to recognise."""

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
    """A caption that was ordered; its text goes to the operator's callback."""

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
    """A description."""

    text: Text
    input_tokens: Count = None
    output_tokens: Count = None


class _Tokens(Wire):
    input: Count = None
    output: Count = None


class _WireCaption(Wire):
    text: Text = Field(validation_alias=names("text", "caption"))
    token: _Tokens = _Tokens()


def _callback(context: Context) -> str:
    if not context.callback_url:
        raise ConfigurationError(
            "A video's caption is delivered by callback only, and no callback is set.",
            next_step="The operator sets MEMORIES_CALLBACK_URL to an address that the service can reach.",
        )
    return context.callback_url


_DELIVERED = "The caption will be sent to the operator's callback address; it cannot be read from here."


@captions.operation(title="Caption a video by URL", effect=Effect.WRITE, endpoints=[CAPTION_VIDEO_URL])
async def caption_video_url(context: Context, args: CaptionVideoUrl) -> CaptionJob:
    """Order a description of a short video behind a link, without adding it to a library.

    The text goes to the operator's callback address only; this returns a task_id.
    """
    body = args.wire() | {"callback": _callback(context)}
    job = await context.api.call(CAPTION_VIDEO_URL, json=body, into=CaptionJob)
    job.note = _DELIVERED
    return job


@captions.operation(title="Caption a video file", effect=Effect.WRITE, endpoints=[CAPTION_VIDEO_FILE])
async def caption_video_file(context: Context, args: CaptionVideoFile) -> CaptionJob:
    """Order a description of a short video file of the files root, without adding it to a library.

    The text goes to the operator's callback address only; this returns a task_id.
    """
    request = args.wire() | {"callback": _callback(context)}
    path, media_type = context.files.media(args.path, "video", largest=VIDEO_BYTES)
    faces = [context.files.media(each.path, "image", largest=IMAGE_BYTES) for each in args.persons or []]
    parts = [_request(request), Part("files", path.name, media_type, path)]
    parts += [Part("file", face.name, kind, face) for face, kind in faces]
    job = await context.api.call(CAPTION_VIDEO_FILE, files=parts, into=CaptionJob)
    job.note = _DELIVERED
    return job


@captions.operation(title="Caption an image by URL", effect=Effect.READ, endpoints=[CAPTION_IMAGE])
async def caption_image_url(context: Context, args: CaptionImageUrl) -> Caption:
    """Describe an image behind a link. Returns the text at once; runs a model and is billed."""
    return await _captioned(context, json=args.wire())


@captions.operation(title="Caption an image file", effect=Effect.READ, endpoints=[CAPTION_IMAGE])
async def caption_image_file(context: Context, args: CaptionImageFile) -> Caption:
    """Describe an image file of the files root. Returns the text at once; runs a model and is billed."""
    path, media_type = context.files.media(args.path, "image", largest=IMAGE_BYTES)
    return await _captioned(context, files=[_request(args.wire()), Part("file", path.name, media_type, path)])


def _request(body: dict[str, Any]) -> Part:
    """The arguments as the JSON part that the file endpoints want (API 3.6, 39)."""
    return Part("req", "req.json", "application/json", json.dumps(body).encode())


async def _captioned(context: Context, *, json: Any = None, files: Sequence[Part] = ()) -> Caption:
    async with heartbeat(context, "Looking at the image"):
        made = await context.api.call(CAPTION_IMAGE, json=json, files=files, into=_WireCaption)
    return Caption(text=made.text, input_tokens=made.token.input, output_tokens=made.token.output)
