"""Sessions: past conversations with the service, as results and as the API sends them."""

from __future__ import annotations

from typing import Annotated

from memories_mcp.models.base import Output, Page, Row, Wire
from memories_mcp.models.chat import Thinking, WireMessage
from memories_mcp.models.coercions import Id, Line, Text, wire_list
from memories_mcp.models.evidence import Evidence


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


class WireSession(Wire):
    """A conversation, as sent."""

    title: Line = ""
    messages: Annotated[list[WireMessage], wire_list()] = []
