"""A chat model with scripted replies."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from pydantic import PrivateAttr

Reply = AIMessage | Callable[[Sequence[BaseMessage]], AIMessage]
"""A message, or a function that builds one from the messages so far."""


class ScriptedModel(BaseChatModel):
    """Returns one reply per turn; records the prompts and the bound tools."""

    _replies: list[Reply] = PrivateAttr()
    _prompts: list[list[BaseMessage]] = PrivateAttr(default_factory=list[list[BaseMessage]])
    _tools: list[Any] = PrivateAttr(default_factory=list[Any])

    @classmethod
    def replying(cls, *replies: Reply) -> ScriptedModel:
        model = cls()
        model._replies = list(replies)
        return model

    @property
    def prompts(self) -> list[list[BaseMessage]]:
        return self._prompts

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
        self._prompts.append(messages)
        reply = self._replies.pop(0)
        message = reply if isinstance(reply, AIMessage) else reply(messages)
        return ChatResult(generations=[ChatGeneration(message=message)])


def calls(name: str, arguments: dict[str, Any]) -> AIMessage:
    """Return a reply that calls a tool."""
    return AIMessage("", tool_calls=[ToolCall(name=name, args=arguments, id=uuid.uuid4().hex)])
