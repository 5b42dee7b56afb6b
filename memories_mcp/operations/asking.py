"""Asking the chats: streaming or not, the same answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from pydantic import Field

from memories_mcp.api import ChatEvent
from memories_mcp.api.endpoint import Endpoint
from memories_mcp.errors import MemoriesError
from memories_mcp.ids import SessionId
from memories_mcp.models import ChatAnswer, WireMessage
from memories_mcp.operation import Context, Private
from memories_mcp.operations.shared import LIST_SESSIONS, SESSION_DETAIL, WireSession
from memories_mcp.render import BUDGET, fitting
from memories_mcp.uris import SESSIONS, session_uri
from memories_mcp.wire import Id, Wire, rows, without_controls

REMEMBERED = (LIST_SESSIONS, SESSION_DETAIL)
"""Where an answer's session and references are found when its stream did not tell them."""


class Question(Private):
    """What every chat takes."""

    prompt: str = Field(min_length=1, max_length=8000, examples=["What was decided about the launch date?"])
    """The question, in English."""
    session_id: SessionId | None = None
    """Go on with an earlier conversation."""
    include_thinkings: bool = Field(default=False, exclude=True)
    """Return the reasoning steps too."""


async def ask(
    context: Context, plain: Endpoint, streaming: Endpoint, body: dict[str, Any], *, include_thinkings: bool
) -> ChatAnswer:
    """Ask one of the chats; it streams where somebody follows, and the answer is the same."""
    said = 0

    async def tell(event: ChatEvent) -> None:
        nonlocal said
        said += len(event.text)
        await context.progress(said, None, without_controls(event.text))

    if context.follows:
        message = await context.api.chat(streaming, json=body, into=WireMessage, on_event=tell)
        if not message.session_id:
            message = await _remembered(context, message, body)
    else:
        message = await context.api.chat(plain, json=body, into=WireMessage)
    context.changed(SESSIONS, *([session_uri(message.session_id)] if message.session_id else []))
    answer = ChatAnswer(
        answer=message.content[:_ANSWER_CHARACTERS], session_id=message.session_id, complete=message.complete
    )
    if include_thinkings:
        steps = message.steps()
        each = _THINKING_CHARACTERS // max(1, len(steps))
        answer.thinkings = [step.model_copy(update={"content": step.content[:each]}) for step in steps]
    evidence = message.evidence()
    count = fitting(evidence, BUDGET - len(answer.model_dump_json()) - 500) if evidence else 0
    answer.evidence = evidence[:count]
    left_out = len(message.content) - len(answer.answer)
    notes = {
        "The answer broke off; get_session_detail may have all of it.": not message.complete,
        f"{left_out} characters of the answer were left out; get_session_detail has them.": left_out,
        f"{len(evidence) - count} more moments were left out; get_evidence takes the session_id.": evidence[count:],
    }
    answer.note = " ".join(note for note, holds in notes.items() if holds) or None
    return answer


_ANSWER_CHARACTERS = 10_000
_THINKING_CHARACTERS = 6_000


@asynccontextmanager
async def heartbeat(context: Context, message: str, every: float = 5.0) -> AsyncGenerator[None, None]:
    """Say that it is still running while the body waits for one long answer."""

    async def beat() -> None:
        waited = 0.0
        while True:
            await context.progress(waited, None, message)
            await asyncio.sleep(every)
            waited += every

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()


async def _remembered(context: Context, message: WireMessage, body: dict[str, Any]) -> WireMessage:
    """The answer as its session keeps it: one of the streams tells neither session nor references (API 4).

    The newest session that ends with this question is it; where none does, the answer stays as it came.
    """
    unique_id = body.get("unique_id")
    try:
        if not (session_id := body.get("session_id")):
            listed = await context.api.call(LIST_SESSIONS, query={"unique_id": unique_id}, into=_Sessions)
            session_id = listed.sessions[0].session_id if listed.sessions else ""
        query = {"sessionId": session_id, "unique_id": unique_id}
        session = await context.api.call(SESSION_DETAIL, query=query, into=WireSession)
    except MemoriesError:  # the answer is there; what is missing is told below
        return message
    if len(session.messages) < 2 or session.messages[-2].content.strip() != str(body["prompt"]).strip():
        return message
    kept = session.messages[-1]
    return message.model_copy(
        update={
            "session_id": session_id,
            "refs": kept.refs or message.refs,
            "thinkings": kept.thinkings or message.thinkings,
        }
    )


class _SessionId(Wire):
    session_id: Id = ""


class _Sessions(Wire):
    sessions: Annotated[list[_SessionId], rows()] = []
