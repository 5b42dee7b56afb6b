"""One account of the sandbox: a SQLite database with full-text search, begun as a copy of the demo library."""

from __future__ import annotations

import json
import random
import re
import sqlite3
import time
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from memories_mcp.sandbox import demo_data
from memories_mcp.sandbox.demo_data import Segment

_SCHEMA = """
create table videos (
    video_no text primary key, namespace text, public integer default 0, name text, status text, cause text,
    created integer, duration integer default 0, size integer default 0, fps integer, width integer, height integer,
    resolution text, tags text default '[]', media text, url text, polls integer default 0, detail text default '{}');
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
create table tasks (task_id text primary key, namespace text, videos text, polls integer default 0);
"""

_STOP = frozenset(
    "a about an and are as at be been by can do does did for from had has have how i in is it its me my of on or our "
    "out show so tell that the their them there they this to up us video videos was we were what when where which who "
    "why will with you your find clip clips moment moments part".split()
)
POLLS_UNTIL_READY = 2


def query_of(text: str) -> str:
    """A full-text query from anybody's words: each quoted (`pricing?` alone is a syntax error), joined by OR."""
    words = re.findall(r"\w+", text.lower())
    kept = [word for word in words if word not in _STOP] or words
    return " OR ".join(f'"{word}"' for word in dict.fromkeys(kept))


@cache
def _template() -> bytes:
    """The demo library as a database, made once a process."""
    account = Account(sqlite3.connect(":memory:"))
    account.db.executescript(_SCHEMA)
    for kind in ("private", "public"):
        for video in demo_data.videos(kind):
            account.add_video(
                video_no=video["video_no"],
                public=int(kind == "public"),
                name=video["video_name"],
                status="PARSE",
                created=demo_data.millis(video["created"]),
                duration=video["duration"],
                size=video["size"],
                fps=video["fps"],
                width=video["width"],
                height=video["height"],
                resolution=video["resolution_label"],
                tags=json.dumps(video["tags"]),
                media=video.get("media"),
                url=video.get("video_url"),
                detail=json.dumps(video if kind == "public" else {}, default=demo_data.millis),
            )
            account.add_segments(video["video_no"], demo_data.segments(video))
    for image in demo_data.images():
        account.add_image(
            id=image["id"],
            name=image["name"],
            description=image["description"],
            tags=json.dumps(image["tags"]),
            media=image["media"],
            taken=demo_data.millis(image["datetime_taken"]),
            camera=image["camera_model"],
            latitude=image["latitude"],
            longitude=image["longitude"],
        )
    for session in reversed(demo_data.sessions()):
        account.add_session(session["session_id"], "default", session["title"])
        for message in session["messages"]:
            refs = [account.ref_item(each) for each in message.get("refs", [])]
            account.add_message(
                session["session_id"], message["role"], message["content"], message.get("thinkings", []), refs
            )
    account.db.commit()
    return account.db.serialize()


class Account:
    """What one API key sees. All methods are synchronous and take well under a millisecond."""

    def __init__(self, db: sqlite3.Connection) -> None:
        db.row_factory = sqlite3.Row
        self.db = db
        self.faults: list[dict[str, Any]] = []
        self._random = random.Random()

    @classmethod
    def open(cls, path: Path | None = None) -> Account:
        """A new copy of the demo library, in memory or in a file; a file that exists goes on where it was."""
        if path is not None and path.exists():
            return cls(sqlite3.connect(path, isolation_level=None))
        db = sqlite3.connect(":memory:", isolation_level=None)
        db.deserialize(_template())
        if path is None:
            return cls(db)
        kept = sqlite3.connect(path, isolation_level=None)
        with kept:
            db.backup(kept)
        db.close()
        return cls(kept)

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """The rows of a query as dicts."""
        return [dict(row) for row in self.db.execute(sql, values)]

    def new_number(self) -> str:
        """18 digits: beyond 2^53, as the service makes them."""
        return str(self._random.randrange(614_000_000_000_000_000, 699_999_999_999_999_999))

    def add_video(self, **columns: Any) -> None:
        """Insert a video; `namespace` is `default` unless given."""
        self._insert("videos", {"namespace": "default", "created": int(time.time() * 1000), **columns})

    def add_image(self, **columns: Any) -> None:
        """Insert an image; its description becomes searchable as a track of its own."""
        self._insert("images", {"namespace": "default", **columns})
        text = f"{columns['name']}. {columns['description']} {' '.join(json.loads(columns['tags']))}"
        self.add_segments(columns["id"], [Segment("image", 0, 0, text)])

    def add_segments(self, video_no: str, segments: Iterable[Segment]) -> None:
        """Insert transcript lines; they can be searched at once."""
        counts: dict[str, int] = {}
        for segment in segments:
            index = counts[segment.track] = counts.get(segment.track, -1) + 1
            self.db.execute(
                "insert into segments (video_no, track, idx, start, end, text) values (?, ?, ?, ?, ?, ?)",
                (video_no, segment.track, index, segment.start, segment.end, segment.text),
            )

    def add_session(self, session_id: str, namespace: str, title: str) -> None:
        """Begin a conversation."""
        self._insert("sessions", {"session_id": session_id, "namespace": namespace, "title": title})

    def add_message(
        self, session_id: str, role: str, content: str, thinkings: Sequence[Any] = (), refs: Sequence[Any] = ()
    ) -> None:
        """Append a message to a conversation; `refs` are items as `ref_item` makes them."""
        values = (session_id, role, content, json.dumps(list(thinkings)), json.dumps(list(refs)))
        self.db.execute("insert into messages values (?, ?, ?, ?, ?)", values)

    def ref_item(self, where: dict[str, Any]) -> dict[str, Any]:
        """A moment as chat references show it: `keyframe` without text and end, the others with both."""
        item = {"videoNo": where["video_no"], "startTime": where["start"], "type": where["type"]}
        if where["type"] == "keyframe":
            return item
        track = "visual" if where["type"] == "visual_ts" else "audio"
        sql = "select end, text from segments where video_no = ? and track = ? and start = ?"
        segment = self.rows(sql, where["video_no"], track, where["start"])[0]
        return item | {"endTime": segment["end"], "text": segment["text"]}

    def refs(self, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Reference items grouped by video, in the wire's mixed spelling (API 10, 6)."""
        grouped: dict[str, list[dict[str, Any]]] = {}
        for item in items:
            grouped.setdefault(item["videoNo"], []).append(item)
        return [
            {
                "video": {"duration": str(video["duration"]), "video_no": video_no, "video_name": video["name"]},
                "refItems": of_video,
            }
            for video_no, of_video in grouped.items()
            for video in self.rows("select duration, name from videos where video_no = ?", video_no)
        ]

    def video(self, video_no: str, namespace: str | None) -> dict[str, Any] | None:
        """A private video of the namespace, or a public one where the namespace is `None`."""
        where = "public = 1" if namespace is None else "public = 0 and namespace = ?"
        values = (video_no,) if namespace is None else (video_no, namespace)
        found = self.rows(f"select * from videos where video_no = ? and {where}", *values)
        return found[0] if found else None

    def polled(self, video: dict[str, Any]) -> dict[str, Any]:
        """The video after one more look: the second one finds it processed. Polls drive it, not the clock."""
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
        """One track in order."""
        sql = "select idx, start, end, text from segments where video_no = ? and track = ? order by idx"
        return self.rows(sql, video_no, track)

    def describe_anew(self, video_no: str, prompt: str) -> None:
        """Replace the visual track; the video is processed again."""
        seen = [Segment("visual", row["start"], row["end"], row["text"]) for row in self.transcript(video_no, "visual")]
        self.db.execute("delete from segments where video_no = ? and track = 'visual'", (video_no,))
        self.add_segments(video_no, (each._replace(text=f"[{prompt}] {each.text}") for each in seen))
        self.db.execute("update videos set status = 'UNPARSE', polls = 0 where video_no = ?", (video_no,))

    def search(
        self,
        words: str,
        *,
        namespace: str | None,
        tracks: Sequence[str],
        video_nos: Sequence[str] = (),
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Segments by relevance, best first, with `score` between 0 and 1; only of videos that are ready."""
        query = query_of(words)
        if not query:
            return []
        conditions = [f"s.track in ({', '.join('?' * len(tracks))})", "v.status = 'PARSE'"]
        values: list[Any] = [query, *tracks]
        if video_nos:
            conditions.append(f"v.video_no in ({', '.join('?' * len(video_nos))})")
            values += video_nos
        elif namespace is None:
            conditions.append("v.public = 1")
        else:
            conditions.append("v.public = 0 and v.namespace = ?")
            values.append(namespace)
        found = self.rows(
            "select s.*, v.name, v.tags, v.detail, bm25(words) as rank from words "
            "join segments s on s.id = words.rowid join videos v on v.video_no = s.video_no "
            f"where words match ? and {' and '.join(conditions)} order by rank limit ?",
            *values,
            limit,
        )
        for row in found:
            row["score"] = round(-row["rank"] / (4 - row["rank"]), 4)
        return found

    def search_images(self, words: str, namespace: str, limit: int = 100) -> list[dict[str, Any]]:
        """Images whose name, description or tags match, best first."""
        query = query_of(words)
        if not query:
            return []
        found = self.rows(
            "select i.*, bm25(words) as rank from words join segments s on s.id = words.rowid "
            "join images i on i.id = s.video_no where words match ? and s.track = 'image' and i.namespace = ? "
            "order by rank limit ?",
            query,
            namespace,
            limit,
        )
        for row in found:
            row["score"] = round(-row["rank"] / (4 - row["rank"]), 4)
        return found

    def delete(self, video_nos: Sequence[str], namespace: str) -> None:
        """Remove videos of the namespace; unknown ones are passed over in silence, as the service does."""
        for video_no in video_nos:
            if self.video(video_no, namespace):
                self.db.execute("delete from segments where video_no = ?", (video_no,))
                self.db.execute("delete from videos where video_no = ?", (video_no,))

    def _insert(self, table: str, columns: dict[str, Any]) -> None:
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        self.db.execute(f"insert into {table} ({names}) values ({marks})", tuple(columns.values()))
