"""Sessions: past conversations with the service, as results and as the API sends them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, cast

from memories_mcp.models.base import Output, Page, Row, Wire
from memories_mcp.models.chat import Thinking, WireMessage
from memories_mcp.models.coercions import Id, Line, Text, raw_list, wire_list
from memories_mcp.models.evidence import Evidence
from memories_mcp.models.tolerance import read_part


class SessionRow(Row):
    """A conversation."""

    session_id: Id
    title: Line = ""


class SessionPage(Page):
    """A page of conversations."""

    sessions: Annotated[list[SessionRow], wire_list()] = []
    """Newest first."""


class Message(Row):
    """One turn of a conversation."""

    role: str
    content: Text
    evidence: list[Evidence] = []
    """The moments it refers to."""
    thinkings: list[Thinking] = []


class Session(Output):
    """A conversation."""

    session_id: str
    title: Line = ""
    messages: list[Message]
    """In order."""
    message_count: int
    """How many messages the conversation has in all."""


_FEW_ROWS = 100
_FEW_CHARACTERS = 50_000


def _is_long(value: object) -> bool:
    if isinstance(value, str):
        return len(value) > _FEW_CHARACTERS
    return isinstance(value, list) and len(cast(list[object], value)) > _FEW_ROWS


class WireSession(Wire):
    """A conversation, as sent; its messages are read one by one, because a result shows a few of thousands."""

    title: Line = ""
    messages: Annotated[list[Any], raw_list()] = []

    @property
    def is_large(self) -> bool:
        """Whether reading the messages takes so long that it belongs in a thread."""
        fields = (value for message in self.messages for value in message.values())
        return len(self.messages) > _FEW_ROWS or any(map(_is_long, fields))

    def read_message(self, index: int) -> WireMessage:
        """Return the message at an index."""
        return read_part(WireMessage.model_validate, self.messages[index])

    def read_messages(self) -> Iterator[WireMessage]:
        """Yield all messages in order."""
        return map(self.read_message, range(len(self.messages)))
