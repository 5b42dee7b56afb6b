"""A service with videos that are real files, in place of the network."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import httpx2
from conftest import FakeWire, envelope

Row = dict[str, Any]


class LibraryWire(FakeWire):
    """Answers for videos with content, and keeps the requests.

    Attributes:
        videos: The content of each video by number.
        rows: What their details say besides.
        hits: What a search finds.
        pictures: The stored pictures by bucket and blob; bytes, or an answer.
        owners: The key or the namespace that alone has a video, by its number.
    """

    def __init__(self, **videos: bytes) -> None:
        super().__init__()
        self.videos = videos
        self.rows: dict[str, Row] = {}
        self.hits: list[Row] = []
        self.pictures: dict[tuple[str, str], bytes | httpx2.Response] = {}
        self.owners: dict[str, str] = {}

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        self.requests.append(request)
        return await self.answer(request)

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request."""
        match request.url.path.removeprefix("/serve/api/"):
            case "v1/get_private_video_details":
                return self._details(request, request.url.params["video_no"])
            case "v1/download":
                return httpx2.Response(200, content=self.videos[json.loads(request.content)["video_no"]])
            case "v2/download":
                picture = self.pictures[request.url.params["bucket"], request.url.params["blob"]]
                return picture if isinstance(picture, httpx2.Response) else httpx2.Response(200, content=picture)
            case "v1/search":
                return envelope(self.hits)
            case "v1/get_public_video_detail":
                return envelope({"video_no": "PI-1", "video_url": "https://www.youtube.com/watch?v=abc"})
            case "v1/delete_videos":
                for video_no in json.loads(request.content):
                    self.videos.pop(video_no, None)
                return envelope(None)
            case "v1/list_videos":
                return envelope({"videos": [self._row(video_no) for video_no in self.videos]})
            case _:
                return envelope({})

    def _details(self, request: httpx2.Request, video_no: str) -> httpx2.Response:
        owner = self.owners.get(video_no)
        caller = request.url.params.get("unique_id") or request.headers["authorization"]
        if video_no not in self.videos or (owner and owner != caller):
            return envelope(None, "0001", "video not found")
        return envelope(self._row(video_no))

    def _row(self, video_no: str) -> Row:
        row = {"video_no": video_no, "video_name": "talk", "status": "PARSE", "size": len(self.videos[video_no])}
        return row | self.rows.get(video_no, {})

    def counts(self) -> Counter[str]:
        """Return how often each path was requested."""
        return Counter(request.url.path.removeprefix("/serve/api/") for request in self.requests)
