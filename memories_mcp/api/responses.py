"""Telling an answer from a refusal, and each refusal from the others (API 2.3 and 2.4)."""

from __future__ import annotations

import json
import re
from typing import Any, cast

from memories_mcp.errors import (
    ApiError,
    MemoriesError,
    NotFound,
    NotReady,
    OutOfCredits,
    RateLimited,
    Unauthorized,
    UnexpectedResponse,
)
from memories_mcp.models.coercions import one_line

_UNREADY = re.compile(r"not parsed|not ready|(still|being) process")
_SUCCESS = frozenset({"0000", "SUCCESS"})
_WORDS_LIMIT = 300


def data_of(body: bytes, *, status: int, retry_after: str = "", success: frozenset[str] = _SUCCESS) -> Any:
    """What an answer carries: its `data`, or all of it where the documents show no envelope.

    Raises:
        ApiError: The API refused; HTTP 200 with another code than success counts (API 2.4).
        UnexpectedResponse: The body is no JSON object or list.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        if status >= 300:
            raise refusal("", _first_words(body), status=status, retry_after=retry_after) from None
        start = body.lstrip()
        kind = "HTML" if start.startswith(b"<") else "broken JSON" if start.startswith((b"{", b"[")) else "no JSON"
        raise UnexpectedResponse(
            f"The API answered HTTP {status} with {kind}.",
            next_step="This is a fault between here and the API; try again later.",
        ) from None
    return unwrap(answer, status=status, retry_after=retry_after, success=success)


def unwrap(answer: Any, *, status: int = 200, retry_after: str = "", success: frozenset[str] = _SUCCESS) -> Any:
    """`data_of` for a body that is parsed already."""
    if isinstance(answer, list):
        return cast(list[Any], answer)
    if not isinstance(answer, dict):
        raise UnexpectedResponse(
            f"The API answered HTTP {status} with {json.dumps(answer)[:20]} in place of a result.",
            next_step="Try again later.",
        )
    envelope = cast(dict[str, Any], answer)
    code = str(envelope.get("code", ""))
    failed = status >= 300 or envelope.get("success") is False or envelope.get("failed") is True
    if code not in success if code else failed:
        words = envelope.get("msg") or envelope.get("message") or envelope.get("error") or ""
        raise refusal(code, str(words), status=status, retry_after=retry_after)
    return envelope.get("data") if "data" in envelope or code else envelope


def refusal(code: str, words: str, *, status: int = 200, retry_after: str = "") -> MemoriesError:
    """The error for a code and the API's own words."""
    words = one_line(words)[:_WORDS_LIMIT]
    said = words.lower()
    shown = code if re.fullmatch(r"-?\w{1,8}", code) else ""  # the code is the network's word too
    answered = f"The API answered code {shown}" if shown else f"The API answered HTTP {status}"
    given: dict[str, Any] = {"code": code, "status": status, "words": words}
    if code == "0429" or status == 429 or "request has exceeded the limit" in said:
        wait = float(retry_after) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", retry_after) else 1.0
        return RateLimited(
            f"{answered}: too many requests.",
            retry_after=wait,
            next_step=f"Wait {wait:g} s, then try again with fewer calls at a time.",
            **given,
        )
    if code == "0402":
        return OutOfCredits(
            f"{answered}: the account has no credits left.",
            next_step="Recharge it at memories.ai; trying again will not help.",
            **given,
        )
    if code in {"0401", "0403", "9009"} or status in {401, 403} or "user don't login" in said:
        return Unauthorized(
            f"{answered}: the key was refused.",
            next_step="Check the key (MEMORIES_API_KEY) and what it may do; trying again will not help.",
            **given,
        )
    if status < 400 and _UNREADY.search(said):
        return NotReady(
            f"{answered}: the video is still being processed.",
            next_step="Call wait_until_ready with its video_no, then try again.",
            **given,
        )
    if status == 404:  # what it does not know, the API says with HTTP 200
        return ApiError(f"{answered}: this path does not exist there.", next_step="Check MEMORIES_BASE_URL.", **given)
    if status < 500 and ("not found" in said or "no videos found" in said):
        return NotFound(
            f"{answered}: no such item in this namespace.",
            next_step="Check the id with list_videos or list_sessions, and unique_id if it was uploaded under one.",
            **given,
        )
    if status >= 500 or transient(words):
        return ApiError(f"{answered}: the service is in trouble.", next_step="Try again in a minute.", **given)
    if code == "0409":
        return ApiError(f"{answered}: the same request was made before.", next_step="Do not repeat it.", **given)
    return ApiError(f"{answered}.", next_step="Check the arguments.", **given)


def transient(words: str) -> bool:
    """Whether a refusal with code 0001 is only a hiccup (API 2.4)."""
    said = words.lower()
    return "network is abnormal" in said or "try again later" in said


def _first_words(body: bytes) -> str:
    text = body[:_WORDS_LIMIT].decode("utf-8", "replace").strip()
    return "" if text.startswith("<") else text
