"""Past conversations about the caller's own library."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from pydantic import Field

from memories_mcp.api import without_blocking
from memories_mcp.api.endpoints import LIST_SESSIONS, SESSION_DETAIL
from memories_mcp.context import Context
from memories_mcp.models.base import PrivateInput
from memories_mcp.models.chat import WireMessage
from memories_mcp.models.evidence import Evidence
from memories_mcp.models.ids import SessionId
from memories_mcp.models.sessions import Message, Session, SessionPage, SessionRow, WireSession
from memories_mcp.operation import Effect
from memories_mcp.operations.common.paging import fit_page
from memories_mcp.operations.toolsets import library
from memories_mcp.rendering.budget import BUDGET, json_size
from memories_mcp.rendering.text import cut_text, render_row

_PAGE_SIZE = 20
"""Sessions on a page, fixed by the service (API 2.8)."""


class ListSessions(PrivateInput):
    """Arguments of `list_sessions`."""

    page: int = Field(default=1, ge=1)
    """Page number; a page has 20 sessions."""


@render_row.register
def _(row: SessionRow) -> str:
    return f"{row.session_id} {row.title}"


@library.operation(title="List conversations", effect=Effect.READ, endpoints=[LIST_SESSIONS])
async def list_sessions(context: Context, args: ListSessions) -> SessionPage:
    """List past conversations and summaries, with the session_id that get_session_detail takes."""
    page = await context.api.call(LIST_SESSIONS, query=args.wire(), into=SessionPage)
    empty = "No conversations in this namespace."
    page.sessions, page.note = fit_page(
        page.sessions, args.page, _PAGE_SIZE, empty=empty, total=page.total, size_argument=None
    )
    page.page = args.page
    return page


class GetSessionDetail(PrivateInput):
    """Arguments of `get_session_detail`."""

    # The API requires camelCase here, although its documentation has snake_case (API 9, 9).
    session_id: SessionId = Field(serialization_alias="sessionId", examples=["612990037562867712"])
    """The conversation, as list_sessions or a chat returned it."""
    from_message: int = Field(default=1, ge=1, exclude=True)
    """First message to return; the note of a shortened result gives the number."""
    from_character: int = Field(default=0, ge=0, exclude=True)
    """Characters of that message to skip."""
    include_thinkings: bool = Field(default=False, exclude=True)
    """Return the reasoning too."""


@render_row.register
def _(message: Message) -> str:
    return f"{message.role}: {message.content}"


@library.operation(title="Read a conversation", effect=Effect.READ, endpoints=[SESSION_DETAIL])
async def get_session_detail(context: Context, args: GetSessionDetail) -> Session:
    """Read a past conversation: its messages and the moments that support the answers."""
    source = await context.api.call(SESSION_DETAIL, query=args.wire(), into=WireSession)
    return await without_blocking(lambda: _page(source, args), large=source.is_large)


def _page(source: WireSession, args: GetSessionDetail) -> Session:
    """Return the messages of a conversation that fit one result, from the first that was asked for."""
    session = Session(
        session_id=args.session_id, title=cut_text(source.title, 300), messages=[], message_count=len(source.messages)
    )
    remaining = BUDGET - 2000  # room for the title and the note
    continuation = ""
    for number in range(args.from_message, len(source.messages) + 1):
        skipped = args.from_character if number == args.from_message else 0
        message = _message(source.read_message(number - 1), args.include_thinkings, skipped)
        if json_size(message) <= remaining:
            session.messages.append(message)
            remaining -= json_size(message)
            continue
        if session.messages:
            continuation = f"continue with from_message={number}."
            break
        # Only the first message of a result is cut: any later one can start the next result.
        part, characters, omissions = _shorten(message, remaining)
        session.messages.append(part)
        if characters:
            continuation = f"continue with from_message={number} and from_character={skipped + characters}."
        elif number < len(source.messages):
            continuation = f"{omissions}continue with from_message={number + 1}."
        else:
            continuation = omissions
        break
    if continuation:
        session.note = f"{len(source.messages)} messages in all; {continuation}"
    elif not source.messages:
        session.note = "The conversation is empty, or belongs to another unique_id."
    elif not session.messages:
        session.note = f"There are {len(source.messages)} messages in all."
    return session


async def read_whole_session(context: Context, session_id: str, unique_id: str | None) -> Session:
    """Return a conversation without paging and without reasoning steps.

    Args:
        context: The context of the call.
        session_id: The conversation.
        unique_id: The namespace; `None` for the default one.
    """
    query = {"sessionId": session_id, "unique_id": unique_id}
    source = await context.api.call(SESSION_DETAIL, query=query, into=WireSession)

    def read() -> Session:
        messages = [_message(message, include_thinkings=False, skipped=0) for message in source.read_messages()]
        return Session(session_id=session_id, title=source.title, messages=messages, message_count=len(messages))

    return await without_blocking(read, large=source.is_large)


def _message(message: WireMessage, include_thinkings: bool, skipped: int) -> Message:
    """Return a message of a result, without the first `skipped` characters of its content."""
    return Message(
        role=message.role.lower()[:20],
        content=message.content[skipped:],
        evidence=message.evidence(),
        thinkings=message.steps() if include_thinkings else [],
    )


def _shorten(message: Message, budget: int) -> tuple[Message, int, str]:
    """Cut a message that weighs more than a budget.

    Returns:
        Either a part of the content, its length and "", or the whole content, 0 and a list of the omissions.
    """
    short = Message(role=message.role, content=message.content)
    if json_size(short) > budget:
        while short.content and json_size(short) > budget:
            short.content = cut_text(short.content, len(short.content) * 3 // 4)
        return short, len(short.content), ""
    remaining = budget - json_size(short)
    # Evidence matters more than reasoning, which gets at most half of the space.
    sizes = list(accumulate(map(json_size, message.thinkings)))
    thinkings = message.thinkings[: bisect_right(sizes, remaining // 2)]
    remaining -= sizes[len(thinkings) - 1] if thinkings else 0
    evidence = list[Evidence]()
    for moment in message.evidence:
        remaining -= json_size(moment)
        if remaining < 0:
            break
        evidence.append(moment)
    omissions = ""
    if missing := len(message.evidence) - len(evidence):
        omissions += f"{missing} moments of this message were left out (get_evidence takes the session_id); "
    if missing := len(message.thinkings) - len(thinkings):
        omissions += f"{missing} reasoning steps of this message were left out; "
    return short.model_copy(update={"thinkings": thinkings, "evidence": evidence}), 0, omissions
