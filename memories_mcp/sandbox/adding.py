"""Endpoints that add something to a library."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from memories_mcp.sandbox import library
from memories_mcp.sandbox.routing import Call, Refusal, route


@route("POST", "upload_url")
async def upload_url(call: Call) -> Any:
    """Take in a direct link, sent as a form; nothing is fetched but from the sandbox's own media host."""
    if "form" not in call.request.headers.get("content-type", ""):
        raise Refusal("0001", "The url parameter cannot be empty!")
    url = urlsplit(call.required("url"))
    path = PurePosixPath(unquote(url.path))
    own = url.netloc == call.request.url.netloc and path.parent.name == "media"
    media = path.name if own and (library.MEDIA / path.name).is_file() else None
    cause = "Indexing failed. " if (own and media is None) or path.stem.startswith("broken") else None
    return _added(call, name=path.stem or "video", media=media, url=url.geturl(), cause=cause, size=0)


def _added(call: Call, *, name: str, media: str | None, url: str | None, cause: str | None, size: int) -> Any:
    tags = [each for each in re.split(r"\s*,\s*", call.text("tags")) if each]
    vtt = library.MEDIA / f"{PurePosixPath(media).stem}.vtt" if media else None
    segments = (
        list(library.cues(vtt))
        if vtt and vtt.is_file()
        else library.imagined(name, tags, call.text("video_transcription_prompt"))
    )
    video_no = f"VI{call.account.new_number()}"
    call.account.add_video(
        video_no=video_no,
        namespace=call.namespace,
        name=name,
        status="UNPARSE",
        cause=cause,
        duration=max(each.end for each in segments),
        size=(library.MEDIA / media).stat().st_size if media and not size else size,
        tags=json.dumps([*tags, "api"]),
        media=media,
        url=url,
    )
    call.account.add_segments(video_no, segments)
    return {"videoNo": video_no, "videoName": name}
