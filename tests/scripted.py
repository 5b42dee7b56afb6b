"""A chat model that says what a test wrote for it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from pydantic import PrivateAttr

Say = AIMessage | Callable[[Sequence[BaseMessage]], AIMessage]
"""What it says: a message, or one made from what it was told so far."""


class ScriptedModel(BaseChatModel):
    """Says one line a turn; it remembers what it was told and which tools were bound."""

    _lines: list[Say] = PrivateAttr()
    _told: list[list[BaseMessage]] = PrivateAttr(default_factory=list[list[BaseMessage]])
    _tools: list[Any] = PrivateAttr(default_factory=list[Any])

    @classmethod
    def saying(cls, *lines: Say) -> ScriptedModel:
        model = cls()
        model._lines = list(lines)
        return model

    @property
    def told(self) -> list[list[BaseMessage]]:
        return self._told

    @property
    def tools(self) -> list[Any]:
        return self._tools

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Runnable[Any, AIMessage]:
        self._tools = list(tools)
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        self._told.append(messages)
        line = self._lines.pop(0)
        said = line if isinstance(line, AIMessage) else line(messages)
        return ChatResult(generations=[ChatGeneration(message=said)])


def calls(name: str, arguments: dict[str, Any]) -> AIMessage:
    """A turn that calls a tool."""
    return AIMessage("", tool_calls=[ToolCall(name=name, args=arguments, id=uuid.uuid4().hex)])
