"""A past conversation with the service as LangChain messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_tools.base import MemoriesComponent
from langchain_tools.bridge import bridge
from langchain_tools.citations import EVIDENCE_KEY
from langchain_tools.credentials import RunCredentials
from langchain_tools.run_context import CurrentRun
from memories_mcp.operations.sessions import read_whole_session


class _ComputedMessages(BaseChatMessageHistory):
    """A history whose messages are computed: pydantic would make a field of the base class's annotation."""

    messages: ClassVar[Any]  # pyright: ignore[reportIncompatibleVariableOverride] -- hides the annotation


class MemoriesChatMessageHistory(MemoriesComponent, _ComputedMessages):
    """The messages of a session, read from the service each time.

    Read-only: the service adds to a session by itself when a chat continues it, and has no way to change one. Messages
    of the user are `HumanMessage`, all others `AIMessage`; the moments of an answer are in
    `response_metadata["memories_evidence"]`, where `collect_citations` finds them. Errors are
    `memories_mcp.errors.MemoriesError`.
    """

    session_id: str
    """The session, as `list_sessions` or a chat returned it."""

    def model_post_init(self, context: Any, /) -> None:
        """Read the settings; opens no connection."""
        self._clients = self._make_clients(self._read_settings())

    @property
    def messages(self) -> list[BaseMessage]:  # pyright: ignore[reportIncompatibleVariableOverride] -- as its base class advises
        """All messages, in order."""
        credentials = self._clients.credentials(CurrentRun())
        return bridge.run(lambda _: self._read(credentials))

    async def aget_messages(self) -> list[BaseMessage]:
        """Return all messages, in order, from async code."""
        credentials = await self._clients.acredentials(CurrentRun())
        return await bridge.arun(lambda _: self._read(credentials))

    def add_messages(self, messages: Sequence[BaseMessage]) -> NoReturn:
        """Refuse: only a chat adds messages to a session.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(  # as LangChain's base classes do for what a history lacks
            "Messages not added: a session is read-only. Call chat_with_videos or chat_with_library with session_id to "
            "continue it."
        )

    def clear(self) -> NoReturn:
        """Refuse: the service has no operation that deletes a session.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("Session not cleared: the service has no operation that deletes a session.")

    async def _read(self, credentials: RunCredentials | None) -> list[BaseMessage]:
        async with self._clients.runner(credentials) as runner:
            unique_id = runner.settings.unique_id or None
            session = await read_whole_session(runner.context(), self.session_id, unique_id)
        messages: list[BaseMessage] = []
        for message in session.messages:
            if message.role == "user":
                messages.append(HumanMessage(message.content))
                continue
            evidence = [moment.model_dump(mode="json", exclude_none=True) for moment in message.evidence]
            messages.append(AIMessage(message.content, response_metadata={EVIDENCE_KEY: evidence} if evidence else {}))
        return messages
