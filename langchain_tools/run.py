"""The application's side of one call: its configuration, who hears its progress, who is asked.

Everything here runs in the caller's thread or task, where LangChain and LangGraph keep their context variables.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, cast

from langchain_core.callbacks import adispatch_custom_event, dispatch_custom_event
from langchain_core.runnables import RunnableConfig, ensure_config

from memories_mcp.errors import Declined
from memories_mcp.operation import Preview, Progress

EVENT = "memories_progress"
"""The name of the custom events, and the `type` of what LangGraph's stream writer gets."""
INTERRUPT = "memories_confirmation"
"""The `type` of an interrupt's value."""


class Run:
    """What a call knows of the run that it belongs to.

    Args:
        tool: The tool's name.
    """

    def __init__(self, tool: str = "") -> None:
        self._tool = tool
        self._config: RunnableConfig = ensure_config()
        self._writer = _stream_writer()

    @property
    def given(self) -> Mapping[str, Any]:
        """What the run was configured with: LangGraph's context wins over `config["configurable"]`."""
        configurable: dict[str, Any] = self._config.get("configurable", {})
        context = _context() if self._writer else None
        if context is None:
            return configurable
        if isinstance(context, Mapping):
            return {**configurable, **cast(Mapping[str, Any], context)}
        names = ("memories_api_key", "memories_unique_id", "memories_caption_api_key")
        return {**configurable, **{name: getattr(context, name) for name in names if hasattr(context, name)}}

    @property
    def followed(self) -> bool:
        """Whether anybody can hear progress."""
        return self._writer is not None or self._handled

    @property
    def _handled(self) -> bool:
        return bool(getattr(self._config.get("callbacks"), "handlers", None))

    def tell(self, progress: Progress) -> None:
        """Pass progress on: to the stream writer, and as a custom event to the callbacks."""
        data = self._event(progress)
        if self._handled:
            dispatch_custom_event(EVENT, data, config=self._config)

    async def atell(self, progress: Progress) -> None:
        """The same from async code."""
        data = self._event(progress)
        if self._handled:
            await adispatch_custom_event(EVENT, data, config=self._config)

    def ask(self, preview: Preview) -> bool | None:
        """Interrupt the graph until a person has answered; `None` where there is no graph, or none that can wait."""
        if self._writer is None or _inside_a_loop():
            return None
        from langgraph.func import task  # pyright: ignore[reportMissingTypeStubs] -- pyright finds none for this subpackage

        return self._agreed(preview, task(_shown)(_digest(preview)).result())

    async def aask(self, preview: Preview) -> bool | None:
        """The same from async code."""
        if self._writer is None:
            return None
        from langgraph.func import task  # pyright: ignore[reportMissingTypeStubs] -- pyright finds none for this subpackage

        async def shown(digest: str) -> str:
            return _shown(digest)

        return self._agreed(preview, await task(name=_shown.__name__)(shown)(_digest(preview)))

    def _event(self, progress: Progress) -> dict[str, Any]:
        data = {"type": EVENT, "tool": self._tool, **progress._asdict()}
        if self._writer:
            self._writer(data)
        return data

    def _agreed(self, preview: Preview, shown: str) -> bool:
        """Whether the person agreed to what would happen now.

        A resumed run repeats the call. LangGraph keeps the outcome of a task, so `shown` is what was there when the
        person was asked.
        """
        from langgraph.types import interrupt

        answer: Any = interrupt({"type": INTERRUPT, "tool": self._tool, **preview.model_dump()})
        if answer is not True and answer != {"type": "approve"}:
            return False
        if shown != _digest(preview):
            raise Declined(
                "What would be lost has changed since the user agreed; nothing was done.",
                next_step="Call again, so that they see what it is now.",
            )
        return True


def _shown(digest: str) -> str:
    return digest


def _digest(preview: Preview) -> str:
    words = json.dumps(preview.model_dump(), sort_keys=True)
    return hashlib.sha256(words.encode()).hexdigest()


def _inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _stream_writer() -> Callable[[Any], None] | None:
    """LangGraph's, inside a graph; what is not imported yet runs no graph."""
    if "langgraph" not in sys.modules:
        return None
    from langgraph.config import get_stream_writer

    try:
        return get_stream_writer()
    except (KeyError, RuntimeError):
        return None


def _context() -> Any:
    from langgraph.runtime import get_runtime

    return get_runtime().context
