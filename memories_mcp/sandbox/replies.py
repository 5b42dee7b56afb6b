"""Extractive chat: the answer is made of what the search finds, with references to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from memories_mcp.sandbox.store import Account

_MOMENTS = 4


@dataclass(frozen=True)
class Reply:
    """An answer before it is put on the wire."""

    content: str
    thinkings: list[dict[str, str]]
    items: list[dict[str, Any]]
    session_id: str


def reply(
    account: Account,
    prompt: str,
    *,
    namespace: str,
    session_id: str,
    video_nos: Sequence[str] = (),
    public_platform: str = "",
) -> Reply:
    """Answer a prompt from the videos given, the namespace, or the public videos of a platform, and remember it."""
    scope = None if public_platform else namespace
    found = account.search(
        prompt, namespace=scope, tracks=("visual", "audio"), video_nos=video_nos, limit=40 * _MOMENTS
    )
    if public_platform:
        found = [row for row in found if f'"platform": "{public_platform}"' in row["detail"]]
    best = found[:_MOMENTS]
    thinkings = [
        {"title": "Searching the videos", "content": f"{len(found)} moments match the words of the question."},
        {"title": "Choosing the moments", "content": "The best of them are quoted, the strongest first."},
    ]
    items = [
        account.ref_item(
            {
                "video_no": row["video_no"],
                "start": row["start"],
                "type": "visual_ts" if row["track"] == "visual" else "audio_ts",
            }
        )
        for row in best
    ]
    if best and best[0]["track"] == "visual":
        items.append({"videoNo": best[0]["video_no"], "startTime": best[0]["start"], "type": "keyframe"})
    if public_platform:
        items += [_meta(account, video_no) for video_no in dict.fromkeys(row["video_no"] for row in best)]
    content = _told(best) if best else "Nothing that is seen or said in these videos matches the question."
    if not session_id:
        session_id = account.new_number()
        account.add_session(session_id, namespace, prompt[:60])
    account.add_message(session_id, "user", prompt)
    account.add_message(session_id, "assistant", content, thinkings, items)
    return Reply(content, thinkings, items, session_id)


def _told(rows: Sequence[dict[str, Any]]) -> str:
    sentences: list[str] = []
    for row in rows:
        minutes, seconds = divmod(row["start"], 60)
        where = f"“{' '.join(row['name'].split())}”, {minutes}:{seconds:02}"
        text = row["text"].rstrip()
        sentences.append(f"- It is said: “{text}” ({where})" if row["track"] == "audio" else f"- {text} ({where})")
    return "What the videos show and say about it:\n" + "\n".join(sentences)


def _meta(account: Account, video_no: str) -> dict[str, Any]:
    detail = json.loads(account.rows("select detail from videos where video_no = ?", video_no)[0]["detail"])
    counts = {name: detail.get(name) for name in ("view_count", "like_count", "share_count", "comment_count")}
    return {"videoNo": video_no, "startTime": 0, "type": "video_meta", "title": None, "summary": None, **counts}


def summary(account: Account, video: dict[str, Any], kind: str) -> dict[str, Any]:
    """Chapters along the visual track, or topics along the video's tags."""
    seen = account.transcript(video["video_no"], "visual")
    said = account.transcript(video["video_no"], "audio")
    items: list[dict[str, Any]] = []
    if kind == "CHAPTER":
        size = max(1, -(-len(seen) // 5))
        for first in range(0, len(seen), size):
            part = seen[first : first + size]
            spoken = [each["text"] for each in said if part[0]["start"] <= each["start"] < part[-1]["end"]][:2]
            described = "\n".join(f"• {text}" for text in [part[0]["text"], *spoken])
            title = " ".join(part[0]["text"].split()[:6]).rstrip(",.;")
            items.append({"description": described, "title": title, "start": str(part[0]["start"])})
    else:
        for tag in json.loads(video["tags"]):
            found = account.search(
                tag, namespace=video["namespace"], tracks=("audio", "visual"), video_nos=[video["video_no"]], limit=3
            )
            if found:
                items.append({"description": "\n".join(f"• {row['text']}" for row in found), "title": tag.title()})
    opening = " ".join(each["text"] for each in [*seen[:1], *said[:2]])
    text = f"“{video['name']}”: {opening}"
    session_id = account.new_number()
    account.add_session(session_id, video["namespace"], f"Summary of {video['name']}"[:60])
    account.add_message(session_id, "user", f"Summarise {video['name']}")
    account.add_message(session_id, "assistant", text)
    spent = sum(len(each["text"]) for each in [*seen, *said]) // 4
    return {"summary": text, "items": items, "totalInput": str(spent), "totalOutput": str(len(text) // 4)}
