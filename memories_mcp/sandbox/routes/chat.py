"""The `chat` routes: chat with private videos, as one answer and as a stream."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from starlette.responses import StreamingResponse

from memories_mcp.sandbox.replies import Reply, reply
from memories_mcp.sandbox.routing import Call, Refusal, route

_PIECE_CHARACTERS = 24
"""The length of a streamed piece of text."""


@route("POST", "chat")
async def chat(call: Call) -> Any:
    """Answer a question about chosen videos."""
    return message_of(call, reply_to(call, chosen=True))


@route("POST", "chat_stream")
async def chat_stream(call: Call) -> Any:
    """Stream an answer about chosen videos; a refusal is the stream's only record."""
    try:
        return stream_of(records_of(call, reply_to(call, chosen=True)))
    except Refusal as refusal:
        return stream_of(iter([_event({"code": refusal.code, "data": refusal.message})]))


@route("POST", "chat_personal")
async def chat_personal(call: Call) -> Any:
    """Answer a question about the whole namespace."""
    return message_of(call, reply_to(call))


@route("POST", "chat_personal_stream")
async def chat_personal_stream(call: Call) -> Any:
    """Stream an answer about the whole namespace as bare tokens, without session and references."""
    return stream_of(_tokens_of(reply_to(call)))


def reply_to(call: Call, *, chosen: bool = False, platform: str = "") -> Reply:
    """Answer the prompt of a request.

    Args:
        call: The request, with `prompt`, `session_id` and `video_nos`.
        chosen: Whether `video_nos` must name at least one video, and only videos that are ready.
        platform: The platform whose public videos are searched in place of the namespace.
    """
    prompt, session_id = call.required("prompt"), call.text("session_id")
    if session_id:
        if not session_id.isdigit():
            raise Refusal("0001", f'For input string: "{session_id}"')
        sql = "select 1 from sessions where session_id = ? and namespace = ?"
        if not call.account.rows(sql, session_id, call.namespace):
            raise Refusal("0001", "session not found")
    return reply(
        call.account,
        prompt,
        namespace=call.namespace,
        session_id=session_id,
        video_nos=_ready_video_nos(call) if chosen else call.strings("video_nos"),
        public_platform=platform,
    )


def message_of(call: Call, reply: Reply) -> dict[str, Any]:
    """Return the answer as one message; its last thinking carries the references (API 9, 11)."""
    thinkings: list[dict[str, Any]] = [dict(thinking) for thinking in reply.thinkings]
    if reply.items:
        thinkings[-1]["refs"] = call.account.refs(reply.items)
    return {
        "role": "ASSISTANT",
        "content": reply.content,
        "thinkings": thinkings,
        "session_id": reply.session_id,
    }


def records_of(call: Call, reply: Reply) -> Iterator[str]:
    """Yield the answer as events with typed records: thinkings, references, content, end."""
    session = {"sessionId": reply.session_id}
    for thinking in reply.thinkings:
        for piece in _pieces(thinking["content"]):
            yield _event({"type": "thinking", "title": thinking["title"], "content": piece, **session})
    if reply.items:
        yield _event({"type": "ref", **session, "ref": call.account.refs(reply.items)})
    for piece in _pieces(reply.content):
        yield _event({"type": "content", "role": "assistant", "content": piece, **session})
    yield _event({"code": "SUCCESS", "data": "Done"})


def stream_of(events: Iterator[str]) -> StreamingResponse:
    """Return events as a response."""

    async def body() -> AsyncIterator[str]:
        for event in events:
            yield event

    return StreamingResponse(body(), media_type="text/event-stream")


def _ready_video_nos(call: Call) -> list[str]:
    """Return the existing videos of `video_nos`; refuse the request if there are none or one is not ready."""
    videos: list[dict[str, Any]] = []
    for video_no in call.strings("video_nos"):
        namespace = None if video_no.startswith("PI-") else call.namespace
        if video := call.account.video(video_no, namespace):
            videos.append(video)
    if not videos:
        raise Refusal("0001", "No videos found for the provided video numbers.")
    if unready := [video["video_no"] for video in videos if video["status"] != "PARSE"]:
        raise Refusal("0001", f"Video is not parsed: {', '.join(unready)}")
    return [video["video_no"] for video in videos]


def _tokens_of(reply: Reply) -> Iterator[str]:
    for piece in _pieces(reply.content):
        yield f"data: {json.dumps({'token': piece}, ensure_ascii=False)}\n\n"
    yield "data: [DONE]\n\n"


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), _PIECE_CHARACTERS):
        yield text[start : start + _PIECE_CHARACTERS]


def _event(record: dict[str, Any]) -> str:
    return f"data:{json.dumps(record, ensure_ascii=False)}\n\n"
