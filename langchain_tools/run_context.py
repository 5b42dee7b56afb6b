"""The LangChain run around a tool call: its configuration, progress events and confirmations.

Everything here runs in the caller's thread or task, where LangChain and LangGraph keep their context variables.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import sys
import uuid
from collections.abc import Callable, Mapping
from typing import Annotated, Any, cast

from langchain_core.callbacks import adispatch_custom_event, dispatch_custom_event
from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.runnables.config import var_child_runnable_config
from pydantic import PlainValidator

from langchain_tools.human_in_the_loop import Decision, make_request, read_decision
from memories_mcp.context import Preview, Progress
from memories_mcp.errors import ConfigurationError, Declined

EVENT = "memories_progress"
"""The name of the custom events, and the `type` of the chunks in LangGraph's custom stream."""

_CONTEXT_ATTRIBUTES = ("memories_api_key", "memories_unique_id", "memories_caption_api_key")


class CurrentRun:
    """The run that a tool call belongs to, taken from the context variables of the caller.

    Args:
        tool: The tool's name.
        arguments: The tool's arguments.
    """

    def __init__(self, tool: str = "", arguments: Mapping[str, Any] | None = None) -> None:
        self._tool = tool
        self._arguments = arguments or {}
        self._config: RunnableConfig = ensure_config()
        self._stream_writer = _get_stream_writer()

    @property
    def runtime(self) -> Any:
        """LangGraph's `Runtime`; outside a graph, `config["configurable"]`."""
        return _get_runtime() if self._stream_writer else self._config.get("configurable", {})

    @property
    def configurable(self) -> Mapping[str, Any]:
        """The values of the run: `config["configurable"]`, overridden by LangGraph's context."""
        configurable: dict[str, Any] = self._config.get("configurable", {})
        context = _get_runtime().context if self._stream_writer else None
        if context is None:
            return configurable
        if isinstance(context, Mapping):
            return {**configurable, **cast(Mapping[str, Any], context)}
        attributes = {name: getattr(context, name) for name in _CONTEXT_ATTRIBUTES if hasattr(context, name)}
        return {**configurable, **attributes}

    @property
    def has_listeners(self) -> bool:
        """Whether a callback or a stream writer receives progress."""
        return self._stream_writer is not None or self._has_callbacks

    @property
    def _has_callbacks(self) -> bool:
        return bool(getattr(self._config.get("callbacks"), "handlers", None))

    def report_progress(self, progress: Progress) -> None:
        """Send progress to the stream writer, and to the callbacks as a custom event."""
        event = self._write_event(progress)
        if self._has_callbacks:
            dispatch_custom_event(EVENT, event, config=self._config)

    async def areport_progress(self, progress: Progress) -> None:
        """Send progress from async code."""
        event = self._write_event(progress)
        if self._has_callbacks:
            await adispatch_custom_event(EVENT, event, config=self._config)

    def confirm(self, preview: Preview) -> bool | None:
        """Interrupt the graph until a person has answered, and return whether they agreed; `None` outside a graph.

        Raises:
            ConfigurationError: The step is async, so that only an async call can be paused; or the answer cannot be
                read.
            Declined: The person gave a reason to decline, or the preview has changed since the person agreed.
        """
        if self._stream_writer is None:
            return None
        if _in_event_loop():
            raise ConfigurationError(
                'confirm="interrupt" cannot pause a synchronous call inside an async step.',
                next_step="Call the tool with ainvoke there.",
            )
        task = _import_task()
        request, mark = make_request(self._tool, self._arguments, preview), uuid.uuid4().hex

        def ask() -> tuple[Decision, bool]:
            is_new = task(name=_MARK_TASK)(lambda: mark)().result() == mark
            return _interrupt(request), is_new

        return _check_decision(*task(name=_task_name(request))(ask)().result())

    async def aconfirm(self, preview: Preview) -> bool | None:
        """Interrupt the graph from async code; otherwise as `confirm`."""
        if self._stream_writer is None:
            return None
        task = _import_task()
        request, mark = make_request(self._tool, self._arguments, preview), uuid.uuid4().hex

        async def get_mark() -> str:
            return mark

        async def ask() -> tuple[Decision, bool]:
            is_new = await task(name=_MARK_TASK)(get_mark)() == mark
            return _interrupt(request), is_new

        return _check_decision(*await task(name=_task_name(request))(ask)())

    def _write_event(self, progress: Progress) -> dict[str, Any]:
        event = {"type": EVENT, "tool": self._tool, **progress._asdict()}
        if self._stream_writer:
            self._stream_writer(event)
        return event


def is_control_flow(error: Exception) -> bool:
    """Return whether LangGraph raised the exception to pause or redirect the graph."""
    if "langgraph" not in sys.modules:
        return False
    from langgraph.errors import GraphBubbleUp

    return isinstance(error, GraphBubbleUp)


def merge_parent_config(config: RunnableConfig | None) -> RunnableConfig | None:
    """Return the configuration of a call with the `configurable` of the step around it merged in.

    LangChain itself replaces the parent's `configurable` by that of the call, and with it LangGraph's own entries.
    """
    parent = var_child_runnable_config.get() or {}
    if not config or not parent.get("configurable") or "configurable" not in config:
        return config
    return {**config, "configurable": {**parent.get("configurable", {}), **config["configurable"]}}


# LangGraph resumes an interrupted step by running it again from its start, and hands the answers to its interrupts in
# the order in which they are raised. Parallel calls may raise theirs in another order than before, and the videos in
# question may have changed. So each question is a LangGraph task, named by a hash of its content, whose result
# LangGraph keeps. Inside that task a second one keeps a random mark of the first execution: a mark from an earlier
# execution shows that the person was asked this question; a new mark, that the answer belongs to another one.
_MARK_TASK = "shown"


def _task_name(value: dict[str, Any]) -> str:
    return f"confirm_{hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]}"


def _interrupt(request: dict[str, Any]) -> Decision:
    """Interrupt the graph with a request and return the decision.

    LangGraph saves an answer only if the schema accepts it: an answer that cannot be read leaves the interrupt open.
    Older versions of LangGraph have no schemas, and save every answer.
    """
    from langgraph.types import interrupt

    def read(answer: object) -> Decision:
        return read_decision(answer, request)

    if "response_schema" not in inspect.signature(interrupt).parameters:
        return read(interrupt(request))
    schema: Any = Annotated[Any, PlainValidator(read)]
    return interrupt(request, response_schema=schema)


def _check_decision(decision: Decision, is_new: bool) -> bool:
    if is_new:
        raise Declined(
            "Nothing was done: the items have changed since the user agreed.",
            next_step="Call again, so that the user sees the current items.",
        )
    agreed, message = decision
    if message:
        raise Declined(
            f"The user declined; nothing was changed. The user's reason: {message}",
            next_step="Do not repeat the call unchanged unless the user requests it.",
        )
    return agreed


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _get_stream_writer() -> Callable[[Any], None] | None:
    """Return LangGraph's stream writer; `None` outside a graph."""
    if "langgraph" not in sys.modules:  # an unimported LangGraph runs no graph, and importing it takes long
        return None
    from langgraph.config import get_stream_writer

    try:
        return get_stream_writer()
    except (KeyError, RuntimeError):
        return None


def _import_task() -> Any:
    """Return LangGraph's decorator `task`."""
    # LangGraph is a namespace package: its py.typed is not found for every part.
    from langgraph.func import task  # pyright: ignore[reportMissingTypeStubs] -- see above

    return task


def _get_runtime() -> Any:
    from langgraph.runtime import get_runtime

    return get_runtime()
