"""The accounts of a running sandbox, one per API key; each starts as a copy of the demo library."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
import time
from functools import cache
from pathlib import Path

from memories_mcp.sandbox import demo_data
from memories_mcp.sandbox.store import SCHEMA, Account, Clock


class Accounts:
    """All accounts, opened on their first request.

    Args:
        data: A folder that keeps the accounts across restarts; in memory without it.
        seed: Makes every id deterministic.
        clock: The time that new rows carry.
    """

    def __init__(self, data: Path | None = None, seed: int | None = None, clock: Clock | None = None) -> None:
        self._data = data
        self._seed = seed
        self._clock = clock or time.time
        self._accounts: dict[str, Account] = {}

    def account(self, key: str) -> Account:
        """Return the account of an API key."""
        if key not in self._accounts:
            name = hashlib.sha256(key.encode()).hexdigest()[:24]
            db = _connect(self._data / f"{name}.db" if self._data else None)
            self._accounts[key] = Account(db, self._numbers(name, db), self._clock)
        return self._accounts[key]

    def close(self) -> None:
        """Close every database."""
        for account in self._accounts.values():
            account.db.close()
        self._accounts.clear()

    def _numbers(self, name: str, db: sqlite3.Connection) -> random.Random:
        if self._seed is None:
            return random.Random()
        # An account that is opened again must not repeat the ids that it made before.
        times_opened: int = db.execute("pragma user_version").fetchone()[0]
        db.execute(f"pragma user_version = {times_opened + 1}")
        return random.Random(f"{self._seed} {name} {times_opened}")


def _connect(path: Path | None) -> sqlite3.Connection:
    """Connect to a database and fill a new one from the demo library."""
    if path is not None and path.exists():
        return _upgrade(sqlite3.connect(path, isolation_level=None))
    memory = sqlite3.connect(":memory:", isolation_level=None)
    memory.deserialize(_template())
    if path is None:
        return memory
    file = sqlite3.connect(path, isolation_level=None)
    with file:
        memory.backup(file)
    memory.close()
    return file


def _upgrade(db: sqlite3.Connection) -> sqlite3.Connection:
    """Add the tables and columns that a database of an older version lacks, and return the database."""
    template = sqlite3.connect(":memory:")
    template.deserialize(_template())
    tables = template.execute("select name, sql from sqlite_master where type = 'table' and sql like 'create table %'")
    for table, sql in tables.fetchall():
        present = {row[1] for row in db.execute(f"pragma table_info({table})")}
        if not present:
            db.execute(sql)
            for row in template.execute(f"select * from {table}"):
                db.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)
        for _, column, kind, _, default, _ in template.execute(f"pragma table_info({table})"):
            if present and column not in present:
                db.execute(f"alter table {table} add column {column} {kind} default {default or 'null'}")
    template.close()
    return db


@cache
def _template() -> bytes:
    """Return the demo library as a serialized database; built once per process."""
    account = Account(sqlite3.connect(":memory:"))
    account.db.executescript(SCHEMA)
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
    account.db.execute("insert into folders values (?, ?)", (demo_data.FOLDER_ID, "Archive"))
    for session in reversed(demo_data.sessions()):
        account.add_session(session["session_id"], "default", session["title"])
        for message in session["messages"]:
            refs = [account.ref_item(reference) for reference in message.get("refs", [])]
            account.add_message(
                session["session_id"], message["role"], message["content"], message.get("thinkings", []), refs
            )
    account.db.commit()
    return account.db.serialize()
