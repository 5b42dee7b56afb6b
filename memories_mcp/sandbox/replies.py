"""Extractive chat answers and summaries: quotes from the transcripts, with references to them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from memories_mcp.sandbox.ranking import content_words
from memories_mcp.sandbox.store import Account

_QUOTED_SEGMENTS = 4
_MIN_COVERAGE = 0.5
"""The least share of the question that a quoted moment covers."""


@dataclass(frozen=True)
class Reply:
    """A chat answer before serialization.

    Attributes:
        content: The text of the answer.
        thinkings: Steps of the answer, each with `title` and `content`.
        items: Reference items as `Account.ref_item` returns them.
        session_id: The conversation that holds the answer.
    """

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
    """Answer a prompt and append question and answer to the conversation.

    Args:
        account: The account.
        prompt: The question.
        namespace: The namespace of the conversation, and of the videos unless `public_platform` is set.
        session_id: The conversation to continue; empty for a new one.
        video_nos: The only videos to search; every video of the scope if empty.
        public_platform: The platform whose public videos are searched in place of the namespace.
    """
    scope = None if public_platform else namespace
    if content_words(prompt):
        matches = account.search(
            prompt,
            namespace=scope,
            tracks=("visual", "audio"),
            video_nos=video_nos,
            limit=40 * _QUOTED_SEGMENTS,
            min_coverage=_MIN_COVERAGE,
        )
        fit = "match the words of the question"
    else:  # a question such as "What is it about?"
        matches = account.openings(namespace=scope, video_nos=video_nos, limit=40 * _QUOTED_SEGMENTS)
        fit = "open the videos"
    if public_platform:
        matches = [row for row in matches if f'"platform": "{public_platform}"' in row["detail"]]
    best = matches[:_QUOTED_SEGMENTS]
    choice = "The answer quotes the first of them." if best else "The answer quotes nothing."
    thinkings = [
        {"title": "Searching the videos", "content": f"{len(matches)} moments {fit}."},
        {"title": "Choosing the moments", "content": choice},
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
        items += [_video_meta(account, video_no) for video_no in dict.fromkeys(row["video_no"] for row in best)]
    content = _quotes(best) if best else "Nothing in the videos fits the question."
    if not session_id:
        session_id = account.new_number()
        account.add_session(session_id, namespace, prompt[:60])
    account.add_message(session_id, "user", prompt)
    account.add_message(session_id, "assistant", content, thinkings, items)
    return Reply(content, thinkings, items, session_id)


def _quotes(rows: Sequence[dict[str, Any]]) -> str:
    lines = ["From the videos:"]
    for row in rows:
        minutes, seconds = divmod(row["start"], 60)
        source = f"“{' '.join(row['name'].split())}”, {minutes}:{seconds:02}"
        text = row["text"].rstrip()
        quote = f"Spoken: “{text}”" if row["track"] == "audio" else text
        lines.append(f"- {quote} ({source})")
    return "\n".join(lines)


def _video_meta(account: Account, video_no: str) -> dict[str, Any]:
    detail = json.loads(account.rows("select detail from videos where video_no = ?", video_no)[0]["detail"])
    counts = {name: detail.get(name) for name in ("view_count", "like_count", "share_count", "comment_count")}
    return {"videoNo": video_no, "startTime": 0, "type": "video_meta", "title": None, "summary": None, **counts}


def summary(account: Account, video: dict[str, Any], kind: str) -> dict[str, Any]:
    """Summarise a video and record the summary as a conversation.

    Args:
        account: The account.
        video: The video's row.
        kind: `CHAPTER` for chapters along the visual track, `TOPIC` for topics along the video's tags.
    """
    visual = account.transcript(video["video_no"], "visual")
    audio = account.transcript(video["video_no"], "audio")
    items = _chapters(visual, audio) if kind == "CHAPTER" else _topics(account, video)
    opening = " ".join(segment["text"] for segment in [*visual[:1], *audio[:2]])
    text = f"“{video['name']}”: {opening}"
    session_id = account.new_number()
    account.add_session(session_id, video["namespace"], f"Summary of {video['name']}"[:60])
    account.add_message(session_id, "user", f"Summarise {video['name']}")
    account.add_message(session_id, "assistant", text)
    input_tokens = sum(len(segment["text"]) for segment in [*visual, *audio]) // 4
    return {"summary": text, "items": items, "totalInput": str(input_tokens), "totalOutput": str(len(text) // 4)}


def _chapters(visual: list[dict[str, Any]], audio: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return at most five chapters of equally many scenes."""
    chapters: list[dict[str, Any]] = []
    size = max(1, math.ceil(len(visual) / 5))
    for first in range(0, len(visual), size):
        scenes = visual[first : first + size]
        start, end, text = scenes[0]["start"], scenes[-1]["end"], scenes[0]["text"]
        spoken = [segment["text"] for segment in audio if start <= segment["start"] < end][:2]
        title = " ".join(text.split()[:6]).rstrip(",.;")
        chapters.append({"description": _bullets([text, *spoken]), "title": title, "start": str(start)})
    return chapters


def _topics(account: Account, video: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one topic per tag that the transcripts mention."""
    topics: list[dict[str, Any]] = []
    for tag in json.loads(video["tags"]):
        matches = account.search(
            tag, namespace=video["namespace"], tracks=("audio", "visual"), video_nos=[video["video_no"]], limit=3
        )
        if matches:
            topics.append({"description": _bullets([row["text"] for row in matches]), "title": tag.title()})
    return topics


def _bullets(texts: Sequence[str]) -> str:
    return "\n".join(f"• {text}" for text in texts)
