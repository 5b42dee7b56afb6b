"""Endpoints that run a model in the real service: chats in both forms, and summaries."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from starlette.responses import StreamingResponse

from memories_mcp.sandbox import replies
from memories_mcp.sandbox.routing import Call, Refusal, route

_CHUNK = 24


def _reply(call: Call, *, videos: bool = False, platform: str = "") -> replies.Reply:
    prompt = call.text("prompt").strip()
    if not prompt:
        raise Refusal("0001", "The prompt parameter cannot be empty!")
    session_id = call.text("session_id")
    if session_id and not session_id.isdigit():
        raise Refusal("0001", f'For input string: "{session_id}"')
    owned = "select 1 from sessions where session_id = ? and namespace = ?"
    if session_id and not call.account.rows(owned, session_id, call.namespace):
        raise Refusal("0001", "session not found")
    video_nos = call.strings("video_nos")
    if videos:
        found = [call.account.video(each, None if each.startswith("PI-") else call.namespace) for each in video_nos]
        known = [each for each in found if each]
        if not known:
            raise Refusal("0001", "No videos found for the provided video numbers.")
        if unready := [each["video_no"] for each in known if each["status"] != "PARSE"]:
            raise Refusal("0001", f"Video is not parsed: {', '.join(unready)}")
        video_nos = [each["video_no"] for each in known]
    return replies.reply(
        call.account,
        prompt,
        namespace=call.namespace,
        session_id=session_id,
        video_nos=video_nos,
        public_platform=platform,
    )


def _whole(call: Call, reply: replies.Reply) -> dict[str, Any]:
    """The plain answer: references hang on the last thought, not on the message (API 9, 11)."""
    thinkings: list[dict[str, Any]] = [dict(each) for each in reply.thinkings]
    if reply.items:
        thinkings[-1]["refs"] = call.account.refs(reply.items)
    return {
        "role": "ASSISTANT",
        "content": reply.content,
        "thinkings": thinkings,
        "session_id": reply.session_id,
    }


def _dialect_a(call: Call, reply: replies.Reply) -> Iterator[str]:
    session = {"sessionId": reply.session_id}
    for thinking in reply.thinkings:
        for piece in _pieces(thinking["content"]):
            yield _data({"type": "thinking", "title": thinking["title"], "content": piece, **session})
    if reply.items:
        yield _data({"type": "ref", **session, "ref": call.account.refs(reply.items)})
    for piece in _pieces(reply.content):
        yield _data({"type": "content", "role": "assistant", "content": piece, **session})
    yield _data({"code": "SUCCESS", "data": "Done"})


def _dialect_b(reply: replies.Reply) -> Iterator[str]:
    for piece in _pieces(reply.content):
        yield f"data: {json.dumps({'token': piece}, ensure_ascii=False)}\n\n"
    yield "data: [DONE]\n\n"


def _pieces(text: str) -> Iterator[str]:
    yield from (text[first : first + _CHUNK] for first in range(0, len(text), _CHUNK))


def _data(record: dict[str, Any]) -> str:
    return f"data:{json.dumps(record, ensure_ascii=False)}\n\n"


def _stream(lines: Iterator[str]) -> StreamingResponse:
    async def body() -> AsyncIterator[str]:
        for line in lines:
            yield line

    return StreamingResponse(body(), media_type="text/event-stream")


@route("POST", "chat")
async def chat(call: Call) -> Any:
    """Ask chosen videos."""
    return _whole(call, _reply(call, videos=True))


@route("POST", "chat_stream")
async def chat_stream(call: Call) -> Any:
    """The same as a stream; refusals come as its only record."""
    try:
        return _stream(_dialect_a(call, _reply(call, videos=True)))
    except Refusal as refusal:
        return _stream(iter([_data({"code": refusal.code, "data": refusal.message})]))


@route("POST", "marketer_chat")
async def marketer_chat(call: Call) -> Any:
    """Ask the public videos of a platform."""
    return _whole(call, _reply(call, platform=call.text("type") or "TIKTOK"))


@route("POST", "marketer_chat_stream")
async def marketer_chat_stream(call: Call) -> Any:
    """The same as a stream."""
    return _stream(_dialect_a(call, _reply(call, platform=call.text("type") or "TIKTOK")))


@route("POST", "chat_personal")
async def chat_personal(call: Call) -> Any:
    """Ask the whole namespace."""
    return _whole(call, _reply(call))


@route("POST", "chat_personal_stream")
async def chat_personal_stream(call: Call) -> Any:
    """The same in the other dialect, which tells neither session nor references."""
    return _stream(_dialect_b(_reply(call)))


@route("POST", "update_video_transcription")
async def update_video_transcription(call: Call) -> Any:
    """Describe a video anew: the old descriptions are gone, the new ones say what was asked for."""
    prompt = call.required("prompt")
    row = call.account.video(call.required("video_no"), call.namespace)
    if row is None:
        raise Refusal("0001", "video not found")
    call.account.describe_anew(row["video_no"], prompt)
    return {"video_no": row["video_no"]}


@route("GET", "generate_summary")
async def generate_summary(call: Call) -> Any:
    """Chapters with times, or topics without (API 3.4, 27)."""
    kind = call.required("type")
    if kind not in {"CHAPTER", "TOPIC"}:
        raise Refusal("0001", "One or more parameters are incorrect")
    row = call.account.video(call.required("video_no"), call.namespace)
    if row is None:
        raise Refusal("0001", "video not found")
    if row["status"] != "PARSE":
        raise Refusal("0001", f"Video is not parsed: {row['video_no']}")
    return replies.summary(call.account, row, kind)
