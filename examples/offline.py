"""A scripted chat model and word-count embeddings, with which the other examples run offline, on the sandbox."""

from __future__ import annotations

import os
import re
import sys
import zlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult

T = TypeVar("T")


class ScriptedModel(BaseChatModel):
    """A model that makes the given tool calls in order, then repeats the start of the last message."""

    calls: list[tuple[str, dict[str, Any]]] = []

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> ScriptedModel:
        """Return the model itself, which needs no schemas."""
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        step = sum(isinstance(message, ToolMessage) for message in messages)
        reply = AIMessage(f"Scripted answer, from the last message: {messages[-1].text[:900]}")
        if step < len(self.calls):
            name, arguments = self.calls[step]
            reply = AIMessage("", tool_calls=[ToolCall(name=name, args=arguments, id=f"call_{step}")])
        return ChatResult(generations=[ChatGeneration(message=reply)])


class WordEmbeddings(Embeddings):
    """Vectors of 2,048 word counts; a word's hash chooses its place."""

    def embed_query(self, text: str) -> list[float]:
        """Embed one text."""
        places = [zlib.crc32(word.encode()) % 2048 for word in re.findall(r"\w{4,}", text.lower())]
        return [float(places.count(place)) for place in range(2048)]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed many texts."""
        return [self.embed_query(text) for text in texts]


def read_arguments(start: Callable[[str], T], model: str = "openai:gpt-5") -> tuple[T, str] | None:
    """Return the model and the request of the command line; without any, choose the sandbox and return `None`."""
    if len(sys.argv) not in {1, 3}:
        sys.exit('Pass two arguments, MODEL "REQUEST", or none.')
    if len(sys.argv) == 3:
        if not {"MEMORIES_API_KEY", "MEMORIES_SANDBOX"} & {name for name, value in os.environ.items() if value}:
            sys.exit("There is no API key. Set MEMORIES_API_KEY, or MEMORIES_SANDBOX=true to try without a key.")
        try:
            return start(sys.argv[1]), sys.argv[2]
        except Exception as error:  # a missing package or key, or an unknown name: each provider has its own class
            sys.exit(f"The model {sys.argv[1]} cannot be used: {error}")
    os.environ["MEMORIES_SANDBOX"] = "true"
    real_run = f'MEMORIES_API_KEY=… OPENAI_API_KEY=… python {sys.argv[0]} {model} "REQUEST"'
    print(f"Offline, with a scripted model. A real run needs langchain-openai: {real_run}\n", file=sys.stderr)
    return None
