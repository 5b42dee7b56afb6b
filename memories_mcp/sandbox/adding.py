"""Endpoints that add something to a library: uploads, imports from platforms, images."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import uuid
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.datastructures import UploadFile

from memories_mcp.sandbox import demo_data
from memories_mcp.sandbox.reading import detailed
from memories_mcp.sandbox.routing import Call, Refusal, route

_PLATFORMS = ("youtube", "youtu.be", "tiktok", "instagram")


@route("POST", "upload")
async def upload(call: Call) -> Any:
    """Take in a video file, sent as multipart with a part type of its own (API 10, 9)."""
    file = _files(call, "file", "video/")[0]
    stored, size = _stored(call, file)
    name = PurePosixPath(file.filename or "video").stem
    return _added(call, name=name, media=stored, url=None, cause=None, size=size)


@route("POST", "upload_url")
async def upload_url(call: Call) -> Any:
    """Take in a direct link, sent as a form; nothing is fetched but from the sandbox's own media host."""
    if "form" not in call.request.headers.get("content-type", ""):
        raise Refusal("0001", "The url parameter cannot be empty!")
    url = urlsplit(call.required("url"))
    path = PurePosixPath(unquote(url.path))
    own = url.netloc == call.request.url.netloc and path.parent.name == "media"
    media = path.name if own and (demo_data.MEDIA / path.name).is_file() else None
    cause = "Indexing failed. " if (own and media is None) or path.stem.startswith("broken") else None
    return _added(call, name=path.stem or "video", media=media, url=url.geturl(), cause=cause, size=0)


@route("POST", "upload_img")
async def upload_img(call: Call) -> Any:
    """Take in images; one that is none rejects the whole batch."""
    added: list[dict[str, str]] = []
    for file in _files(call, "files", "image/"):
        stored, _ = _stored(call, file)
        image_id = call.account.new_number()
        name = PurePosixPath(file.filename or "image").stem
        call.account.add_image(
            id=image_id,
            namespace=call.namespace,
            name=name,
            description=re.sub(r"[-_]+", " ", name),
            tags=json.dumps(_tags(call)),
            media=stored,
            camera=call.text("camera_model") or None,
            latitude=call.values.get("latitude"),
            longitude=call.values.get("longitude"),
        )
        added.append({"id": image_id})
    return added


def _files(call: Call, name: str, kind: str) -> list[UploadFile]:
    found = [file for file in call.files(name) if file.filename]
    if not found:
        raise Refusal("0001", f"The {name} parameter cannot be empty!")
    for file in found:
        if not (file.content_type or "").startswith(kind):
            raise Refusal("0001", f"The content type of {file.filename} must be {kind}*")
    return found


def _stored(call: Call, file: UploadFile) -> tuple[str, int]:
    """Keep a file while the sandbox runs; its name in the folder and its size."""
    name = f"{uuid.uuid4().hex}{PurePosixPath(file.filename or '').suffix}"
    with (call.folder / name).open("wb") as target:
        shutil.copyfileobj(file.file, target, 1024 * 1024)
    return name, (call.folder / name).stat().st_size


def _tags(call: Call) -> list[str]:
    sent = call.values.get("tags")
    texts = [str(each) for each in call.request_list("tags")] if sent is not None else []
    return [each for text in texts for each in re.split(r"\s*,\s*", text) if each]


def _added(call: Call, *, name: str, media: str | None, url: str | None, cause: str | None, size: int) -> Any:
    tags = _tags(call)
    vtt = demo_data.MEDIA / f"{name}.vtt" if media else None
    segments = (
        list(demo_data.cues(vtt))
        if vtt and vtt.is_file()
        else demo_data.imagined(name, tags, call.text("video_transcription_prompt"))
    )
    video_no = f"VI{call.account.new_number()}"
    keep = call.text("retain_original_video", "true").lower() != "false"
    call.account.add_video(
        video_no=video_no,
        namespace=call.namespace,
        name=name,
        status="UNPARSE",
        cause=cause,
        duration=max(each.end for each in segments),
        size=size or ((demo_data.MEDIA / media).stat().st_size if media else 0),
        tags=json.dumps([*tags, "api"]),
        media=media if keep else None,
        url=url,
    )
    call.account.add_segments(video_no, segments)
    return {"videoNo": video_no, "videoName": name}


# ---- imports: a task is empty at the first look and has its videos at the second


def _task(call: Call, names: list[str], *, public: bool) -> Any:
    task_id = f"{uuid.uuid4()}_{hashlib.md5(json.dumps(names).encode(), usedforsecurity=False).hexdigest()}"
    videos = [{"video_no": f"{'PI-' if public else 'VI'}{call.account.new_number()}", "name": name} for name in names]
    values = (task_id, "" if public else call.namespace, json.dumps(videos), 0)
    call.account.db.execute("insert into tasks values (?, ?, ?, ?)", values)
    return {"taskId": task_id}


def _count(call: Call, default: int) -> int:
    return min(call.number("scraper_cnt", default), 20)


def _from_urls(call: Call, *, public: bool) -> Any:
    urls = call.strings("video_urls")
    if not urls or not all(any(each in url for each in _PLATFORMS) for url in urls):
        raise Refusal("0001", "One or more parameters are incorrect")
    return _task(call, [_slug(url) for url in urls], public=public)


def _from_creator(call: Call, *, public: bool) -> Any:
    profile = call.required("username")
    if "://" not in profile:
        raise Refusal("0001", "One or more parameters are incorrect")
    return _task(call, [f"{_slug(profile)} video {n + 1}" for n in range(_count(call, 4))], public=public)


def _from_hashtags(call: Call, *, public: bool) -> Any:
    tags = call.strings("hash_tags")
    if not tags or any(tag.startswith("#") for tag in tags):
        raise Refusal("0001", "One or more parameters are incorrect")
    return _task(call, [f"{tag} video {n + 1}" for tag in tags for n in range(_count(call, 2))], public=public)


def _slug(url: str) -> str:
    parts = urlsplit(url)
    return (parts.query or PurePosixPath(parts.path).name).lstrip("@").replace("=", " ")


@route("POST", "scraper_url")
async def scraper_url(call: Call) -> Any:
    """Import posts."""
    return _from_urls(call, public=False)


@route("POST", "scraper_url_public")
async def scraper_url_public(call: Call) -> Any:
    """Publish posts."""
    return _from_urls(call, public=True)


@route("POST", "scraper")
async def scraper(call: Call) -> Any:
    """Import a creator's latest videos."""
    return _from_creator(call, public=False)


@route("POST", "scraper_public")
async def scraper_public(call: Call) -> Any:
    """Publish a creator's latest videos."""
    return _from_creator(call, public=True)


@route("POST", "scraper_tag")
async def scraper_tag(call: Call) -> Any:
    """Import by hashtags."""
    return _from_hashtags(call, public=False)


@route("POST", "scraper_tag_public")
async def scraper_tag_public(call: Call) -> Any:
    """Publish by hashtags."""
    return _from_hashtags(call, public=True)


@route("GET", "get_video_ids_by_task_id")
async def get_video_ids_by_task_id(call: Call) -> Any:
    """The videos of a task: none at the first look, then downloaded and on their way to ready."""
    found = call.account.rows("select * from tasks where task_id = ?", call.required("task_id"))
    if not found or found[0]["namespace"] not in {"", call.namespace}:
        return {"videos": []}
    task = found[0]
    call.account.db.execute("update tasks set polls = polls + 1 where task_id = ?", (task["task_id"],))
    if task["polls"] < 1:
        return {"videos": []}
    rows: list[dict[str, Any]] = []
    for each in json.loads(task["videos"]):
        public = each["video_no"].startswith("PI-")
        if not call.account.rows("select 1 from videos where video_no = ?", each["video_no"]) and task["polls"] == 1:
            segments = demo_data.imagined(each["name"], [], "")
            call.account.add_video(
                video_no=each["video_no"],
                namespace=call.namespace,
                public=int(public),
                name=each["name"],
                status="UNPARSE",
                duration=max(segment.end for segment in segments),
                detail=json.dumps({"platform": "TIKTOK"} if public else {}),
            )
            call.account.add_segments(each["video_no"], segments)
        if row := call.account.video(each["video_no"], None if public else call.namespace):
            rows.append(detailed(call.account.polled(row)))
    return {"videos": rows}
