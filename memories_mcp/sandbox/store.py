"""One account of the sandbox: a SQLite database with full-text search."""

from __future__ import annotations

import json
import random
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from memories_mcp.sandbox.demo_data import Segment
from memories_mcp.sandbox.ranking import ABOUT, fts_pairs, fts_query, rank, search_words

SCHEMA = """
create table videos (
    video_no text primary key, namespace text, public integer default 0, name text, status text, cause text,
    created integer, duration integer default 0, size integer default 0, fps integer, width integer, height integer,
    resolution text, tags text default '[]', media text, url text, polls integer default 0, detail text default '{}',
    folder integer default -1);
create table segments (
    id integer primary key, video_no text, track text, idx integer, start integer, end integer, text text);
create index by_video on segments (video_no, track, idx);
create virtual table words using fts5 (text, content='segments', content_rowid='id', tokenize='porter unicode61');
create trigger added after insert on segments begin
    insert into words (rowid, text) values (new.id, new.text); end;
create trigger removed after delete on segments begin
    insert into words (words, rowid, text) values ('delete', old.id, old.text); end;
create table sessions (
    number integer primary key autoincrement, session_id text unique, namespace text, title text);
create table messages (session_id text, role text, content text, thinkings text default '[]', refs text default '[]');
create table images (
    id text primary key, namespace text, name text, description text, tags text, media text, taken integer,
    camera text, latitude real, longitude real);
create table folders (folder_id integer primary key, name text unique);
create table tasks (task_id text primary key, namespace text, videos text, polls integer default 0);
"""

POLLS_UNTIL_READY = 2

Clock = Callable[[], float]
"""Returns the time in seconds since the epoch."""


class Account:
    """The data of one API key. All methods are synchronous and take well under a millisecond.

    Attributes:
        db: The database.
        faults: Faults that wait for a request, as `POST /sandbox/faults` received them.
    """

    def __init__(self, db: sqlite3.Connection, numbers: random.Random | None = None, clock: Clock = time.time) -> None:
        db.row_factory = sqlite3.Row
        self.db = db
        self.faults: list[dict[str, Any]] = []
        self._numbers = numbers or random.Random()
        self._clock = clock

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Return the rows of a query as dicts."""
        return [dict(row) for row in self.db.execute(sql, values)]

    def new_number(self) -> str:
        """Return a new id of 18 digits; like the service's ids it exceeds 2^53."""
        return str(self._numbers.randrange(614_000_000_000_000_000, 699_999_999_999_999_999))

    def new_uuid(self) -> uuid.UUID:
        """Return a new random UUID."""
        return uuid.UUID(int=self._numbers.getrandbits(128), version=4)

    def add_video(self, **columns: Any) -> None:
        """Insert a video; its namespace defaults to `default`, its creation time to now. Index its name and tags."""
        self._insert("videos", {"namespace": "default", "created": int(self._clock() * 1000), **columns})
        name = columns.get("name", "").replace("_", " ")
        text = " ".join([name, *json.loads(columns.get("tags", "[]"))])
        self.add_segments(columns["video_no"], [Segment(ABOUT, 0, 0, text)])

    def add_image(self, **columns: Any) -> None:
        """Insert an image; name, description and tags become searchable as its `image` track."""
        self._insert("images", {"namespace": "default", **columns})
        text = f"{columns['name']}. {columns['description']} {' '.join(json.loads(columns['tags']))}"
        self.add_segments(columns["id"], [Segment("image", 0, 0, text)])

    def add_segments(self, video_no: str, segments: Iterable[Segment]) -> None:
        """Insert transcript segments and index them for search."""
        counts: dict[str, int] = {}
        for segment in segments:
            index = counts[segment.track] = counts.get(segment.track, -1) + 1
            self.db.execute(
                "insert into segments (video_no, track, idx, start, end, text) values (?, ?, ?, ?, ?, ?)",
                (video_no, segment.track, index, segment.start, segment.end, segment.text),
            )

    def add_session(self, session_id: str, namespace: str, title: str) -> None:
        """Insert a conversation without messages.

        Args:
            session_id: Its number, a string of digits.
            namespace: The `unique_id` it belongs to.
            title: Its title, usually the first question.
        """
        self._insert("sessions", {"session_id": session_id, "namespace": namespace, "title": title})

    def add_message(
        self, session_id: str, role: str, content: str, thinkings: Sequence[Any] = (), refs: Sequence[Any] = ()
    ) -> None:
        """Append a message to a conversation.

        Args:
            session_id: The conversation.
            role: `user` or `assistant`.
            content: The text.
            thinkings: Steps of the answer, each with `title` and `content`.
            refs: Reference items as `ref_item` returns them.
        """
        values = (session_id, role, content, json.dumps(list(thinkings)), json.dumps(list(refs)))
        self.db.execute("insert into messages values (?, ?, ?, ?, ?)", values)

    def ref_item(self, reference: dict[str, Any]) -> dict[str, Any]:
        """Return a reference as chat answers carry it: a `keyframe` without text and end, other types with both.

        Args:
            reference: `video_no`, `start` in seconds, and `type`: `visual_ts`, `audio_ts` or `keyframe`.
        """
        item = {"videoNo": reference["video_no"], "startTime": reference["start"], "type": reference["type"]}
        if reference["type"] == "keyframe":
            return item
        track = "visual" if reference["type"] == "visual_ts" else "audio"
        sql = "select end, text from segments where video_no = ? and track = ? and start = ?"
        segment = self.rows(sql, reference["video_no"], track, reference["start"])[0]
        return item | {"endTime": segment["end"], "text": segment["text"]}

    def refs(self, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Group reference items by video, in the API's mixed spelling (API 10, 6)."""
        items_by_video: dict[str, list[dict[str, Any]]] = {}
        for item in items:
            items_by_video.setdefault(item["videoNo"], []).append(item)
        return [
            {
                "video": {"duration": str(video["duration"]), "video_no": video_no, "video_name": video["name"]},
                "refItems": video_items,
            }
            for video_no, video_items in items_by_video.items()
            for video in self.rows("select duration, name from videos where video_no = ?", video_no)
        ]

    def video(self, video_no: str, namespace: str | None) -> dict[str, Any] | None:
        """Return a private video of the namespace, or a public video if the namespace is `None`."""
        condition = "public = 1" if namespace is None else "public = 0 and namespace = ?"
        values = (video_no,) if namespace is None else (video_no, namespace)
        rows = self.rows(f"select * from videos where video_no = ? and {condition}", *values)
        return rows[0] if rows else None

    def has_media(self, media: str) -> bool:
        """Return whether a file is that of a private video, in any namespace."""
        return bool(self.rows("select 1 from videos where public = 0 and media = ?", media))

    def poll(self, video: dict[str, Any]) -> dict[str, Any]:
        """Count a poll of a video and return the video as it is then.

        Polls advance the processing, not the clock: the second poll reports the final status.
        """
        if video["status"] != "UNPARSE":
            return video
        polls = video["polls"] + 1
        status = video["status"]
        if polls >= POLLS_UNTIL_READY:
            status = "FAIL" if video["cause"] else "PARSE"
        self.db.execute(
            "update videos set polls = ?, status = ? where video_no = ?", (polls, status, video["video_no"])
        )
        return video | {"polls": polls, "status": status}

    def transcript(self, video_no: str, track: str) -> list[dict[str, Any]]:
        """Return the segments of one track in order."""
        sql = "select idx, start, end, text from segments where video_no = ? and track = ? order by idx"
        return self.rows(sql, video_no, track)

    def replace_visual_track(self, video_no: str, prompt: str) -> None:
        """Put the prompt before each scene description and start processing the video again."""
        segments = [
            Segment("visual", row["start"], row["end"], f"[{prompt}] {row['text']}")
            for row in self.transcript(video_no, "visual")
        ]
        self.db.execute("delete from segments where video_no = ? and track = 'visual'", (video_no,))
        self.add_segments(video_no, segments)
        self.db.execute("update videos set status = 'UNPARSE', polls = 0 where video_no = ?", (video_no,))

    def search(
        self,
        words: str,
        *,
        namespace: str | None,
        tracks: Sequence[str],
        video_nos: Sequence[str] = (),
        limit: int = 100,
        min_coverage: float = 0.3,
    ) -> list[dict[str, Any]]:
        """Return matching segments of videos that are ready, best first, with a `score` between 0 and 1.

        Args:
            words: Free text.
            namespace: The namespace of private videos; `None` for public videos.
            tracks: `visual`, `audio` or both.
            video_nos: The only videos to search, in place of the namespace.
            limit: The maximum number of segments.
            min_coverage: The least share of the words that a segment and its surroundings must contain.
        """
        where, values = _scope(namespace, video_nos)
        source = f"segments s join videos v on v.video_no = s.video_no where {where}"

        def matches(query: str) -> list[dict[str, Any]]:
            sql = f"select s.*, v.name, v.tags, v.detail, v.folder, v.media, bm25(words) as rank from words, {source}"
            return self.rows(f"{sql} and s.id = words.rowid and words match ?", *values, query)

        words_searched = search_words(words)
        segments = rank(
            {word: matches(fts_query(word)) for word in words_searched},
            [matches(query) for query in fts_pairs(words_searched)],
            tracks=tracks,
            total=self.rows(f"select count(*) as total from {source}", *values)[0]["total"],
        )
        return [segment for segment in segments if segment["coverage"] >= min_coverage][:limit]

    def openings(self, *, namespace: str | None, video_nos: Sequence[str], limit: int) -> list[dict[str, Any]]:
        """Return the first segment of each track of the videos that `search` would cover, newest videos first.

        Args:
            namespace: The namespace of private videos; `None` for public videos.
            video_nos: The only videos, in place of the namespace.
            limit: The maximum number of segments.
        """
        where, values = _scope(namespace, video_nos)
        return self.rows(
            "select s.*, v.name, v.tags, v.detail from segments s join videos v on v.video_no = s.video_no "
            f"where s.idx = 0 and s.track != ? and {where} order by v.created desc, s.track desc limit ?",
            ABOUT,
            *values,
            limit,
        )

    def search_images(self, words: str, namespace: str, limit: int = 100) -> list[dict[str, Any]]:
        """Return images whose name, description or tags match, best first, with a `score` between 0 and 1.

        Args:
            words: The query.
            namespace: The `unique_id` to search in.
            limit: The maximum number of images.
        """
        query = " OR ".join(map(fts_query, search_words(words)))
        if not query:
            return []
        images = self.rows(
            "select i.*, bm25(words) as rank from words join segments s on s.id = words.rowid "
            "join images i on i.id = s.video_no where words match ? and s.track = 'image' and i.namespace = ? "
            "order by rank limit ?",
            query,
            namespace,
            limit,
        )
        return _with_scores(images)

    def delete(self, video_nos: Sequence[str], namespace: str) -> None:
        """Delete videos of the namespace; unknown ids are ignored, as by the service."""
        for video_no in video_nos:
            if self.video(video_no, namespace):
                self.db.execute("delete from segments where video_no = ?", (video_no,))
                self.db.execute("delete from videos where video_no = ?", (video_no,))

    def _insert(self, table: str, columns: dict[str, Any]) -> None:
        names, placeholders = ", ".join(columns), ", ".join("?" * len(columns))
        self.db.execute(f"insert into {table} ({names}) values ({placeholders})", tuple(columns.values()))


def _scope(namespace: str | None, video_nos: Sequence[str]) -> tuple[str, list[str]]:
    """Return an SQL condition for the videos `v` that a search covers, and the values of its placeholders."""
    ready = "v.status = 'PARSE' and"
    if video_nos:
        return f"{ready} v.video_no in ({', '.join('?' * len(video_nos))})", list(video_nos)
    if namespace is None:
        return f"{ready} v.public = 1", []
    return f"{ready} v.public = 0 and v.namespace = ?", [namespace]


def _with_scores(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add a `score` between 0 and 1 to each row; bm25 ranks are negative, and better ones are lower."""
    for row in rows:
        row["score"] = round(-row["rank"] / (4 - row["rank"]), 4)
    return rows
