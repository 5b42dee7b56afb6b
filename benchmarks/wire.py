"""Answers of the API for measurements: rows as the service sends them, in any number."""

from __future__ import annotations

import json
from typing import Any

_NAMES = (
    "Quarterly planning meeting",
    "A morning walk from Port Tarrow to Gull Head",
    "Interview with a customer about pricing, second take",
)
_WORDS = " Let's talk about pricing. The proposal is three plans: Starter for nine euros and Team for twenty-nine."


def envelope(data: object) -> bytes:
    """Return the body of a successful answer."""
    answer = {"code": "0000", "msg": "success", "data": data, "success": True, "failed": False}
    return json.dumps(answer, separators=(",", ":")).encode()


def hits(count: int) -> list[dict[str, Any]]:
    """Return the hits of a search, best first."""
    return [
        {"videoNo": f"VI6125150938817{number % 89:05}", "videoName": _NAMES[number % 3], "startTime": str(14 * number),
         "endTime": str(14 * number + 13), "score": 0.8731542825698853 - number / 2000}
        for number in range(count)
    ]  # fmt: skip


def video_page(page: int, size: int, total: int) -> dict[str, Any]:
    """Return a page of a list of videos.

    Args:
        page: The page's number, from 1.
        size: Videos per page.
        total: Videos of all pages.
    """
    videos = [
        {"duration": str(600 + number % 3000), "size": str(698_337_205 + number), "status": "PARSE", "cause": "null",
         "video_no": f"VI6134200581{number:08}", "video_name": _NAMES[number % 3],
         "create_time": str(1_794_125_400_000 - 60_000 * number)}
        for number in range((page - 1) * size, min(page * size, total))
    ]  # fmt: skip
    return {"videos": videos, "current_page": page, "page_size": size, "total_count": str(total)}


def transcript(video_no: str, count: int) -> dict[str, Any]:
    """Return what is said in a video, in `count` segments."""
    segments = [
        {"index": number, "content": _WORDS, "startTime": str(6 * number), "endTime": str(6 * number + 5)}
        for number in range(count)
    ]
    return {"videoNo": video_no, "transcriptions": segments}


def conversation(count: int) -> dict[str, Any]:
    """Return a conversation of questions and answers, each answer with two moments."""
    question = {"role": "user", "content": "What was decided about the price of the Team plan?"}
    answers = [
        {"role": "assistant", "content": f"{_WORDS.strip()} It was decided at {number} minutes.", "refs": [
            {"video": {"duration": "1500", "video_no": "VI612515093881740229", "video_name": _NAMES[0]},
             "refItems": [{"videoNo": "VI612515093881740229", "startTime": start, "endTime": start + 30,
                           "type": "audio_ts", "text": _WORDS} for start in (number, number + 60)]}]}
        for number in range(count // 2)
    ]  # fmt: skip
    messages = [message for answer in answers for message in (question, answer)]
    return {"title": "The price of the Team plan", "messages": messages, "session_id": "612990037562867712"}
