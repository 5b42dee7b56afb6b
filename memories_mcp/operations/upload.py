"""Adding videos to the caller's own library."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from memories_mcp.api.endpoint import write
from memories_mcp.models import StatusFields
from memories_mcp.operation import Context, Effect, Output, Private, Toolset
from memories_mcp.wire import FromMillis, Id, OptionalLine, names

upload = Toolset("upload", "Add videos and images to your own library.")

UPLOAD_URL = write("upload_url", "upload")

_PLATFORMS = ("youtube.com", "youtu.be", "tiktok.com", "instagram.com")


def direct_link(url: str) -> str:
    """Refuses what is no direct link to a media file."""
    url = url.strip()
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0].lower()
    if scheme not in {"http", "https"} or not host:
        raise ValueError("not an http or https URL")
    if any(host == each or host.endswith(f".{each}") for each in _PLATFORMS):
        raise ValueError("a page of a platform, not a media file; give a direct link to the video file")
    return url


DirectLink = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(direct_link)]


class UploadVideoUrl(Private):
    """Arguments of `upload_video_url`."""

    url: DirectLink = Field(examples=["https://example.com/talk.mp4"])
    """Direct link to a video file that anybody can fetch, at most 1 GB."""


class Uploaded(Output, StatusFields):
    """A video that was taken in and is being processed."""

    video_no: Id
    video_name: OptionalLine = None
    uploaded_at: FromMillis = Field(default=None, validation_alias=names("upload_time"))


@upload.operation(title="Upload a video by URL", effect=Effect.WRITE, endpoints=[UPLOAD_URL])
async def upload_video_url(context: Context, args: UploadVideoUrl) -> Uploaded:
    """Add a video from a direct media link to your own library.

    Returns its video_no at once; processing takes minutes. wait_until_ready tells when it can be searched.
    """
    uploaded = await context.api.call(UPLOAD_URL, form=args.wire(), into=Uploaded)
    uploaded.note = "It is being processed; call wait_until_ready with its video_no before using it."
    return uploaded
