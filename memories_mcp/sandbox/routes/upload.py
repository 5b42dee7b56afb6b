"""The `upload` routes: videos from files and links, images, imports from platforms."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.datastructures import UploadFile

from memories_mcp.sandbox import demo_data
from memories_mcp.sandbox.routes.common import folder_of, recording_of
from memories_mcp.sandbox.routing import Call, Refusal, route

_PLATFORM_HOSTS = ("youtube", "youtu.be", "tiktok", "instagram")
_MAX_VIDEOS_PER_SOURCE = 20


@route("POST", "upload")
async def upload(call: Call) -> Any:
    """Add a video file, which is a multipart part of a video type (API 10, 9)."""
    file = _files(call, "file", "video/")[0]
    media, size = _store(call, file)
    return _add_video(call, name=PurePosixPath(file.filename or "video").stem, media=media, size=size)


@route("POST", "upload_url")
async def upload_url(call: Call) -> Any:
    """Add the video behind a link, sent as a form; only the sandbox's own media have content."""
    if "form" not in call.request.headers.get("content-type", ""):
        raise Refusal("0001", "The url parameter cannot be empty!")
    url = urlsplit(call.required("url"))
    path = PurePosixPath(unquote(url.path))
    is_own = url.netloc == call.request.url.netloc and path.parent.name == "media"
    media = path.name if is_own and (demo_data.MEDIA / path.name).is_file() else None
    fails = (is_own and media is None) or path.stem.startswith("broken")
    return _add_video(
        call,
        name=path.stem or "video",
        media=media,
        size=(demo_data.MEDIA / media).stat().st_size if media else 0,
        url=url.geturl(),
        cause="Indexing failed. " if fails else None,
    )


@route("POST", "upload_img")
async def upload_img(call: Call) -> Any:
    """Add images; a file of another type rejects the whole batch."""
    added: list[dict[str, str]] = []
    recording = recording_of(call)
    for file in _files(call, "files", "image/"):
        media, _ = _store(call, file)
        image_id = call.account.new_number()
        name = PurePosixPath(file.filename or "image").stem
        call.account.add_image(
            id=image_id,
            namespace=call.namespace,
            name=name,
            description=re.sub(r"[-_]+", " ", name),
            tags=json.dumps(_tags(call)),
            media=media,
            taken=recording.get("datetime_taken"),
            camera=recording.get("camera_model"),
            latitude=recording.get("latitude"),
            longitude=recording.get("longitude"),
        )
        added.append({"id": image_id})
    return added


@route("POST", "scraper_url")
async def scraper_url(call: Call) -> Any:
    """Import posts."""
    return import_posts(call, public=False)


@route("POST", "scraper")
async def scraper(call: Call) -> Any:
    """Import a creator's latest videos."""
    return import_creator(call, public=False)


@route("POST", "scraper_tag")
async def scraper_tag(call: Call) -> Any:
    """Import the latest videos of hashtags."""
    return import_hashtags(call, public=False)


def import_posts(call: Call, *, public: bool) -> dict[str, str]:
    """Create an import task for the posts of `video_urls`."""
    urls = call.strings("video_urls")
    if not urls or not all(any(host in url for host in _PLATFORM_HOSTS) for url in urls):
        raise Refusal("0001", "One or more parameters are incorrect")
    return _add_task(call, [_slug(url) for url in urls], public=public)


def import_creator(call: Call, *, public: bool) -> dict[str, str]:
    """Create an import task for the profile link in `username`."""
    profile = call.required("username")
    if "://" not in profile:
        raise Refusal("0001", "One or more parameters are incorrect")
    count = _video_count(call, 4)
    return _add_task(call, [f"{_slug(profile)} video {number + 1}" for number in range(count)], public=public)


def import_hashtags(call: Call, *, public: bool) -> dict[str, str]:
    """Create an import task for the hashtags in `hash_tags`, which have no leading `#`."""
    tags = call.strings("hash_tags")
    if not tags or any(tag.startswith("#") for tag in tags):
        raise Refusal("0001", "One or more parameters are incorrect")
    count = _video_count(call, 2)
    return _add_task(call, [f"{tag} video {number + 1}" for tag in tags for number in range(count)], public=public)


def _files(call: Call, name: str, content_type: str) -> list[UploadFile]:
    files = [file for file in call.files(name) if file.filename]
    if not files:
        raise Refusal("0001", f"The {name} parameter cannot be empty!")
    for file in files:
        if not (file.content_type or "").startswith(content_type):
            raise Refusal("0001", f"The content type of {file.filename} must be {content_type}*")
    return files


def _store(call: Call, file: UploadFile) -> tuple[str, int]:
    """Store a file under a new name; return the name and the size in bytes."""
    name = f"{call.account.new_uuid().hex}{PurePosixPath(file.filename or '').suffix}"
    return name, call.uploads.add(name, file.file)


def _tags(call: Call) -> list[str]:
    """Return the tags of a form: one or more fields, each with tags separated by commas."""
    fields = [str(value) for value in call.form_values("tags")]
    return [tag for field in fields for tag in re.split(r"\s*,\s*", field) if tag]


def _add_video(
    call: Call, *, name: str, media: str | None, size: int, url: str | None = None, cause: str | None = None
) -> dict[str, str]:
    """Add a video in processing; its transcripts are those of the demo file of its name, or placeholders."""
    tags, recording, folder = _tags(call), recording_of(call), folder_of(call)
    transcript = demo_data.MEDIA / f"{name}.vtt"
    if media and transcript.is_file():
        segments = list(demo_data.webvtt_segments(transcript))
    else:
        segments = demo_data.placeholder_segments(name, tags, call.text("video_transcription_prompt"))
    video_no = f"VI{call.account.new_number()}"
    keeps_file = call.text("retain_original_video", "true").lower() != "false"
    call.account.add_video(
        video_no=video_no,
        namespace=call.namespace,
        name=name,
        status="UNPARSE",
        cause=cause,
        duration=max(segment.end for segment in segments),
        size=size,
        tags=json.dumps([*tags, "api"]),
        media=media if keeps_file else None,
        url=url,
        detail=json.dumps(recording),
        folder=-1 if folder is None else folder,
    )
    call.account.add_segments(video_no, segments)
    return {"videoNo": video_no, "videoName": name}


def _add_task(call: Call, names: list[str], *, public: bool) -> dict[str, str]:
    """Add an import task for videos of these names; `get_video_ids_by_task_id` carries the task out."""
    digest = hashlib.md5(json.dumps(names).encode(), usedforsecurity=False).hexdigest()
    task_id = f"{call.account.new_uuid()}_{digest}"
    prefix = "PI-" if public else "VI"
    folder = folder_of(call)
    videos = [
        {
            "video_no": f"{prefix}{call.account.new_number()}",
            "name": name,
            "folder": -1 if folder is None else folder,
        }
        for name in names
    ]
    values = (task_id, "" if public else call.namespace, json.dumps(videos), 0)
    call.account.db.execute("insert into tasks values (?, ?, ?, ?)", values)
    return {"taskId": task_id}


def _video_count(call: Call, default: int) -> int:
    return min(call.number("scraper_cnt", default), _MAX_VIDEOS_PER_SOURCE)


def _slug(url: str) -> str:
    parts = urlsplit(url)
    return (parts.query or PurePosixPath(parts.path).name).lstrip("@").replace("=", " ")
