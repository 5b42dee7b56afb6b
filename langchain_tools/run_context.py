"""The application's side of one call: its configuration, who hears its progress, who is asked.

Everything here runs in the caller's thread or task, where LangChain and LangGraph keep their context variables.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import uuid
from collections.abc import Callable, Mapping
from typing import Any, cast

from langchain_core.callbacks import adispatch_custom_event, dispatch_custom_event
from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.runnables.config import var_child_runnable_config

from memories_mcp.context import Preview, Progress
from memories_mcp.errors import ConfigurationError, Declined

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
        """Interrupt the graph until a person has answered; `None` outside a graph.

        Raises:
            ConfigurationError: The step is async, where only an async call can be paused.
        """
        if self._writer is None:
            return None
        if _inside_a_loop():
            raise ConfigurationError(
                'confirm="interrupt" cannot pause a synchronous call inside an async step.',
                next_step="Call the tool with ainvoke there.",
            )
        task, interrupt = _tasks()
        value, mark = self._question(preview), uuid.uuid4().hex

        def confirm() -> tuple[Any, bool]:
            unseen = task(name="shown")(lambda: mark)().result() == mark
            return interrupt(value), unseen

        return _agreed(*task(name=_name_of(value))(confirm)().result())

    async def aask(self, preview: Preview) -> bool | None:
        """The same from async code."""
        if self._writer is None:
            return None
        task, interrupt = _tasks()
        value, mark = self._question(preview), uuid.uuid4().hex

        async def shown() -> str:
            return mark

        async def confirm() -> tuple[Any, bool]:
            unseen = await task(name="shown")(shown)() == mark
            return interrupt(value), unseen

        return _agreed(*await task(name=_name_of(value))(confirm)())

    def _event(self, progress: Progress) -> dict[str, Any]:
        data = {"type": EVENT, "tool": self._tool, **progress._asdict()}
        if self._writer:
            self._writer(data)
        return data

    def _question(self, preview: Preview) -> dict[str, Any]:
        return {"type": INTERRUPT, "tool": self._tool, **preview.model_dump()}


def inherited(config: RunnableConfig | None) -> RunnableConfig | None:
    """The configuration of a call, on top of that of the step around it.

    LangChain has a `configurable` that is given replace the one around it, and with it all that LangGraph keeps there.
    """
    around = var_child_runnable_config.get() or {}
    if not config or not around.get("configurable") or "configurable" not in config:
        return config
    return {**config, "configurable": {**around.get("configurable", {}), **config["configurable"]}}


# LangGraph repeats an interrupted step from its start and gives the answers back by their number, or to whoever asks
# first. Calls that run side by side may come in another order then, and what would be lost may have changed. So a
# question is a task of its own name, whose outcome LangGraph keeps; and within it a mark is kept the same way, which
# tells a question that was there before the answer came from one that took the answer to another.


def _name_of(value: dict[str, Any]) -> str:
    return f"confirm_{hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]}"


def _agreed(answer: Any, unseen: bool) -> bool:
    if unseen:
        raise Declined(
            "What would be lost has changed since the user agreed; nothing was done.",
            next_step="Call again, so that they see what it is now.",
        )
    return answer is True or answer == {"type": "approve"}


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


def _tasks() -> tuple[Any, Callable[[Any], Any]]:
    """LangGraph's `task` and `interrupt`, where it runs a graph."""
    # LangGraph is a namespace package: its py.typed is not found for every part.
    from langgraph.func import task  # pyright: ignore[reportMissingTypeStubs] -- as said above
    from langgraph.types import interrupt

    return task, interrupt


def _context() -> Any:
    from langgraph.runtime import get_runtime

    return get_runtime().context
