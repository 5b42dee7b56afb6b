"""The endpoints of the API that this package calls, with their rate class, time limit and retry safety."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from memories_mcp.models.evidence import Track

Rate = Literal["upload", "scrape", "search", "chat", "read", "list", "delete", "download", "task", "detail", "caption"]
"""A class of requests that share one rate limit (API 2.10)."""

Pace = Literal["quick", "slow", "transfer"]
"""The expected duration of a request: `slow` runs a model, `transfer` moves a file."""


_SESSION_TOOLS = "list_sessions and get_session_detail"
"""The tools that show answers and summaries."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method and path of the API.

    Attributes:
        method: `GET` or `POST`.
        path: The path below the common prefix, such as `list_videos`.
        rate: The class of requests that it belongs to.
        repeatable: Whether it may be sent twice without costing or changing anything twice.
        pace: The expected duration, which sets the time limit.
        host: The host; `caption` is a separate host with a separate key (API 2.1).
        shown_by: The tools that show whether a request without an answer was carried out; empty if none does.
        version: The version in the prefix of the path.
    """

    method: Literal["GET", "POST"]
    path: str
    rate: Rate
    repeatable: bool
    pace: Pace = "quick"
    host: Literal["api", "caption"] = "api"
    shown_by: str = ""
    version: Literal["v1", "v2"] = "v1"

    @property
    def full_path(self) -> str:
        """The path on the host."""
        prefix = f"/serve/api/{self.version}" if self.host == "api" else "/v1/understand"
        return f"{prefix}/{self.path}"

    @property
    def success(self) -> frozenset[str]:
        """The codes that mean success on this host; the oldest documentation of search shows `SUCCESS` (API 2.3)."""
        return frozenset({"0000", "SUCCESS"} if self.host == "api" else {"0", "0000"})

    def __str__(self) -> str:
        return f"{self.method} {self.full_path}"


def _read(path: str, rate: Rate, *, method: Literal["GET", "POST"] = "GET") -> Endpoint:
    """Return an endpoint that only reads and may be sent twice."""
    return Endpoint(method=method, path=path, rate=rate, repeatable=True)


def _write(path: str, rate: Rate, *, pace: Pace = "quick", shown_by: str = "list_videos") -> Endpoint:
    """Return an endpoint that changes or costs something and is never sent twice.

    Args:
        path: The path below the common prefix.
        rate: The class of requests that it belongs to.
        pace: The expected duration.
        shown_by: The tools that show whether a request was carried out.
    """
    return Endpoint(method="POST", path=path, rate=rate, repeatable=False, pace=pace, shown_by=shown_by)


def _chat(path: str) -> Endpoint:
    return _write(path, "chat", pace="slow", shown_by=_SESSION_TOOLS)


def _caption(path: str) -> Endpoint:
    return Endpoint(method="POST", path=path, rate="caption", repeatable=False, pace="slow", host="caption")


SEARCH = _read("search", "search", method="POST")
SEARCH_TRANSCRIPTS = _read("search_audio_transcripts", "search")
SEARCH_IMAGES = _read("search_similar_images", "search", method="POST")
SEARCH_CLIPS = _read("search_clips_by_image", "search", method="POST")

SEARCH_PUBLIC = _read("search_public", "search", method="POST")
SEARCH_PUBLIC_TRANSCRIPTS = _read("search_public_audio_transcripts", "search")
SEARCH_PUBLIC_IMAGES = _read("search_public_similar_images", "search", method="POST")

CHAT = _chat("chat")
CHAT_STREAM = _chat("chat_stream")
LIBRARY_CHAT = _chat("chat_personal")
LIBRARY_CHAT_STREAM = _chat("chat_personal_stream")
MARKETER_CHAT = _chat("marketer_chat")
MARKETER_CHAT_STREAM = _chat("marketer_chat_stream")

TRANSCRIPTS: dict[Track, Endpoint] = {
    "visual": _read("get_video_transcription", "read"),
    "audio": _read("get_audio_transcription", "read"),
}
PUBLIC_TRANSCRIPTS: dict[Track, Endpoint] = {
    "visual": _read("get_public_video_transcription", "read"),
    "audio": _read("get_public_audio_transcription", "read"),
}
UPDATE_TRANSCRIPTION = _write("update_video_transcription", "read", shown_by="get_video_transcription")
# Although a GET, it runs a model on each call, which is slow and billed (API 3.4, 27).
SUMMARY = Endpoint(
    method="GET", path="generate_summary", rate="read", repeatable=False, pace="slow", shown_by=_SESSION_TOOLS
)

LIST_VIDEOS = _read("list_videos", "list", method="POST")
LIST_IMAGES = _read("img_list_page", "list", method="POST")
LIST_SESSIONS = _read("list_sessions", "list")
SESSION_DETAIL = _read("get_session_detail", "list")
PRIVATE_DETAILS = _read("get_private_video_details", "list")
PUBLIC_DETAIL = _read("get_public_video_detail", "detail")
TASK_STATUS = _read("get_video_ids_by_task_id", "task")
DOWNLOAD = _write("download", "download", pace="transfer", shown_by="")
DELETE_VIDEOS = _write("delete_videos", "delete")

UPLOAD = _write("upload", "upload", pace="transfer")
UPLOAD_URL = _write("upload_url", "upload")
UPLOAD_IMAGES = _write("upload_img", "upload", pace="transfer", shown_by="list_images")
SCRAPE_URLS = _write("scraper_url", "scrape")
SCRAPE_CREATOR = _write("scraper", "scrape")
SCRAPE_HASHTAG = _write("scraper_tag", "scrape")
SCRAPE_URLS_PUBLIC = _write("scraper_url_public", "scrape", shown_by="search_public_videos")
SCRAPE_CREATOR_PUBLIC = _write("scraper_public", "scrape", shown_by="search_public_videos")
SCRAPE_HASHTAG_PUBLIC = _write("scraper_tag_public", "scrape", shown_by="search_public_videos")

CAPTION_VIDEO_URL = _caption("upload")
CAPTION_VIDEO_FILE = _caption("uploadFile")
# One path for links and files in v1.2; later documents have uploadImgFile for files (API 3.6, 41).
CAPTION_IMAGE = _caption("uploadImg")

# Documents newer than v1.2 have these (API 6): some accounts lack them, newer ones lack what they replace.
METADATA = _read("get_metadata", "list")
VIDEO_CAPTION = _read("get_video_caption", "read")
CAPTION_VIDEO_URL_SYNC = _caption("uploadSync")
CAPTION_VIDEO_FILE_SYNC = _caption("uploadFileSync")
FOLDERS = _read("folders", "list")
CREATE_FOLDER = _write("folders/create", "list", shown_by="list_folders")
RENAME_FOLDER = _write("folders/rename", "list", shown_by="list_folders")
DELETE_FOLDER = _write("folders/delete", "list", shown_by="list_folders")
FOLDER_VIDEOS = _read("folders/videos", "list")
MOVE_TO_FOLDER = _write("folders/move", "list", shown_by="list_folder_videos")
# Documented without a rate: pictures are small, and many are read at once, as rows of a list are.
STORED_FILE = Endpoint(method="GET", path="download", rate="list", repeatable=True, version="v2")
