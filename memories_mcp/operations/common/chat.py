"""Questions to the chat endpoints, streaming or not, with the same answer; and progress during long requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any

from pydantic import Field

from memories_mcp.api import ChatEvent, join_pieces, without_blocking
from memories_mcp.api.endpoints import LIST_SESSIONS, SESSION_DETAIL, Endpoint
from memories_mcp.context import Context, ProgressKind
from memories_mcp.errors import MemoriesError
from memories_mcp.models.base import PrivateInput, Wire
from memories_mcp.models.chat import ChatAnswer, WireAnswer, WireMessage
from memories_mcp.models.coercions import Id, remove_invisible, wire_list
from memories_mcp.models.ids import SessionId
from memories_mcp.models.sessions import WireSession
from memories_mcp.models.uris import SESSIONS, session_uri
from memories_mcp.operations.common.coverage import look_up_coverage
from memories_mcp.rendering.budget import BUDGET, count_fitting
from memories_mcp.rendering.text import cut_text

SESSION_ENDPOINTS = (LIST_SESSIONS, SESSION_DETAIL)
"""The endpoints that supply an answer's session and references when its stream did not contain them."""

_ANSWER_CHARACTERS = 10_000
_THINKING_CHARACTERS = 6_000
_NOTE_CHARACTERS = 500

_HEARTBEAT_SECONDS = 5.0
_ANSWER_INTERVAL_SECONDS = 0.25
"""The shortest time between two reports of a growing answer."""


class Question(PrivateInput):
    """Arguments that every chat takes."""

    prompt: str = Field(min_length=1, max_length=8000, examples=["What was decided about the launch date?"])
    """The question, in English."""
    session_id: SessionId | None = None
    """Go on with an earlier conversation."""
    include_thinkings: bool = Field(default=False, exclude=True)
    """Return the reasoning too."""


async def ask_chat(
    context: Context, plain: Endpoint, streaming: Endpoint, body: dict[str, Any], *, include_thinkings: bool
) -> ChatAnswer:
    """Send a question to a chat; the answer streams if the caller follows the progress.

    Args:
        context: The context of the call.
        plain: The endpoint that returns the answer whole.
        streaming: The endpoint that streams the same answer.
        body: The request's body, with the question as `prompt`.
        include_thinkings: Whether the result contains the reasoning steps.
    """
    async with look_up_coverage(context, body.get("video_nos", ()), body.get("unique_id")) as coverage_notes:
        message, note = await _send_question(context, plain, streaming, body)
        notes = [*filter(None, [note]), *await coverage_notes(message.evidence())]
    changed_uris = [SESSIONS]
    if message.session_id:
        changed_uris.append(session_uri(message.session_id))
    context.changed(*changed_uris)
    return _make_answer(message, notes, include_thinkings=include_thinkings)


async def _send_question(
    context: Context, plain: Endpoint, streaming: Endpoint, body: dict[str, Any]
) -> tuple[WireMessage, str]:
    """Return the answer, and a sentence on what could not be read of its session; the arguments are `ask_chat`'s."""
    if not context.reports_progress:
        return await context.api.chat(plain, json=body, into=WireAnswer), ""
    async with _AnswerProgress(context) as progress:
        message = await context.api.chat(streaming, json=body, into=WireAnswer, on_event=progress.receive)
    if message.session_id:
        return message, ""
    try:
        return await _complete_from_session(context, message, body), ""
    except MemoriesError as error:  # the answer itself was received and is worth more than its references
        return message, (
            f"The conversation behind the answer could not be read: {error.summary} Find its session_id with "
            "list_sessions."
        )


def _make_answer(message: WireMessage, notes: Sequence[str], *, include_thinkings: bool) -> ChatAnswer:
    """Return the answer within the size limit; its note reports what was left out.

    Args:
        message: The answer, as sent.
        notes: More sentences for the note.
        include_thinkings: Whether the result contains the reasoning steps.
    """
    answer = ChatAnswer(
        answer=cut_text(message.content, _ANSWER_CHARACTERS), session_id=message.session_id, complete=message.complete
    )
    if include_thinkings:
        steps = message.steps()
        limit = _THINKING_CHARACTERS // max(1, len(steps))
        answer.thinkings = [step.model_copy(update={"content": cut_text(step.content, limit)}) for step in steps]
    evidence, notes = message.evidence(), [*notes]
    if not message.complete:
        notes.insert(0, _incomplete_note(message))
        answer.service_message = message.failure.words or None if message.failure else None
    if evidence:
        room = BUDGET - len(answer.model_dump_json()) - len(" ".join(notes)) - _NOTE_CHARACTERS
        answer.evidence = evidence[: count_fitting(evidence, room)]
    characters_left_out = len(message.content) - len(answer.answer)
    if characters_left_out:
        notes.append(f"{characters_left_out} characters of the answer were left out; get_session_detail has them.")
    moments_left_out = len(evidence) - len(answer.evidence)
    if moments_left_out:
        notes.append(f"{moments_left_out} more moments were left out; get_evidence takes the session_id.")
    answer.note = " ".join(notes) or None
    return answer


def _incomplete_note(message: WireMessage) -> str:
    failure = message.failure
    reason = failure.summary if failure else "The answer broke off."
    if failure and failure.words:
        reason += " Its own words are in service_message."
    if message.session_id:
        rest = "The rest may be in get_session_detail, which takes the session_id."
    else:
        rest = "The rest may be in list_sessions and get_session_detail."
    return f"The answer is incomplete: {reason} {rest}"


class _AnswerProgress:
    """Progress of a streamed answer: the titles of its reasoning steps, then the answer so far.

    A context manager: entering reports the start, leaving reports the rest of the answer.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._stack = AsyncExitStack()
        self._pieces: list[str] = []
        self._length = 0
        self._reported_length: int = 0
        self._reported_at = 0.0
        self._reports = 0.0
        self._is_silent = True

    async def __aenter__(self) -> _AnswerProgress:
        # Retrieval comes first: the service may send nothing for a minute.
        await self._stack.enter_async_context(_call_repeatedly(self._report_silence, _HEARTBEAT_SECONDS))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        await self._report_answer()

    async def receive(self, event: ChatEvent) -> None:
        """Handle a piece of the stream."""
        self._is_silent = False
        if event.kind == "thinking":
            await self._report(remove_invisible(event.text[:_ANSWER_CHARACTERS]), "thinking")
        elif self._length < _ANSWER_CHARACTERS:
            piece = event.text[:_ANSWER_CHARACTERS]
            self._pieces.append(piece)
            self._length += len(piece)
            if asyncio.get_running_loop().time() - self._reported_at >= _ANSWER_INTERVAL_SECONDS:
                await self._report_answer()

    async def _report_silence(self, seconds: float) -> None:
        if self._is_silent:
            await self._report(f"Asking; no answer yet after {seconds:.0f} s" if seconds else "Asking")

    async def _report_answer(self) -> None:
        if self._length != self._reported_length:
            self._reported_length, self._reported_at = self._length, asyncio.get_running_loop().time()
            await self._report(remove_invisible(join_pieces(self._pieces))[:_ANSWER_CHARACTERS], "answer")

    async def _report(self, message: str, kind: ProgressKind = "status") -> None:
        self._reports += 1
        await self._context.progress(self._reports, None, message, kind)


@asynccontextmanager
async def heartbeat(context: Context, message: str) -> AsyncGenerator[None, None]:
    """Report progress every few seconds while the body waits for one long response."""

    async def report(seconds: float) -> None:
        await context.progress(seconds, None, f"{message}: {seconds:.0f} s" if seconds else message)

    async with _call_repeatedly(report, _HEARTBEAT_SECONDS):
        yield


@asynccontextmanager
async def _call_repeatedly(report: Callable[[float], Awaitable[None]], interval: float) -> AsyncGenerator[None, None]:
    """Call `report` with the seconds since the start, first with 0, then at every interval while the body runs."""

    async def repeat() -> None:
        seconds = interval
        while True:
            await asyncio.sleep(interval)
            await report(seconds)
            seconds += interval

    await report(0.0)
    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()


async def _complete_from_session(context: Context, message: WireMessage, body: dict[str, Any]) -> WireMessage:
    """Add session id, references and reasoning from the session, as one of the streams has none of them (API 4).

    The session is the given one or the newest, provided its last question is this one; otherwise the message is
    returned unchanged.
    """
    unique_id = body.get("unique_id")
    session_id = body.get("session_id")
    if not session_id:
        page = await context.api.call(LIST_SESSIONS, query={"unique_id": unique_id}, into=_WireSessionPage)
        if not page.sessions:
            return message
        session_id = page.sessions[0].session_id
    query = {"sessionId": session_id, "unique_id": unique_id}
    session = await context.api.call(SESSION_DETAIL, query=query, into=WireSession)
    if len(session.messages) < 2 or session.read_message(-2).content.strip() != str(body["prompt"]).strip():
        return message
    stored = await without_blocking(lambda: session.read_message(-1), large=session.is_large)
    return message.model_copy(
        update={
            "session_id": session_id,
            "refs": stored.refs or message.refs,
            "thinkings": stored.thinkings or message.thinkings,
        }
    )


class _WireSessionId(Wire):
    session_id: Id


class _WireSessionPage(Wire):
    sessions: Annotated[list[_WireSessionId], wire_list()] = []
