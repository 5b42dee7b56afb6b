"""Asking the chats: streaming or not, the same answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any

from pydantic import Field

from memories_mcp.api import ChatEvent
from memories_mcp.api.endpoints import LIST_SESSIONS, SESSION_DETAIL, Endpoint
from memories_mcp.context import Context, ProgressKind
from memories_mcp.errors import MemoriesError
from memories_mcp.models.base import PrivateInput, Wire
from memories_mcp.models.chat import ChatAnswer, WireMessage
from memories_mcp.models.coercions import Id, rows, remove_invisible
from memories_mcp.models.ids import SessionId
from memories_mcp.models.sessions import WireSession
from memories_mcp.models.uris import SESSIONS, session_uri
from memories_mcp.rendering.budget import BUDGET, fitting

REMEMBERED = (LIST_SESSIONS, SESSION_DETAIL)
"""Where an answer's session and references are found when its stream did not tell them."""


class Question(PrivateInput):
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
    if context.follows:
        async with _Growing(context) as growing:
            message = await context.api.chat(streaming, json=body, into=WireMessage, on_event=growing.hear)
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


class _Growing:
    """Shows whoever follows how an answer comes about: its thoughts by their titles, then the answer so far."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._stack = AsyncExitStack()
        self._text: str = ""
        self._shown: str = ""
        self._last = 0.0
        self._told = 0.0
        self._silent = True

    async def __aenter__(self) -> _Growing:
        # Retrieval comes first: the service may say nothing for a minute.
        await self._stack.enter_async_context(_repeated(self._still_silent, _HEARTBEAT_SECONDS))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        await self._show()

    async def hear(self, event: ChatEvent) -> None:
        """Take a piece of the stream."""
        self._silent = False
        if event.kind == "thinking":
            await self._tell(remove_invisible(event.text), "thinking")
            return
        self._text += remove_invisible(event.text)
        if asyncio.get_running_loop().time() - self._last >= _SHOW_SECONDS:
            await self._show()

    async def _still_silent(self, waited: float) -> None:
        if self._silent:
            await self._tell(f"Asking; no answer yet after {waited:.0f} s" if waited else "Asking")

    async def _show(self) -> None:
        if self._text != self._shown:
            self._shown, self._last = self._text, asyncio.get_running_loop().time()
            await self._tell(self._text, "answer")

    async def _tell(self, message: str, kind: ProgressKind = "status") -> None:
        self._told += 1
        await self._context.progress(self._told, None, message, kind)


_HEARTBEAT_SECONDS = 5.0
_SHOW_SECONDS = 0.25


@asynccontextmanager
async def heartbeat(context: Context, message: str) -> AsyncGenerator[None, None]:
    """Say that it is still running while the body waits for one long answer."""

    async def beat(waited: float) -> None:
        await context.progress(waited, None, f"{message}: {waited:.0f} s" if waited else message)

    async with _repeated(beat, _HEARTBEAT_SECONDS):
        yield


@asynccontextmanager
async def _repeated(beat: Callable[[float], Awaitable[None]], every: float) -> AsyncGenerator[None, None]:
    async def beats() -> None:
        waited = every
        while True:
            await asyncio.sleep(every)
            await beat(waited)
            waited += every

    await beat(0.0)
    task = asyncio.create_task(beats())
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
