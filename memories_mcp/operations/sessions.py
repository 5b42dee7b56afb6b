"""Past conversations of the own library."""

from __future__ import annotations

from pydantic import Field

from memories_mcp.api.endpoints import LIST_SESSIONS, SESSION_DETAIL
from memories_mcp.context import Context
from memories_mcp.models.base import PrivateInput
from memories_mcp.models.chat import WireMessage
from memories_mcp.models.evidence import Evidence
from memories_mcp.models.ids import SessionId
from memories_mcp.models.sessions import Message, Session, SessionPage, SessionRow, WireSession
from memories_mcp.operation import Effect
from memories_mcp.operations.common.paging import page_of
from memories_mcp.operations.toolsets import library
from memories_mcp.rendering.budget import BUDGET, weight
from memories_mcp.rendering.text import line

_PAGE_SIZE = 20
"""The service's own; it cannot be chosen (API 2.8)."""


class ListSessions(PrivateInput):
    """Arguments of `list_sessions`."""

    page: int = Field(default=1, ge=1)
    """Which page; there are 20 sessions on one."""


@line.register
def _(row: SessionRow) -> str:
    return f"{row.session_id} {row.title}"


@library.operation(title="List conversations", effect=Effect.READ, endpoints=[LIST_SESSIONS])
async def list_sessions(context: Context, args: ListSessions) -> SessionPage:
    """List past conversations and summaries, with the session_id that get_session_detail takes."""
    found = await context.api.call(LIST_SESSIONS, query=args.wire(), into=SessionPage)
    empty = "No conversations in this namespace."
    found.sessions, found.note = page_of(
        found.sessions, args.page, _PAGE_SIZE, empty=empty, total=found.total, size_argument=None
    )
    found.page = args.page
    return found


class GetSessionDetail(PrivateInput):
    """Arguments of `get_session_detail`."""

    # The wire wants camelCase here, against the page's prose (API 9, 9).
    session_id: SessionId = Field(serialization_alias="sessionId", examples=["612990037562867712"])
    """The conversation, as list_sessions or a chat gave it."""
    from_message: int = Field(default=1, ge=1, exclude=True)
    """Begin with this message, where an earlier call left some out."""
    from_character: int = Field(default=0, ge=0, exclude=True)
    """Begin inside that message."""
    include_thinkings: bool = Field(default=False, exclude=True)
    """Return the reasoning steps too."""


@line.register
def _(message: Message) -> str:
    return f"{message.role}: {message.content}"


@library.operation(title="Read a conversation", effect=Effect.READ, endpoints=[SESSION_DETAIL])
async def get_session_detail(context: Context, args: GetSessionDetail) -> Session:
    """Read a past conversation: its messages and the moments the answers rest on."""
    found = await context.api.call(SESSION_DETAIL, query=args.wire(), into=WireSession)
    session = Session(
        session_id=args.session_id, title=found.title[:300], messages=[], message_count=len(found.messages)
    )
    left = BUDGET - 2000
    onward = ""
    for number, message in enumerate(found.messages[args.from_message - 1 :], args.from_message):
        skipped = args.from_character if number == args.from_message else 0
        whole = _message(message, args.include_thinkings, skipped)
        if weight(whole) <= left:
            session.messages.append(whole)
            left -= weight(whole)
            continue
        if session.messages:
            onward = f"go on with from_message={number}."
            break
        part, shown, told = _part(whole, left)
        session.messages.append(part)
        if shown:
            onward = f"go on with from_message={number} and from_character={skipped + shown}."
        elif number < len(found.messages):
            onward = f"{told}go on with from_message={number + 1}."
        else:
            onward = told
        break
    if onward:
        session.note = f"{len(found.messages)} messages in all; {onward}"
    elif not found.messages:
        session.note = "The conversation is empty, or belongs to another unique_id."
    elif not session.messages:
        session.note = f"There are {len(found.messages)} messages in all."
    return session


async def whole_session(context: Context, session_id: str, unique_id: str | None) -> Session:
    """A conversation without paging, its reasoning left out."""
    query = {"sessionId": session_id, "unique_id": unique_id}
    found = await context.api.call(SESSION_DETAIL, query=query, into=WireSession)
    messages = [_message(each, False, 0) for each in found.messages]
    return Session(session_id=session_id, title=found.title, messages=messages, message_count=len(messages))


def _message(message: WireMessage, include_thinkings: bool, skipped: int) -> Message:
    return Message(
        role=message.role.lower()[:20],
        content=message.content[skipped:],
        evidence=message.evidence(),
        thinkings=message.steps() if include_thinkings else [],
    )


def _part(message: Message, budget: int) -> tuple[Message, int, str]:
    """As much of a message as fits: a part of its content and its length, or all of it and what else was left out."""
    content = Message(role=message.role, content=message.content)
    if weight(content) > budget:
        while content.content and weight(content) > budget:
            content.content = content.content[: len(content.content) * 3 // 4]
        return content, len(content.content), ""
    left = budget - weight(content)
    thinkings = [*message.thinkings]
    while thinkings and sum(map(weight, thinkings)) > left // 2:
        thinkings.pop()
    left -= sum(map(weight, thinkings))
    evidence = list[Evidence]()
    for each in message.evidence:
        left -= weight(each)
        if left < 0:
            break
        evidence.append(each)
    told = ""
    if missing := len(message.evidence) - len(evidence):
        told += f"{missing} moments of this message were left out (get_evidence takes the session_id); "
    if missing := len(message.thinkings) - len(thinkings):
        told += f"{missing} of its reasoning steps do not fit; "
    return content.model_copy(update={"thinkings": thinkings, "evidence": evidence}), 0, told
