"""The `sessions` routes: earlier conversations."""

from __future__ import annotations

import json
from typing import Any

from memories_mcp.sandbox.routes.common import page_of
from memories_mcp.sandbox.routing import Call, Refusal, route

_SESSIONS_PER_PAGE = 20


@route("GET", "list_sessions")
async def list_sessions(call: Call) -> Any:
    """Return a page of the namespace's conversations, newest first."""
    number = call.number("page", 1)
    sessions = call.account.rows(
        "select session_id as sessionId, title from sessions where namespace = ? order by number desc", call.namespace
    )
    return page_of(sessions, "sessions", number=number, size=_SESSIONS_PER_PAGE)


@route("GET", "get_session_detail")
async def get_session_detail(call: Call) -> Any:
    """Return one conversation; here the messages carry the references."""
    session_id = call.required("sessionId")
    if not session_id.isdigit():
        raise Refusal("0001", f'For input string: "{session_id}"')
    sessions = call.account.rows(
        "select title from sessions where session_id = ? and namespace = ?", session_id, call.namespace
    )
    if not sessions:
        raise Refusal("0001", "session not found")
    messages: list[dict[str, Any]] = []
    for row in call.account.rows("select * from messages where session_id = ? order by rowid", session_id):
        message: dict[str, Any] = {"role": row["role"], "content": row["content"]}
        if thinkings := json.loads(row["thinkings"]):
            message["thinkings"] = thinkings
        if refs := call.account.refs(json.loads(row["refs"])):
            message["refs"] = refs
        messages.append(message)
    return {"title": sessions[0]["title"], "messages": messages, "session_id": session_id}
